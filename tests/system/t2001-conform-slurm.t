#!/bin/sh
test_description='what a job can rely on: Slurm'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
. "$BERTH_SOURCE/tests/system/conformance.sh"

test_expect_success 'a cluster of four machines starts' 'slurm_start 4 8'
berth_start_on_slurm

many=${BERTH_MANY:-40}
# Its slurmd dies and Slurm gives the machine up; what ran there goes on.
lose_node() {
    lost=$(berth job show "$1" -o json | jq -r .attempt.allocation.node) &&
        slurm_end "slurmd.$lost" KILL &&
        scontrol update NodeName="$lost" State=DOWN Reason=gone
}
get_back() {
    slurm_node "$lost" && scontrol update NodeName="$lost" State=RESUME
}

conform
test_done
