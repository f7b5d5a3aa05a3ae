#!/bin/sh
test_description='jobs of many tasks: they begin and end as one'
. "$(dirname "$0")/lib.sh"

berth_start

job_field() { berth job show "$1" -o json | jq -r "$2"; }
state_is() { [ "$(job_field "$1" .state)" = "$2" ]; }
# The lock is held by the supervisor for its life; the kernel says by whom.
supervisor_of() {
    awk -v inode="$(stat -c %i "$BERTH_STATE/attempts/$1/lock")" '{ split($6, place, ":"); if (place[3] == inode) { print $5; exit } }' /proc/locks
}
touch_storage() { berth run --source none -- touch "/storage/$1"; }
nothing_runs() { [ "$(find "$BERTH_STATE/running" -mindepth 1 | wc -l)" = 0 ]; }

# Each task says who it is once all of them are there: none of them could without the others.
test_expect_success 'four tasks run at once, and the job succeeds when all have' '
    berth run --source none --name four --nodes 2 --tasks-per-node 2 --flavor cpu.shared -- \
        sh -c "mkdir /storage/\$BERTH_ATTEMPT_ID; until [ \$(ls /storage | wc -l) = 4 ]; do sleep 0.05; done; echo \$BERTH_ATTEMPT_ID >/artifacts/\$BERTH_ATTEMPT_ID" &&
    berth job show four -o json >four.json &&
    test_must_fail jq -e "any(.attempt.tasks[]; .exit_code != 0)" four.json &&
    jq -r ".attempt.tasks[].id" four.json | sort -u >ids && [ "$(wc -l <ids)" = 4 ] &&
    jq -e ".attempt.id == .attempt.tasks[0].id and ([.attempt.tasks[] | .node_rank] == [0, 0, 1, 1])" four.json
'

test_expect_success 'what they left in /artifacts is collected once, after the last' '
    berth artifacts four -o json | jq -r ".items[].path" | sort >left &&
    test_cmp ids left
'

test_expect_success 'the logs of all are followed at once, each line after its rank' '
    berth run --source none --name say --tasks-per-node 3 --flavor cpu.shared -- \
        sh -c "for k in 1 2 3; do echo line \$k of \$RANK; sleep 0.1; done" >followed &&
    for rank in 0 1 2; do
        for k in 1 2 3; do echo "[$rank] line $k of $rank"; done >want &&
        grep "^\[$rank\]" followed >got && test_cmp want got || return 1
    done &&
    berth logs say | sort >again && sort followed | test_cmp - again &&
    berth logs -f say | sort | test_cmp again - &&
    berth logs --tail 1 say | sort >last && grep -c "line 3" last | grep -x 3
'

test_expect_success 'people see every task' '
    berth job show four >shown &&
    grep "^RANK " shown && grep -c "succeeded" shown | grep -x 5
'

test_expect_success 'each task has a log, charts and a way in of its own' '
    berth run --source none --detach --name ranks --tasks-per-node 2 --flavor cpu.shared -- sh -c "
        echo I am rank \$RANK of \$WORLD_SIZE
        echo {\\\"chart\\\": \\\"loss\\\", \\\"y\\\": 4\$RANK}
        echo \$RANK >/tmp/rank
        until [ -e /storage/ranks-done ]; do sleep 0.05; done" &&
    await 20 state_is ranks running &&
    await 20 eval "berth logs --rank 1 ranks | grep \"I am rank 1 of 2\"" &&
    await 20 eval "berth logs --rank 0 ranks | grep \"I am rank 0 of 2\"" &&
    echo 1 >want && await 20 eval "berth exec --rank 1 ranks -- cat /tmp/rank >got && test_cmp want got" &&
    berth cp --rank 1 ranks:/tmp/rank copied && test_cmp want copied &&
    await 20 eval "berth logs ranks | grep \"^\[1\] I am rank 1\"" &&
    berth logs ranks | grep "^\[0\] I am rank 0" &&
    berth logs --search rank --rank 1 ranks | grep "rank 1" &&
    await 20 eval "berth charts --rank 1 ranks | grep 41" &&
    await 20 eval "berth charts --rank all ranks >curves && grep rank=0 curves && grep rank=1 curves" &&
    api GET "/v1/projects/lab/jobs/ranks/charts/loss?merged=true&limit=1" >first &&
    api GET "/v1/projects/lab/jobs/ranks/charts/loss?merged=true&cursor=$(jq -r .next first)" >second &&
    jq -s -e "[.[].items[] | .rank, .y] == [0, 40, 1, 41] and .[1].next == null" first second &&
    berth charts --rank all -o json ranks | jq -e "[.items[] | .rank, .last.y] == [0, 40, 1, 41]" &&
    test_must_fail berth logs --rank 2 ranks 2>err && grep "there is no task 2; the job has 2" err
'

# The sums are of the same second, of which the kernel has its own idea for each task.
test_expect_success 'what each uses is seen, and what all use together' '
    await 20 eval "berth top ranks -o json >top && jq -e \"all(.tasks[]; .now.memory > 0)\" top" &&
    jq -e ".job.tasks == 2 and (.tasks | length) == 2 and .job.memory == (.tasks | map(.memory) | add) and .job.now.memory == (.tasks | map(.now.memory) | add)" top &&
    berth top ranks >shown && grep -c runs shown | grep -x 2 && grep "^ *all " shown &&
    berth top --rank 1 ranks -o json | jq -e "[.tasks[].rank] == [1]" &&
    berth top -o json | jq -e ".jobs[] | select(.name == \"ranks\") | .tasks == 2" &&
    test_must_fail berth top --rank 1 2>err && grep "say of which JOB" err &&
    berth job metrics ranks -o json | jq -e ".tasks == 2 and (.live | length) > 0" &&
    berth job metrics --rank 1 ranks -o json | jq -e "has(\"tasks\") | not" &&
    berth job metrics ranks | grep "cores, of 2" &&
    api GET /metrics >figures &&
    for rank in 0 1; do grep "^berth_job_memory_bytes{.*name=\"ranks\",rank=\"$rank\"}" figures || return 1; done &&
    touch_storage ranks-done && await 20 state_is ranks succeeded
'

test_expect_success 'the first failure is named, and ends the others once' '
    test_expect_code 7 berth run --source none --name bad --tasks-per-node 3 --grace 60 --flavor cpu.shared -- \
        sh -c "trap \"echo told >>/storage/told; exit 9\" TERM; mkdir /storage/first && exit 7; while :; do sleep 0.05; done" 2>said &&
    job_field bad .reason >reason &&
    rank=$(job_field bad .attempt.failed_rank) &&
    grep "^rank $rank on node .* was the first to fail" reason &&
    berth run --source none -- wc -l /storage/told | grep "^2 "
'

test_expect_success 'a role has a command of its own, and a service ends with the last of the others' '
    cat >roles.yaml <<-END &&
	name: roles
	flavor: cpu.shared
	tasks_per_node: 3
	roles:
	- name: ps
	  command: echo up >/storage/up; exec sleep 1000
	- name: worker
	  count: 2
	  command: until [ -e /storage/up ]; do sleep 0.05; done
	END
    berth run --source none --file roles.yaml &&
    job_field roles "[.attempt.tasks[] | .role, .cause] | join(\" \")" >causes &&
    echo "ps gang worker exited worker exited" >want && test_cmp want causes
'

test_expect_success 'what can never begin as a whole is refused with numbers' '
    test_must_fail berth run --source none --nodes 100 --tasks-per-node 40 -- true 2>never &&
    grep "all 4000 tasks must run at once, and the only node .* has room for" never
'

test_expect_success 'a server that is killed while a gang runs changes nothing' '
    berth run --source none --detach --name killed --tasks-per-node 3 --flavor cpu.shared -- \
        sh -c "touch /storage/k-\$BERTH_ATTEMPT_ID; until [ -e /storage/go-on ]; do sleep 0.05; done; mkdir /storage/won || sleep 1000; exit 5" &&
    await 20 state_is killed running &&
    berth_kill && berth_server &&
    touch_storage go-on &&
    await 20 state_is killed failed && test "$(job_field killed .exit_code)" = 5 &&
    test "$(job_field killed .attempts)" = 1 &&
    job_field killed .reason | grep "was the first to fail"
'

test_expect_success 'a supervisor that is killed is the cause' '
    berth run --source none --detach --name lost --tasks-per-node 2 --flavor cpu.shared -- sleep 1000 &&
    await 20 state_is lost running &&
    victim=$(job_field lost ".attempt.tasks[1].id") &&
    pid=$(supervisor_of "$victim") && kill -KILL "$pid" &&
    await 20 state_is lost failed &&
    job_field lost .reason | grep "rank 1 on node .* was the first to fail" &&
    test "$(job_field lost .cause)" = supervisor_lost
'

test_expect_success 'a job that was deleted leaves nothing of any task' '
    berth job delete four &&
    for id in $(cat ids); do await 20 test ! -e "$BERTH_STATE/attempts/$id" || return 1; done
'

test_expect_success 'nothing is left of them' '
    await 20 nothing_runs
'

test_done
