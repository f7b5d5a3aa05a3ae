# conform-inside.sh - what people do in a job that runs, and what it uses, on every engine (conformance.sh)
# shellcheck shell=sh disable=SC3043

# inside_local LINE-END: the port that `berth port-forward` printed for it
inside_local() { sed -n "s/^127.0.0.1:\([0-9]*\) -> $1\$/\1/p" forward.out; }

conform_begin_inside() {
    mkdir -p served
    cat >served/serve.py <<'END_OF_FILE'
import socket, threading
# Counts what comes until its end, then answers.
def count(conn):
    n = 0
    while data := conn.recv(65536):
        n += len(data)
    conn.sendall(b"%d\n" % n)
    conn.close()
with socket.create_server(("127.0.0.1", 7001)) as s:
    s.listen(128)
    print("serving", flush=True)
    while True:
        threading.Thread(target=count, args=(s.accept()[0],)).start()
END_OF_FILE
    cat >talk.py <<'END_OF_FILE'
import socket, sys, threading
port, size, n = map(int, sys.argv[1:])
def once():
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"y" * size)
        s.shutdown(socket.SHUT_WR)
        assert s.makefile().read() == "%d\n" % size
threads = [threading.Thread(target=once) for _ in range(n)]
for t in threads: t.start()
for t in threads: t.join()
print("done")
END_OF_FILE
    test_expect_success 'a job runs, to go into' '
        berth run --detach --source served --name inside --cpus 1 --network none --env GREETING=hello --port count:7001 \
            -- python3 serve.py >/dev/null &&
        await 30 says inside serving
    '
}

conform_exec() {
    test_expect_success 'a command in a job: output, errors, exit code, and what the job sees' '
        test_expect_code 7 berth exec inside -- sh -c "echo \$GREETING; pwd; cat /proc/1/comm; echo err >&2; exit 7" >out 2>err &&
        printf "hello\n/workspace\npython3\n" >want && test_cmp want out && echo err >want && test_cmp want err &&
        test_expect_code 143 berth exec inside -- sh -c "kill -TERM \$\$" &&
        test_expect_code 127 berth exec inside -- no-such-thing
    '
    test_expect_success 'bytes of any kind go in and come back' '
        head -c 8000000 /dev/urandom >big && berth exec -i inside -- cat <big >back && cmp big back
    '
    test_expect_success 'a shell on a terminal: size, Ctrl-C, exit code' '
        TERM=vt220 test_expect_code 9 timeout 60 /usr/bin/python3 "$BERTH_SOURCE/tests/system/terminal.py" inside
    '
    test_expect_success 'who reads slowly holds the command back' '
        { berth exec inside -- sh -c "echo \$\$; exec dd if=/dev/zero bs=65536 count=100000 2>/dev/null" | { IFS= read -r pid && echo "$pid" >pid && sleep 600; } & } &&
        reader=$! && await 20 test -s pid && await 20 inside_is_held && kill $reader
    '
}
# It is there, has written something, and writes nothing more.
inside_is_held() {
    # shellcheck disable=SC2016
    berth exec inside -- sh -c 'a=$(grep wchar "/proc/$1/io") && sleep 0.3 && [ "$a" = "$(grep wchar "/proc/$1/io")" ] && [ "$a" != "wchar: 0" ]' \
        - "$(cat pid)"
}

conform_copies() {
    test_expect_success 'files and directories are copied in and out' '
        mkdir -p tree/deep && echo one >tree/one && head -c 3000000 big >tree/deep/two &&
        berth cp tree inside:/tmp/ && berth exec inside -- sh -c "cat /tmp/tree/one; wc -c </tmp/tree/deep/two" >out &&
        printf "one\n3000000\n" >want && test_cmp want out &&
        berth cp inside:/tmp/tree came && diff -r tree came &&
        echo piped | berth cp - inside:/tmp/piped && berth cp inside:/tmp/piped - >out && echo piped >want && test_cmp want out
    '
}

conform_ports() {
    test_expect_success 'ports of a job lead here, by name and number, many connections at once' '
        { berth port-forward inside 0:count 0:7001 >forward.out 2>forward.err & forward=$!; } &&
        await 20 grep inside:7001 forward.out &&
        /usr/bin/python3 talk.py "$(inside_local inside:count)" 3000000 1 >out 2>&1 && grep done out && ! grep Error out &&
        /usr/bin/python3 talk.py "$(inside_local inside:7001)" 20000 60 >out 2>&1 && grep done out && ! grep Error out &&
        kill $forward
    '
    test_expect_success 'what it publishes is reached on its machine at the port that the record names' '
        port=$(berth job show inside -o json | jq ".attempt.evidence.ports.count | select(.host == \"127.0.0.1\") | .port") &&
        /usr/bin/python3 talk.py "$port" 100000 2 >out 2>&1 && grep done out && ! grep Error out
    '
}

conform_ranks() {
    test_expect_success 'of a job of many tasks each can be gone into, and is seen' '
        submit ranks --nodes 2 --cpus 1 -- sh -c "echo \$RANK >/tmp/rank; echo set; while :; do :; done" &&
        await 30 says ranks set && await 30 berth exec --rank 1 ranks -- test -s /tmp/rank &&
        test "$(berth exec ranks -- cat /tmp/rank)" = 0 && test "$(berth exec --rank 1 ranks -- cat /tmp/rank)" = 1 &&
        echo other >other && berth cp --rank 1 other ranks:/tmp/ && test "$(berth exec --rank 1 ranks -- cat /tmp/other)" = other &&
        test_must_fail berth exec ranks -- test -e /tmp/other && test_must_fail berth exec --rank 2 ranks -- true &&
        await 30 ranks_are_seen && berth stop --grace 0s --wait ranks
    '
}
ranks_are_seen() {
    for rank in 0 1; do berth job metrics ranks --rank $rank -o json | jq -e '.live[-1].cores > 0.1' || return; done
}

conform_end_inside() {
    test_expect_success 'what is in a job ends with it, and says so' '
        { berth exec inside -- sh -c "echo up; exec sleep 500" >up 2>err & session=$!; } && await 20 test -s up &&
        berth stop --grace 0s --wait inside && test_expect_code 137 wait $session && grep "the job has ended" err &&
        test_expect_code 5 berth exec inside -- true 2>err && grep "inside is stopped, not running" err
    '
}

# It computes, holds 60 MB and writes to a disk.
conform_figures() {
    test_expect_success 'what a job uses is seen while it runs, in top, in its metrics, by Prometheus' '
        submit uses --cpus 1 --memory 300M -- python3 -c "
import os
block = bytearray(range(256)) * (240 << 10)
while True: sum(block[:1 << 20])" &&
        await 30 uses_are_seen &&
        berth top -o json | jq -e ".jobs[] | select(.name == \"uses\") | .now.cores > 0.1 and .limit.rule != null" &&
        api GET /metrics >metrics.out && grep -E "^berth_job_memory_bytes[{].*name=\"uses\"[}] ([6-9][0-9.]*e[+]07|[12][0-9.]*e[+]08)" metrics.out
    '
    test_expect_success 'and kept when it has ended' '
        berth stop --grace 0s --wait uses && has uses ".attempt.usage | .cpu_seconds > 0.1 and .memory_peak_bytes > 60000000" &&
        await 10 uses_are_kept && berth job metrics uses | grep "cores, of 1"
    '
}
uses_are_seen() { berth job metrics uses -o json | jq -e '.live[-1] | .cores > 0.1 and .memory_anonymous > 60000000'; }
uses_are_kept() { berth job metrics uses -o json | jq -e '(.live | length) == 0 and ([.history[].cores] | max > 0.1)'; }

conform_inside() {
    conform_figures
    conform_begin_inside
    conform_exec
    conform_copies
    conform_ports
    conform_end_inside
    conform_ranks
}
