#!/bin/sh
test_description='a deleted job leaves nothing on the disk, whenever the server is killed'
. "$(dirname "$0")/lib.sh"
berth_start

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
# Everything on the disk that is named after a job or one of its attempts, outside of the database.
files_of() { find "$BERTH_STATE" -name "$1*" -print; }
ids_of() { { berth job show "$1" -o json | jq -r .id; berth job attempts "$1" -o json | jq -r '.items[].id'; } }
is_gone() {
    for id in $(cat "$1"); do
        [ -z "$(files_of "$id")" ] || return 1
    done
}
trash_is_empty() { [ -z "$(ls "$BERTH_STATE/trash")" ]; }
launcher_pid() { pgrep -P "$berth_pid" -x berth-launcher; }

test_expect_success 'a job of two attempts leaves logs and results' '
    berth run --detach --source none --flavor cpu.shared --name first --retries 1 --backoff 0s -- \
        sh -c "echo try; mkdir -p /artifacts/a/b; echo \$BERTH_ATTEMPT >/artifacts/a/b/c; exit 1" &&
    await 20 has first ".state == \"failed\" and .attempts == 2" &&
    ids_of first >first && [ $(wc -l <first) = 3 ] &&
    for id in $(cat first); do [ -n "$(files_of $id)" ] || return 1; done
'

test_expect_success 'another one, which is kept' '
    berth run --source none --flavor cpu.shared --name kept -- sh -c "echo kept >/artifacts/r" &&
    ids_of kept >kept
'

test_expect_success 'deleted, nothing is left of the one' '
    berth job delete first && await 20 is_gone first && await 20 trash_is_empty &&
    test_must_fail berth logs first
'

test_expect_success 'and all of the other' '
    berth artifact get kept r --to got && grep -qx kept got/r &&
    for id in $(cat kept); do [ -n "$(files_of $id)" ] || return 1; done
'

test_expect_success 'a server that is killed after the answer removes it at its next start' '
    berth run --source none --flavor cpu.shared --name second -- sh -c "echo >/artifacts/r" &&
    ids_of second >second && launcher=$(launcher_pid) && kill -STOP $launcher &&
    berth job delete second && ! is_gone second &&
    berth_kill && kill -KILL $launcher &&
    berth_server && await 20 is_gone second && await 20 trash_is_empty
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
