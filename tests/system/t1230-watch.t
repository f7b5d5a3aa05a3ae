#!/bin/sh
test_description='edit, and it runs again: berth run --watch'
. "$(dirname "$0")/lib.sh"
berth_start

# seen N TEXT: the runs printed TEXT N times
seen() { [ "$(grep -c -x "$2" out)" -eq "$1" ]; }
says() { grep -q "$1" err; }
# edit FILE TEXT: whole at once, as editors do
edit() { echo "$2" >.edit && mv .edit "$1"; }
live() { berth job list -o json | jq "[.items[] | select(.state == \"running\")] | length"; }

mkdir app app/lib app/logs
echo 'import lib.words, time; print(lib.words.WORD, flush=True); time.sleep(600)' >app/main.py
echo 'WORD = "one"' >app/lib/words.py
printf 'logs/\n*.tmp\n' >app/.gitignore
head -c 3000000 /dev/urandom >app/weights

test_expect_success 'a run begins and is watched' '
    { berth run --watch --source app --name again -- python3 main.py >out 2>err & watch=$!; } &&
    await 20 seen 1 one
'

test_expect_success 'a change stops it and runs again, with what has changed alone' '
    edit app/lib/words.py "WORD = \"two\"" &&
    await 20 seen 1 two &&
    grep "^changed   lib/words.py$" err && grep " 1 sent (13 B)" err &&
    grep "^running .* s after the change$" err &&
    grep "^stopped " err && test "$(live)" = 1
'

test_expect_success 'new directories and deletions are changes too' '
    mkdir -p app/new/deep && await 5 sh -c "berth job list -o json | jq -e \".items | length == 2\"" &&
    edit app/new/deep/file x && await 20 says "^changed   + new/deep/file$" && await 20 seen 2 two &&
    rm app/new/deep/file && await 20 says "^changed   - new/deep/file$" && await 20 seen 3 two
'

test_expect_success 'what is ignored is not: then a change proves that it was looked at' '
    echo x >app/logs/1 && echo y >app/swap.tmp && echo z >app/logs/1 &&
    edit app/lib/words.py "WORD = \"three\"" && await 20 seen 1 three &&
    test "$(grep -c ^changed err)" = 4 && ! grep -E "logs|tmp" err
'

test_expect_success 'many changes at once are one' '
    for i in 1 2 3 4 5 6 7 8 9; do echo $i >app/f$i; done &&
    await 20 says "^changed   + f1, + f2, .* and 3 more$" && await 20 seen 2 three
'

test_expect_success 'a program that fails is waited for' '
    edit app/lib/words.py "WORD = \"" && await 20 says "^failed .* exit code 1" && await 20 says "^watching " &&
    edit app/lib/words.py "WORD = \"four\"" && await 20 seen 1 four
'

test_expect_success 'the server is killed: the watch goes on' '
    berth_kill && edit app/lib/words.py "WORD = \"five\"" && await 20 says "trying again" &&
    berth_server && await 20 seen 1 five
'

test_expect_success 'Ctrl-C stops the run and ends' '
    kill -INT $watch && test_expect_code 130 wait $watch && test "$(live)" = 0 &&
    berth job list -o json | jq -e ".items | map(.state) | index(\"running\") == null"
'

test_expect_success 'a run that is let finish: only then the next' '
    echo "import time, os; print(\"begin\", flush=True)
while not os.path.exists(\"/artifacts/go\"): time.sleep(0.02)
print(\"end\", flush=True)" >app/main.py &&
    { berth run --watch --on-change wait --source app --name wait -- python3 main.py >out 2>err & watch=$!; } &&
    await 20 seen 1 begin && edit app/f1 x && await 20 says "runs again when this run has ended" &&
    seen 0 end && echo | berth cp - wait:/artifacts/go && await 20 seen 2 begin && seen 1 end &&
    kill -TERM $watch && test_expect_code 143 wait $watch && test "$(live)" = 0
'

test_expect_success 'what cannot be watched is refused' '
    test_expect_code 2 berth run --watch --source none -- true 2>err && grep "needs a directory" err &&
    test_expect_code 2 berth run --watch --detach --source app -- true 2>err && grep "not with --detach" err &&
    test_expect_code 2 berth run --on-change wait --source app -- true 2>err && grep "needs --watch" err &&
    test_expect_code 2 berth run --watch --on-change later --source app -- true 2>err && grep "stop or wait" err
'

test_done
