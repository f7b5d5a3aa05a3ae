#!/bin/sh
test_description='a Slurm cluster is made of the machines that Berth knows, and looked at'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"

missing=$(slurm_is_missing)
if [ -n "$missing" ]; then
    skip_all=$missing
    test_done
fi
berth_start
trap 'slurm_stop; berth_cleanup; die' EXIT

slurm=$BERTH_TEST/slurm
SLURM_CONF=$slurm/slurm.conf
export SLURM_CONF
mkdir -p "$slurm/state" "$slurm/spool"

test_expect_success 'without Slurm it says what to install' '
    test_expect_code 1 env PATH=/nowhere "$BERTH_BUILD/berth" engine check -o json >check &&
    jq -e ".items[] | select(.check == \"commands\") | .state == \"fail\" and .mend == \"apt-get install -y slurm-client\"" check &&
    jq -e ".items[] | select(.check == \"munge\") | .mend == \"apt-get install -y munge\"" check
'
test_expect_success 'without a cluster it says what makes one' '
    test_expect_code 1 berth engine check >check && grep -A1 "^fail  conf .*slurm.conf" check | grep "mend: berth engine render slurm"
'
test_expect_success 'the files say what slurmd sees of this machine' '
    node=$(berth node list -o json | jq -r ".items[0].name") &&
    berth node update "$node" --tag rack=b2 >/dev/null &&
    berth engine render slurm --out made --cluster lab --controller "$node" >files && grep -x made/slurm.conf files &&
    slurmd -C | head -n 1 | tr " " "\n" >seen && grep "^NodeName=" made/slurm.conf | tr " " "\n" >said &&
    for word in CoresPerSocket ThreadsPerCore; do
        test "$(grep "^$word=" said)" = "$(grep "^$word=" seen)" || return 1
    done &&
    test "$(sed -n "s/^RealMemory=//p" said)" -le "$(sed -n "s/^RealMemory=//p" seen)" &&
    grep "^SwitchName=rack-b2 Nodes=$node$" made/topology.conf
'
test_expect_success 'without --out they are printed, with a reason for every choice' '
    berth engine render slurm >all && grep "^#### slurm.conf$" all && grep "^# .*scancel leaves nothing behind" all &&
    test_expect_code 2 berth engine render && test_expect_code 2 berth engine render kubernetes &&
    test_expect_code 1 berth engine render slurm --cluster "a b" 2>err && grep -e --cluster err
'
# In places of this test; and on this machine alone.
test_expect_success 'a real cluster runs a job from the files' '
    cp made/* "$slurm/" &&
    sed -i -e "s|^StateSaveLocation=.*|StateSaveLocation=$slurm/state|" -e "s|^SlurmdSpoolDir=.*|SlurmdSpoolDir=$slurm/spool|" \
        -e "s|^SlurmctldPidFile=.*|SlurmctldPidFile=$slurm/slurmctld.pid|" -e "s|^SlurmdPidFile=.*|SlurmdPidFile=$slurm/slurmd.$node.pid|" \
        -e "s|^SlurmctldLogFile=.*|SlurmctldLogFile=$slurm/slurmctld.log|" -e "s|^SlurmdLogFile=.*|SlurmdLogFile=$slurm/slurmd.log|" \
        -e "s|^SlurmUser=.*|SlurmUser=root|" -e "s|^SlurmctldHost=.*|SlurmctldHost=$node(127.0.0.1)|" \
        -e "s|^NodeName=$node|& Port=$(free_port)|" "$SLURM_CONF" &&
    printf "SlurmctldPort=%s\nAuthInfo=socket=%s\n" "$(free_port)" "$slurm/munge.sock" >>"$SLURM_CONF" &&
    printf "CgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n" >>"$slurm/cgroup.conf" &&
    head -c 1024 /dev/urandom >"$slurm/munge.key" && chmod 0600 "$slurm/munge.key" &&
    slurm_names=$node && slurm_munge && slurm_controller -c && slurm_node "$node" && await 30 slurm_is_ready &&
    ! grep -iE "error: .*(conf|unrecognized|invalid|unknown)" "$slurm/slurmctld.log" &&
    test "$(scontrol show config | sed -n "s/^ClusterName *= *//p")" = lab &&
    sbatch --wait --chdir / --output "$slurm/out" --wrap "echo from \$SLURMD_NODENAME" && await 10 grep "from $node" "$slurm/out"
'
test_expect_success 'the check finds it whole, and a node that is drained' '
    export MUNGE_SOCKET="$slurm/munge.sock" &&
    berth engine check -o json >check || true; cat check &&
    jq -e ".items[] | select(.check == \"controller\") | .state == \"ok\"" check &&
    jq -e ".items[] | select(.check == \"nodes\") | .state == \"ok\"" check &&
    scontrol update NodeName="$node" State=DRAIN Reason="new fans" && test_might_fail berth engine check >check &&
    grep "^warn  node .*$node is drain.*: new fans" check && grep "mend: scontrol update NodeName=$node State=RESUME" check
'
test_expect_success 'the check says when nobody answers' '
    slurm_end slurmctld && test_expect_code 1 berth engine check >check && grep "^fail  controller" check &&
    grep "mend: systemctl restart slurmctld" check
'
test_done
