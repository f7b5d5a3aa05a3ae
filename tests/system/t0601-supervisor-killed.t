#!/bin/sh
test_description='kill -9 of a supervisor: its container ends, the attempt is lost, retries apply'
. "$(dirname "$0")/lib.sh"

berth_start

# The lock is held by the supervisor for its life; the kernel says by whom.
supervisor_of() {
    local attempt inode
    attempt=$(api GET "/v1/projects/lab/jobs/$1" | jq -r .attempt.id)
    inode=$(stat -c %i "$BERTH_STATE/attempts/$attempt/lock")
    awk -v inode="$inode" '$2 == "FLOCK" && $6 ~ ":" inode "$" { print $5; exit }' /proc/locks
}

state_is() { [ "$(api GET "/v1/projects/lab/jobs/$1" | jq -r .state)" = "$2" ]; }

nothing_runs() { ! pgrep -f "marker-$1" >/dev/null; }

test_expect_success 'a job runs' '
    berth run --source none --detach --name one --cpus 1 -- sh -c "sleep 300 & exec sh -c \"sleep 301; : marker-one\"" &&
    await 20 state_is one running
'

test_expect_success 'its supervisor is killed: no orphan, the attempt failed as supervisor lost' '
    pid=$(supervisor_of one) && [ -n "$pid" ] &&
    kill -KILL $pid &&
    await 20 state_is one failed &&
    await 10 nothing_runs one &&
    berth why one >why && test "$(grep -io "supervisor lost" why | wc -l)" = 1
'

test_expect_success 'the same while the server is down, with a retry' '
    berth run --source none --detach --name two --cpus 1 --retries 1 --backoff 0 -- sh -c "echo attempt \$BERTH_ATTEMPT; [ \$BERTH_ATTEMPT = 2 ] || sleep 300; : marker-two" &&
    await 20 state_is two running &&
    pid=$(supervisor_of two) && [ -n "$pid" ] &&
    berth_kill &&
    kill -KILL $pid &&
    await 10 nothing_runs two &&
    berth_server &&
    await 30 state_is two succeeded &&
    [ "$(api GET /v1/projects/lab/jobs/two/attempts | jq ".items | length")" = 2 ]
'

test_expect_success 'a new boot id: running attempts are lost, retried where allowed' '
    berth run --source none --detach --name three --cpus 1 --retries 1 --backoff 0 -- sh -c "[ \$BERTH_ATTEMPT = 2 ] || sleep 300; : marker-three" &&
    await 20 state_is three running &&
    pid=$(supervisor_of three) &&
    berth_kill &&
    kill -KILL $pid &&
    BERTH_BOOT_ID=another-boot berth_server &&
    await 30 state_is three succeeded
'

test_done
