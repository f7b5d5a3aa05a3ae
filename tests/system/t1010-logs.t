#!/bin/sh
test_description='berth logs: whole, in part, as it grows, over a restart of the server'
. "$(dirname "$0")/lib.sh"
berth_start

test_expect_success 'a log in part' '
    berth run --source none -n count -- seq 0 99 >whole &&
    berth logs count >out && test_cmp whole out &&
    berth logs --tail 3 count >out && seq 97 99 | test_cmp - out &&
    berth logs --since-line 95 count >out && seq 95 99 | test_cmp - out &&
    berth logs --since-line 10 --lines 2 count >out && seq 10 11 | test_cmp - out
'

test_expect_success 'stdout and stderr, each alone' '
    berth run --source none -n two -- sh -c "printf a; printf B >&2; sleep 0.1; echo c; echo D >&2; seq 3; sleep 0.1; echo E >&2" >/dev/null &&
    printf "ac\n1\n2\n3\n" >expected && berth logs --stream stdout two >out && test_cmp expected out &&
    printf "BD\nE\n" >expected && berth logs --stream stderr two >out && test_cmp expected out && berth logs -f --stream stderr two >out && test_cmp expected out &&
    berth logs --stream stderr --tail 1 two >out && echo E | test_cmp - out && berth logs --stream stdout --since-line 1 --lines 2 two >out && seq 2 | test_cmp - out &&
    berth logs --stream stdout --search 3 two >out && echo "3: 3" | test_cmp - out &&
    test_expect_code 2 berth logs --stream other two
'

test_expect_success DIRECT 'bytes come as they were written' '
    berth run --source none -n bytes -d --wait -- printf "a\377\tb\r\033[1mc" >id &&
    berth logs bytes >out &&
    printf "a\377\tb\r\033[1mc" | cmp - out
'

test_expect_success 'a large log comes whole' '
    berth run --source none -n large -d --wait -- seq 1 1000000 &&
    berth logs large | md5sum >out &&
    seq 1 1000000 | md5sum >expected &&
    test_cmp expected out
'

test_expect_success 'a long line that is followed comes whole' '
    berth run --source none -- sh -c "head -c 300000 /dev/zero | tr \"\\\\0\" x; echo; echo end" >out &&
    test "$(wc -c <out)" -eq 300005 &&
    test "$(wc -l <out)" -eq 2
'

test_expect_success 'following goes on over a restart of the server: each line once' '
    mkfifo go &&
    berth run --source none -n long -d -- sh -c "for i in \$(seq 1 300); do echo line \$i; sleep 0.02; done" &&
    berth logs -f long >out 2>err &
    follower=$! &&
    await 20 grep -q "line 20" out &&
    berth_kill &&
    berth_server &&
    wait $follower &&
    seq -f "line %g" 1 300 >expected &&
    test_cmp expected out
'

test_expect_success 'the log of each attempt' '
    test_expect_code 1 berth run --source none -n again --retries 1 --backoff 0 -- \
        sh -c "echo attempt \$BERTH_ATTEMPT; exit 1" >out &&
    printf "attempt 1\nattempt 2\n" >expected &&
    test_cmp expected out &&
    berth logs --attempt 1 again >out &&
    echo "attempt 1" >expected &&
    test_cmp expected out
'

test_expect_success 'search names the lines that have a text, over pages' '
    berth run --source none --name found -- sh -c "seq 1 30000; echo Needle; printf \"no line feed: NEEDLE\"" >/dev/null &&
    berth logs --search Needle found >got && echo "30000: Needle" >want && test_cmp want got &&
    berth logs --search 00 --lines 2 found >got && printf "99: 100\n199: 200\n" >want && test_cmp want got &&
    berth logs --search 9 found | wc -l >got && seq 1 30000 | grep -c 9 >want && test_cmp want got &&
    berth logs --search needle found >got; test $? -eq 1 && test ! -s got &&
    api GET "/v1/projects/lab/jobs/found/logs/search?text=needle&any_case=true" >got &&
    jq -c "[.items[].line], .next" got >lines && printf "[30000,30001]\nnull\n" >want && test_cmp want lines &&
    test_expect_code 2 berth logs --search x --follow found
'

test_expect_success 'a range says which lines it has' '
    api GET "/v1/projects/lab/jobs/found/logs?from=10&limit=5" -D head -o body && grep "^Berth-Lines: 10-14/30002" head &&
    api GET "/v1/projects/lab/jobs/found/logs?tail=1" -D head -o body && grep "^Berth-Lines: 30001-30001/30002" head &&
    api GET "/v1/projects/lab/jobs/found/logs?from=40000" -D head -o body && grep "^Berth-Lines: none/30002" head
'

test_done
