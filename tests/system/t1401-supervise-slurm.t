#!/bin/sh
test_description='jobs in steps of Slurm: what the step has is what they have, and nothing outlives it'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"
berth_needs_root
berth_needs jq crun squeue
missing=$(slurm_is_missing)
[ -z "$missing" ] || { skip_all=$missing; test_done; }
trap 'code=$?; berth_cleanup; slurm_stop; (exit $code); die' EXIT

# Jobs run as the server's account.
install -d -m 1777 "$BERTH_TEST/spool"
TMPDIR=$BERTH_TEST/spool
export TMPDIR
slurm_start 2 2
printf 'engine: slurm\nslurm_conf: %s\nslurm_poll: 1s\n' "$SLURM_CONF" >>"$BERTH_CONFIG"
berth_start

says() { berth logs "$1" 2>/dev/null | grep -q "$2"; }
is_in() { test "$(berth job show "$1" -o json | jq -r .state)" = "$2"; }
slurm_job() { squeue -h -a -o %i -n "berth-$(task "$1")" 2>/dev/null; }
alive() { grep -sl "BERTH_JOB_NAME=$1\$" -z /proc/[0-9]*/environ; }
is_dead() { ! alive "$1"; }
task() { berth job show "$1" -o json | jq -r ".attempts[-1].id"; }

test_expect_success 'a job runs in a step; cores, memory and groups are read back' '
    berth run --source none --name one --cpus 1 -- sh -c "echo hello; exit 4" >out; test $? -eq 4 && grep hello out &&
    berth job show one -o json >job && jq -e ".attempts[-1].evidence | .mode == \"step\" and (.cpus | length) > 0" job
'

test_expect_success 'what scancel ends is dead, whatever it does about SIGTERM, and has left no container' '
    berth run --source none --detach --name stubborn --cpus 1 -- sh -c "trap : TERM; setsid sleep 1000 & echo up
        while :; do sleep 1; done" &&
    await 20 says stubborn up && alive stubborn && scancel "$(slurm_job stubborn)" && await 40 is_dead stubborn &&
    await 20 is_in stubborn stopped
'

test_done
