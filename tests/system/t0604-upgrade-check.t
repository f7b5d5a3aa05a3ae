#!/bin/sh
test_description='berth upgrade --check: what an upgrade would change, asked before it happens'
. "$(dirname "$0")/lib.sh"

old=$BERTH_BUILD/berth
next=$BERTH_BUILD/tests/berth-next

berth_needs_root

# check PROGRAM CODE [FLAG...]: as an operator types it; the answer is in check.json
check() {
    local program=$1 code=$2
    shift 2
    test_expect_code "$code" "$program" upgrade --check -o json "$@" >check.json || { cat check.json; false; }
}

test_expect_success 'where nothing was, nothing would change' '
    check "$old" 0 && jq -e ".verdict == \"current\" and .server.running == false and .tasks == []" check.json &&
    ! test -e "$BERTH_STATE"
'

berth_start

test_expect_success 'the version that runs changes nothing; its tasks are named' '
    berth run --detach --source none --flavor cpu.shared --name one -- sleep 600 >one &&
    berth run --detach --source none --flavor cpu.shared --name two -- sleep 600 &&
    berth run --source none --name short -- true &&
    await 20 sh -c "berth ps -o json | jq -e \".items | map(select(.state == \\\"running\\\")) | length == 2\"" &&
    check "$old" 0 && jq -e "[.tasks[].job] == [\"one\", \"two\"] and all(.tasks[]; .taken_over)" check.json &&
    jq -e ".server.process == $berth_pid and .server.version == .version" check.json
'

test_expect_success 'a version that is not installed yet says what its start would do, and does nothing' '
    cp -a "$BERTH_STATE/berth.db" before &&
    check "$next" 10 && cmp before "$BERTH_STATE/berth.db" &&
    jq -e ".verdict == \"waiting\" and .server.version != .version and .state.format < .state.known" check.json &&
    jq -e "[.tasks[].taken_over] == [true, true]" check.json &&
    test_expect_code 10 "$next" upgrade --check >table && cat table &&
    grep "^server  *[0-9.]*, process $berth_pid$" table &&
    grep "takes the place of" table && grep "from format [0-9]* to [0-9]*; .* berth store backup" table &&
    grep "2 running tasks go on" table
'

test_expect_success 'it needs no network, and no server' '
    test_expect_code 10 unshare --net "$next" upgrade --check &&
    berth_stop && check "$next" 10 && jq -e ".server.running == false and (.tasks | length) == 2" check.json
'

test_expect_success 'a second file of the same version takes its place too' '
    berth_server && cp "$old" copy && check ./copy 10 && jq -e ".would[0] | contains(\"another build\")" check.json
'

test_expect_success 'after the upgrade nothing is left to change; the older version would not start' '
    berth_stop &&
    (PATH=$PWD:$PATH && cp "$next" berth && berth_server && echo "$berth_pid" >pid) && berth_pid=$(cat pid) &&
    check ./berth 0 && jq -e "[.tasks[].job] == [\"one\", \"two\"]" check.json &&
    check "$old" 5 && jq -e ".verdict == \"refused\" and (.would[0] | contains(\"restore the backup\"))" check.json
'

test_expect_success 'so would one whose settings are wrong, which it says by name' '
    BERTH_GRACE=soon check ./berth 5 && jq -e ".would[] | contains(\"grace\")" check.json &&
    BERTH_LISTEN=0.0.0.0:1 check ./berth 5 && jq -e ".would[] | contains(\"insecure\")" check.json
'

test_expect_success 'a task of a newer version is refused by its name' '
    spec=$(echo "$BERTH_STATE/attempts/$(jq -r ".tasks[0].attempt" check.json)/spec.json") &&
    cp "$spec" kept && jq -c ".version = 9" kept >"$spec" &&
    check ./berth 5 && jq -e ".would[] | contains(\"job one of project\") and contains(\"format 9\")" check.json &&
    cp kept "$spec" && check ./berth 0
'

test_expect_success 'who may not read the state is told so; wrong words are usage' '
    test_expect_code 4 setpriv --reuid=65534 --regid=65534 --clear-groups ./berth upgrade --check 2>err && grep "denied" err &&
    test_expect_code 2 berth upgrade && test_expect_code 2 berth upgrade --check --force &&
    test_expect_code 2 berth upgrade --check -o xml && berth upgrade --help | grep "Exit code"
'

test_expect_success 'jobs stayed through all of it' '
    berth ps -o json | jq -e ".items | map(.attempts) == [1, 1]" && kill -TERM "$berth_pid" && berth_pid= 
'

test_done
