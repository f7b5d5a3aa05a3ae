#!/bin/sh
test_description='a job that is stopped at any moment of its start is stopped, and leaves nothing'
. "$(dirname "$0")/lib.sh"
berth_start

: "${BERTH_STOPS:=24}"

# The pause before the stop grows from none to past the start of the command.
test_expect_success "$BERTH_STOPS jobs are stopped during their start" '
    i=0 &&
    while [ $i -lt $BERTH_STOPS ]; do
        i=$((i + 1))
        api POST /v1/projects/lab/jobs -f -d "{\"name\": \"s$i\", \"flavor\": \"cpu.shared\", \"command\": [\"sleep\", \"300\"]}" >job.json &&
        id=$(jq -r .id job.json) &&
        sleep 0.$(printf %03d $((i * 7))) &&
        api POST /v1/projects/lab/jobs/$id/stop -f -d "{\"grace\": 1}" >stop.json || return 1
    done
'

all_stopped() {
    api GET '/v1/projects/lab/jobs?limit=1000' >all.json &&
        jq -e "[.items[] | select(.state == \"stopped\")] | length == $BERTH_STOPS" all.json
}

test_expect_success 'each of them is stopped' '
    await 60 all_stopped ||
    { jq -r ".items[] | [.name, .state, .cause, .reason] | @tsv" all.json >&2; false; }
'

test_expect_success 'none of them has anything left' '
    jq -r ".items[].id" all.json | while read -r id; do
        api GET /v1/projects/lab/jobs/$id/attempts | jq -r ".items[].id"
    done >attempts &&
    test -z "$(grep -lsFf attempts /proc/[0-9]*/cgroup)" &&
    hostname=$(hostname) && berth node show $hostname -o json | jq -e ".use.tasks == 0"
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
