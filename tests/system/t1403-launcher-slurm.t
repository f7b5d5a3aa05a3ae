#!/bin/sh
test_description='with the launcher on its nodes, Slurm still confines and ends what it runs'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"
berth_needs_root
berth_needs jq crun squeue
missing=$(slurm_is_missing)
if [ -z "$missing" ] && ! grep -q " /sys/fs/cgroup/cpuset cgroup " /proc/mounts; then
    missing="needs version 1 of control groups"
fi
[ -z "$missing" ] || { skip_all=$missing; test_done; }
trap 'code=$?; berth_cleanup; slurm_stop; (exit $code); die' EXIT

# One node, which may confine: it has as many CPUs as it says.
slurm_cgroup='ConstrainCores=yes
ConstrainRAMSpace=yes'
slurm_task=task/cgroup,task/affinity
slurm_select=CR_Core_Memory
slurm_start 1 "$(nproc)"
printf 'engine: slurm\nslurm_conf: %s\nslurm_poll: 1s\nnode_program: %s\n' "$SLURM_CONF" "$BERTH_TEST/program" >>"$BERTH_CONFIG"
BERTH_LAUNCHER=$BERTH_TEST/launcher/launcher.sock
printf '#!/bin/sh\nBERTH_LAUNCHER=%s exec %s/berth "$@"\n' "$BERTH_LAUNCHER" "$BERTH_BUILD" >"$BERTH_TEST/program"
chmod +x "$BERTH_TEST/program"
BERTH_STATE='' "$BERTH_BUILD/berth" launcher --state "$BERTH_TEST/node" --runtime "$BERTH_TEST/launcher" 2>"$BERTH_TEST/launcher.log" &
await 20 test -S "$BERTH_LAUNCHER"
berth_start
. "$BERTH_SOURCE/tests/system/conformance.sh"

says() { berth logs "$1" >said 2>/dev/null && grep -q "$word" said; }
attempt() { berth job show "$1" -o json | jq -r .attempt.id; }
alive() { grep -sqz "^BERTH_ATTEMPT_ID=$1\$" /proc/[0-9]*/environ; }
is_empty() { test -z "$(squeue -h)"; }
is_dead() { ! alive "$1"; }
uses_are_seen() { berth job metrics uses -o json | jq -e '.live[-1] | .cores > 0.1 and .memory_anonymous > 60000000'; }

test_expect_success 'a job has a range of uids, and the cores and the memory of its step' '
    berth run --source none --name one --cpus 1 --memory 200M -- sh -c "nproc; tr -s \" \" </proc/self/uid_map" >out 2>&1 &&
    berth job show one -o json >job && jq -e ".attempt.evidence | .mode == \"privileged\" and .uid_base > 1000000 and
        (.cgroup | test(\"/job_\")) and .memory_bytes <= 209715200" job && grep -x 1 out && grep 65536 out
'

conform_images

test_expect_success '/storage goes there and back, with its owners and modes' '
    berth run --source none --cpus 1 -- sh -c "cd /storage && mkdir d && echo one >d/one && echo key >key && chmod 600 key && chown 7:7 key" &&
    (cd "$BERTH_STATE"/projects/*/storage && test "$(($(stat -c %u key) - $(stat -c %u d/one)))" -eq 7 && test "$(cat d/one)" = one) &&
    berth run --source none --cpus 1 -- sh -c "cd /storage && stat -c %u:%a key d d/one && cat key && echo two >>key && rm -r d && mkdir d" >out &&
    printf "%s\n" 7:600 0:755 0:644 key >expected && test_cmp expected out &&
    (cd "$BERTH_STATE"/projects/*/storage && test "$(cat key)" = "$(printf "key\ntwo")" && test ! -e d/one && test -d d)
'

test_expect_success 'what needs more is ended for want of memory' '
    test_expect_code 137 berth run --source none --name big --cpus 1 --memory 100M -- \
        /usr/bin/python3 -c "b = bytearray(range(256)) * (4 << 20)" && berth job show big -o json | jq -e ".attempt.cause == \"out_of_memory\""
'

test_expect_success 'what it uses comes home, and one goes into it' '
    berth run --source none --detach --name uses --cpus 1 --memory 200M --port serve:7001 -- /usr/bin/python3 -c "
block = bytearray(range(256)) * (240 << 10)
while True: sum(block[:1 << 20])" >/dev/null &&
    await 30 uses_are_seen && berth exec uses -- sh -c "cut -d: -f3 /proc/self/cgroup | sort -u; id -u" >out &&
    berth exec uses -- sh -c "cut -d: -f3 /proc/1/cgroup | sort -u; id -u" >want && test_cmp want out &&
    berth job show uses -o json | jq -e ".attempt.evidence.ports.serve.port > 0" &&
    berth stop --grace 0s --wait uses
'

test_expect_success 'the tasks of a gang on one node share a network that leads nowhere' '
    cat >meet.py <<-\END &&
	import os, socket
	peer = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
	if os.environ["RANK"] == "0":
	    print("heard", socket.create_server(("", peer[1])).accept()[0].recv(9).decode())
	else:
	    while True:
	        try: socket.create_connection(peer).send(b"a friend"); break
	        except ConnectionRefusedError: pass
	try: socket.create_connection(("10.255.255.254", 1), 2)
	except OSError as e: print("no way out:", e)
	END
    berth run --source . --name meet --tasks-per-node 2 --network none --cpus 1 --memory 100M -- /usr/bin/python3 meet.py >out 2>&1; cat out
    grep "^.0. heard a friend" out && grep -c "no way out: .*unreachable" out | grep -x 2 &&
    berth job show meet -o json | jq -e "[.attempt.tasks[].evidence.address] | unique | length == 1"
'

test_expect_success 'what scancel ends is dead, whatever it does about SIGTERM' '
    berth run --source none --detach --name stubborn --cpus 1 --grace 1s -- sh -c "trap : TERM; setsid sleep 1000 & echo up
        while :; do sleep 1; done" >/dev/null &&
    word=up && await 20 says stubborn && id=$(attempt stubborn) && alive "$id" &&
    scancel "$(squeue -h -o %i)" && await 40 is_dead "$id" && await 20 is_empty
'

test_expect_success 'without the launcher the step alone says what is too much memory' '
    install -d -m 1777 "$BERTH_TEST/spool" &&
    printf "#!/bin/sh\nTMPDIR=%s exec %s/berth \"\$@\"\n" "$BERTH_TEST/spool" "$BERTH_BUILD" >"$BERTH_TEST/program" &&
    test_expect_code 137 berth run --source none --name large --cpus 1 --memory 100M -- \
        /usr/bin/python3 -c "b = bytearray(range(256)) * (4 << 20)" &&
    berth job show large -o json | jq -e ".attempt | .evidence.mode == \"step\" and .cause == \"out_of_memory\""
'

test_expect_success 'where Slurm ends the supervisor for want of memory, and nothing comes home, Slurm says why' '
    printf "#!/bin/sh\nexec /usr/bin/python3 -c \"b = bytearray(range(256)) * (4 << 20)\"\n" >"$BERTH_TEST/program" &&
    test_might_fail berth run --source none --name lost --cpus 1 --memory 110M -- true &&
    berth job show lost -o json | jq -e ".attempt.cause == \"out_of_memory\" and (.attempt.reason | test(\"Slurm ended job\"))" &&
    grep "JobState=OUT_OF_MEMORY" "$slurm/ended"
'

test_done
