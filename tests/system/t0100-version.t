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
    test_expect_code 1 berth server --listen 0.0.0.0:1 2>err && grep insecure err
'

test_expect_success 'a wrong setting is named' '
    test_expect_code 2 berth server --grace soon 2>err && grep grace err && grep soon err
'

test_done
