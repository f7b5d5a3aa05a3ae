#!/bin/sh
# Where a job of several tasks wanted a machine to itself, and there was one machine more than it needed, the cores left over on
# that one were divided by its number of tasks there, 0, and the server ended.
test_description='a job of many tasks has a machine to itself beside another machine'
. "$(dirname "$0")/../system/lib.sh"

berth_start

test_expect_success 'there are two machines' '
    echo 0123456789abcdef-other >other.id &&
    BERTH_MACHINE_ID=$PWD/other.id berth node join "$BERTH_URL" "$(berth node token -o json | jq -r .token)" \
        --name other --state "$PWD/other" --no-start &&
    [ "$(berth node list -o json | jq ".items | length")" = 2 ]
'

test_expect_success 'two tasks have one of them to themselves' '
    berth run --source none --name apart --exclusive --tasks-per-node 2 --cpus 1 --dry-run -- true &&
    berth run --source none --name apart --exclusive --tasks-per-node 2 --cpus 1 -- true &&
    berth run --source none --detach --name before --exclusive --cpus 1 -- sleep 600 >/dev/null &&
    berth run --source none --detach --name behind --exclusive --tasks-per-node 2 --cpus 1 -- true >/dev/null &&
    berth why behind && berth queue && kill -0 "$berth_pid"
'

# Tasks that are to be in one leaf: how many machines are free, and how many of them in one.
test_expect_success 'why says what one leaf lacks' '
    berth node update other --tag leaf=l1 >/dev/null &&
    test_must_fail berth run --source none --within leaf --nodes 2 --cpus 1 --dry-run -- true 2>said &&
    grep "needs 2 nodes in one leaf with room for 1 task each: 2 have it when they are empty, at most 1 in one leaf" said &&
    berth node update "$(berth node list -o name | grep -v other)" --tag leaf=l1 >/dev/null &&
    berth run --source none --detach --name near --within leaf --nodes 2 --cpus 1 -- true >/dev/null &&
    await 10 sh -c "berth why near | grep \"needs 2 nodes in one leaf: 0 are free, at most 0 in one leaf\""
'

test_done
