#!/bin/sh
test_description='the executable says what it is, without a server'
. "$(dirname "$0")/lib.sh"

test_expect_success '--version and version say the same' '
    berth --version >one && berth version >two && test_cmp one two && grep "^berth [0-9]" one
'

test_expect_success 'the settings print with their origin' '
    BERTH_GRACE=7s berth server --print-config --log-limit 1Gi >config &&
    grep "^grace: 7  # environment" config &&
    grep "^log_limit: 1073741824  # flag" config &&
    grep "^pool: .*# default" config
'

test_expect_success 'a listener beyond loopback is refused without TLS, before anything starts' '
    test_expect_code 2 berth server --listen 0.0.0.0:1 2>err && grep insecure err
'

test_expect_success 'a wrong setting is named' '
    test_expect_code 2 berth server --grace soon 2>err && grep grace err && grep soon err
'

test_expect_success 'commands that need no server find the state where the settings have it' '
    echo "state: $PWD/elsewhere" >settings.yaml &&
    (unset BERTH_STATE; export BERTH_CONFIG="$PWD/settings.yaml"
    test_expect_code 1 berth store verify 2>err && grep "$PWD/elsewhere/berth.db" err &&
    berth upgrade --check >out && grep "none in $PWD/elsewhere" out)
'

test_expect_success 'help, completion and the manual know the programs beside the command line' '
    berth --help >help && for role in server doctor store upgrade; do
        grep "^  $role " help && berth help $role >one && berth $role --help >two && test_cmp one two || return 1
    done &&
    test "$(berth completion words -- upg)" = upgrade &&
    berth completion words -- server --reserved-m >out && grep -e "^--reserved-memory$" out &&
    berth completion words -- store ba >out && grep "^backup$" out &&
    berth man | man -l - >page && grep "berth upgrade --check" page && grep -e "--reserved-memory" page &&
    test_expect_code 2 berth upgrad 2>err && grep "did you mean berth upgrade" err
'

test_done
