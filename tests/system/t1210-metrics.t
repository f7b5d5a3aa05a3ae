#!/bin/sh
test_description='what jobs use of their hardware, and which resource limits them'
. "$(dirname "$0")/lib.sh"
berth_start

rule_of() { berth job show "$1" -o json | jq -r .limit.rule; }
is_limited_by() { [ "$(rule_of "$1")" = "$2" ]; }

# Something else keeps the job's core busy: what the job itself waits for cannot be seen then.
is_disturbed() {
    berth job metrics "$1" -o json |
        jq -e '(.live | length) > 5 and ([.live[-5:][].cores_others] | add / 5 > 0.3)' >/dev/null
}
is_limited_or_disturbed() { is_limited_by "$1" "$2" || is_disturbed "$1"; }

# busy NAME [FLAG...] -- COMMAND: detached
busy() {
    local name=$1
    shift
    berth run --detach --source none --name "$name" "$@" >/dev/null
}

test_expect_success 'a job that computes is limited by the CPU' '
    busy computes --cpus 1 --memory 256Mi -- sh -c "while :; do :; done" &&
    await 30 is_limited_by computes cpu &&
    berth why computes >why.out && grep "the CPU is the limit: [01].[0-9] of 1 core is busy" why.out &&
    berth job metrics computes -o json >computes.json &&
    jq -e ".cores == 1 and (.live | length) >= 2 and .live[-1].cores > 0.2" computes.json
'

test_expect_success 'top shows it, on paper and as JSON' '
    berth top >top.out && grep "computes" top.out && grep "^cores" top.out &&
    berth top -o json >top.json &&
    jq -e ".jobs[0].name == \"computes\" and .jobs[0].now.cores > 0.2 and .nodes[0].now.memory > 0" top.json
'

test_expect_success 'metrics for Prometheus name it' '
    api GET /metrics >metrics.out &&
    grep "^berth_job_cores_busy{project=\".*\",job=\".*\",name=\"computes\"} [01]" metrics.out &&
    { ! command -v promtool >/dev/null || promtool check metrics <metrics.out; }
'

test_expect_success 'points come as they are made, and the stream ends with the job' '
    api GET "/v1/projects/lab/jobs/computes/metrics?follow=true" -N --max-time 20 >stream.out &
    stream=$! &&
    await 20 sh -c "test \$(grep -c \"^data:.*cores\" stream.out) -ge 3" &&
    berth stop --grace 0 --wait computes && wait $stream &&
    grep "^event: limit" stream.out && grep "^event: end" stream.out
'

test_expect_success 'what it used is kept, thinned, and drawn' '
    berth job metrics computes -o json | jq -e "(.live | length) == 0 and (has(\"limit\") | not)" &&
    await 10 sh -c "berth job metrics computes -o json | jq -e \".history | length >= 1\"" &&
    berth job metrics computes >drawn && grep "cores, of 1" drawn
'

test_expect_success 'a job that fills its memory is limited by it' '
    busy fills --cpus 1 --memory 128Mi -- python3 -c "
import time
block = bytearray(118 << 20)
while True:
    for i in range(0, len(block), 4096): block[i] += 1 if block[i] < 255 else -255
    time.sleep(0.5)" &&
    await 30 is_limited_by fills memory &&
    berth why fills | grep "memory is the limit: .* of 128 MiB" &&
    berth stop --grace 0 --wait fills
'

test_expect_success 'a job that waits for the disk is limited by it' '
    busy writes --cpus 1 --memory 256Mi -- sh -c "
        while :; do dd if=/dev/zero of=/artifacts/x bs=1M count=64 oflag=direct,dsync 2>/dev/null; done" &&
    await 30 is_limited_or_disturbed writes io &&
    { is_disturbed writes ||
        berth why writes | grep "the disk is the limit: .* wait.* for it; it reads .*/s, writes [1-9].*/s"; } &&
    berth job metrics -o json writes | jq -e ".live[-1].write > 0" &&
    berth stop --grace 0 --wait writes
'

test_expect_success 'a job that sleeps is limited by nothing here' '
    busy sleeps --cpus 1 --memory 64Mi -- sleep 600 &&
    await 30 is_limited_by sleeps waiting &&
    berth stop --grace 0 --wait sleeps
'

test_done
