#!/bin/sh
test_description='a command in a running job: output, exit code, input, terminal, record'
. "$(dirname "$0")/lib.sh"
berth_start

is_running() { berth job show "$1" -o json | jq -e '.state == "running"'; }

test_expect_success 'a job runs' '
    berth run --source none --detach --name work --env GREETING=hello -- sleep 600 &&
    await 20 is_running work
'

test_expect_success 'output, errors and the exit code are the command'\''s' '
    test_expect_code 7 berth exec work -- sh -c "echo out; echo err >&2; exit 7" >out 2>err &&
    echo out >want && test_cmp want out &&
    echo err >want && test_cmp want err &&
    test_expect_code 143 berth exec work -- sh -c "kill -TERM \$\$"
'

test_expect_success 'flags after the command are the command'\''s' '
    berth exec work ls -a / >out && grep -x "\.\." out
'

test_expect_success 'it sees what the job sees: processes, files, environment, directory' '
    berth exec work -- sh -c "echo \$GREETING \$BERTH_JOB_NAME; pwd; cat /proc/1/comm; cat /etc/hostname" >out &&
    printf "hello work\n/workspace\nsleep\nwork\n" >want && test_cmp want out &&
    test "$(berth exec --workdir /storage work -- pwd)" = /storage
'

test_expect_success 'it may do what the job may, and no more' '
    berth exec work -- sh -c "grep -E \"^(Cap|NoNewPrivs|Seccomp:|Uid|Groups)\" /proc/1/status" >job &&
    berth exec work -- sh -c "grep -E \"^(Cap|NoNewPrivs|Seccomp:|Uid|Groups)\" /proc/self/status" >own &&
    test_cmp job own &&
    berth exec work -- sh -c "cat /proc/1/cgroup" >job &&
    berth exec work -- sh -c "cat /proc/self/cgroup" >own && test_cmp job own &&
    for space in user mnt pid net ipc uts cgroup; do
        test "$(berth exec work -- readlink /proc/1/ns/$space)" = \
             "$(berth exec work -- readlink /proc/self/ns/$space)" || return 1
    done &&
    test_must_fail berth exec work -- unshare -U true &&
    berth exec work -- sh -c "ls /proc/self/fd" >out && test "$(wc -l <out)" -le 4
'

test_expect_success 'input comes when it is asked for' '
    echo hello | berth exec -i work -- cat >out && echo hello >want && test_cmp want out &&
    echo hello | berth exec work -- cat >out && test_must_be_empty out &&
    echo "echo from a shell" | berth exec work >out && grep "from a shell" out
'

test_expect_success '20 MB go through and come back' '
    head -c 20000000 /dev/urandom >big &&
    berth exec -i work -- cat <big >back && cmp big back
'

test_expect_success 'what cannot be run says why' '
    test_expect_code 127 berth exec work -- no-such-thing 2>err &&
    grep "no-such-thing: there is no such command in the job" err &&
    test_expect_code 126 berth exec work -- /etc/passwd 2>err && grep "Permission denied" err &&
    test_expect_code 126 berth exec --workdir /nowhere work -- true 2>err && grep /nowhere err &&
    test_expect_code 3 berth exec nobody -- true &&
    test_expect_code 2 berth exec --tty --no-tty work -- true
'

test_expect_success 'a shell on a terminal: size, Ctrl-C, exit code' '
    TERM=vt220 test_expect_code 9 timeout 20 /usr/bin/python3 "$BERTH_SOURCE/tests/system/terminal.py" work
'

test_expect_success 'it is on record, without what was typed' '
    berth event list --job work -o json >events.json &&
    jq -e "[.items[] | select(.type == \"session.started\" and .data.command[0] == \"ls\")] | length == 1" events.json &&
    jq -e "[.items[] | select(.type == \"session.ended\" and .data.exit_code == 9)] | length == 1" events.json &&
    jq -e "[.items[] | select(.type == \"session.started\") | .actor] | unique == [\"key:test\"]" events.json &&
    ! grep interrupted events.json
'

test_expect_success 'a session ends with its job, and leaves no trace in the store' '
    berth exec work -- sleep 500 2>err & session=$! &&
    await 10 sh -c "berth exec work -- pgrep -f \"sleep 500\"" &&
    berth stop --grace 0 --wait work &&
    test_expect_code 137 wait $session && grep "the job has ended" err &&
    test_expect_code 5 berth exec work -- true 2>err && grep "work is stopped, not running" err &&
    berth_stop && berth store verify
'

test_done
