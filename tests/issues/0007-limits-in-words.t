#!/bin/sh
test_description='a limit is said as people write it, and a flag is named once'
. "$(dirname "$0")/../system/lib.sh"
berth_start

test_expect_success 'sizes and durations' '
    test_expect_code 2 berth run --source none --memory 1Ki -- true 2>err &&
    grep "memory: .1Ki. must be between 16 MiB and 1 PiB" err &&
    test_expect_code 2 berth run --source none --max-time 0 -- true 2>err && ! grep 31536000 err
'

test_expect_success 'the flag once' '
    test_expect_code 2 berth run --source none -e A -- true 2>err &&
    echo "berth: --env: '"'A'"' must have the form KEY=VALUE" | test_cmp - err
'

test_done
