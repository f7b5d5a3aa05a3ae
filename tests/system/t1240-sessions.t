#!/bin/sh
test_description='sessions that are many, idle, broken, cut or in the way of a restart'
. "$(dirname "$0")/lib.sh"
berth_start --sessions-per-key 240

is_running() { berth job show "$1" -o json | jq -e '.state == "running"'; }
# pss PID: KiB
pss() { awk '/^Pss:/ { print $2 }' "/proc/$1/smaps_rollup"; }
PYTHONPATH=$BERTH_SOURCE/tests/system PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE

mkdir app
cat >app/serve.py <<'END'
import socket, time
s = socket.create_server(("127.0.0.1", 7000), backlog=600)
held = []
while True:
    held.append(s.accept())
END

test_expect_success 'a job runs and listens' '
    berth run --source app --detach --name work --network none -- python3 serve.py &&
    await 20 is_running work && await 20 berth exec work -- grep -q 1B58 /proc/net/tcp
'

cat >silent.py <<'END'
import websocket
w = websocket.WebSocket("work/exec")
answer, closed = w.control(), w.closed()
assert answer["error"]["detail"] == "no first message came", answer
assert closed[0] == 1008, closed
END

test_expect_success 'one that says nothing (its end is looked at below)' '
    { /usr/bin/python3 silent.py >silent.out 2>&1 & silent=$!; }
'

cat >broken.py <<'END'
import json, websocket
from websocket import *
def refused(code, *frames, first=None, **how):
    w = WebSocket("work/exec")
    if first:
        w.say(first)
        assert w.control() == {"started": True}
    for f in frames:
        w.frame(f, **how)
    assert w.closed()[0] == code, (code, frames[0][:20])
cat = {"command": ["cat"], "stdin": True}
refused(1002, b"\3{}", masked=False)
refused(1002, b"x", opcode=CONTINUATION)
refused(1002, b"x", opcode=3)
refused(1002, b"x" * 126, opcode=PING)
refused(1002, b"x", opcode=PING, fin=False)
refused(1009, b"\0" * 65538, first=cat)
refused(1007, b"\xff", opcode=TEXT)
refused(1008, b"text", opcode=TEXT)
refused(1008, b"\0no order yet")
refused(1008, b"\1out of order", first=cat)
refused(1008, b"\3{", first=cat)
refused(1008, b"\3" + json.dumps({"signal": 65}).encode(), first=cat)
refused(1008, b"\3" + json.dumps({"command": ["true"], "tty": 1}).encode())
refused(1008, b"")
# cut in the middle of a frame
w = WebSocket("work/exec")
w.socket.sendall(b"\x82\xff\0\0")
w.socket.close()
# 65537 bytes are the most, in one frame or many
w = WebSocket("work/exec")
w.say(cat)
w.frame(b"\0" + b"a" * 65536)
w.frame(b"\0" + b"b" * 10, fin=False)
w.frame(b"ping", opcode=PING)
w.frame(b"c" * 10, opcode=CONTINUATION)
w.frame(b"\0")
got, pong = b"", False
while True:
    opcode, payload = w.read()
    pong = pong or (opcode, payload) == (PONG, b"ping")
    if opcode == BINARY and payload[:1] == b"\1":
        got += payload[1:]
    if opcode == BINARY and payload[:1] == b"\3" and b"exit" in payload:
        break
assert got == b"a" * 65536 + b"b" * 10 + b"c" * 10 and pong
# what is no upgrade of ours
for headers, status in (({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Key": "short"}, 400),
                        ({"Sec-WebSocket-Protocol": "chat"}, 400), ({"Origin": "http://evil.example"}, 403),
                        ({"Authorization": None}, 401), ({"Upgrade": None, "Connection": None}, 426)):
    try:
        WebSocket("work/exec", headers)
        raise SystemExit(headers)
    except Refused as r:
        assert r.args[0] == status, r.args
END

test_expect_success 'what breaks the rules is closed with its code, and nothing else notices' '
    /usr/bin/python3 broken.py && is_running work && await 10 berth exec work -- sh -c "! pgrep cat"
'

cat >idle.py <<'END'
import sys, websocket
from websocket import *
held = []
for _ in range(32):
    w = WebSocket("work/exec")
    w.say({"command": ["sleep", "1000"]})
    assert w.control() == {"started": True}
    held.append(w)
w = WebSocket("work/exec")
w.say({"command": ["true"]})
exit = w.control()["exit"]
assert exit["code"] == 125 and "32 sessions already" in exit["reason"], exit
for _ in range(200):
    w = WebSocket("work/ports/7000")
    assert w.control() == {"started": True}
    held.append(w)
try:
    while True:
        held.append(WebSocket("work/ports/7000"))
except Refused as r:
    assert r.args[0] == 503 and "as many as one key may have" in r.args[1], r.args
print(len(held), flush=True)
sys.stdin.readline()
for w in held:
    assert w.closed() == (1001, "the server is stopping")
print("closed", flush=True)
END

test_expect_success '232 idle ones cost little memory, and there is an end to it' '
    mkfifo go && before=$(pss $berth_pid) &&
    { /usr/bin/python3 idle.py <go >idle.out 2>&1 & idle=$!; } && exec 8>go &&
    await 30 grep -E "^[0-9]+$|Error" idle.out && test "$(cat idle.out)" -ge 232 &&
    after=$(pss $berth_pid) && echo "server: $before KiB before, $after KiB with $(cat idle.out) sessions" &&
    test $((after - before)) -lt $((8000 + before / 2))
'

test_expect_success 'who is inside can be seen' '
    berth job sessions work -o json >list.json &&
    jq -e "[.items[] | select(.kind == \"exec\" and .command == [\"sleep\", \"1000\"] and .actor == \"key:test\")] | length == 32" list.json &&
    jq -e "[.items[] | select(.kind == \"forward\" and .port == 7000)] | length >= 200" list.json &&
    berth job sessions work | grep "^exec .*sleep"
'

test_expect_success 'the one that said nothing was told so' '
    wait $silent || { cat silent.out; false; }
'

test_expect_success 'a server that stops says goodbye, commands are hung up, the job does not notice' '
    berth_stop && echo >&8 && wait $idle && grep closed idle.out && exec 8>&- &&
    berth_server --sessions-per-key 240 && is_running work &&
    await 15 berth exec work -- sh -c "! pgrep -f \"[s]leep 1000\"" &&
    test "$(berth job sessions work -o json | jq ".items | length")" = 0
'

test_expect_success 'a server that is killed: the session says so, its command is hung up, the job goes on' '
    { berth exec work -- sh -c "echo begun; exec sleep 1001" >exec.out 2>exec.err & session=$!; } &&
    await 10 grep begun exec.out && berth_kill && test_expect_code 125 wait $session &&
    grep "the session is over, the job goes on" exec.err &&
    berth_server --sessions-per-key 240 && is_running work &&
    await 15 berth exec work -- sh -c "! pgrep -f \"[s]leep 1001\"" &&
    test "$(berth exec work -- echo again)" = again
'

test_expect_success 'a reader that stops holds back the writer, in bounded memory, and gets all in the end' '
    mkfifo slow && before=$(pss $berth_pid) &&
    { berth exec work -- sh -c "head -c 300000000 /dev/zero; echo done >/tmp/done" >slow & session=$!; } && exec 7<slow &&
    await 10 berth exec work -- sh -c "
        pid=\$(pgrep -x head) || exit 1
        a=\$(grep wchar /proc/\$pid/io); sleep 0.3; b=\$(grep wchar /proc/\$pid/io); [ \"\$a\" = \"\$b\" ]" &&
    after=$(pss $berth_pid) && echo "server: $before KiB before, $after KiB held back" &&
    test $((after - before)) -lt $((8000 + before / 2)) && test_must_fail berth exec work -- test -e /tmp/done &&
    test "$(wc -c <&7)" = 300000000 && wait $session && exec 7<&- && berth exec work -- test -e /tmp/done
'

test_expect_success 'secrets in a command are not on record' '
    berth exec work -- env HF_TOKEN=hf_hidden true && berth exec work -- sh -c "export PASSWORD=hunter2; true" &&
    berth event list --job work --all -o json >events.json && grep "HF_TOKEN=\.\.\." events.json >/dev/null &&
    ! grep -E "hf_hidden|hunter2" events.json
'

test_done
