#!/bin/sh
test_description='a full disk: no new work, but what runs comes to its end, and all goes on when there is room'
. "$(dirname "$0")/lib.sh"
berth_needs_root

# The state on a small disk of its own.
mkdir -p "$BERTH_STATE" && mount -t tmpfs -o size=192m,mode=0711 berth-test "$BERTH_STATE" ||
    { skip_all='cannot mount a small disk'; test_done; }
berth_start --reserved-disk 16Mi

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
submit() { berth run --detach --source none --flavor cpu.shared --disk 8Mi "$@" >submit.out 2>submit.err; }

# Submits until one is refused: the first ones may still find room in the database's file.
refused() { ! submit -- true; }

test_expect_success 'a job runs on a small disk' '
    submit --name runs -- sh -c "trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done" &&
    await 20 sh -c "berth logs runs | grep -q ready"
'

test_expect_success 'the disk is full' '
    dd if=/dev/zero of="$BERTH_STATE/filler" bs=1M 2>/dev/null;
    dd if=/dev/zero of="$BERTH_STATE/filler2" bs=512 2>/dev/null;
    test -s "$BERTH_STATE/filler"
'

test_expect_success 'new work is refused with the reason' '
    await 30 refused && grep "the disk is almost full\|cannot write now" submit.err
'

test_expect_success 'the server goes on answering' '
    berth ps >ps.out && grep runs ps.out && berth why runs
'

test_expect_success 'what runs comes to its end, and that is recorded' '
    berth stop runs && await 30 has runs ".state == \"stopped\" and .exit_code == 7"
'

test_expect_success 'when there is room again, work is accepted again' '
    rm "$BERTH_STATE/filler" "$BERTH_STATE/filler2" &&
    await 30 submit --name after -- true && await 30 has after ".state == \"succeeded\""
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
