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

# berth_spools: each node has a spool of its own, as machines have, in $BERTH_TEST/NODE. Before the server starts.
berth_spools() {
    local name
    for name in $slurm_names; do
        install -d -o berth -m 700 "$BERTH_TEST/$name"
    done
    printf '#!/bin/sh\nBERTH_SPOOL=%s/$SLURMD_NODENAME exec %s/berth "$@"\n' "$BERTH_TEST" "$BERTH_BUILD" >"$BERTH_TEST/program"
    chmod +x "$BERTH_TEST/program"
    BERTH_NODE_PROGRAM=$BERTH_TEST/program
    export BERTH_NODE_PROGRAM
}

# What tests on a cluster say of jobs.
submit() { # NAME [FLAG...] -- COMMAND
    local name=$1
    shift
    berth run --detach --source none --name "$name" --cpus 1 "$@" >/dev/null
}
has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
is_in_state() { has "$1" ".state == \"$2\""; }
says() { berth logs "$1" | grep -q "$2"; }
because() { berth why "$1" | grep -q "$2"; }
# The number of the Slurm job of the current attempt.
slurm_job() { cat "$BERTH_STATE/attempts/$(berth job show "$1" -o json | jq -r .attempt.id)/slurm"; }
