#!/bin/sh
test_description='the console, in a browser'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"

. "$BERTH_SOURCE/tests/system/console.sh"
berth_start

# head_of PATH [CURL OPTIONS...]
head_of() {
    local path=$1
    shift
    curl -sS -o body -D head.raw "$@" "$BERTH_URL$path" && tr -d '\r' <head.raw
}

test_expect_success 'the page comes with a strict policy' '
    head_of /console/ >got &&
    grep "^HTTP/1.1 200" got &&
    grep "^Content-Security-Policy: default-src .none.; script-src .self.;.*frame-ancestors .none." got &&
    ! grep -i unsafe got &&
    grep "^X-Content-Type-Options: nosniff" got &&
    grep "^Cache-Control: no-cache" got &&
    ! grep -E "<script>|<style|javascript:|[ \"]on[a-z]+=" body &&
    head_of / | grep "^Location: /console/"
'

test_expect_success 'what has a digest in its name is kept for ever, compressed' '
    head_of /console/ >/dev/null &&
    script=$(sed -n "s/.*src=\"\(\/console\/assets\/[^\"]*\.js\)\".*/\1/p" body) &&
    head_of "$script" -H "Accept-Encoding: gzip, br" >got &&
    grep "^Content-Encoding: br" got && grep "immutable" got && grep "^Vary: Accept-Encoding" got &&
    tag=$(sed -n "s/^ETag: //p" got) &&
    head_of "$script" -H "Accept-Encoding: br" -H "If-None-Match: $tag" | grep "^HTTP/1.1 304" &&
    head_of "$script" -H "Accept-Encoding: gzip" | grep "^Content-Encoding: gzip" && gunzip -c <body >unpacked &&
    head_of "$script" >got && ! grep "^Content-Encoding" got && cmp body unpacked
'

test_expect_success 'other paths are what they were' '
    head_of /console/assets/none.js | grep "^HTTP/1.1 404" &&
    head_of /v1/none | grep "^Content-Type: application/problem+json" &&
    head_of /console/ -X POST | grep "^HTTP/1.1 404"
'

test_expect_success 'sign in, jobs, a log as it grows, stop' 'browser tour'

test_expect_success 'every page, by keyboard and screen reader; the commands do what they say' 'browser pages'

test_expect_success 'a job of many tasks: its ranks, their logs, charts and hardware' 'browser gang'

test_expect_success 'datasets, images, a shell in a running job' '
    if command -v umoci >/dev/null && command -v busybox >/dev/null; then
        busybox_tree root && image_layer one:latest root && layout_tar one one.tar &&
            BERTH_TEST_IMAGE=$PWD/one.tar && export BERTH_TEST_IMAGE || return 1
        if command -v docker-registry >/dev/null && command -v skopeo >/dev/null; then
            registry_start auth && registry_push one:latest lib/one:1 &&
                BERTH_TEST_REGISTRY=$REGISTRY && export BERTH_TEST_REGISTRY || return 1
        fi
    fi &&
    browser data &&
    registry_stop
'

test_expect_success 'each command is copied, run, and does the same' 'browser commands'

test_expect_success 'what tries to be script is text' 'browser hostile'

test_expect_success 'the first load is small' '
    head_of /console/ >/dev/null &&
    total=0 &&
    for file in $(grep -oE "/console/[^\"]+" body) /console/; do
        curl -sS -H "Accept-Encoding: gzip" -o loaded "$BERTH_URL$file" && total=$((total + $(wc -c <loaded))) || return 1
    done &&
    echo "$total bytes" && test "$total" -gt 10000 && test "$total" -lt 150000
'

test_done
