#!/bin/sh
test_description='berth run: submit, follow, and the exit code of the job'
. "$(dirname "$0")/lib.sh"
berth_start

test_expect_success DIRECT 'the log comes to stdout, states to stderr, the code is the job'"'"'s' '
    test_expect_code 3 berth run --source none --name greet -- sh -c "echo hello; echo oops >&2; exit 3" >out 2>err &&
    printf "hello\noops\n" | sort >expected &&
    sort out >sorted &&
    test_cmp expected sorted &&
    grep "^running " err &&
    grep "^failed .*exit code 3" err
'

test_expect_success 'a command in one word is for the shell' '
    berth run --source none -- "echo \$((6 * 7)) | tr 2 3" >out &&
    echo 43 >expected &&
    test_cmp expected out
'

test_expect_success 'a file says what to run, flags go over it' '
    cat >job.yaml <<-EOF &&
	name: from-file
	command: ["sh", "-c", "echo \$A \$B"]
	env: { A: one, B: two }
	EOF
    berth run --source none --file job.yaml -e B=three >out &&
    echo "one three" >expected &&
    test_cmp expected out &&
    berth job show from-file -o json | jq -e ".spec.env.B == \"three\""
'

test_expect_success '--detach prints the id, job wait gives the code' '
    id=$(berth run --source none -d -- sh -c "exit 7") &&
    test_expect_code 7 berth job wait "$id" &&
    berth job show "$id" -o json | jq -e ".exit_code == 7 and .state == \"failed\""
'

test_expect_success 'job show tells at a glance what was asked for, what it got and what came of it' '
    test_expect_code 143 berth run --source none -n brief --cpus 1 --max-time 1s --retries 2 \
        -p web:8000 --tag team=a -- sh -c "echo hi; sleep 600" &&
    berth job show brief >out &&
    grep "^state *failed with exit code 143, .*: the job ran longer than its max_time$" out &&
    grep "^command *sh -c .echo hi; sleep 600.$" out &&
    grep "^hardware *CPUs [0-9,-]* of .* memory" out &&
    grep "^ports *web:8000 at 127.0.0.1:[0-9]" out &&
    grep "^limits *max time 1s, .*2 retries" out &&
    grep "^tags *team=a$" out &&
    grep "^usage .* 3 B log" out
'

test_expect_success 'the beginning of an id is enough' '
    berth job show "$(echo "$id" | cut -c1-30)" -o name >out &&
    berth job show "$id" -o name >expected &&
    test_cmp expected out
'

test_expect_success '--dry-run shows the plan and submits nothing' '
    berth ps -a -o name >before &&
    berth run --source none --dry-run --cpus 1 -o json -- true | jq -e .spec &&
    berth ps -a -o name >after &&
    test_cmp before after
'

test_expect_success 'what runs is listed, stopped, and no longer listed' '
    berth run --source none -n sleeper -d -- sleep 600 &&
    berth ps -o name >out && grep sleeper out &&
    berth queue >out && grep sleeper out &&
    berth stop --wait --grace 1s sleeper 2>err &&
    grep "^stopped" err &&
    berth ps -o name >out && test_must_fail grep sleeper out
'

test_expect_success 'why says the rule and the numbers' '
    berth why sleeper >out && grep "sleeper is stopped" out &&
    berth why sleeper -o json | jq -e .rule
'

test_expect_success DIRECT 'the record names commit, command and hardware' '
    berth job record greet -o json >record &&
    jq -e ".spec.command and .record and .evidence.cpus" record
'

test_expect_success 'a secret reaches the job and is not shown' '
    echo "open sesame" | berth secret set WORD &&
    berth run --source none -n whisper -e W=secret:WORD -- sh -c "echo \"\$W\" | md5sum" >out &&
    echo "open sesame" | md5sum >expected &&
    test_cmp expected out &&
    berth job show whisper -o json >shown &&
    test_must_fail grep -r "open sesame" shown
'

test_done
