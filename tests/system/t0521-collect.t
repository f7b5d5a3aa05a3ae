#!/bin/sh
test_description='files that no job needs any more are removed from the disk, and no others'
. "$(dirname "$0")/lib.sh"
berth_start --collect-interval 1s --collect-grace 2s

blob_of() { s=$(sha256sum "$1" | cut -d' ' -f1) && echo "$BERTH_STATE/blobs/$(echo "$s" | cut -c1-2)/$(echo "$s" | cut -c3-)"; }
is_there() { [ -e "$(blob_of "$1")" ]; }
is_gone() { ! is_there "$1"; }
trees() { find "$BERTH_STATE/trees" -mindepth 1 -maxdepth 1 | wc -l; }
has_no_trees() { [ "$(trees)" = 0 ]; }
has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }

test_expect_success 'two jobs share a file; each has one of its own, and a result' '
    mkdir one two && echo both | tee one/both >two/both && echo one >one/own && echo two >two/own &&
    echo "result of one" >result-one && echo "result of two" >result-two &&
    (cd one && berth run --flavor cpu.shared --name one -- sh -c "cat both own && echo result of one >/artifacts/r") &&
    (cd two && berth run --flavor cpu.shared --name two -- sh -c "cat both own && echo result of two >/artifacts/r") &&
    for f in one/both one/own two/own result-one result-two; do is_there $f || return 1; done &&
    [ $(trees) = 2 ]
'

test_expect_success 'a job that runs has its files all the time' '
    mkdir run && seq 200 >run/numbers &&
    (cd run && berth run --detach --flavor cpu.shared --name run -- sh -c "until [ -e /storage/go ]; do sleep 0.05; done; wc -l <numbers") &&
    await 20 has run ".state == \"running\""
'

test_expect_success 'deleting one removes what it alone had' '
    berth job delete one && await 30 is_gone one/own && await 30 is_gone result-one &&
    is_there two/own && is_there one/both && is_there result-two && is_there run/numbers
'

test_expect_success 'what is gone is sent again' '
    (cd one && berth run --flavor cpu.shared --name again -- cat both own) >out &&
    grep -qx one out && grep -qx both out
'

test_expect_success 'the other still has all' '
    berth artifact get two r --to got && test_cmp result-two got/r &&
    : >"$(echo "$BERTH_STATE"/projects/*/storage)/go" && await 20 has run ".state == \"succeeded\"" &&
    berth logs run | grep -qx 200
'

test_expect_success 'without jobs nothing is left' '
    for j in two again run; do berth job delete $j || return 1; done &&
    for f in one/both one/own two/own result-two run/numbers; do await 30 is_gone $f || return 1; done &&
    await 30 has_no_trees
'

test_expect_success 'the log says what was removed; rows are the fold of events' '
    grep "removed what nobody needs" "$BERTH_TEST/server.log" >/dev/null &&
    berth_stop && berth store verify
'

test_done
