# slurm.sh - a Slurm cluster in a directory of its own: munge, slurmctld and slurmds, started and ended here
# shellcheck shell=sh disable=SC3043
#
# After tests/server.sh (BERTH_TEST, free_port, await). Sets slurm (its directory) and SLURM_CONF; whoever sources
# it calls slurm_stop at its exit. As root, without systemd. Tuned for many short jobs: a scheduling pass at once, an
# epilog (without one, freed cores wait for a tick of a second), a lost node noticed within seconds, no accounting.
# GPUs are terminals: Slurm wants character devices, and none is opened.

PATH=$PATH:/usr/sbin:/sbin

# What is missing to run one, in words; nothing when it can be run.
slurm_is_missing() {
    local program
    for program in munged slurmctld slurmd sbatch squeue scontrol scancel; do
        command -v "$program" >/dev/null || { echo "$program is not installed"; return; }
    done
    [ "$(id -u)" -eq 0 ] || echo 'needs root: Slurm runs jobs as whoever submits them'
}

# slurm_start NODES CPUS [LINE...]: nodes node1, node2, …; LINEs are added to slurm.conf, those of
# slurm_cgroup to cgroup.conf
slurm_start() {
    local nodes=$1 cpus=$2 name
    shift 2
    slurm=$BERTH_TEST/slurm
    mkdir -p "$slurm/state" "$slurm/spool"
    chmod 0755 "$slurm"
    printf '#!/bin/sh\nexit 0\n' >"$slurm/epilog"
    chmod +x "$slurm/epilog"
    export SLURM_CONF="$slurm/slurm.conf"
    slurm_names=$(seq -f 'node%.0f' "$nodes")
    slurm_first=$(shuf -i 1000-60000000 -n 1)
    slurm_conf "$cpus" >"$SLURM_CONF"
    printf '%s\n' "$@" >>"$SLURM_CONF"
    printf 'Name=gpu File=/dev/tty[0-1]\n' >"$slurm/gres.conf"
    printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n%s\n' "${slurm_cgroup:-}" >"$slurm/cgroup.conf"
    head -c 1024 /dev/urandom >"$slurm/munge.key"
    chmod 0600 "$slurm/munge.key"
    slurm_munge || return
    slurm_controller || return
    for name in $slurm_names; do
        slurm_node "$name" || return
    done
    await 30 slurm_is_ready
}

slurm_is_ready() {
    [ "$(sinfo -h -N -t idle -o %N | sort -u | wc -l)" -eq "$(echo "$slurm_names" | wc -l)" ]
}

# --force: its directory lies below /tmp
slurm_munge() {
    munged --force --socket "$slurm/munge.sock" --key-file "$slurm/munge.key" --pid-file "$slurm/munged.pid" \
        --log-file "$slurm/munged.log" --seed-file "$slurm/munged.seed" 2>>"$slurm/munged.err"
}

slurm_controller() { slurmctld; }

# slurm_node NAME: its slurmd
slurm_node() {
    mkdir -p "$slurm/spool/$1"
    slurmd -N "$1"
}

# Freezers follow what a job's processes do; elsewhere the tree of processes has to do.
slurm_proctrack() {
    if grep -q ' /sys/fs/cgroup/freezer cgroup ' /proc/mounts; then
        echo cgroup
    else
        echo linuxproc
    fi
}

# FirstJobId: control groups are named by node and job; of two clusters on one machine, the end of one's job
# would be that of the other's.
slurm_conf() {
    local name
    cat <<END
ClusterName=test
FirstJobId=$slurm_first
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=root
AuthInfo=socket=$slurm/munge.sock,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool/%n
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.%n.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.%n.log
ProctrackType=proctrack/$(slurm_proctrack)
TaskPlugin=${slurm_task:-task/none}
SelectType=select/cons_tres
SelectTypeParameters=${slurm_select:-CR_Core}
ReturnToService=2
SlurmdTimeout=10
MessageTimeout=2
KillWait=5
MailProg=/bin/true
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
Epilog=$slurm/epilog
MinJobAge=10
MaxJobCount=200000
JobCompType=jobcomp/filetxt
JobCompLoc=$slurm/ended
GresTypes=gpu
SchedulerParameters=sched_min_interval=50000,sched_interval=5,batch_sched_delay=0,default_queue_depth=64,bf_interval=1,bf_max_job_test=64,bf_continue
PartitionName=main Nodes=ALL Default=YES
END
    for name in $slurm_names; do
        echo "NodeName=$name NodeHostName=localhost NodeAddr=127.0.0.1 Port=$(free_port) CPUs=$1 RealMemory=4000 Gres=gpu:2"
    done
}

slurm_has_ended() { ! kill -0 "$1" 2>/dev/null; }

# slurm_end NAME [SIGNAL]: a daemon by the name of its pid file: munged, slurmctld, slurmd.node1
slurm_end() {
    local pid
    pid=$(cat "$slurm/$1.pid" 2>/dev/null) || return 0
    kill "-${2:-TERM}" "$pid" 2>/dev/null
    await 10 slurm_has_ended "$pid" || kill -KILL "$pid" 2>/dev/null
    rm -f "$slurm/$1.pid"
}

# Steps may outlive their slurmd, and what they run outlives them: they are known by their settings.
slurm_stop() {
    local name pid
    [ -n "${slurm_first:-}" ] || return 0
    for name in $slurm_names; do
        slurm_end "slurmd.$name"
    done
    slurm_end slurmctld
    slurm_end munged
    for pid in $(grep -lsz "^SLURM_CONF=$slurm/slurm.conf\$" /proc/[0-9]*/environ 2>/dev/null |
        sed -n 's|^/proc/\([0-9]*\)/environ$|\1|p'); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        slurmstepd | slurmd | slurmctld | berth) kill -KILL "$pid" 2>/dev/null ;;
        esac
    done
    slurm_groups_end
    return 0
}

# What its jobs left of control groups. Other clusters have nodes of the same names: above a job nothing is removed.
# Its directory is gone by now.
slurm_groups_end() {
    local group number
    for group in /sys/fs/cgroup/*/slurm_node*/uid_*/job_*; do
        number=${group##*_}
        [ -d "$group" ] && [ "$number" -ge "$slurm_first" ] && [ "$number" -lt $((slurm_first + 200000)) ] || continue
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
}
