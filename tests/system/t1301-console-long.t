#!/bin/sh
test_description='the console with 100,000 jobs and a log of 1,000,000 lines'
. "$(dirname "$0")/lib.sh"

. "$BERTH_SOURCE/tests/system/console.sh"
berth_start

test_expect_success 'a project gets 100,000 jobs and a job prints 1,000,000 lines' '
    berth run --source none --name lines -- sh -c "seq -f \"line %.0f\" 1000000" >/dev/null &&
    berth run --source none --name filled -- true &&
    berth_stop &&
    /usr/bin/python3 "$BERTH_SOURCE/console/test/fill-jobs.py" "$BERTH_STATE/berth.db" filled 100000 &&
    berth_server &&
    berth job list --name "filled-*" --limit 1 -o name | grep "^filled-99999"
'

test_expect_success 'both are looked through from end to end' '
    BERTH_TEST_JOBS=100000 browser long >figures
'
test ! -f figures || cat figures

test_done
