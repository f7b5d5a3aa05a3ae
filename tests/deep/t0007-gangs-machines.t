#!/bin/sh
test_description='gangs over machines that have addresses of their own: MPI, rendezvous, roles, a machine that is lost; in both modes'
. "$(dirname "$0")/../system/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"
. "$BERTH_SOURCE/tests/machines.sh"

berth_needs_root
berth_needs jq mpirun mpicc nginx openssl
missing=$(slurm_is_missing)
/usr/bin/python3 -c 'import numpy' 2>/dev/null || missing="${missing:-needs numpy: python3-numpy}"
[ -z "$missing" ] || {
    skip_all=$missing
    test_done
}
trap 'code=$?; machines_end; berth_cleanup; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT

# Control groups of Slurm are named by its nodes.
head=hm$$ one=gm$$-1 two=gm$$-2 three=gm$$-3 four=gm$$-4
address_of() { on "$1" ip -4 -o addr show eth0 | sed "s|.* inet \([0-9.]*\)/.*|\1|"; }

# What a step has no launcher for it does in a spool of its machine: /tmp is here of all of them.
printf '#!/bin/sh\nBERTH_SPOOL=/var/lib/berth/spool exec %s/berth "$@"\n' "$BERTH_BUILD" >"$BERTH_TEST/program"
chmod +x "$BERTH_TEST/program"

is_gone() { ! on "$1" pgrep -f "$2"; }
# end MACHINE COMMAND-LINE: all of its processes that run it, which are this machine's alone
end() { on "$1" pkill -TERM -f "$2" && await 20 is_gone "$1" "$2"; }

# here COMMAND...: on the server's machine, in this directory
# shellcheck disable=SC2016  # the shell there expands
here() { on "$head" timeout 120 sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@"; }
field() { on "$head" berth job show "$1" -o json | jq -r "$2"; }
place_of() { field "$1" ".attempt.tasks[$2].allocation.node"; }
is_in_state() { [ "$(field "$1" .state)" = "$2" ]; }
ready_nodes() { [ "$(on "$head" sinfo -h -N -t idle -o %N | sort -u | wc -l)" -eq "$1" ]; }

# What a task says of itself, in one line of JSON.
cat >told.py <<'END'
import fcntl, json, os, socket, struct
env = os.environ
with socket.socket() as s:
    name = env["BERTH_INTERFACE"].encode()
    own = socket.inet_ntoa(fcntl.ioctl(s, 0x8915, struct.pack("256s", name))[20:24])
names = {}
for line in open("/etc/hosts", encoding="utf-8"):
    words = line.split("#")[0].split()
    names.update((word, words[0]) for word in words[1:])
print(json.dumps({
    "own": own, "names": [names["node-0"], names["node-1"]], "host": socket.gethostname(),
    "resolved": [socket.gethostbyname("rank-0"), socket.gethostbyname("rank-1")],
    "slots": open(env["BERTH_HOSTFILE"], encoding="utf-8").read().split("\n"),
    "peers": open(env["BERTH_PEERS"], encoding="utf-8").read(), "cluster": json.loads(env["TF_CONFIG"])["cluster"],
    **{key: env[key] for key in ("MASTER_ADDR", "PET_MASTER_ADDR", "BERTH_ADDRESS", "BERTH_INTERFACE",
                                 "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "PS_HOST_PRIVATE_IP_ADDRESS")}}), flush=True)
END

# Is it what the machines have?
cat >told.jq <<'END'
(if $rank == "0" then $first else $second end) as $own
| ($first | startswith("10.99.0.")) and ($second | startswith("10.99.0.")) and $first != $second
  and .own == $own and .BERTH_ADDRESS == $own and .PS_HOST_PRIVATE_IP_ADDRESS == $own and .host == "node-" + $rank
  and .MASTER_ADDR == $first and .PET_MASTER_ADDR == $first and .names == [$first, $second] and .resolved == .names
  and .BERTH_INTERFACE == "eth0" and .NCCL_SOCKET_IFNAME == "eth0" and .GLOO_SOCKET_IFNAME == "eth0"
  and .slots == ["node-0 slots=1", "node-1 slots=1", ""] and [.peers | fromjson | .[].address] == [$first, $second]
  and .cluster.worker == [$first + ":2222", $second + ":2222"]
END

# gangs MODE LOST: what a gang is, where supervisors are of MODE; at its end the machine LOST is no more
gangs() {
    local mode=$1 lost=$2
    test_expect_success "$mode: names, variables and files say the machines' own addresses" '
        here berth run --source . --name "told-$mode" --nodes 2 --cpus 1 --memory 100Mi -- /usr/bin/python3 told.py >out; cat out
        field "told-$mode" ".attempt.tasks[].evidence.mode" | uniq | grep -x "$mode" &&
        first=$(address_of "$(place_of "told-$mode" 0)") && second=$(address_of "$(place_of "told-$mode" 1)") && echo "$first $second" &&
        for rank in 0 1; do
            sed -n "s/^\[$rank\] {/{/p" out >told.json &&
            jq -e --arg rank "$rank" --arg first "$first" --arg second "$second" -f told.jq told.json || return 1
        done
    '
    test_expect_success "$mode: an MPI program is built and run on two machines" '
        here berth run --source mpi-pi --file mpi-pi/job.yaml --name "pi-$mode" >out; cat out
        grep "^rank 0 of 2 on node-0$" out && grep "^rank 1 of 2 on node-1$" out && grep "^pi is 3.141592653[56]" out &&
        field "pi-$mode" "[.attempt.tasks[].allocation.node] | unique | length" | grep -x 2 &&
        field "pi-$mode" "[.attempt.tasks[] | .cause] | join(\" \")" | grep -x "exited gang"
    '
    test_expect_success "$mode: the rank that fails is mpirun's end, and the job's" '
        test_expect_code 3 here berth run --source mpi-pi --name "bad-$mode" --nodes 2 --mpi --cpus 1 --memory 512Mi -- \
            sh -c "mpirun --map-by ppr:1:node mpicc -O2 -o pi pi.c -lm && mpirun ./pi --fail 1" >out 2>&1 &&
        field "bad-$mode" .reason | grep "rank 0"
    '
    test_expect_success "$mode: two machines train the model that one process does" '
        here berth run --source tiny-gpt --file tiny-gpt/job.yaml --name "together-$mode" --nodes 2 -- python3 train.py --steps 20 >log 2>&1; cat log
        grep "after 20 steps" log && field "together-$mode" "[.attempt.tasks[].evidence.address] | unique | length" | grep -x 2 &&
        here berth artifact get "together-$mode" checkpoint.npz && mv checkpoint.npz together.npz &&
        ! cmp -s alone.npz together.npz && /usr/bin/python3 tiny-gpt/compare.py alone.npz together.npz
    '
    test_expect_success "$mode: a parameter server serves the workers of both machines" '
        here berth run --source parameter-server --file parameter-server/job.yaml --flavor cpu.1 --name "roles-$mode" >out 2>&1; cat out
        grep -c "\"chart\": *\"accuracy\"" out | grep -x 20 &&
        field "roles-$mode" "[.attempt.tasks[] | .role, .cause] | join(\" \")" | grep -x "master exited ps gang worker exited worker exited" &&
        field "roles-$mode" "[.attempt.tasks[].allocation.node] | unique | length" | grep -x 2 &&
        here berth artifact get "roles-$mode" model.json && jq -e ".accuracy > 0.9" model.json && rm model.json
    '
    test_expect_success "$mode: a worker that fails is named once, and ends all" '
        test_expect_code 1 here berth run --source parameter-server --file parameter-server/job.yaml --flavor cpu.1 --name "failing-$mode" -- \
            python3 train.py --fail 1 >out 2>&1; cat out
        grep -c "was the first to fail" out | grep -x 1 && grep "rank 3 (worker 1) on node gm" out && field "failing-$mode" .attempts | grep -x 1
    '
    test_expect_success "$mode: a machine is lost: the gang ends once, and says rank and node" '
        on "$head" berth run --detach --source none --name "loses-$mode" --nodes 2 --cpus 1 --memory 100Mi --grace 2s --on-node "$one" --on-node "$lost" -- \
            sh -c "echo up; exec sleep 1000" && await 30 is_up "loses-$mode" &&
        rank=$(field "loses-$mode" "[.attempt.tasks[].allocation.node] | index(\"$lost\")") &&
        on "$one" pgrep -f "^sleep 1000" && kill -KILL "$(machine_pid "$lost")" &&
        await 120 is_in_state "loses-$mode" failed && field "loses-$mode" .reason >reason; cat reason
        grep "rank $rank on node $lost was the first to fail" reason && field "loses-$mode" .attempts | grep -x 1 &&
        on "$head" berth job attempts "loses-$mode" -o json >attempts && jq -e ".items | length == 1 and .[0].cause == \"node_lost\" and .[0].failed_rank == $rank" attempts &&
        field "loses-$mode" ".attempt.tasks[$((1 - rank))].cause" | grep -x gang &&
        await 20 is_gone "$one" "^sleep 1000"
    '
}
is_up() { [ "$(on "$head" berth logs "$1" | grep -c "up")" = 2 ]; }

test_expect_success 'a server, and four machines' '
    begin_head "slurm_poll: 1s" "node_program: $BERTH_TEST/program" && begin_server && on "$head" berth init --org acme --project lab --key test &&
    for name in "$one" "$two" "$three" "$four"; do { begin_machine "$name" && join "$name"; } || return 1; done &&
    cp -r "$BERTH_SOURCE/examples/mpi-pi" "$BERTH_SOURCE/examples/tiny-gpt" "$BERTH_SOURCE/examples/parameter-server" .
'
test_expect_success 'the model of one process, before there is a cluster' '
    here berth run --source tiny-gpt --file tiny-gpt/job.yaml --name alone -- python3 train.py --steps 20 >log 2>&1; cat log
    here berth artifact get alone checkpoint.npz && mv checkpoint.npz alone.npz
'
test_expect_success 'they become a cluster, which soon notices what is lost' '
    on "$head" berth engine install slurm >out; cat out && grep "engine: slurm stands in" out &&
    end_server && begin_server &&
    for name in "$head" "$one" "$two" "$three" "$four"; do
        sed -i "s/^SlurmdTimeout=.*/SlurmdTimeout=10/" "$BERTH_TEST/machines/$name/etc/slurm/slurm.conf" || return 1
    done && on "$head" scontrol reconfigure && on "$head" berth node cordon "$head" && await 30 ready_nodes 5
'
gangs privileged "$four"
test_expect_success 'the launchers go' '
    for name in "$one" "$two" "$three"; do end "$name" "exe launcher" || return 1; done
'
gangs step "$three"
test_done
