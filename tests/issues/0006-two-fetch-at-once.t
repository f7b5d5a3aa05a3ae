#!/bin/sh
test_description='two that fetch the same into the same directory do not break each other'
. "$(dirname "$0")/../system/lib.sh"
berth_start

test_expect_success 'artifacts' '
    berth run --source none --name big -- sh -c "for i in 1 2 3 4 5 6; do head -c 3M /dev/urandom >/artifacts/\$i; done" &&
    { berth artifact get big --to got >one 2>&1 & one=$!; } && berth artifact get big --to got >two 2>&1 && wait $one &&
    ls -A got >files && seq 6 | test_cmp - files && grep "every hash is right" one && grep "every hash is right" two
'

test_expect_success 'datasets' '
    berth dataset push d got &&
    { berth dataset pull d out >one 2>&1 & one=$!; } && berth dataset pull d out >two 2>&1 && wait $one &&
    ls -A out >files && seq 6 | test_cmp - files && berth dataset verify d out
'

test_done
