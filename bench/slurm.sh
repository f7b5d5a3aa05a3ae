# slurm.sh - many jobs at once for the cluster of tests/slurm.sh
# shellcheck shell=bash

# slurm_submit COUNT AT_A_TIME [FLAG...]: jobs that do nothing
slurm_submit() {
    local count=$1 at_a_time=$2
    shift 2
    printf '#!/bin/sh\nexit 0\n' >"$slurm/job"
    seq "$count" | xargs -P "$at_a_time" -I{} sbatch --parsable "$@" -n1 -o /dev/null -D / "$slurm/job" >"$slurm/submitted"
    [ "$(wc -l <"$slurm/submitted")" -eq "$count" ]
}

slurm_have_ended() { [ "$(wc -l <"$slurm/ended")" -ge "$1" ]; }
