#!/bin/sh
test_description='what a job can rely on: Slurm'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"
. "$BERTH_SOURCE/tests/system/conformance.sh"

missing=$(slurm_is_missing)
if [ -n "$missing" ]; then
    skip_all=$missing
    test_done
fi
trap 'code=$?; berth_cleanup; slurm_stop; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT

test_expect_success 'a cluster of four machines starts' 'slurm_start 4 8'
BERTH_ENGINE=slurm BERTH_SLURM_CONF=$SLURM_CONF BERTH_SLURM_POLL=1s
export BERTH_ENGINE BERTH_SLURM_CONF BERTH_SLURM_POLL
berth_start

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
