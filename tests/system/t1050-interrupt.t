#!/bin/sh
test_description='Ctrl-C: once leaves the job alone, twice stops it'
. "$(dirname "$0")/lib.sh"
berth_start

# A background job of a shell ignores SIGINT; what this starts does not. A program, so that $! is its id.
cat >interactive <<'EOF'
#!/usr/bin/python3
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
EOF
chmod +x interactive

test_expect_success 'once: detached with a hint, the job goes on' '
    ./interactive berth run --source none -n kept -- sh -c "echo up; sleep 600" >out 2>err &
    client=$! &&
    await 20 grep -q up out &&
    kill -INT $client &&
    test_expect_code 130 wait $client &&
    grep "berth logs -f kept" err &&
    test "$(berth job show kept -o json | jq -r .state)" = running &&
    berth stop --grace 0 --wait kept
'

test_expect_success 'twice: stopped, and the log goes on to its end' '
    ./interactive berth run --source none -n ended -- \
        sh -c "trap \"echo saved; exit 0\" TERM; echo up; while :; do sleep 0.1; done" >out 2>err &
    client=$! &&
    await 20 grep -q up out &&
    kill -INT $client &&
    await 20 grep -q "Ctrl-C again" err &&
    kill -INT $client &&
    { wait $client; true; } &&
    grep saved out &&
    grep "^stopped" err &&
    test "$(berth job show ended -o json | jq -r .state)" = stopped
'

test_expect_success 'charts and events can be followed and left' '
    berth run --source none -n drawn -d -- sh -c "for i in 1 2 3; do echo \"{\\\"chart\\\": \\\"loss\\\", \\\"y\\\": \$i}\"; done; sleep 600" || return 1
    ./interactive berth charts -f drawn >out &
    client=$! &&
    await 20 grep -q "3 points" out &&
    kill -INT $client &&
    test_expect_code 130 wait $client || return 1
    ./interactive berth event follow --since 0 -o json >events &
    client=$! &&
    await 20 grep -q job.running events &&
    kill -INT $client &&
    test_expect_code 130 wait $client &&
    berth stop --grace 0 --wait drawn
'

test_done
