#!/bin/sh
test_description='the description of the API: independent tools accept it, and the server keeps to it'
. "$(dirname "$0")/lib.sh"

tools=$BERTH_SOURCE/tests/npm/node_modules/.bin
for tool in redocly prism; do
    [ -x "$tools/$tool" ] || {
        skip_all="$tool is not installed (tools/install-deps test)"
        test_done
    }
done
command -v promtool >/dev/null && test_set_prereq PROMTOOL

berth_start

test_expect_success 'redocly finds nothing' '
    curl -s "$BERTH_URL/openapi.json" >openapi.json &&
    "$tools/redocly" lint --config "$BERTH_SOURCE/tests/npm/redocly.yaml" openapi.json >lint.out 2>&1 &&
    ! grep -i "warning" lint.out
'

test_expect_success PROMTOOL 'promtool finds nothing' '
    api GET /metrics | promtool check metrics
'

test_expect_success 'a proxy that checks both sides stands between' '
    proxy_port=$(free_port) &&
    server_url=$BERTH_URL &&
    { "$tools/prism" proxy openapi.json "$server_url" --errors --port "$proxy_port" >prism.log 2>&1 & proxy=$!; } &&
    BERTH_URL=http://127.0.0.1:$proxy_port &&
    export BERTH_URL &&
    await 30 curl -sf "$BERTH_URL/healthz"
'

key=$(sed -n 's/^ *key: *//p' "$HOME/.config/berth/config.yaml" | tail -n 1 | tr -d '"')

# checked STATUS METHOD PATH [CURL OPTIONS...]
checked() {
    local want=$1 method=$2 path=$3 type=application/json
    shift 3
    [ "$method" = PATCH ] && type=application/merge-patch+json
    case $path in */blobs/missing | */blobs/fetch) ;; */blobs/*) type=application/octet-stream ;; */workspaces) type=text/plain ;; esac
    curl -sS -o body -w '%{http_code}' -X "$method" -H "Authorization: Bearer $key" \
        -H "Content-Type: $type" "$@" "$BERTH_URL$path" >status &&
        [ "$(cat status)" = "$want" ] && return
    echo "$method $path: $(cat status), not $want: $(cat body)"
    return 1
}

test_expect_success 'the server about itself' '
    checked 200 GET /healthz && checked 200 GET /readyz && checked 200 GET /v1/version &&
    checked 200 GET /v1/whoami && checked 200 GET /v1/flavors && checked 200 GET /v1/nodes &&
    checked 200 GET "/v1/nodes/$(jq -r ".items[0].name" body)" &&
    checked 200 GET /metrics && checked 200 GET /openapi.json
'

test_expect_success 'a merge patch is described as one: null is allowed, and removes' '
    checked 200 GET /openapi.json && cp body openapi &&
    jq -e ".components.schemas | [.tag_patch, .job_patch] | map(.properties.tags.anyOf) |
        all(any(.additionalProperties.anyOf? | tostring | contains(\"null\")))" openapi &&
    jq -e ".components.schemas.job_patch.properties.priority.anyOf | any(.type == \"null\")" openapi &&
    jq -e ".components.schemas.tag_patch.required == null" openapi &&
    checked 200 PATCH /v1/projects/lab -H "If-Match: *" -d "{\"tags\":{\"a\":\"b\",\"gone\":null}}" &&
    checked 200 PATCH /v1/projects/lab -H "If-Match: *" -d "{\"tags\":{\"a\":null}}" && jq -e ".tags == {}" body
'

test_expect_success 'tenants' '
    checked 200 GET /v1/projects && checked 200 GET /v1/projects/lab &&
    checked 201 POST /v1/projects -d "{\"name\":\"more\"}" &&
    checked 409 POST /v1/projects -d "{\"name\":\"more\"}" &&
    checked 201 POST /v1/keys -d "{\"name\":\"k\",\"role\":\"viewer\",\"expires\":\"2099-01-01T00:00:00Z\"}" &&
    checked 200 GET /v1/keys && checked 204 DELETE /v1/keys/k &&
    checked 200 PUT /v1/projects/lab/secrets/A -d "{\"value\":\"x\"}" &&
    checked 200 GET /v1/projects/lab/volumes && checked 200 GET /v1/projects/lab/volumes/storage &&
    checked 200 GET /v1/projects/lab/secrets && checked 204 DELETE /v1/projects/lab/secrets/A
'

test_expect_success 'a workspace' '
    sum=$(printf hello | sha256sum | cut -d" " -f1) &&
    checked 200 POST /v1/projects/lab/blobs/missing -d "{\"sums\":[\"$sum\"]}" &&
    checked 201 PUT "/v1/projects/lab/blobs/$sum" --data-binary hello &&
    checked 200 POST /v1/projects/lab/blobs/fetch -d "{\"sums\":[\"$sum\"]}" &&
    printf "f %s 5 a.txt\n" "$sum" >manifest &&
    checked 201 POST /v1/projects/lab/workspaces --data-binary @manifest &&
    workspace=$(jq -r .workspace body)
'

job=/v1/projects/lab/jobs/checked
test_expect_success 'a job from its submit to its end' '
    checked 200 POST /v1/projects/lab/jobs/plan -d "{\"command\":[\"true\"]}" &&
    checked 201 POST /v1/projects/lab/jobs -H "Idempotency-Key: one" -d "{\"name\":\"checked\",\"memory\":\"64Mi\",
        \"source\":{\"workspace\":\"$workspace\"},\"max_time\":\"1m\",\"tags\":{\"a\":\"b\"},\"ports\":[{\"name\":\"web\",\"port\":80}],
        \"command\":\"cp a.txt /artifacts/ && echo \\\"{\\\\\\\"chart\\\\\\\":\\\\\\\"loss\\\\\\\",\\\\\\\"y\\\\\\\":1}\\\"\"}" &&
    checked 200 GET $job && checked 200 GET $job/why &&
    curl -sN -m 30 -H "Authorization: Bearer $key" "$server_url$job/logs?follow=true" >/dev/null &&
    checked 200 GET $job && test "$(jq -r .state body)" = succeeded &&
    checked 200 GET $job/attempts && checked 200 GET $job/record &&
    checked 200 GET "$job/logs?tail=1" && checked 200 GET "$job/logs/search?text=ch" && checked 200 GET $job/charts && checked 200 GET $job/charts/loss &&
    checked 200 GET $job/artifacts && checked 200 GET $job/artifacts/a.txt && test "$(cat body)" = hello &&
    checked 206 GET $job/artifacts/a.txt -H "Range: bytes=1-2" &&
    checked 200 PATCH $job -H "If-Match: *" -d "{\"tags\":{\"c\":\"d\"}}" &&
    checked 200 GET "/v1/projects/lab/jobs?state=succeeded&tag=c&since=1h&limit=1" &&
    checked 200 GET /v1/projects/lab/queue && checked 200 GET "/v1/queue?state=queued" && checked 200 GET "/v1/projects/lab/events?job=checked" &&
    checked 204 DELETE $job && checked 404 GET $job
'

test_expect_success 'a job that is stopped' '
    checked 201 POST /v1/projects/lab/jobs -d "{\"name\":\"long\",\"command\":[\"sleep\",\"60\"]}" &&
    checked 202 POST /v1/projects/lab/jobs/long/stop -d "{\"grace\":1}" &&
    checked 409 POST /v1/projects/lab/jobs/long/signal -d "{\"signal\":\"USR1\"}"
'

test_expect_success 'the command line through the proxy' '
    berth job list -o json | jq -e ".items[0].name" &&
    berth flavor list >/dev/null && berth queue >/dev/null
'

test_expect_success 'nothing was said that is not described' '
    kill $proxy &&
    ! grep -i "violation" prism.log
'

test_done
