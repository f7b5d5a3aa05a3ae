#!/bin/sh
test_description='kill -9 of the server at any moment: nothing is lost, doubled or forgotten'
. "$(dirname "$0")/lib.sh"

: "${BERTH_KILLS:=50}"
berth_start

# A job whose whole life is known in advance: ten lines, one result, one exit code.
job() {
    local pause=$(($1 % 7)) code=$(($1 % 4))
    cat <<END
{"name": "t$1", "cpus": 1, "command": "for k in 0 1 2 3 4 5 6 7 8 9; do echo job $1 line \$k; sleep 0.0$pause; done; echo result $1 >/artifacts/r; echo once >>/storage/ran-$1; exit $code"}
END
}

# The key makes it safe to ask again until an answer comes, whatever became of the server meanwhile.
submit() {
    job "$1" >"job-$1.json"
    api POST /v1/projects/lab/jobs -f -H "Idempotency-Key: torture-$1" --max-time 5 \
        --data-binary @"job-$1.json" >"answer-$1.json" 2>/dev/null
}

submit_until_accepted() { await 60 submit "$1"; }

all_final() {
    api GET '/v1/projects/lab/jobs?limit=1000' >all.json &&
        [ "$(jq '[.items[] | select(.state == "succeeded" or .state == "failed")] | length' all.json)" = "$BERTH_KILLS" ]
}

# One round: a submit is under way while the server is killed and started again.
kill_during_submit() {
    submit_until_accepted "$1" &
    local submitter=$!
    sleep "0.0$(($1 * 7 % 10))$(($1 * 3 % 10))"
    berth_kill
    berth_server && wait $submitter
}

kill_many_times() {
    local i=0
    while [ $i -lt "$BERTH_KILLS" ]; do
        i=$((i + 1))
        kill_during_submit $i || return 1
    done
}

test_expect_success "the server is killed $BERTH_KILLS times while jobs are submitted and run" kill_many_times

test_expect_success 'every accepted job comes to its end' '
    await 120 all_final ||
    { jq -r ".items[] | [.name, .state, .reason] | @tsv" all.json >&2; false; }
'

test_expect_success 'each ran once, with its own exit code, whole log and artifact' '
    i=0 bad=0 &&
    while [ $i -lt $BERTH_KILLS ]; do
        i=$((i + 1))
        code=$((i % 4))
        jq -e --arg n t$i --argjson c $code \
            "[.items[] | select(.name == \$n)] | length == 1 and .[0].exit_code == \$c and .[0].attempts == 1" \
            all.json >/dev/null || { echo "# t$i: $(jq -c ".items[] | select(.name == \"t$i\") | [.state, .exit_code, .attempts, .reason]" all.json)"; bad=1; }
        berth logs t$i >log || bad=1
        for k in 0 1 2 3 4 5 6 7 8 9; do echo "job $i line $k"; done >want
        test_cmp want log || bad=1
        berth artifact get t$i r --to got-$i >/dev/null || bad=1
        echo "result $i" >want
        test_cmp want got-$i/r || bad=1
    done &&
    [ $bad -eq 0 ]
'

make_room() {
    berth run --detach --source none --name room --cpus 1 --preemptible --checkpoint-signal USR1 -- sh -c 'trap "sleep 0.5; echo \$((\$(cat /artifacts/step 2>/dev/null) + 1)) >/artifacts/step; exit 0" USR1
        [ "$(cat /artifacts/step 2>/dev/null)" != 2 ] || exit 0; echo set; while :; do sleep 0.05; done' >/dev/null
    for attempt in 1 2; do
        await 30 sh -c "berth logs --attempt $attempt room | grep set" && berth job preempt room || return 1
        berth_kill
        [ $attempt = 1 ] || sleep 1 # it has ended meanwhile
        berth_server || return 1
    done
    berth job wait room && berth job show room -o json | jq -e '.attempts == 3 and .preemptions == 2'
}
test_expect_success 'a job that makes room while the server is killed has its checkpoint and goes on' make_room

test_expect_success 'rows are the fold of events' '
    berth_stop && berth store verify
'

test_done
