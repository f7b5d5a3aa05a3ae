# slurm.sh - a Slurm of one node in a directory of its own: munge, slurmctld and slurmd, started and ended here
# shellcheck shell=bash
#
# Tuned for many short jobs: a scheduling pass at once, an epilog (without one, freed cores wait for a tick
# of a second), no accounting, no control groups. A job gets a core, as ours do.

# slurm_start CPUS: sets slurm, SLURM_CONF
slurm_start() {
    slurm=$BERTH_TEST/slurm
    mkdir -p "$slurm"/{state,spool}
    chmod 0755 "$slurm"
    printf '#!/bin/sh\nexit 0\n' >"$slurm/epilog"
    chmod +x "$slurm/epilog"
    export SLURM_CONF=$slurm/slurm.conf
    slurm_conf "$1" "$(free_port)" "$(free_port)" >"$SLURM_CONF"
    head -c 1024 /dev/urandom >"$slurm/munge.key"
    chmod 0600 "$slurm/munge.key"
    # --force: its directory lies below /tmp
    munged --force --socket "$slurm/munge.sock" --key-file "$slurm/munge.key" --pid-file "$slurm/munged.pid" \
        --log-file "$slurm/munged.log" --seed-file "$slurm/munged.seed" 2>>"$slurm/munged.err"
    slurmctld -c
    slurmd -N bench
    await 20 slurm_is_ready
}

slurm_is_ready() { [ "$(sinfo -h -N -t idle -o %N)" = bench ]; }

slurm_conf() {
    cat <<END
ClusterName=bench
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$2
SlurmUser=root
AuthInfo=socket=$slurm/munge.sock
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MailProg=/bin/true
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
Epilog=$slurm/epilog
MinJobAge=10
MaxJobCount=200000
JobCompType=jobcomp/filetxt
JobCompLoc=$slurm/ended
SchedulerParameters=sched_min_interval=50000,sched_interval=5,batch_sched_delay=0,default_queue_depth=64,bf_interval=1,bf_max_job_test=64,bf_continue
NodeName=bench NodeHostName=localhost NodeAddr=127.0.0.1 Port=$3 CPUs=$1 RealMemory=1000
PartitionName=main Nodes=ALL Default=YES
END
}

# Its daemons are known by their pid files; a step may hold slurmd for a while.
slurm_stop() {
    local file pid
    for file in slurmd slurmctld munged; do
        pid=$(cat "$slurm/$file.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null
        await 10 slurm_has_ended "$pid" || kill -KILL "$pid" 2>/dev/null
    done
    return 0
}

slurm_has_ended() { ! kill -0 "$1"; }

# slurm_submit COUNT AT_A_TIME [FLAG...]: jobs that do nothing
slurm_submit() {
    local count=$1 at_a_time=$2
    shift 2
    printf '#!/bin/sh\nexit 0\n' >"$slurm/job"
    seq "$count" | xargs -P "$at_a_time" -I{} sbatch --parsable "$@" -n1 -o /dev/null -D / "$slurm/job" >"$slurm/submitted"
    [ "$(wc -l <"$slurm/submitted")" -eq "$count" ]
}

slurm_have_ended() { [ "$(wc -l <"$slurm/ended")" -ge "$1" ]; }
