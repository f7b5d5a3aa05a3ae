# console.sh - a real browser on the console
# shellcheck shell=sh

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

# browser NAME: walk the tour NAME of console/test
browser() {
    BERTH_TEST_KEY=$(sed -n 's/^ *key: *//p' "$HOME/.config/berth/config.yaml" | tail -n 1 | tr -d '"') \
        node "$BERTH_SOURCE/console/test/$1.js"
}
