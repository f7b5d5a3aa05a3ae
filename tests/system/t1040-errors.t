#!/bin/sh
test_description='mistakes: what is said, and the exit codes'
. "$(dirname "$0")/lib.sh"
berth_start

fails() { # CODE WORDS COMMAND...
    code=$1 words=$2
    shift 2
    test_expect_code "$code" "$@" >out 2>err && grep -F -- "$words" err
}

test_expect_success 'usage: 2, with what would be right' '
    fails 2 "unknown command '"'jbo'"'; did you mean berth job?" berth jbo list &&
    fails 2 "did you mean berth job list?" berth job lisd &&
    fails 2 "unknown flag --flavour; did you mean --flavor?" berth run --flavour x -- true &&
    fails 2 "flag --flavor needs a value" berth run --flavor &&
    fails 2 "-o is table, json, yaml or name" berth ps -o xml &&
    fails 2 "cpus" berth run --source none --cpus many -- true &&
    fails 2 "memory" berth run --source none --memory lots -- true &&
    fails 2 "what shall run?" berth run --source none &&
    fails 2 "berth why needs JOB" berth why
'

test_expect_success 'a file with a wrong field names its path' '
    printf "command: [\"true\"]\nports: [{ name: web, port: 99999 }]\n" >job.yaml &&
    fails 2 "ports[0].port" berth run --source none --file job.yaml &&
    printf "command: [\"true\"]\nflavour: x\n" >job.yaml &&
    fails 2 "flavour" berth run --source none --file job.yaml &&
    fails 2 "nowhere.yaml" berth run --file nowhere.yaml
'

test_expect_success 'not found: 3' '
    fails 3 "nope" berth logs nope &&
    fails 3 "nope" berth job show nope &&
    fails 3 "nope" berth job stop nope &&
    fails 3 "nope" berth --help nope || fails 3 "nope" berth why nope --project lab &&
    fails 3 "elsewhere" berth ps --project elsewhere &&
    fails 3 "there is no context" berth ps --context nowhere
'

test_expect_success 'denied: 4' '
    BERTH_KEY=berth_wrong fails 4 "key" berth ps &&
    berth key create look --role viewer -o json | jq -r .key >key &&
    BERTH_KEY=$(cat key) berth ps -a &&
    BERTH_KEY=$(cat key) fails 4 "" berth run --source none -- true
'

test_expect_success 'cannot fit, wrong state: 5' '
    fails 5 "" berth run --source none --cpus 4096 -- true &&
    berth run --source none -n busy -d -- sleep 100 &&
    fails 5 "" berth job delete busy &&
    berth stop --grace 0 --wait busy
'

test_expect_success 'no server: 1, and 125 for berth run' '
    BERTH_URL=http://127.0.0.1:1 fails 1 "no server answers at http://127.0.0.1:1" berth ps &&
    BERTH_URL=http://127.0.0.1:1 fails 125 "no server answers" berth run --source none -- true
'

test_expect_success 'help is there for everything, and offline' '
    for c in run logs charts artifacts ps why queue stop init login completion "job list" "key create" "artifact get"; do
        BERTH_URL=http://127.0.0.1:1 berth $c --help >out && grep "^Usage" out || return 1
    done &&
    berth --help >out && grep "^Nouns" out
'

test_expect_success 'contexts are kept private' '
    test "$(stat -c %a "$HOME/.config/berth/config.yaml")" = 600 &&
    berth context list -o json | jq -e ".items[0].project == \"lab\"" &&
    chmod 644 "$HOME/.config/berth/config.yaml" &&
    fails 4 "chmod 600" berth ps &&
    chmod 600 "$HOME/.config/berth/config.yaml" &&
    test_must_fail grep berth_ out err
'

test_expect_success 'init again changes nothing; login takes a key on stdin' '
    cp "$HOME/.config/berth/config.yaml" before &&
    berth init --org acme --project lab --key test &&
    test_cmp before "$HOME/.config/berth/config.yaml" &&
    berth login --context second "$BERTH_URL" <key &&
    berth context list -o name | grep second &&
    berth context delete second
'

test_expect_success 'completion knows commands, flags and live names' '
    berth completion words -- jo >out && grep "^job$" out &&
    berth completion words -- job "" >out && grep "^show$" out &&
    berth completion words -- run --fl >out && grep -e "^--flavor$" out &&
    berth completion words -- logs bus >out && grep "^busy$" out &&
    berth completion words -- run --flavor "" >out && grep cpu out &&
    berth completion bash | bash -n
'

test_expect_success 'the manual page has no warnings' '
    man -l --warnings "$BERTH_BUILD/berth.1" >out 2>err && test ! -s err && grep "berth run" out
'

test_done
