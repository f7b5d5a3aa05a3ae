#!/bin/sh
test_description='jobs in steps of Slurm: what the step has is what they have, and nothing outlives it'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
berth_needs jq crun squeue

# Jobs run as the server's account.
install -d -m 1777 "$BERTH_TEST/spool"
TMPDIR=$BERTH_TEST/spool
export TMPDIR
slurm_start 2 2
printf 'engine: slurm\nslurm_conf: %s\nslurm_poll: 1s\n' "$SLURM_CONF" >>"$BERTH_CONFIG"
berth_start

says() { berth logs "$@" >said 2>/dev/null && grep -q "$word" said; }
has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
attempt() { berth job show "$1" -o json | jq -r .attempt.id; }
alive() { grep -sqz "^BERTH_ATTEMPT_ID=$1\$" /proc/[0-9]*/environ; }
is_dead() { ! alive "$1"; }

test_expect_success 'a job runs in a step; cores, memory and GPUs are read back' '
    berth run --source none --name one --cpus 1 -- sh -c "echo hello; exit 4" >out; test $? -eq 4 && grep hello out &&
    has one ".attempt.evidence | .mode == \"step\" and (.cpus | length) > 0 and .gpus == []"
'

test_expect_success 'what scancel ends is dead, whatever it does about SIGTERM, and has left no container' '
    berth run --source none --detach --name stubborn --cpus 1 --grace 1s -- sh -c "trap : TERM; setsid sleep 1000 & echo up
        while :; do sleep 1; done" >/dev/null &&
    word=up && await 20 says stubborn && id=$(attempt stubborn) && alive "$id" &&
    scancel "$(squeue -h -o %i)" && await 40 is_dead "$id" && await 20 has stubborn ".state != \"running\""
'

# slurmd is killed, Slurm gives the node up, and the step goes on: the copy runs on the other node.
test_expect_success 'the copy of a task on a node that was lost ends it there, and what it wrote since never lands' '
    berth run --source none --detach --name twice --cpus 2 --grace 1s --retries 3 --backoff 0s -- sh -c "trap : TERM
        i=0; while :; do i=\$((i + 1)); echo \$BERTH_ATTEMPT \$i; echo \$i >/artifacts/\$BERTH_ATTEMPT; sleep 0.02
        done" >/dev/null &&
    word="1 20" && await 60 says twice && first=$(attempt twice) && node=$(squeue -h -o %N) &&
    slurm_end "slurmd.$node" KILL && alive "$first" &&
    scontrol update NodeName="$node" State=DOWN Reason=lost &&
    word="^[2-4] 20" && await 60 says twice && await 20 is_dead "$first" &&
    berth logs --attempt 1 twice >before && alive "$(attempt twice)" &&
    berth job stop twice >/dev/null && await 60 has twice ".state == \"stopped\"" &&
    berth logs --attempt 1 twice >after && test_cmp before after && ! grep -v "^1 " after &&
    berth logs twice >second && ! grep -v "^[2-4] " second
'

test_done
