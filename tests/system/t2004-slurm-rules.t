#!/bin/sh
test_description='what a site rules in Slurm: preemption, limits, GPUs, clocks'
# /etc/cdi of the test's own.
[ -n "${BERTH_OWN_MOUNTS:-}" ] || [ "$(id -u)" -ne 0 ] || BERTH_OWN_MOUNTS=1 exec unshare --mount sh "$0" "$@"
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
berth_needs cc faketime
BERTH_SLURM_REUSE=0s
export BERTH_SLURM_REUSE

# GPUs that do no harm.
mkdir -p "$BERTH_TEST/etc" "$BERTH_TEST/cdi"
cp -a /etc/. "$BERTH_TEST/etc" && mkdir -p "$BERTH_TEST/etc/cdi" && mount --bind "$BERTH_TEST/etc" /etc
cat >/etc/cdi/fake.yaml <<END
cdiVersion: "0.6.0"
kind: example.com/gpu
devices:
- { name: "0", containerEdits: { deviceNodes: [ { path: /dev/fake0, hostPath: /dev/zero } ] } }
- { name: "1", containerEdits: { deviceNodes: [ { path: /dev/fake1, hostPath: /dev/full } ] } }
END

# What their driver says of them.
cc -shared -fPIC -o "$BERTH_TEST/nvml.so" "$BERTH_SOURCE/src/probe/test/fake-nvml.c"
echo 37 512300 61 40000000000 >"$BERTH_TEST/load"
# What makes slurmstepd fail once, before it starts the script of a job.
cat >"$BERTH_TEST/once.c" <<END
#include <unistd.h>
const char plugin_name[] = "once", plugin_type[] = "spank";
const unsigned plugin_version = VERSION, spank_plugin_version = 1;
int slurm_spank_user_init(void *spank, int argc, char **argv) { return unlink(argv[0]) == 0 ? -1 : 0; }
END
version=$(slurmctld -V | sed 's|.* ||' | awk -F . '{ print $1 * 65536 + $2 * 256 + $3 }')
mkdir -p "$BERTH_TEST/slurm" && install -d -m 1777 "$BERTH_TEST/faults"
cc -shared -fPIC -DVERSION="$version" -o "$BERTH_TEST/once.so" "$BERTH_TEST/once.c"
echo "required $BERTH_TEST/once.so $BERTH_TEST/faults/once" >"$BERTH_TEST/slurm/plugstack.conf"

printf '#!/bin/sh\nBERTH_NVML=%s FAKE_NVML_LOAD=%s exec %s "$@"\n' "$BERTH_TEST/nvml.so" "$BERTH_TEST/load" "$BERTH_BUILD/berth" \
    >"$BERTH_TEST/program"
chmod +x "$BERTH_TEST/program"
BERTH_NODE_PROGRAM=$BERTH_TEST/program
export BERTH_NODE_PROGRAM

test_expect_success 'a cluster of two machines starts' '
    slurm_start 2 4 PreemptType=preempt/partition_prio PreemptMode=REQUEUE OverTimeLimit=0 \
        PlugStackConfig="$BERTH_TEST/slurm/plugstack.conf" \
        "PartitionName=urgent Nodes=ALL PriorityTier=100" &&
    scontrol update PartitionName=main PreemptMode=REQUEUE
'
# Berth asks the munged of its own machine, the others theirs: of one key, and here of one clock.
sed "s|^AuthInfo=.*|AuthInfo=socket=$slurm/here.sock|" "$SLURM_CONF" >"$slurm/here.conf"
ln -s munge.sock "$slurm/here.sock"
berth_start_on_slurm() {
    BERTH_ENGINE=slurm BERTH_SLURM_CONF=$slurm/here.conf BERTH_SLURM_POLL=1s
    export BERTH_ENGINE BERTH_SLURM_CONF BERTH_SLURM_POLL
    berth_start
}
berth_start_on_slurm


# One of the two is busy, whoever has it.
gpus_are_seen() {
    for i in 0 1; do berth job metrics g$i -o json; done | jq -se "[.[].live[-1].gpus[0].busy] | sort == [0, 0.37]"
}

for mode in requeue cancel; do
    test_expect_success "preempted by $mode: the job is given again by Berth alone, once the site has room" '
        scontrol update PartitionName=main PreemptMode=$mode &&
        submit p-$mode $([ $mode = cancel ] && echo --preemptible || echo --retries 1 --backoff 0s) -- sh -c "echo try \$BERTH_ATTEMPT; [ \$BERTH_ATTEMPT = 2 ] || sleep 600" &&
        await 30 says p-$mode "try 1" && first=$(slurm_job p-$mode) &&
        sbatch -p urgent -w "$(berth job show p-$mode -o json | jq -r .attempt.allocation.node)" -c 4 \
            -o /dev/null -D / --wrap "sleep 1" &&
        await 60 is_in_state p-$mode succeeded && says p-$mode "try 2" && test "$(slurm_job p-$mode)" != "$first" &&
        berth job attempts p-$mode -o json |
            jq -e ".items[] | select(.number == 1) | (.cause | test(\"^(node_lost|preempted)$\")) and (.reason | test(\"preempted|requeued\"))" &&
        { [ $mode = requeue ] || has p-$mode ".preemptions == 1"; }
    '
done
test_expect_success 'GPUs are the step'"'"'s own: two jobs get different ones, and what others hold is not given' '
    sbatch -w node2 --gres=gpu:2 --mem=100 -o /dev/null -D / --wrap "sleep 600" &&
    await 30 sh -c "berth node show node2 -o json | jq -e \".others_gpus == 2\"" &&
    for i in 0 1; do submit g$i --gpus 1 -- sh -c "ls /dev/fake?; sleep 600" || return 1; done &&
    await 30 says g0 fake && await 30 says g1 fake && { berth logs g0 && berth logs g1; } | sort | tr "\n" " " >seen &&
    grep "^/dev/fake0 /dev/fake1 $" seen &&
    has g0 ".attempt.allocation.node == \"node1\" and (.attempt.evidence.devices | length) > 0" &&
    await 30 gpus_are_seen &&
    test_must_fail berth run --source none --gpus 0.5 -- true 2>err && grep "is 0.5, and engine slurm gives whole GPUs only" err &&
    submit g2 --gpus 1 -- true && await 30 because g2 "0 of 2 are free" &&
    berth stop --grace 0 --wait g0 && await 30 is_in_state g2 succeeded && has g2 ".attempt.allocation.node == \"node1\"" &&
    berth stop --grace 0 --wait g1 && scancel -u root
'
test_expect_success 'a machine whose Slurm cannot start a script is drained, and the job is given again elsewhere' '
    touch "$BERTH_TEST/faults/once" && chown berth "$BERTH_TEST/faults/once" &&
    submit script --backoff 0s -- echo there && await 60 is_in_state script succeeded && ! test -e "$BERTH_TEST/faults/once" &&
    berth job attempts script -o json >tried && jq -e ".items[] | select(.number == 1) |
        .cause == \"node_lost\" and (.reason | test(\"Slurm could not start the script of job [0-9]+ on node\"))" tried &&
    bad=$(jq -r ".items[] | select(.number == 1).allocation.node" tried) && ! has script ".attempt.allocation.node == \"$bad\"" &&
    grep "could not execve job" "$slurm/slurmctld.log" && scontrol update NodeName="$bad" State=RESUME &&
    await 30 sh -c "berth node show $bad -o json | jq -e \"has(\\\"fault\\\") | not\""
'
test_expect_success 'credentials that have expired: a submit waits, says so, and goes when the clock is right' '
    { faketime -f -20m munged --force --foreground --socket "$slurm/late.sock" --key-file "$slurm/munge.key" \
        --pid-file "$slurm/late.pid" --log-file "$slurm/late.log" --seed-file "$slurm/late.seed" & } &&
    await 10 munge --socket "$slurm/late.sock" -n && ln -sfn late.sock "$slurm/here.sock" &&
    submit clock -- echo there && await 30 because clock "are the clocks and the keys of both machines the same" &&
    kill "$(cat "$slurm/late.pid")" &&
    ln -sfn munge.sock "$slurm/here.sock" && await 60 is_in_state clock succeeded
'
test_done
