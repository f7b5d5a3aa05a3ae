#!/bin/sh
test_description='a machine that starts anew: attempts are lost, and tried again where the job allows it'
. "$(dirname "$0")/lib.sh"

# What the kernel calls this start of the machine; another name is another start.
BERTH_BOOT_ID=11111111-1111-4111-8111-111111111111
export BERTH_BOOT_ID
berth_start

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }

test_expect_success 'two jobs run, one of them may be tried again' '
    berth run --detach --source none --flavor cpu.shared --name once -- sleep 600 &&
    berth run --detach --source none --flavor cpu.shared --name twice --retries 1 --backoff 0s -- \
        sh -c "echo try \$BERTH_ATTEMPT; [ \$BERTH_ATTEMPT = 2 ] || sleep 600" &&
    await 20 has once ".state == \"running\"" && await 20 has twice ".state == \"running\"" &&
    berth job show once -o json | jq -r .attempt.record.boot_id >boot &&
    echo $BERTH_BOOT_ID >want && test_cmp want boot
'

test_expect_success 'the machine starts anew' '
    berth_stop && BERTH_BOOT_ID=22222222-2222-4222-8222-222222222222 && berth_server
'

test_expect_success 'the one fails with the reason' '
    await 20 has once ".state == \"failed\" and .cause == \"node_lost\"" &&
    berth why once | grep "machine was lost or restarted"
'

test_expect_success 'the other is tried again and succeeds' '
    await 20 has twice ".state == \"succeeded\" and .attempts == 2" &&
    berth job attempts twice -o json | jq -e "[.items[] | .cause] | sort == [\"exited\", \"node_lost\"]" &&
    berth logs twice | grep "try 2"
'

test_expect_success 'nothing of the lost attempts goes on' '
    attempt=$(berth job attempts once -o json | jq -r ".items[0].id") &&
    await 20 sh -c "! grep -lsq \"$attempt\" /proc/[0-9]*/cgroup"
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
