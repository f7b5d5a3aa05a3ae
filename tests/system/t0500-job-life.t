#!/bin/sh
test_description='the life of jobs: waiting with reasons, order, retries, limits, ends'
. "$(dirname "$0")/lib.sh"
berth_start

cores=$(nproc)

# submit NAME [FLAG...] -- COMMAND: detached, without a workspace
submit() {
    local name=$1
    shift
    berth run --detach --source none --name "$name" "$@" >/dev/null
}

state_of() { berth job show "$1" -o json | jq -r .state; }
is_in_state() { [ "$(state_of "$1")" = "$2" ]; }

# Types of all events of a job, in order, on one line.
life_of() {
    berth event list --job "$1" -o json | jq -r '[.items[].type | ltrimstr("job.")] | join(" ")'
}

test_expect_success 'two jobs at once have no core in common' '
    [ $cores -ge 2 ] || return 0
    submit left --cpus 1 -- sh -c "grep Cpus_allowed_list /proc/self/status; sleep 60" &&
    submit right --cpus 1 -- sh -c "grep Cpus_allowed_list /proc/self/status; sleep 60" &&
    await 20 is_in_state left running && await 20 is_in_state right running &&
    berth job show left -o json >left.json && berth job show right -o json >right.json &&
    left=$(jq -r .attempt.evidence.cpus left.json) && right=$(jq -r .attempt.evidence.cpus right.json) &&
    test -n "$left" && test "$left" != "$right" &&
    test "$left" = "$(jq -r .attempt.allocation.cpus left.json)" &&
    await 20 sh -c "berth logs left >left.log && grep -q Cpus left.log" &&
    test "$(cut -f2 left.log)" = "$left" &&
    berth stop --grace 0 --wait left right
'

test_expect_success 'a job that waits says for what, with numbers' '
    submit hog --cpus $cores --max-time 1h -- sleep 600 &&
    await 20 is_in_state hog running &&
    submit waiting --cpus 1 -- true &&
    berth why waiting >why.out &&
    grep "needs 1 core; 0 of $cores are free on node" why.out &&
    grep "held by 1 job" why.out &&
    berth queue >queue.out && grep waiting queue.out &&
    berth queue -A --state queued >queue.out && grep "lab *waiting" queue.out && ! grep hog queue.out &&
    user=$(berth job show waiting -o json | jq -r .user) && berth job show waiting | grep "^user *$user" &&
    berth queue --user "$user" | grep waiting && ! berth queue --user nobody | grep waiting
'

test_expect_success 'and when it begins, what would let it begin, and who goes before it' '
    grep "begins *in .* or sooner, by the max_time" why.out && berth queue -o json >queue.json &&
    jq -e ".items[1].why.eta | .basis == \"declared\" and .seconds <= 3600 and .begins" queue.json &&
    grep "  add a machine like" why.out &&
    submit later --cpus 1 --priority -1 -- true &&
    berth why later >why.out && grep "queue *1 before it: waiting" why.out &&
    berth run --source none --dry-run --cpus 1 -- true >plan && grep "it would wait: needs 1 core" plan &&
    grep "before it: waiting" plan && grep "begins *in .* or sooner" plan && grep "  add a machine like" plan &&
    berth stop later
'

test_expect_success 'what no machine can ever hold is refused at once' '
    test_expect_code 5 berth run --source none --cpus 4000 -- true 2>err &&
    grep "needs 4000 cores; node .* has $cores" err &&
    test_must_fail berth run --source none --flavor gpu.9000 -- true 2>err &&
    grep "there is no .gpu.9000.; there are cpu.1" err
'

test_expect_success 'a dry run shows where it would wait, and submits nothing' '
    berth run --source none --dry-run --cpus 1 -o json -- true >plan.json &&
    jq -e ".placement.rule == \"no_cores\"" plan.json &&
    test "$(berth job list -o json | jq "[.items[] | select(.state == \"queued\")] | length")" = 1
'

test_expect_success 'a queue in which nothing is as asked for says so, and a flavor that there is not is refused' '
    berth queue --state running,queued --user nobody --tag team=x 2>said && grep "^nothing that waits or runs matches --state running,queued, --user nobody, --tag team=x$" said &&
    test_expect_code 2 berth queue --flavor nosuch 2>said && grep "flavor: there is no .nosuch.; there are .*cpu.1" said &&
    test_expect_code 2 berth why "" 2>said && grep "berth why takes JOB" said && test_expect_code 2 berth queue --tag ""
'

test_expect_success 'a job that is stopped while it waits never begins' '
    berth stop waiting && is_in_state waiting stopped &&
    test "$(life_of waiting)" = "submitted queued stopped" &&
    berth why waiting | grep "stopped before it began" &&
    test_must_fail berth stop waiting
'

test_expect_success 'priority decides, then who came first' '
    submit first --cpus $cores -- true && submit second --cpus $cores -- true &&
    submit third --cpus $cores --priority -5 -- true && submit urgent --cpus $cores -- true &&
    berth job update urgent --priority 10 &&
    berth stop --grace 0 --wait hog && berth job wait third &&
    berth event list -o json | jq -r ".items[] | select(.type == \"job.starting\") | .subject" >order &&
    for job in urgent first second third; do berth job show $job -o json | jq -r .id; done >want &&
    tail -n 4 order >got && test_cmp want got
'

test_expect_success 'the life of a job is in its events' '
    test "$(life_of first)" = "submitted queued starting running ended succeeded"
'

test_expect_success 'a failed attempt is followed by another that finds what the first one left' '
    berth run --source none --name again --retries 2 --backoff 1s -- \
        sh -c "echo try \$BERTH_ATTEMPT resume \${BERTH_RESUME:-0}; test -f /artifacts/seen && exit 0; touch /artifacts/seen; exit 9" &&
    berth job show again -o json >again.json &&
    jq -e ".state == \"succeeded\" and .attempts == 2 and .exit_code == 0" again.json &&
    test "$(life_of again)" = "submitted queued starting running ended queued starting running ended succeeded" &&
    berth job attempts again -o json | jq -e "[.items[] | .exit_code] | sort == [0, 9]" &&
    berth logs again | grep "try 2 resume 1"
'

test_expect_success 'while it waits for the next attempt, why says for how long' '
    submit patient --retries 1 --backoff 10m -- false &&
    await 20 sh -c "berth why patient | grep -q backoff" &&
    berth why patient | grep "attempt 1 failed; the next one begins in" &&
    berth stop patient && is_in_state patient stopped
'

test_expect_success 'max_time ends a job, also one that ignores SIGTERM' '
    test_expect_code 137 berth run --source none --name long --max-time 1s --grace 1s -- \
        sh -c "trap : TERM; while :; do sleep 0.2; done" &&
    berth job show long -o json | jq -e ".state == \"failed\" and .cause == \"max_time\"" &&
    berth why long | grep "ran longer than its max_time"
'

test_expect_success 'a running job saves its work when it is stopped' '
    submit saver -- sh -c "trap \"echo saved >/artifacts/s; exit 0\" TERM; echo ready; while :; do sleep 0.05; done" &&
    await 20 sh -c "berth logs saver | grep -q ready" &&
    berth stop --wait saver; is_in_state saver stopped &&
    berth artifacts saver | grep " s$\|^s "
'

test_expect_success 'a restart keeps the queue and its order' '
    submit blocker --cpus $cores -- sleep 600 && await 20 is_in_state blocker running &&
    submit one --cpus $cores -- true && submit two --cpus $cores --priority 1 -- true &&
    berth_stop && berth_server &&
    berth queue -o json | jq -r ".items[].job.name" >names && printf "%s\n" blocker two one >want && test_cmp want names &&
    is_in_state blocker running && berth stop --grace 0 --wait blocker &&
    berth job wait one && berth job wait two
'

# fake_gpus N: as many devices that do no harm
fake_gpus() {
    mkdir "$BERTH_TEST/cdi" &&
        jq -n --argjson n "$1" "{cdiVersion: \"0.6.0\", kind: \"example.com/gpu\", devices: [range(\$n) |
            {name: \"\(.)\", containerEdits: {deviceNodes: [{path: \"/dev/fake\(.)\", hostPath: \"/dev/zero\"}]}}]}" >"$BERTH_TEST/cdi/fake.json"
}

test_expect_success 'a booking has its machine in time, and who was there goes on after it' '
    fake_gpus 8 && berth_stop && berth_server --guaranteed-time 0s --cdi "$BERTH_TEST/cdi" --nvml= && berth project create guests >/dev/null &&
    submit roomy --preemptible -- sleep 600 && await 20 is_in_state roomy running &&
    from=$(date -u -d "+1 hour" +%FT%TZ) &&
    berth booking create --project guests course --nodes 1 --from $from --for 2h >booking.out &&
    grep "state *planned" booking.out && is_in_state roomy running &&
    test_must_fail berth booking create again --nodes 1 --from $from --for 1h 2>err &&
    grep "nodes: 0 of 1 that would do are free then, and 1 is wanted" err &&
    test_must_fail berth booking create none --from $from --for 1h 2>err && grep "nodes, gpus: say one" err &&
    submit endless -- sleep 600 && await 20 sh -c "berth why endless | grep -q \"is booked for guests from\"" &&
    submit brief --max-time 1m -- true && berth job wait brief &&
    berth booking delete --project guests course && await 20 is_in_state endless running &&
    test_must_fail berth booking create --project guests course --nodes 1 --for 1h 2>err &&
    grep "on 1 runs what may still be there and cannot be stopped" err &&
    berth stop --grace 0 --wait endless &&
    berth booking create --project guests course --nodes 1 --for 1h >booking.out &&
    grep "state *active" booking.out && await 20 is_in_state roomy queued &&
    berth why roomy | grep "it was preempted and goes on when it can: node .* is booked for guests" &&
    berth run --project guests --source none --detach --name guest -- true && berth job wait --project guests guest &&
    berth org update acme --weight 3 >/dev/null && berth project update guests --weight 2 >/dev/null &&
    berth_stop && berth_server --cdi "$BERTH_TEST/cdi" --nvml= && is_in_state roomy queued &&
    berth org list -o json | jq -e ".items[0].weight == 3" && berth project show guests -o json | jq -e ".weight == 2" &&
    berth booking list --all-projects >list.out && grep "course  *active  *guests" list.out &&
    berth booking delete --project guests course && await 20 is_in_state roomy running &&
    berth stop --grace 0 --wait roomy
'

test_expect_success 'a booking of four of eight GPUs keeps four, and no more' '
    berth booking create half --project guests --gpus 4 --for 1h -o json >half.json &&
    jq -e ".kept[0].gpu_milli == 4000 and .state == \"active\"" half.json && grep " (4 GPUs)" half.json &&
    test_expect_code 2 berth booking create h --gpus 1 --gpu-model H0 --for 1h 2>err &&
    grep "gpu_model: no machine has GPUs of model H0 alone; those that have one model: example.com/gpu" err &&
    test_expect_code 5 berth booking create more --gpus 5 --for 1h 2>err && grep "gpus: 4 of 8 that would do are free then, and 5 are wanted: 4 are booked" err &&
    submit five --gpus 5 --cpus 1 --memory 1Gi -- sleep 600 &&
    berth why five >why.out && grep "^five is queued: node .* is booked for guests" why.out && grep "rule *booked" why.out &&
    grep "  ask for 4 GPUs instead of 5" why.out &&
    submit four --gpus 4 --cpus 1 --memory 1Gi -- sleep 600 && await 20 is_in_state four running &&
    berth run --project guests --source none --detach --name theirs --gpus 4 --cpus 1 --memory 1Gi -- true && berth job wait --project guests theirs &&
    is_in_state five queued && berth booking delete --project guests half && berth stop --grace 0 --wait four && await 20 is_in_state five running &&
    berth stop --grace 0 --wait five
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
