#!/bin/sh
test_description='gangs on Slurm: all or none also when others take a place meanwhile, two that wait for each other, a lost machine'
. "$(dirname "$0")/../system/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
# Which Slurm job is whose must be known by its name.
BERTH_SLURM_GANG_WAIT=1s BERTH_SLURM_REUSE=0s
export BERTH_SLURM_GANG_WAIT BERTH_SLURM_REUSE

test_expect_success 'a cluster of three machines starts' 'slurm_start 3 2'
berth_start_on_slurm

# other COMMAND...: with a second server on the same cluster, which has other names for its Slurm jobs
mkdir other-home
other() {
    HOME=$PWD/other-home BERTH_STATE=$BERTH_TEST/other BERTH_RUNTIME=$BERTH_TEST/other-run BERTH_SOCKET=$BERTH_TEST/other-run/api.sock \
        BERTH_URL=http://127.0.0.1:$other_port BERTH_SLURM_PREFIX=other "$@"
}
other_is_ready() { curl -sf --unix-socket "$BERTH_TEST/other-run/api.sock" http://localhost/readyz; }
test_expect_success 'and a second server' '
    other_port=$(free_port) &&
    { other berth server --listen "127.0.0.1:$other_port" >other.log 2>&1 & } &&
    await 20 other_is_ready && other berth init --org other --project other --key other >/dev/null
'

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
is_in_state() { has "$1" ".state == \"$2\""; }
# submit_pair NAME: two tasks, each with a whole machine
submit_pair() {
    berth run --detach --source none --name "$1" --backoff 1s --nodes 2 --cpus 2 --memory 100Mi -- sh -c "echo \$RANK ran"
}
# slurm_job NAME RANK: its number
slurm_job() { squeue -h -t all -o '%i %j' | awk -v id="$(berth job show "$1" -o json | jq -r ".attempt.tasks[$2].id")" 'index($2, id) { print $1; exit }'; }
runs_in_slurm() { [ "$(squeue -h -j "$1" -o %T)" = RUNNING ]; }
# held NAME RANK: its Slurm job will not begin; prints the number
held() { await 30 slurm_has "$1" "$2" && slurm_job "$1" "$2" && scontrol hold "$(slurm_job "$1" "$2")"; }
slurm_has() { [ -n "$(slurm_job "$1" "$2")" ]; }

test_expect_success 'somebody takes a place between plan and start: all is given back, and begins when there is room' '
    berth node cordon node3 && other berth node cordon node3 &&
    scontrol update PartitionName=main State=DOWN &&
    submit_pair taken && second=$(held taken 1) &&
    place=$(berth job show taken -o json | jq -r ".attempt.tasks[1].allocation.node") &&
    sbatch -w "$place" -c 2 --mem=100 -o /dev/null -D / -J theirs --wrap "sleep 600" &&
    scontrol update PartitionName=main State=UP &&
    await 30 runs_in_slurm "$(slurm_job taken 0)" &&
    await 30 sh -c "squeue -h -n theirs -t R | grep ." &&
    scontrol release "$second" &&
    await 30 is_in_state taken queued &&
    await 30 sh -c "[ -z \"\$(squeue -h -t R,PD -u berth)\" ]" && is_in_state taken queued &&
    scancel -n theirs &&
    await 30 is_in_state taken succeeded && has taken ".attempts == 2" && berth logs taken | grep -c ran | grep -x 2
'

test_expect_success 'two that hold what the other needs do not wait for ever: both end' '
    scontrol update PartitionName=main State=DOWN &&
    submit_pair ours && first=$(held ours 1) &&
    place=$(berth job show ours -o json | jq -r ".attempt.tasks[0].allocation.node") &&
    other submit_pair theirs && await 30 other slurm_has theirs 1 &&
    rank=$(other berth job show theirs -o json | jq ".attempt.tasks | map(.allocation.node) | index(\"$place\")") &&
    second=$(other held theirs "$rank") &&
    scontrol update PartitionName=main State=UP &&
    await 30 runs_in_slurm "$(slurm_job ours 0)" &&
    await 30 runs_in_slurm "$(other slurm_job theirs $((1 - rank)))" &&
    scontrol release "$first" && scontrol release "$second" &&
    await 60 is_in_state ours succeeded && await 60 other is_in_state theirs succeeded &&
    test $(($(berth job show ours -o json | jq .attempts) + $(other berth job show theirs -o json | jq .attempts))) -gt 2
'

test_expect_success 'two at once on a cluster that has room for one: one after the other' '
    submit_pair one && submit_pair two &&
    await 30 is_in_state one succeeded && await 30 is_in_state two succeeded &&
    has one ".attempts == 1" && has two ".attempts == 1"
'

test_expect_success 'the server is killed while a gang runs: it goes on, and ends once' '
    berth run --detach --source none --name on --nodes 2 --cpus 2 --memory 100Mi -- sh -c "sleep 1.5; echo \$RANK ended" &&
    await 30 is_in_state on running && berth_kill && berth_server &&
    await 30 is_in_state on succeeded && has on ".attempts == 1" && berth logs on | grep -c ended | grep -x 2
'

test_expect_success 'a machine is lost: the gang ends once, and begins again on those that are left' '
    berth node uncordon node3 &&
    berth run --detach --source none --name loses --retries 1 --backoff 0s --nodes 2 --cpus 2 --memory 100Mi -- \
        sh -c "echo try \$BERTH_ATTEMPT; [ \$BERTH_ATTEMPT = 2 ] || sleep 600" &&
    await 30 sh -c "[ \$(berth logs loses | grep -c \"try 1\") = 2 ]" &&
    lost=$(berth job show loses -o json | jq -r ".attempt.tasks[1].allocation.node") &&
    slurm_end "slurmd.$lost" KILL && scontrol update NodeName="$lost" State=DOWN Reason=gone &&
    await 60 is_in_state loses succeeded && has loses ".attempts == 2" &&
    berth job attempts loses -o json | jq -e ".items[0] | .cause == \"node_lost\" and .failed_rank == 1 and (.reason | test(\"rank 1 on node $lost was the first to fail\"))"
'
test_done
