#!/bin/sh
test_description='what a job can rely on: Slurm'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
. "$BERTH_SOURCE/tests/system/conformance.sh"

test_expect_success 'a cluster of four machines starts' 'slurm_start 4 8'
berth_start_on_slurm

many=${BERTH_MANY:-200}
# Its slurmd dies and Slurm gives the machine up; what ran there goes on.
lose_node() {
    lost=$(berth job show "$1" -o json | jq -r .attempt.allocation.node) &&
        slurm_end "slurmd.$lost" KILL &&
        scontrol update NodeName="$lost" State=DOWN Reason=gone
}
get_back() {
    slurm_node "$lost" && { scontrol update NodeName="$lost" State=RESUME || :; } # it may be back already
}

conform

holds='trap "echo end; exit 0" USR1; echo begin; while :; do sleep 0.1; done'

test_expect_success 'a gang within one leaf begins on machines of one, waits for them, and is refused where no leaf has as many' '
    for node in node1 node3; do berth node update "$node" --tag leaf=l1 --tag block=b --tag site=a; done >/dev/null &&
    for node in node2 node4; do berth node update "$node" --tag leaf=l2 --tag block=b --tag site=a; done >/dev/null &&
    submit one-leaf --nodes 2 --within leaf --cpus 8 -- sh -c "$holds" && submit other-leaf --nodes 2 --within leaf --cpus 8 -- sh -c "$holds" &&
    submit no-leaf --nodes 2 --within leaf --cpus 1 -- true &&
    await 60 is_in_state one-leaf running && await 60 is_in_state other-leaf running &&
    for job in one-leaf other-leaf; do
        berth job show "$job" -o json | jq -r "[.attempt.tasks[].allocation.node] | sort | join(\" \")"
    done | sort >places && printf "node1 node3\nnode2 node4\n" | test_cmp - places &&
    because no-leaf "needs 2 nodes in one leaf: 0 are free, at most 0 in one leaf" &&
    test_must_fail berth run --source none --nodes 3 --within leaf --cpus 1 -- true 2>err &&
    grep "within: the job needs 3 nodes in one leaf .*: 4 have it when they are empty, at most 2 in one leaf" err &&
    berth job signal one-leaf USR1 && berth job signal other-leaf USR1 && await 60 is_in_state no-leaf succeeded &&
    await 60 is_in_state one-leaf succeeded && await 60 is_in_state other-leaf succeeded
'
# ---- one Slurm job, several tasks ----
slurm_job() { cat "$BERTH_STATE/attempts/$(berth job show "$1" -o json | jq -r .attempt.id)/slurm"; }
because() { berth why "$1" | grep -q "$2"; }
# follows NAME -- COMMAND: it runs in the Slurm job of `before-NAME`. Under load that may have left.
follows() {
    local name=$1
    shift
    submit "before-$name" --cpus 8 -- true && submit "$name" --cpus 8 "$@" && await 60 says "$name" begin &&
        [ "$(slurm_job "before-$name")" = "$(slurm_job "$name")" ]
}

test_expect_success 'a Slurm job takes the next task of its size; scancel of it ends that one alone' '
    berth node cordon node2 && berth node cordon node3 && berth node cordon node4 &&
    for i in 1 2 3 4 5; do follows "next-$i" -- sh -c "$holds" && break; berth stop --grace 0 --wait "next-$i"; done &&
    is_in_state "before-next-$i" succeeded &&
    scancel "$(slurm_job "next-$i")" && await 60 is_in_state "next-$i" stopped &&
    because "next-$i" "cancelled in Slurm, not by Berth" && is_in_state "before-next-$i" succeeded
'
test_expect_success 'the server that comes back finds it by its number, under the name of another' '
    for i in 1 2 3 4 5; do follows "found-$i" -- sh -c "$holds" && break; berth stop --grace 0 --wait "found-$i"; done &&
    berth_kill && berth_server &&
    setpriv --reuid=berth --regid=berth --clear-groups \
        sbatch --parsable -o /dev/null -D / -J berth-01900000-0000-7000-8000-000000000000 --wrap "sleep 600" >stray &&
    await 30 sh -c "squeue -h -t CA -j \$(cat stray) -o %T | grep CANCELLED" &&
    is_in_state "found-$i" running && berth job signal "found-$i" USR1 && await 60 is_in_state "found-$i" succeeded &&
    has "found-$i" ".attempts == 1" && test "$(berth logs "found-$i" | grep -c begin)" = 1 && says "found-$i" end
'
test_expect_success 'a task that its Slurm job never heard of gets one of its own' '
    sed "s|%|$BERTH_TEST/deaf|; s|berth \"|$BERTH_BUILD/berth \"|" >program <<\END &&
#!/bin/sh
# The first that comes says its end, hears what is next, and leaves.
rmdir %/once 2>/dev/null || exec berth "$@"
curl -fsS -X PUT -H "Authorization: Bearer $BERTH_TASK_TOKEN" --data-binary \
    "{\"version\": 1, \"epoch\": 1, \"cause\": \"exited\", \"exit_code\": 0, \"ended\": \"2026-01-01T00:00:00Z\"}" \
    "$3/v1/tasks/$5/files/exit.json?next=true" >%/heard
END
    chmod +x program && install -d -o berth "$BERTH_TEST/deaf" "$BERTH_TEST/deaf/once" && BERTH_NODE_PROGRAM=$PWD/program && export BERTH_NODE_PROGRAM &&
    berth_stop && berth_server &&
    submit deaf --cpus 8 -- true && submit unheard --cpus 8 -- echo "at last" &&
    await 60 is_in_state unheard succeeded && says unheard "at last" && has unheard ".attempts == 1" &&
    grep "$(berth job show unheard -o json | jq -r .attempt.id)" "$BERTH_TEST/deaf/heard"
'
test_done
