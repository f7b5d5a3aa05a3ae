#!/bin/sh
test_description='berth queue -o name prints names'
. "$(dirname "$0")/../system/lib.sh"
berth_start

test_expect_success 'a queue of two is two names' '
    berth run --source none --detach --cpus "$(nproc)" --name first -- sleep 100 &&
    berth run --source none --detach --cpus "$(nproc)" --name second -- true &&
    berth queue -o name >names && printf "first\nsecond\n" | test_cmp - names
'

test_done
