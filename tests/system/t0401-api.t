#!/bin/sh
test_description='the API over HTTP: keys, hosts, promises that outlive the server'
. "$(dirname "$0")/lib.sh"

berth_start

# with_key METHOD PATH [CURL OPTIONS...]: over TCP; prints the status, the body goes to `body`
with_key() {
    local method=$1 path=$2
    shift 2
    curl -sS -o body -w '%{http_code}\n' -X "$method" -H "Authorization: Bearer $key" \
        -H 'Content-Type: application/json' "$@" "$BERTH_URL$path"
}

test_expect_success 'the unix socket needs no key of root' '
    api GET /v1/projects | jq -e ".items[0].name == \"lab\""
'

test_expect_success 'a key is made once and shown once' '
    key=$(api POST /v1/keys -d "{\"name\":\"work\",\"role\":\"member\",\"project\":\"lab\"}" | jq -r .key) &&
    case $key in berth_*) ;; *) false ;; esac &&
    ! api GET /v1/keys | grep -F "$key" &&
    ! grep -raF "$key" "$BERTH_STATE"
'

test_expect_success 'without a key nothing is told' '
    curl -s -o body -w "%{http_code}\n" "$BERTH_URL/v1/projects/lab/jobs" >status &&
    test "$(cat status)" = 401 &&
    test "$(jq -r .type body)" = /problems/no-key &&
    test "$(curl -s -o body -w "%{http_code}" "$BERTH_URL/v1/projects/none/jobs")" = 401
'

test_expect_success 'a key of one project sees that project only' '
    api POST /v1/projects -d "{\"name\":\"other\"}" >/dev/null &&
    test "$(with_key GET /v1/projects/lab/jobs)" = 200 &&
    test "$(with_key GET /v1/projects/other/jobs)" = 404 &&
    test "$(with_key GET /v1/projects)" = 200 && jq -e ".items | length == 1" body &&
    test "$(with_key GET /v1/keys)" = 403 &&
    test "$(with_key GET /metrics)" = 403
'

test_expect_success 'a host that is not ours is refused' '
    test "$(curl -s -o /dev/null -w "%{http_code}" -H "Host: evil.example" "http://127.0.0.1:$BERTH_PORT/healthz")" = 421
'

test_expect_success 'a wrong field is named with what would be right' '
    test "$(with_key POST /v1/projects/lab/jobs -d "{\"command\":\"a\",\"ports\":[{\"name\":\"w\",\"port\":70000}]}")" = 400 &&
    test "$(jq -r .field body)" = "ports[0].port" &&
    jq -r .detail body | grep "between 1 and 65535"
'

test_expect_success 'what was accepted outlives kill -9' '
    test "$(with_key POST /v1/projects/lab/jobs -H "Idempotency-Key: k1" -d "{\"name\":\"kept\",\"command\":\"echo kept\"}")" = 201 &&
    berth_kill &&
    cp body first &&
    berth_server &&
    test "$(with_key POST /v1/projects/lab/jobs -H "Idempotency-Key: k1" -d "{\"name\":\"kept\",\"command\":\"echo kept\"}")" = 201 &&
    cmp first body &&
    test "$(with_key POST /v1/projects/lab/jobs -H "Idempotency-Key: k1" -d "{\"command\":\"other\"}")" = 422 &&
    api GET "/v1/projects/lab/jobs?name=kept" | jq -e ".items | length == 1"
'

test_expect_success 'a log is followed, cut and resumed without loss' '
    test "$(with_key POST /v1/projects/lab/jobs -d "{\"name\":\"talker\",\"command\":\"seq 1 50; sleep 1; seq 51 100\"}")" = 201 &&
    { curl -sN -H "Authorization: Bearer $key" "$BERTH_URL/v1/projects/lab/jobs/talker/logs?follow=true" |
        sed "/\"text\":\"30\"/q" >part; } &&
    last=$(sed -n "s/^id: //p" part | tail -n 1) &&
    test -n "$last" &&
    curl -sN -m 30 -H "Authorization: Bearer $key" -H "Last-Event-ID: $last" \
        "$BERTH_URL/v1/projects/lab/jobs/talker/logs?follow=true" >rest &&
    cat part rest | sed -n "s/^data: {\"line\":[0-9]*,\"text\":\"\([0-9]*\)\"}/\1/p" >lines &&
    seq 1 100 | diff lines - &&
    grep "^event: end" rest
'

test_expect_success 'ranges of an artifact' '
    test "$(with_key POST /v1/projects/lab/jobs -d "{\"name\":\"maker\",\"command\":\"printf 0123456789 > /artifacts/digits; mkdir /artifacts/a; echo x > /artifacts/a/b\"}")" = 201 &&
    curl -sN -m 30 -H "Authorization: Bearer $key" "$BERTH_URL/v1/projects/lab/jobs/maker/logs?follow=true" >/dev/null &&
    test "$(with_key GET /v1/projects/lab/jobs/maker/artifacts/digits -H "Range: bytes=2-4")" = 206 &&
    test "$(cat body)" = 234 &&
    test "$(with_key GET /v1/projects/lab/jobs/maker/artifacts/digits -H "Range: bytes=-3")" = 206 &&
    test "$(cat body)" = 789 &&
    test "$(with_key GET /v1/projects/lab/jobs/maker/artifacts/digits -H "Range: bytes=20-")" = 416 &&
    test "$(with_key GET /v1/projects/lab/jobs/maker/artifacts/a%2Fb)" = 200 &&
    test "$(with_key GET "/v1/projects/lab/jobs/maker/artifacts?glob=**/b")" = 200 &&
    test "$(jq -r ".items[].path" body)" = a/b &&
    curl -s -H "Authorization: Bearer $key" "$BERTH_URL/v1/projects/lab/jobs/maker/artifacts.tar" | tar -tf - | sort >names &&
    printf "a/b\ndigits\n" | diff names -
'

test_expect_success 'secrets reach the job and nobody else' '
    test "$(with_key PUT /v1/projects/lab/secrets/TOKEN -d "{\"value\":\"hunter2hunter2\"}")" = 200 &&
    test "$(with_key POST /v1/projects/lab/jobs -d "{\"name\":\"user\",\"command\":\"echo length \${#T}\",\"env\":{\"T\":\"secret:TOKEN\"}}")" = 201 &&
    curl -sN -m 30 -H "Authorization: Bearer $key" "$BERTH_URL/v1/projects/lab/jobs/user/logs?follow=true" | grep "length 14" &&
    ! api GET /v1/projects/lab/jobs/user | grep hunter2 &&
    ! api GET /v1/projects/lab/events | grep hunter2 &&
    ! grep -raF hunter2hunter2 "$BERTH_STATE" "$BERTH_TEST/server.log"
'

test_done
