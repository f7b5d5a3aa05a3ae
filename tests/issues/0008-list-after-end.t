#!/bin/sh
# A job was shown as ended before its end was committed, and a list asked for at once still had it running.
test_description='what was said of one job holds for the list of all'
. "$(dirname "$0")/../system/lib.sh"

berth_start

# One client asks for a job and for the list of what has not ended, by turns, on one connection, while the
# job ends; a contradiction is a turn in which the job had ended and was listed after that.
test_expect_success 'a job that was seen to end is in no list of what runs' '
    key=$(sed -n "s/^ *key: *//p" "$HOME/.config/berth/config.yaml" | tr -d "\"") &&
    jobs=$BERTH_URL/v1/projects/lab/jobs &&
    for i in $(seq 12); do
        id=$(berth run --source none -n "short-$i" -d -- true) &&
        for turn in $(seq 300); do
            printf "url = \"%s\"\nurl = \"%s\"\n" "$jobs/$id" "$jobs?state=starting,running"
        done >turns &&
        curl -sS -H "Authorization: Bearer $key" -K turns >>answers || return 1
    done &&
    jq -s "[range(0; length; 2) as \$i | select(.[\$i].state == \"succeeded\")
        | .[\$i].id as \$id | .[\$i + 1].items | any(.id == \$id)]
        | {ends: length, contradictions: map(select(.)) | length}" answers >found &&
    cat found && jq -e ".ends > 0 and .contradictions == 0" found
'

test_done
