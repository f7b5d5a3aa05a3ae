#!/bin/sh
test_description='two running containers share no core, and none sees what lies on the machine'
# With a /dev/null of its own: other servers on this machine have nothing to do with what becomes of it.
if [ "$(id -u)" -eq 0 ] && [ -z "${BERTH_ROOM:-}" ]; then
    BERTH_ROOM=1 exec unshare --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
berth_needs_root
mknod -m 666 "$BERTH_TEST/null" c 1 3 && mount --bind "$BERTH_TEST/null" /dev/null || {
    skip_all='cannot make a device'
    test_done
}

# A server behind a socket that everybody may connect to, in every place that a container must not see,
# and one without a place (abstract).
cat >plant.py <<'END'
import os, signal, socket, sys, threading
name = sys.argv[1]
def serve(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    if path[0] != "\0":
        os.chmod(path, 0o666)
    s.listen(16)
    while True:
        c, _ = s.accept()
        c.sendall(b"reached\n")
        c.close()
paths = [f"{place}/{name}" for place in sys.argv[2:]] + [f"\0{name}"]
for path in paths:
    threading.Thread(target=serve, args=(path,), daemon=True).start()
print("planted", flush=True)
signal.pause()
END
cat >reach.py <<'END'
import os, socket, sys
def reach(path):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path)
        print("reached", repr(path), s.recv(100))
    except OSError as e:
        print("refused", repr(path), e.strerror)
name = sys.argv[1]
for path in [f"{place}/{name}" for place in sys.argv[2:]] + [f"\0{name}"]:
    reach(path)
for top, dirs, files in os.walk("/"):
    dirs[:] = [d for d in dirs if os.path.join(top, d) not in ("/proc", "/sys", "/usr")]
    for f in files:
        if f == name:
            print("reached: found", os.path.join(top, f))
END

places='/root /home /run /tmp /var /srv /mnt'
planter=
name=berth-$(basename "$BERTH_TEST").sock

# Whatever becomes of the test, nothing stays there.
unplant() { for place in $places; do rm -f "$place/$name"; done; }
trap 'code=$?; unplant; berth_cleanup; (exit $code); die' EXIT

test_expect_success 'servers behind open sockets, which another user reaches' '
    { /usr/bin/python3 plant.py $name $places >planted & planter=$!; } && await 10 grep planted planted &&
    setpriv --reuid nobody --clear-groups /usr/bin/python3 - $name /run /tmp /var /srv /mnt <reach.py >before &&
    test "$(grep -c "^reached " before)" -ge 6
'

berth_start

test_expect_success 'a job reaches none of them, and finds none' '
    mkdir w && cp reach.py w/ &&
    berth run --source w --name reach -- python3 reach.py $name $places >after && cat after &&
    test "$(grep -c "^refused" after)" = 8 && ! grep reached after
'

test_expect_success 'the sockets go' 'kill $planter && unplant'

# Changing a mode to what it is does no harm, and only an owner may.
test_expect_success 'a job owns no device of the machine, by whatever way it has it' '
    berth run --source none --name owner -- sh -c "
        ! chmod 666 /dev/null || echo owns /dev/null
        for fd in 0 1 2; do ! test -c /proc/self/fd/\$fd || echo fd \$fd is a device; done; cat" >own 2>&1 &&
    ! grep "owns\|is a device" own && test "$(stat -c %u:%g:%a /dev/null)" = 0:0:666
'

# What the kernel says of every process of a job, read in one go.
cat >cores.py <<'END'
import glob, json, sys
def cpus(text):
    got = set()
    for part in text.strip().split(","):
        a, _, b = part.partition("-")
        got |= set(range(int(a), int(b or a) + 1))
    return got
jobs = {}
for status in glob.glob("/proc/[0-9]*/status"):
    try:
        group = open(status.replace("status", "cgroup")).read()
        text = open(status).read()
    except OSError:
        continue
    for name in sys.argv[1:]:
        if f"/berth/{name}" in group:
            allowed = next(line.split(":")[1] for line in text.splitlines() if line.startswith("Cpus_allowed_list"))
            jobs.setdefault(name, []).append(cpus(allowed))
assert len(jobs) == len(sys.argv) - 1, f"of {len(sys.argv) - 1} jobs {len(jobs)} run"
siblings = lambda n: cpus(open(f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list").read())
whole = {name: {s for one in sets for n in one for s in siblings(n)} for name, sets in jobs.items()}
names = sorted(whole)
for i, a in enumerate(names):
    for b in names[i + 1:]:
        assert not whole[a] & whole[b], f"{a} and {b} share {whole[a] & whole[b]}"
for name, sets in jobs.items():
    assert all(one == sets[0] for one in sets) and whole[name] == sets[0], f"{name}: {sets}"
print("apart:", {name: sorted(cores) for name, cores in whole.items()})
END

attempt() { api GET "/v1/projects/lab/jobs/$1" | jq -r .attempt.id; }
runs() { test "$(api GET "/v1/projects/lab/jobs/$1" | jq -r .state)" = running; }

test_expect_success 'two running containers: no core of one is a core of the other, read at one moment' '
    for j in one two; do
        berth run --source none --detach --name $j --cpus 1 -- sh -c "sleep 1000 & sleep 1000 & wait" || return 1
    done &&
    await 20 runs one && await 20 runs two &&
    /usr/bin/python3 cores.py $(attempt one) $(attempt two)
'

test_expect_success 'neither can take another core' '
    for j in one two; do
        test "$(berth exec $j -- nproc)" = 1 &&
        ! berth exec $j -- taskset -p -c 0-63 1 2>&1 | grep "new affinity list: .*[-,]" || return 1
    done && /usr/bin/python3 cores.py $(attempt one) $(attempt two)
'

test_expect_success 'still so after a restart of the server' '
    berth_kill && berth_server && runs one && runs two &&
    /usr/bin/python3 cores.py $(attempt one) $(attempt two)
'

test_done
