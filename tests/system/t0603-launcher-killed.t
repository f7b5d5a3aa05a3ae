#!/bin/sh
test_description='kill -9 of what is root beside the server: it ends with a word, jobs go on, the next server has all'
. "$(dirname "$0")/lib.sh"

: "${BERTH_LAUNCHER_KILLS:=6}"
berth_start

child() { pgrep -P "$berth_pid" -x "$1"; }
state_is() { [ "$(api GET "/v1/projects/lab/jobs/$1" | jq -r .state)" = "$2" ]; }

# It ends by itself, and not well: a service manager starts it again.
server_ended() {
    wait "$berth_pid"
    code=$?
    berth_pid=
    test $code -eq 1
}

test_expect_success 'a job runs' '
    berth run --source none --detach --name long --flavor cpu.shared -- sh -c \
        "trap \"echo asked to end; exit 9\" TERM; for i in \$(seq 100000); do echo line \$i; sleep 0.01; done" &&
    await 20 sh -c "berth logs --tail 1 long | grep line" && state_is long running
'

test_expect_success 'the launcher is killed: the server says so and ends' '
    kill -KILL "$(child berth-launcher)" && server_ended &&
    grep "the launcher ended; running containers go on, start the server again" "$BERTH_TEST/server.log"
'

test_expect_success 'the job goes on without a server, and the next one takes it up' '
    log=$(echo "$BERTH_STATE"/attempts/*/log) && lines=$(wc -l <"$log") &&
    await 20 sh -c "test \$(wc -l <\"$log\") -gt $((lines + 20))" &&
    berth_server && state_is long running && berth exec long -- true
'

# Lives of which all is known.
submit() {
    api POST /v1/projects/lab/jobs -f -H "Idempotency-Key: k$1" --max-time 5 -d \
        "{\"name\": \"t$1\", \"flavor\": \"cpu.shared\", \"command\": \"echo once >>/storage/t$1; exit $(($1 % 3))\"}" >answer-$1
}
submit_until_accepted() { await 60 submit "$1"; }

kill_during_submit() {
    submit_until_accepted "$1" &
    local submitter=$!
    sleep "0.0$(($1 * 13 % 60))"
    kill -KILL "$(child berth-launcher)" && server_ended && berth_server && wait $submitter
}

test_expect_success "the launcher is killed $BERTH_LAUNCHER_KILLS times while jobs are submitted and begin" '
    for i in $(seq "$BERTH_LAUNCHER_KILLS"); do kill_during_submit $i || return 1; done
'

all_final() {
    api GET "/v1/projects/lab/jobs?limit=1000" >all.json &&
        test "$(jq "[.items[] | select(.name | startswith(\"t\")) | select(.ended)] | length" all.json)" = "$BERTH_LAUNCHER_KILLS"
}

test_expect_success 'every accepted job ran once, with its exit code' '
    await 60 all_final && for i in $(seq "$BERTH_LAUNCHER_KILLS"); do
        jq -e ".items[] | select(.name == \"t$i\") | .attempts == 1 and .exit_code == $((i % 3))" all.json ||
            { jq -c ".items[] | select(.name == \"t$i\")" all.json; return 1; }
        test "$(cat "$BERTH_STATE"/projects/*/storage/t$i)" = once || return 1
    done
'

test_expect_success 'the same for what unpacks images' '
    kill -KILL "$(child berth-layers)" && server_ended &&
    grep "what unpacks images ended" "$BERTH_TEST/server.log" && berth_server
'

test_expect_success 'the job hears the new launcher'\''s server, and its log is whole' '
    berth stop --wait long && state_is long stopped &&
    berth logs long >log && tail -n 1 log | grep "asked to end" &&
    sed \$d log >lines && seq -f "line %.0f" "$(wc -l <lines)" | test_cmp - lines &&
    test "$(api GET /v1/projects/lab/jobs/long | jq .attempts)" = 1
'

test_done
