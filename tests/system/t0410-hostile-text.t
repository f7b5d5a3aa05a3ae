#!/bin/sh
test_description='text that would be script elsewhere: every answer says what it is, and nothing takes it for a page'
. "$(dirname "$0")/lib.sh"
berth_start

cat >hostile.txt <<'END'
</script><script>alert(1)</script><img src=x onerror=alert(2)>"&'{{7*7}}
END
hostile=$(cat hostile.txt)
export hostile

# head_of PATH: the head of an answer to a browser with a key
key() { sed -n 's/^ *key: *//p' "$HOME/.config/berth/config.yaml" | tail -n 1 | tr -d '"'; }
head_of() {
    curl -sS -o body -D head.raw -H "Authorization: Bearer $(key)" -H 'Accept: text/html' --max-time "${2:-20}" "$BERTH_URL$1"
    tr -d '\r' <head.raw
}
is_inert() { # PATH TYPE [SECONDS]
    head_of "$1" "${3:-20}" >got
    grep -i "^X-Content-Type-Options: nosniff$" got && grep -i "^Content-Type: $2" got && ! grep -i "text/html" got
}

test_expect_success 'names are of letters, digits and hyphens, wherever one is given' '
    test_expect_code 2 berth run --source none --name "<b>x</b>" -- true 2>err && grep "name" err &&
    for body in "{\"name\":\"<i>\",\"command\":\"true\"}" "{\"command\":\"true\",\"ports\":[{\"name\":\"<i>\",\"port\":1}]}" \
        "{\"command\":\"true\",\"env\":{\"<i>\":\"x\"}}" "{\"command\":\"true\",\"flavor\":\"<i>\"}" \
        "{\"command\":\"true\",\"image\":\"<i>\"}" "{\"command\":\"true\",\"<i>\":1}"; do
        api POST /v1/projects/lab/jobs -d "$body" -D head -o body && grep "^HTTP/1.1 4" head &&
        grep -i "^Content-Type: application/problem+json" head && grep -i "nosniff" head || { echo "$body"; return 1; }
    done
'

test_expect_success 'a job with such text in its command, environment, tags, log, chart and artifact' '
    jq -n --arg h "$hostile" "{name: \"hostile\", command: [\"python3\", \"-c\", \"import json, os; h = os.environ[\\\"H\\\"]; print(h); print(json.dumps({\\\"chart\\\": h, \\\"x\\\": 1, \\\"y\\\": 2, h: h})); open(\\\"/artifacts/\\\" + h.replace(\\\"/\\\", \\\"_\\\") + \\\".html\\\", \\\"w\\\").write(h)\", \$h], env: {H: \$h}, tags: {note: \$h}}" >body.json &&
    api POST /v1/projects/lab/jobs --data-binary @body.json >answer && jq -r .id answer >id &&
    await 20 sh -c "berth job show hostile -o json | jq -e \".state == \\\"succeeded\\\"\"" &&
    berth logs hostile >log && head -n 1 log >first && printf "%s\n" "$hostile" | test_cmp - first &&
    berth job show hostile -o json | jq -r .tags.note >note && printf "%s\n" "$hostile" | test_cmp - note
'

test_expect_success 'what comes back is data of a named type, never a page' '
    id=$(cat id) && json=application/json text="text/plain; charset=utf-8" &&
    is_inert /v1/projects/lab/jobs $json && is_inert /v1/projects/lab/jobs/$id $json &&
    is_inert /v1/projects/lab/jobs/$id/why $json && is_inert /v1/projects/lab/jobs/$id/charts $json &&
    is_inert /v1/projects/lab/events $json && is_inert /v1/projects/lab/jobs/$id/artifacts $json &&
    is_inert "/v1/projects/lab/jobs/$id/logs" "$text" && is_inert "/v1/projects/lab/jobs/$id/logs?follow=1" text/event-stream 2 &&
    is_inert "/v1/projects/lab/jobs/$id/artifacts.tar" application/x-tar
'

test_expect_success 'an artifact that calls itself a page is bytes' '
    path=$(api GET /v1/projects/lab/jobs/hostile/artifacts | jq -r ".items[0].path | @uri") && test -n "$path" &&
    is_inert "/v1/projects/lab/jobs/hostile/artifacts/$path" application/octet-stream
'

test_expect_success 'what is not there repeats nothing as a page' '
    is_inert "/v1/projects/lab/jobs/%3Cscript%3Ealert(1)%3C%2Fscript%3E" application/problem+json &&
    is_inert "/%3Cscript%3E" application/problem+json && is_inert "/v1/projects/%3Cb%3E/jobs?state=%3Cb%3E" application/problem+json
'

test_expect_success 'a terminal gets no control characters of others' '
    esc=$(printf "\033]0;x\007\033[2J") &&
    jq -n --arg h "$esc" "{name: \"escapes\", command: [\"sh\", \"-c\", \"exit 3\", \$h], tags: {note: \$h}}" >body.json &&
    api POST /v1/projects/lab/jobs --data-binary @body.json >answer &&
    await 20 sh -c "berth job show escapes -o json | jq -e \".state == \\\"failed\\\"\"" &&
    { berth job show escapes; berth why escapes; berth ps -a; berth job list; berth queue; berth job record escapes; } >shown 2>&1 &&
    ! LC_ALL=C grep "$(printf "[\001-\010\033]")" shown
'

test_done
