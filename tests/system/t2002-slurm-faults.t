#!/bin/sh
test_description='Slurm goes away, is interfered with, or is shared with others: nothing is lost, nothing runs twice'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
# What happens to one Slurm job is one task's here; t2001 has the rest.
BERTH_SLURM_REUSE=0s BERTH_SLURM_GANG_WAIT=1s
export BERTH_SLURM_REUSE BERTH_SLURM_GANG_WAIT

# Where much else is going on, what Slurm could not launch has run for a while when it is cancelled, and the list of machines may be
# from before they were taken out of service: so it is while there is a file `slow`, once.
BERTH_SLURM_BIN=$BERTH_TEST/bin
export BERTH_SLURM_BIN
install -d "$BERTH_SLURM_BIN" && install -d -o berth "$BERTH_TEST/moment"
ln -s "$(command -v sbatch)" "$(command -v scancel)" "$(command -v squeue)" "$BERTH_SLURM_BIN"
cat >"$BERTH_SLURM_BIN/scontrol" <<END
#!/bin/sh
cd $BERTH_TEST/moment && [ -e slow ] || exec $(command -v scontrol) "\$@"
case "\$*" in
'-o show node')
    $(command -v scontrol) "\$@" >now && { grep -q "SlurmdSpoolDir is full" now || cp now before; } && cat before
    ;;
'-o show job'*)
    $(command -v scontrol) "\$@" | sed "s/RunTime=00:00:00/RunTime=00:00:02/" && rm slow
    ;;
*) exec $(command -v scontrol) "\$@" ;;
esac
END
chmod +x "$BERTH_SLURM_BIN/scontrol"

test_expect_success 'a cluster of two machines starts' 'slurm_start 2 4'
berth_start_on_slurm

node_is() { berth node show "$1" -o json | jq -e "$2" >/dev/null; }
# The names of jobs that Slurm has of a job, whatever became of them.
slurm_jobs_of() { squeue -h -t all -o %j | grep -c "$(berth job show "$1" -o json | jq -r .attempt.id)"; }

# slurmctld looks at limits every half minute: what it did is seen below.
test_expect_success 'a job gets a time limit of Slurm' '
    submit long -- sleep 600 && await 30 is_in_state long running &&
    scontrol update JobId="$(slurm_job long)" EndTime=now+1
'
test_expect_success 'slurmctld is away: what runs goes on and ends, a submit waits and says for what' '
    submit runs -- sh -c "echo begin; while [ ! -e /storage/go ]; do sleep 0.1; done; echo end" &&
    await 30 says runs begin &&
    slurm_end slurmctld &&
    submit waits -- echo "at last" &&
    await 30 because waits "Slurm does not .*: Unable to contact slurm controller" &&
    berth run --source none --name opens --cpus 1 --detach -- true >/dev/null &&
    berth job show runs -o json | jq -e ".state == \"running\""
'
test_expect_success 'slurmctld is back: it runs, once' '
    slurm_controller &&
    await 60 is_in_state waits succeeded && says waits "at last" && has waits ".attempts == 1" &&
    test "$(slurm_jobs_of waits)" = 1 && is_in_state runs running
'
test_expect_success 'the same without munge' '
    slurm_end munged &&
    submit mute -- true &&
    await 30 because mute "Slurm does not " &&
    slurm_munge &&
    await 60 is_in_state mute succeeded && has mute ".attempts == 1" &&
    berth stop --grace 0 --wait runs
'
test_expect_success 'a job that is cancelled in Slurm, behind our back, says so' '
    submit shot -- sh -c "echo begin; sleep 600" &&
    await 30 says shot begin &&
    scancel "$(slurm_job shot)" &&
    await 60 is_in_state shot stopped && because shot "cancelled in Slurm, not by Berth"
'
test_expect_success 'a job that Slurm requeues is fenced and given again by Berth alone' '
    submit again --retries 1 --backoff 0s -- sh -c "echo try \$BERTH_ATTEMPT; [ \$BERTH_ATTEMPT = 2 ] || sleep 600" &&
    await 30 says again "try 1" &&
    test_must_fail scontrol requeue "$(slurm_job again)" &&
    first=$(slurm_job again) &&
    scontrol update "JobId=$first" Requeue=1 && scontrol requeue "$first" &&
    await 60 is_in_state again succeeded && has again ".attempts == 2" && says again "try 2" &&
    test "$(slurm_job again)" != "$first"
'
test_expect_success 'a job that is held in Slurm says so, with what lets it go' '
    scontrol update PartitionName=main State=DOWN &&
    submit held -- echo free &&
    await 30 because held "waits in Slurm" &&
    scontrol hold "$(slurm_job held)" &&
    await 30 because held "scontrol release $(slurm_job held)" &&
    scontrol update PartitionName=main State=UP &&
    scontrol release "$(slurm_job held)" &&
    await 60 is_in_state held succeeded
'
test_expect_success 'a stopped job that waits in Slurm leaves its queue' '
    scontrol update PartitionName=main State=DOWN &&
    submit never -- echo ran &&
    await 30 because never "waits in Slurm" &&
    berth stop --wait never && is_in_state never stopped && ! says never ran &&
    scontrol update PartitionName=main State=UP
'
test_expect_success 'a time limit of Slurm: the job ends as one that ran too long, and says whose limit it was' '
    await 60 is_in_state long failed && has long ".cause == \"max_time\"" && because long "Slurm.s time limit for job [0-9]* was reached"
'
test_expect_success 'a drained machine gets nothing, and says why' '
    scontrol update NodeName=node1 State=DRAIN Reason="bad; dimm" &&
    await 30 node_is node1 ".fault | test(\"drained in Slurm: bad; dimm\")" &&
    berth run --source none --name elsewhere --cpus 1 -- true &&
    has elsewhere ".attempt.allocation.node == \"node2\"" &&
    scontrol update NodeName=node1 State=RESUME && await 30 node_is node1 "has(\"fault\") | not"
'
test_expect_success 'what others run is seen as taken, whatever they call it' '
    id=$(berth job show elsewhere -o json | jq -r .attempt.id) &&
    sbatch -w node1 -c 4 --mem=100 -o /dev/null -D / -J "$(printf "x|RUNNING\n7|RUNNING|None|berth-%s" "$id")" \
        --comment "x JobState=COMPLETED NodeList=node2" --wrap "sleep 600" &&
    sbatch -w node2 -c 3 --gres=gpu:1 --mem=100 -o /dev/null -D / -J "berth-$id" --wrap "sleep 600" &&
    await 30 node_is node2 ".others_cores == 3 and .others_gpus == 1" && node_is node1 ".others_cores == 4" &&
    berth run --source none --name beside --cpus 1 -- true && has beside ".attempt.allocation.node == \"node2\"" &&
    berth run --detach --source none --name large --cpus 2 -- true && await 30 because large "outside of Berth" &&
    test "$(squeue -h -t R -u root | wc -l)" = 2 &&
    scancel -u root && await 60 is_in_state large succeeded
'
slurm_job_of() { cat "$BERTH_STATE/attempts/$(berth job show "$1" -o json | jq -r ".attempt.tasks[$2].id")/slurm"; }
test_expect_success 'others take a place of a gang between plan and start: all of it is given back, and placed again' '
    scontrol update PartitionName=main State=DOWN &&
    submit pair --nodes 2 --backoff 0s --cpus 4 -- sh -c "echo rank \$RANK" &&
    await 30 slurm_job_of pair 1 && scontrol hold "$(slurm_job_of pair 1)" &&
    sbatch -w "$(berth job show pair -o json | jq -r ".attempt.tasks[1].allocation.node")" -c 4 --mem=100 -o /dev/null -D / -J theirs --wrap "sleep 600" &&
    scontrol update PartitionName=main State=UP && await 30 sh -c "squeue -h -t R -n theirs | grep ." &&
    scontrol release "$(slurm_job_of pair 1)" &&
    await 30 is_in_state pair queued && scancel -n theirs &&
    await 60 is_in_state pair succeeded && has pair ".attempts > 1" && berth logs pair | grep "^\[1\] rank 1" &&
    berth job attempts pair -o json | jq -e ".items[0] | .cause == \"node_lost\" and (.reason | test(\"rank 1 .*others took the place on node\"))"
'
test_expect_success 'a job that nobody knows any more is not left in Slurm' '
    printf "#!/bin/sh\nsleep 600\n" | setpriv --reuid=berth --regid=berth --clear-groups \
        sbatch --parsable -o /dev/null -D / -J berth-01900000-0000-7000-8000-000000000000 >left &&
    setpriv --reuid=berth --regid=berth --clear-groups sbatch --parsable -o /dev/null -D / -J mine --wrap "sleep 600" >mine &&
    await 30 sh -c "squeue -h -t CA -j \$(cat left) -o %T | grep CANCELLED" &&
    test "$(squeue -h -j "$(cat mine)" -o %T)" != CANCELLED && scancel "$(cat mine)"
'
test_expect_success 'the spool of a machine is full: the job runs elsewhere, and the machine says why it does not' '
    await 30 node_is node1 "(.others_cores // 0) == 0" &&
    mount -t tmpfs -o size=64k spool "$slurm/spool/node1" &&
    { head -c 200000 /dev/zero >"$slurm/spool/node1/full" 2>/dev/null || :; } &&
    : >"$BERTH_TEST/moment/slow" && submit full --backoff 0s -- echo here &&
    await 60 is_in_state full succeeded && has full ".attempt.allocation.node == \"node2\"" &&
    await 30 node_is node1 ".fault | test(\"SlurmdSpoolDir is full\")" && test ! -e "$BERTH_TEST/moment/slow" &&
    umount "$slurm/spool/node1" && scontrol update NodeName=node1 State=RESUME &&
    await 30 node_is node1 "has(\"fault\") | not"
'
test_expect_success 'the spool of slurmctld is full: a submit waits and says for what' '
    mount -t tmpfs -o size=64k spool "$slurm/state" &&
    { head -c 200000 /dev/zero >"$slurm/state/full" 2>/dev/null || :; } &&
    submit spooled -- echo here &&
    await 30 because spooled "Slurm does not take jobs now: .*I/O error" &&
    umount "$slurm/state" &&
    await 60 is_in_state spooled succeeded && has spooled ".attempts == 1"
'
test_expect_success 'a machine that gets another name is known by it' '
    slurm_end slurmctld && slurm_end slurmd.node1 KILL &&
    sed -i "s/^NodeName=node1 /NodeName=other1 /" "$SLURM_CONF" &&
    slurm_names="other1 node2" && slurm_controller && slurm_node other1 &&
    await 60 node_is other1 "has(\"fault\") | not" &&
    await 30 test_must_fail berth node show node1
'
test_done
