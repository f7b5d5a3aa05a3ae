#!/bin/sh
test_description='the console with 100,000 jobs and a log of 1,000,000 lines'
. "$(dirname "$0")/lib.sh"

: "${BERTH_CHROMIUM:=/usr/bin/chromium}"
[ -x "$BERTH_CHROMIUM" ] && [ -d "$BERTH_SOURCE/console/node_modules/playwright-core" ] || {
    skip_all='chromium or playwright is not installed (tools/install-deps build test)'
    test_done
}
export BERTH_CHROMIUM
[ -f "$BERTH_BUILD/src/console/console-files.c.p/files/index.html" ] || {
    skip_all='built without the console'
    test_done
}

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
    BERTH_TEST_JOBS=100000 BERTH_TEST_KEY=$(sed -n "s/^ *key: *//p" "$HOME/.config/berth/config.yaml" | tail -n 1 | tr -d "\"") \
        node "$BERTH_SOURCE/console/test/long.js" >figures
'
test ! -f figures || cat figures

test_done
