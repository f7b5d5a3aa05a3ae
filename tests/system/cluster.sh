# cluster.sh - a Slurm cluster of the test's own, which ends with it
# shellcheck shell=sh
. "$BERTH_SOURCE/tests/slurm.sh"

berth_needs_root
missing=$(slurm_is_missing)
[ -z "$missing" ] || {
    skip_all=$missing
    test_done
}
trap 'code=$?; berth_cleanup; slurm_stop; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT

# berth_start_on_slurm: a server with a project whose jobs run on it
berth_start_on_slurm() {
    BERTH_ENGINE=slurm BERTH_SLURM_CONF=$SLURM_CONF BERTH_SLURM_POLL=1s
    export BERTH_ENGINE BERTH_SLURM_CONF BERTH_SLURM_POLL
    berth_start
}
