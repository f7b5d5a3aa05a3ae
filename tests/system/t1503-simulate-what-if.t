#!/bin/sh
test_description='what the scheduler knows can be saved, and asked what would be if'
. "$(dirname "$0")/lib.sh"

berth_start

test_expect_success 'jobs run and wait' '
    cores=$(berth node list -o json | jq "[.items[].cores | length] | add") &&
    berth run --detach --source none --name runs --cpus "$cores" --max-time 1h -- sleep 1000 >/dev/null &&
    await 20 sh -c "berth why runs | grep -q \"it runs on\"" &&
    berth run --detach --source none --name waits --cpus 1 --env SECRET=hidden -- echo what-it-does >/dev/null
'
test_expect_success 'a snapshot holds machines and jobs, and nothing of what they do; it is for operators' '
    berth scheduler snapshot live.json && test "$(stat -c %a live.json)" = 600 &&
    jq -e ".format == 1 and (.nodes | length) == 1 and ([.jobs[].name] == [\"runs\", \"waits\"]) and
        .jobs[0].started_us > 0 and (.jobs[0].allocations | length) == 1 and .jobs[1].started_us == null and
        .jobs[0].asks.max_time == 3600" live.json &&
    ! grep -E "hidden|what-it-does|sleep" live.json &&
    berth scheduler snapshot | jq -e ".jobs | length == 2" &&
    berth key create looks --role viewer -o json | jq -r .key >key &&
    BERTH_KEY=$(cat key) test_expect_code 4 berth scheduler snapshot
'

test_done
