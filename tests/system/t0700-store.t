#!/bin/sh
test_description='berth store: prove what is stored, and copy it while the server runs'
. "$(dirname "$0")/lib.sh"

# sql DATABASE STATEMENT
sql() {
    /usr/bin/python3 -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute(sys.argv[2]); d.commit()' "$@"
}

berth_start

test_expect_success 'jobs end, one of them with a result' '
    berth run --source none --name kept -- sh -c "echo 1 >/artifacts/one" &&
    test_expect_code 3 berth run --source none --name broken -- sh -c "exit 3"
'

test_expect_success 'a running server keeps its database to itself, and is named' '
    test_expect_code 1 berth store verify 2>refused &&
    grep "in use by another server (process $berth_pid)" refused
'

test_expect_success 'a backup is made beside it, for its owner alone, and never over a file' '
    berth store backup "$PWD/copy.db" &&
    test "$(stat -c %a copy.db)" = 600 &&
    test_expect_code 1 berth store backup "$PWD/copy.db" 2>exists &&
    grep "File exists" exists
'

test_expect_success 'a second server on the same state is refused' '
    test_expect_code 1 berth server --listen "127.0.0.1:$(free_port)" >second.log 2>&1 &&
    grep -E "in use|another server" second.log
'

test_expect_success 'rows are the fold of their events' '
    berth_stop &&
    berth store verify >verified &&
    grep whole verified
'

test_expect_success 'verify leaves nothing that the server cannot open' '
    test "$(stat -c %U "$BERTH_STATE/berth.db.lock")" = "$(stat -c %U "$BERTH_STATE")" &&
    berth_server && berth_stop
'

test_expect_success 'a changed row is found' '
    cp "$BERTH_STATE/berth.db" good.db &&
    sql "$BERTH_STATE/berth.db" "UPDATE workloads SET name = \"other\" WHERE name = \"kept\"" &&
    sql "$BERTH_STATE/berth.db" "DELETE FROM blob_refs" &&
    test_expect_code 1 berth store verify >found &&
    grep "the row differs from its events" found &&
    grep "artifact one is not referenced" found
'

test_expect_success 'changed tags of what has no record are found, too' '
    cat copy.db >"$BERTH_STATE/berth.db" && berth_server && node=$(berth node list -o name) &&
    berth project update lab --tag team=nlp && berth node update "$node" --tag rack=7 && echo v | berth secret set A --tag a=1 &&
    berth key create k --role viewer --tag a=1 >/dev/null && berth key delete k && berth org update acme --tag a=1 &&
    berth org update acme --untag a && berth_stop && berth store verify && cp "$BERTH_STATE/berth.db" tagged.db &&
    sql "$BERTH_STATE/berth.db" "UPDATE tags SET record = replace(record, \"nlp\", \"vision\")" &&
    test_expect_code 1 berth store verify >found && grep "tags of .* the row differs from its events" found &&
    cat tagged.db >"$BERTH_STATE/berth.db" && sql "$BERTH_STATE/berth.db" "DELETE FROM tags" &&
    test_expect_code 1 berth store verify >found && grep "3 rows of tags that events tell of are missing" found
'

test_expect_success 'the backup brings the jobs back' '
    cat copy.db >"$BERTH_STATE/berth.db" &&
    berth_server &&
    berth job show kept -o json | jq -e ".state == \"succeeded\"" &&
    berth_stop &&
    berth store verify
'

test_expect_success 'a database of a newer Berth is refused' '
    sql "$BERTH_STATE/berth.db" "PRAGMA user_version = 99" &&
    test_expect_code 1 berth server --listen "127.0.0.1:$(free_port)" >newer.log 2>&1 &&
    grep "newer than this Berth knows" newer.log
'

test_expect_success 'where there is no database none is made' '
    mkdir nowhere &&
    test_expect_code 1 berth store verify --state "$PWD/nowhere" &&
    test -z "$(ls -A nowhere)"
'

test_done
