#!/bin/sh
test_description='a job of higher priority has those of lower make room, and they go on from what they saved'
. "$(dirname "$0")/lib.sh"

BERTH_GUARANTEED_TIME=0s
export BERTH_GUARANTEED_TIME
berth_start
cores=$(nproc)

submit() { # NAME [FLAG...] -- COMMAND
    local name=$1
    shift
    berth run --detach --source none --name "$name" "$@" >/dev/null
}
# Counts how often it was asked to save its state, which takes it half a second; it is done after two times.
low() {
    submit low --preemptible --cpus "$cores" --checkpoint-signal USR1 -- sh -c '
        n=$(cat /artifacts/n 2>/dev/null || echo 0); echo "from $n"; [ $n -lt 2 ] || exit 0
        trap "sleep 0.5; echo $((n + 1)) >/artifacts/n; exit 0" USR1; while :; do sleep 0.05; done'
}
says() { berth logs low --attempt "$1" | grep -x "$2"; }
has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
why_says() { berth why "$1" >why && grep "$2" why; }

test_expect_success 'it is told for whom, saves its state and stops; the other begins' '
    low && await 20 says 1 "from 0" && submit high --cpus 1 --priority 5 -- sleep 600 &&
    await 20 why_says low "stopping: it makes room for job high" &&
    await 20 has high ".state == \"running\"" &&
    why_says low "queued: it was preempted for job high and goes on when it can: needs $cores core" &&
    berth ps >ps && grep "^NAME .*PREEMPTED" ps && grep "^low  *queued  *1  *1 " ps &&
    id=$(berth job show high -o json | jq -r .id) &&
    berth event list --job low -o json |
        jq -e ".items[] | select(.type == \"job.stop_requested\") | .data.for == \"$id\" and .data.cause == \"preempted\""
'
test_expect_success 'it goes on from there when there is room again' '
    berth stop --grace 0 high && await 20 says 2 "from 1" && says 1 "from 0" &&
    berth job show low >shown && grep "^attempt  *2, .*preempted 1 time$" shown && grep "^state  *running, began [^:]*$" shown
'
test_expect_success 'a server that is killed meanwhile stops nobody twice and forgets nobody' '
    submit next --cpus 1 --priority 5 -- sleep 0.2 && await 20 has low ".state == \"stopping\"" &&
    berth_kill && berth_server && berth job wait next && berth job wait low && says 3 "from 2" &&
    has low ".attempts == 3 and .preemptions == 2 and .state == \"succeeded\"" && has next ".attempts == 1"
'
test_expect_success 'nobody is stopped before its time, nor who did not agree' '
    BERTH_GUARANTEED_TIME=1h && berth_stop && berth_server &&
    submit soft --preemptible --cpus 1 -- sleep 600 && await 20 has soft ".state == \"running\"" &&
    submit waits --cpus "$cores" --priority 5 -- true && why_says waits "queued: needs $cores core" &&
    has soft ".state == \"running\"" && berth stop --grace 0 --wait waits soft &&
    berth_stop && berth store verify
'
test_done
