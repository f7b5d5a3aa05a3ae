#!/bin/sh
test_description='what the scheduler knows can be saved, and asked what would be if'
. "$(dirname "$0")/lib.sh"

berth_start

test_expect_success 'jobs run and wait' '
    cores=$(berth node list -o json | jq "[.items[].cores | length] | add") &&
    berth run --detach --source none --name runs --cpus "$cores" --max-time 1h -- sleep 1000 >/dev/null &&
    await 20 sh -c "berth why runs | grep -q \"it runs on\"" &&
    berth run --detach --source none --name waits --cpus 1 --env SECRET=hidden -- echo what-it-does >/dev/null
'
test_expect_success 'a snapshot holds machines and jobs, and nothing of what they do; it is for operators' '
    berth scheduler snapshot live.json && test "$(stat -c %a live.json)" = 600 &&
    jq -e ".format == 2 and (.nodes | length) == 1 and ([.jobs[].name] == [\"runs\", \"waits\"]) and
        .jobs[0].started_us > 0 and (.jobs[0].allocations | length) == 1 and .jobs[1].started_us == null and
        .jobs[0].asks.max_time == 3600" live.json &&
    ! grep -E "hidden|what-it-does|sleep" live.json &&
    berth scheduler snapshot | jq -e ".jobs | length == 2" &&
    berth key create looks --role viewer -o json | jq -r .key >key &&
    BERTH_KEY=$(cat key) test_expect_code 4 berth scheduler snapshot
'

test_expect_success 'what-if looks ahead from it, as it is and with changes' '
    berth simulate what-if --add-nodes 1 >said && grep "^machines  *1  *2$" said &&
    grep "^waits  *in [0-9ms ]* (declared)  *at once$" said &&
    node=$(berth node list -o name) && berth simulate what-if --snapshot live.json --add-nodes "3x$node" --cpus 1 --nodes 3 -o json >if.json &&
    jq -e ".after.nodes == 4 and .after.start_now == 2 and .jobs[0].before.basis == \"declared\" and
        .jobs[0].after.basis == \"now\" and .jobs[1].before == null" if.json &&
    berth simulate what-if --snapshot live.json --without-job runs --policy fifo -o json | jq -e ".after.start_now == 1" &&
    berth simulate what-if --snapshot - --remove-node "$node" <live.json | grep "^runs  *runs  *not known$"
'
basis_of() { jq -e ".jobs[] | select(.name == \"(this job)\") | .after.basis == \"$1\"" if.json; }
test_expect_success 'a job of what-if is of the project that its caller works in, or of the one that is said' '
    berth project create guests >/dev/null && berth run --detach --project guests --source none --name theirs --cpus "$cores" -- true >/dev/null &&
    berth scheduler snapshot live.json && jq -e "[.projects[].name] == [\"lab\", \"guests\"]" live.json &&
    berth simulate what-if --cpus "$cores" -o json >if.json && basis_of unknown &&
    berth simulate what-if --snapshot live.json --cpus "$cores" -o json >if.json && basis_of declared &&
    berth simulate what-if --snapshot live.json --cpus "$cores" --project lab -o json >if.json && basis_of unknown &&
    test_expect_code 1 berth simulate what-if --cpus 1 --project elsewhere 2>said && grep "there is no project elsewhere" said &&
    test_expect_code 1 berth simulate what-if --gpus 1 --gpu-model H0 2>said && grep "no node can ever hold the job: it needs 1 GPU of model H0" said &&
    berth job stop --project guests theirs >/dev/null && berth job stop runs >/dev/null && berth job wait waits >/dev/null
'
test_expect_success 'what is wrong is named' '
    test_expect_code 1 berth simulate what-if --snapshot live.json --remove-node n77 2>said && grep "there is no machine n77" said &&
    for wrong in --add-nodes=0 --add-nodes=3x --add-nodes= --memory=much --max-time=-1h --cpus=0 --gpus=1e30 --snapshot= -o=x; do
        test_expect_code 2 berth simulate what-if $wrong 2>said && grep -e "${wrong%%=*}: .*is wrong; it is" -e "the job: gpus: is 1e" said || return 1
    done &&
    test_expect_code 3 berth scheduler snapshot /no/dir/x 2>said && grep "writing /no/dir/x: No such" said &&
    berth scheduler snapshot /dev/stdout 2>/dev/null | jq -e .format && test -c /dev/full && ! berth scheduler snapshot /dev/full && test -c /dev/full &&
    jq ".jobs[0].asks.gpus = -1" live.json >bad.json && test_expect_code 1 berth simulate what-if --snapshot bad.json 2>said &&
    grep "bad.json:$(sed -n "/\"gpus\": -1/=" bad.json): jobs\[0\]: asks: gpus" said && test_expect_code 2 berth simulate what-if --policy luck
'
test_expect_success 'the record of a server, killed in the middle, replays to the same decisions' '
    berth run --source none --name after -- true && kill -9 "$berth_pid" && berth_server && berth run --source none -- true &&
    for record in record.jsonl record.1.jsonl; do
        berth simulate replay "$BERTH_STATE/scheduler/$record" >said && grep "^all decided as they were$" said || return 1
    done && grep "^starts  *3$" said &&
    ! grep -E "hidden|what-it-does|sleep" "$BERTH_STATE/scheduler/record.1.jsonl" &&
    sed "/\"starts\":\[{/s/\"cpus\":\"[^\"]*\"/\"cpus\":\"4095\"/" "$BERTH_STATE/scheduler/record.1.jsonl" >other.jsonl &&
    test_expect_code 1 berth simulate replay other.jsonl 2>said && grep "other.jsonl:[0-9]*: it is decided otherwise now: starts: was" said
'

test_done
