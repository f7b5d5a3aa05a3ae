#!/bin/sh
test_description='arrays of jobs, and jobs that wait for others, as somebody uses them'
# shellcheck disable=SC2016,SC2034
. "$(dirname "$0")/lib.sh"

berth_needs_root
berth_start

job() { berth run --source none --cpus 1 --memory 64Mi "$@"; }
# The job of that name is in that state.
is() { test "$(berth job show "$1" -o json | jq -r .state)" = "$2"; }

test_expect_success 'an array runs a command for each index, and is one thing' '
    job --array 0-8:4%2 --name sweep -- sh -c "echo seed \$BERTH_ARRAY_INDEX of \$BERTH_ARRAY_FIRST-\$BERTH_ARRAY_LAST by \$BERTH_ARRAY_STEP, \$BERTH_ARRAY_COUNT" 2>told &&
    grep "^job  *sweep " told && grep "^succeeded *of 3 jobs 3 succeeded$" told &&
    berth ps -a >list && test "$(grep -c sweep list)" = 1 && grep "sweep  *succeeded" list &&
    berth ps -a --array sweep -o name | sort >names && printf "sweep_%s\n" 0 4 8 >want && test_cmp want names
'

test_expect_success 'its logs are read as one and by index' '
    berth logs sweep >logs &&
    printf "==> sweep_%s <==\nseed %s of 0-8 by 4, 3\n\n" 0 0 4 4 8 8 | sed "\$d" >want && test_cmp want logs &&
    id=$(berth job show sweep -o json | jq -r .id) &&
    for one in sweep_4 "${id}_4"; do berth logs $one >log && echo "seed 4 of 0-8 by 4, 3" | diff - log || return 1; done &&
    berth logs --search "seed 8" sweep | grep "seed 8 of" &&
    test_expect_code 3 berth logs sweep_5
'

test_expect_success 'what is of one job asks for one' '
    test_expect_code 5 berth artifacts sweep 2>err && grep "sweep is an array of 3 jobs: name one, sweep_0 to sweep_8" err &&
    berth job show sweep_8 -o json | jq -e ".array.index == 8 and .array.count == 3" &&
    berth job rerun sweep_8 2>/dev/null | grep "seed 8 of 0-8 by 4, 3"
'

test_expect_success 'the exit code of an array is the greatest of its jobs' '
    test_expect_code 3 job --array 1-3 --name codes -- sh -c "exit \$BERTH_ARRAY_INDEX" 2>told &&
    grep "^failed *exit code 3: of 3 jobs 3 failed$" told &&
    test_expect_code 3 berth job wait codes
'

test_expect_success 'never more than the limit run, the others say why they wait, and all stop as one' '
    job --array 0-999%1 --name many --detach -- sleep 1000 >id && await 20 is many_0 running &&
    berth why many | grep "of 1000 jobs 1 running, 999 queued; next is many_1: array many runs at most 1 at a time: 1 of its 1000 jobs left have their turn" &&
    berth why many_7 -o json | jq -e ".rule == \"array_limit\"" &&
    test_expect_code 5 berth job delete many 2>err && grep "only an array that has ended can be deleted" err &&
    berth stop many_1 && is many_1 stopped &&
    berth stop --wait --grace 0 many >out 2>&1; is many stopped &&
    berth job show many -o json | jq -e ".array.states == { stopped: 1000 }" &&
    berth job delete many && test_expect_code 3 berth job show many_7
'

test_expect_success 'a job waits for others, and begins when all is as it wanted' '
    job --name first --detach -- sh -c "while [ ! -e /storage/go ]; do sleep 0.1; done" >/dev/null &&
    job --name second --after first --detach -- true >/dev/null &&
    job --name third --after any:first --after ok:second --detach -- true >/dev/null &&
    job --name early --after start:first --detach -- true >/dev/null &&
    await 20 is early succeeded &&
    berth why second | grep "waits for job first to succeed: it is running" &&
    berth why third | grep "waits for job first to end: it is running; 0 of 2 dependencies are met" &&
    job --name opens -- touch /storage/go 2>/dev/null &&
    timeout 30 berth job wait third && is second succeeded && is third succeeded
'

test_expect_success 'one of several is enough, some time after another began, an array job by job' '
    job --name gate --detach -- sh -c "while [ ! -e /storage/open ]; do sleep 0.1; done" >/dev/null && await 20 is gate running &&
    job --name either --after ok:gate --after any:opens --after-mode any -- true 2>told && grep "^succeeded" told &&
    job --name soon --after start:gate+1s -- true 2>told && grep "^succeeded" told &&
    job --name late --after start:gate+2h --detach -- true >/dev/null &&
    berth why late | grep "waits for some time after job gate began: 1h 59m" &&
    berth job show late | grep "after  *start:gate+2h" && berth stop late && berth stop --grace 0 --wait gate &&
    job --name parts --array 1-2 --detach -- sh -c "[ \$BERTH_ARRAY_INDEX = 1 ] || while [ ! -e /storage/open ]; do sleep 0.1; done" >/dev/null &&
    job --name wholes --array 1-2 --after each:parts --detach -- true >/dev/null &&
    await 20 is wholes_1 succeeded && berth why wholes_2 | grep "waits for job parts_2 to succeed: it is" &&
    job --name first --after parts_1 -- true 2>told && grep "^succeeded" told &&
    test_expect_code 2 job --array 1-3 --after each:parts --detach -- true 2>err && grep "array parts has no job 3 to wait for" err &&
    job --name opener -- touch /storage/open 2>/dev/null && berth job wait wholes && is wholes succeeded
'

test_expect_success 'a job begins no earlier than it is to, and where it is to' '
    node=$(berth node list -o name | head -n 1) &&
    job --name later --begin "$(date -u -d "+1 hour" +%FT%TZ)" --detach -- true >/dev/null &&
    berth why later | grep "it is to begin in .* at the earliest" && berth stop later &&
    job --name begun --begin "$(date -u -d "+1 second" +%FT%TZ)" -- true 2>told && grep "^succeeded" told &&
    job --name there --on-node "$node" -- true 2>told && grep "^succeeded" told &&
    test_expect_code 5 job --name nowhere --on-node n999 -- true 2>err && grep "on_nodes n999 leave no machine; there are $node" err &&
    test_expect_code 5 job --not-node "$node" -- true 2>err && grep "not_nodes $node leave no machine" err &&
    test_expect_code 5 job --node-tag speed=high -- true 2>err && grep "node_tags speed=high leave no machine" err &&
    berth node update "$node" --tag speed=high && job --name fast --node-tag "speed=high|speed=top" -- true 2>told && grep "^succeeded" told &&
    job --name near --within leaf -- true 2>told && grep "^succeeded" told && berth job show near | grep "in one leaf" &&
    test_expect_code 2 job --within rack -- true 2>err && grep "rack" err && grep "site, block, leaf" err &&
    job --name alone --exclusive -- sh -c "echo cores \$(nproc)" >said 2>/dev/null && grep "^cores $(berth node show "$node" -o json | jq "[.cores[].cpus] | length")" said
'

test_expect_success 'what can never be met ends the job and says so, or holds it' '
    test_expect_code 7 job --name bad -- sh -c "exit 7" 2>/dev/null &&
    test_expect_code 125 job --name never --after bad -- true 2>told &&
    grep "^failed .*it can never begin: job bad did not succeed, and was to" told &&
    berth job show never -o json | jq -e ".cause == \"dependency\" and .attempts == 0" &&
    job --name held --after bad --when-never hold --detach -- true >/dev/null &&
    job --name mourns --after notok:bad -- echo so sad 2>/dev/null | grep "so sad" &&
    berth why held | grep "it can never begin" && is held queued && berth stop held
'

test_expect_success 'wrong requests say what would be right' '
    test_expect_code 2 job --array 9-1 --detach -- true 2>err && grep "array: the range 9-1 runs backwards" err &&
    test_expect_code 2 job --array 0-10000 --detach -- true 2>err && grep "has more than 10000 indexes" err &&
    test_expect_code 2 job --after maybe:first --detach -- true 2>err && grep "must be ok, any, notok, start or each" err &&
    test_expect_code 3 job --after nobody --detach -- true 2>err && grep "there is no job .nobody." err &&
    test_expect_code 2 job --array 1-2 --after singleton --detach -- true 2>err && grep "1-2%1 to run one at a time" err
'

test_expect_success 'ten thousand are accepted by one request, and outlive the server' '
    job --name waits --detach -- sleep 1000 >/dev/null && job --name big --array 1-10000%2 --after waits --detach -- true >id &&
    berth ps | grep "big  *queued" &&
    berth why big_9999 | grep "waits for job waits to succeed" &&
    berth_kill && berth_server && berth why big | grep "of 10000 jobs 10000 queued; next is big_1: waits for job waits to succeed" &&
    berth stop big && is big stopped && berth stop --grace 0 waits
'

berth_stop
test_expect_success 'what is stored is what happened' 'berth store verify'
test_done
