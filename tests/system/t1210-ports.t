#!/bin/sh
test_description='ports of a running job on this machine'
. "$(dirname "$0")/lib.sh"
berth_start

is_running() { berth job show "$1" -o json | jq -e '.state == "running"'; }
# local_port LINE-END: the port that `berth port-forward` printed for it
local_port() { sed -n "s/^127.0.0.1:\([0-9]*\) -> $1\$/\1/p" forward.out; }

mkdir app
cat >app/serve.py <<'END'
import socket, threading
# counts what comes until its end, then answers: half-closed connections
def count(conn):
    n = 0
    while data := conn.recv(65536):
        n += len(data)
    conn.sendall(b"%d\n" % n)
    conn.close()
# sends more than any buffer on the way
def pour(conn):
    try:
        for i in range(400):
            conn.sendall(b"x" * 65536)
    except OSError:
        pass
    conn.close()
def serve(port, answer):
    with socket.create_server(("127.0.0.1", port)) as s:
        s.listen(128)
        while True:
            threading.Thread(target=answer, args=(s.accept()[0],)).start()
threading.Thread(target=serve, args=(7001, count)).start()
threading.Thread(target=serve, args=(7002, pour)).start()
END

test_expect_success 'a job serves, on no network' '
    berth run --source app --detach --name serve --network none --port count:7001 -- python3 serve.py &&
    await 20 is_running serve &&
    await 20 berth exec serve -- sh -c "grep -q 1B59 /proc/net/tcp && grep -q 1B5A /proc/net/tcp"
'

test_expect_success 'names and numbers lead there' '
    { berth port-forward serve 0:count :7002 0:9 >forward.out 2>forward.err & forward=$!; } &&
    await 10 grep serve:9 forward.out &&
    count=$(local_port serve:count) pour=$(local_port serve:7002) nothing=$(local_port serve:9) &&
    test -n "$count" && test -n "$pour" && test -n "$nothing"
'

cat >talk.py <<'END'
import socket, sys, threading
port, n = int(sys.argv[1]), int(sys.argv[2])
def once():
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"y" * n)
        s.shutdown(socket.SHUT_WR)
        assert s.makefile().read() == "%d\n" % n
threads = [threading.Thread(target=once) for _ in range(int(sys.argv[3]))]
for t in threads: t.start()
for t in threads: t.join()
print("done")
END

test_expect_success 'one end closes, the other still speaks' '
    /usr/bin/python3 talk.py $count 3000000 1 >out 2>&1 && grep done out && ! grep Error out
'

test_expect_success 'a hundred connections at once' '
    /usr/bin/python3 talk.py $count 20000 100 >out 2>&1 && grep done out && ! grep Error out
'

test_expect_success 'a reader that waits holds back the writer, and gets all' '
    /usr/bin/python3 -c "
import socket, time
s = socket.create_connection((\"127.0.0.1\", $pour))
time.sleep(0.5)
n = 0
while data := s.recv(65536): n += len(data)
print(n)" >out &&
    echo 26214400 >want && test_cmp want out
'

test_expect_success 'where nothing listens it says so' '
    /usr/bin/python3 -c "
import socket
s = socket.create_connection((\"127.0.0.1\", $nothing))
try: print(len(s.recv(1)))
except ConnectionResetError: print(0)" >out &&
    echo 0 >want && test_cmp want out &&
    await 5 grep "nothing listens on port 9 in the job" forward.err
'

test_expect_success 'what is wrong is refused at once' '
    test_expect_code 2 berth port-forward serve web 2>err && grep "no port .web.; it has count" err &&
    test_expect_code 2 berth port-forward serve 70000:1 2>err && grep "0 to 65535" err &&
    test_expect_code 3 berth port-forward nobody 1 &&
    test_expect_code 5 berth port-forward serve $count:7001 2>err && grep "in use" err
'

test_expect_success 'completion knows the jobs that run, and their ports' '
    echo serve >want && berth completion words -- exec se >out && test_cmp want out &&
    berth completion words -- port-forward "" >out && test_cmp want out &&
    echo serve: >want && berth completion words -- cp file se >out && test_cmp want out &&
    echo count >want && berth completion words -- port-forward serve "" >out && test_cmp want out
'

test_expect_success 'who used which port is on record, once' '
    berth event list --job serve -o json >events.json &&
    jq -e "[.items[] | select(.data.kind == \"forward\") | .data.port] | sort == [9, 7001, 7002]" events.json
'

test_expect_success 'without the job there is nothing to forward to' '
    berth stop --grace 0 --wait serve &&
    { curl -s "http://127.0.0.1:$count/" || :; } &&
    test_expect_code 5 wait $forward && grep "not running" forward.err &&
    berth completion words -- exec "" >out && test_must_be_empty out &&
    berth completion words -- logs "" >out && grep serve out
'

test_done
