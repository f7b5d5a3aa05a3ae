# conformance.sh - what a job can rely on whatever engine runs it: one suite for all of them
# shellcheck shell=sh disable=SC3043
#
# After lib.sh, with a server that runs. The file of an engine gives
#
#     lose_node JOB     the machine that runs JOB goes away
#     get_back          and comes back
#     many              how many small jobs to run at once
#
# and after conform() what holds for that engine alone.

. "$BERTH_SOURCE/tests/system/conform-inside.sh"

submit() { # NAME [FLAG...] -- COMMAND
    local name=$1
    shift
    berth run --detach --source none --name "$name" "$@" >/dev/null
}
has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
is_in_state() { has "$1" ".state == \"$2\""; }
says() { berth logs "$1" | grep -q "$2"; }

conform_starts_and_ends() {
    test_expect_success 'a job runs on the cores it was given, and its exit code is that of its command' '
        test_expect_code 3 berth run --source none --name three --cpus 1 -- sh -c "echo rank \$BERTH_RANK; exit 3" >out &&
        grep "rank 0" out &&
        has three ".cause == \"exited\" and .exit_code == 3 and .attempt.allocation.node != null"
    '
    test_expect_success 'what cannot be started says why' '
        test_expect_code 125 berth run --source none --name nothing --cpus 1 -- /no/such/program >out &&
        berth why nothing | grep "no/such/program"
    '
}

conform_logs_charts_artifacts() {
    mkdir -p app
    echo 'from the workspace' >app/input
    cat >app/main.sh <<'END'
echo "to stderr" >&2
for i in 1 2 3; do echo "{\"chart\": \"loss\", \"x\": $i, \"y\": 0.$i}"; done
seq 20000
mkdir -p /artifacts/deep && seq 1000 >/artifacts/deep/numbers && : >/artifacts/empty
cat input
END
    test_expect_success 'logs, charts and artifacts come home' '
        berth run --source app --name full --cpus 1 -- sh main.sh >out 2>&1 &&
        grep "from the workspace" out && grep "to stderr" out &&
        berth logs full >log && test "$(grep -c "^[0-9]*$" log)" = 20000 &&
        berth charts full -o json >charts && test "$(jq -s "[.. | numbers] | length" charts)" -ge 6 &&
        berth artifacts full -o json >list && test "$(jq ".items | length" list)" = 2 &&
        seq 1000 >want && berth artifact get full deep/numbers --to got && test_cmp want got/deep/numbers
    '
    test_expect_success 'what a failed job left is kept as well' '
        test_expect_code 4 berth run --source none --name left --cpus 1 -- sh -c "echo x >/artifacts/x; exit 4" &&
        test "$(berth artifacts left -o json | jq -r ".items[0].path")" = x
    '
}

conform_stops() {
    test_expect_success 'a signal reaches the command' '
        submit sig --cpus 1 -- sh -c "trap \"echo got it; exit 5\" USR1; echo set; while :; do sleep 0.05; done" &&
        await 30 says sig set &&
        berth job signal sig USR1 && test_expect_code 5 berth job wait sig && says sig "got it"
    '
    test_expect_success 'a job is stopped with its grace' '
        submit nice --cpus 1 -- sh -c "trap \"echo bye; exit 0\" TERM; echo set; while :; do sleep 0.05; done" &&
        await 30 says nice set &&
        berth stop --grace 20 --wait nice && is_in_state nice stopped && says nice bye
    '
    test_expect_success 'one that does not hear is killed when its grace is over' '
        submit deaf --cpus 1 -- sh -c "trap \"\" TERM; echo set; while :; do sleep 1; done" &&
        await 30 says deaf set &&
        berth stop --grace 1 --wait deaf && is_in_state deaf stopped
    '
    test_expect_success 'a job that makes room saves its state, goes on with it, and uses up no retry' '
        submit room --cpus 1 --preemptible --checkpoint-signal USR1 -- sh -c "trap \"echo 7 >/artifacts/step; exit 0\" USR1
            if [ -n \"\$BERTH_RESUME\" ]; then echo goes on from \$(cat /artifacts/step); exit 0; fi
            echo set; while :; do sleep 0.05; done" &&
        await 30 says room set && berth job preempt room && test "$(berth job wait room; echo $?)" = 0 &&
        has room ".state == \"succeeded\" and .attempts == 2 and .preemptions == 1" &&
        says room "goes on from 7" && berth logs room --attempt 1 | grep -x set &&
        berth job attempts room -o json | jq -e ".items[] | select(.number == 1) | .state == \"stopped\" and .cause == \"preempted\""
    '
    test_expect_success 'a job that runs too long is ended as that' '
        test_expect_code 143 berth run --source none --name long --cpus 1 --max-time 1s --grace 0s -- sleep 600 &&
        has long ".cause == \"max_time\""
    '
}

conform_restarts() {
    test_expect_success 'the server goes and comes back: the job goes on, once' '
        submit over --cpus 1 -- sh -c "echo begin; while [ \$((i += 1)) -lt 30 ]; do echo beat; sleep 0.1; done; echo end; exit 6" &&
        await 30 says over begin &&
        berth_kill && berth_server &&
        test_expect_code 6 berth job wait over &&
        has over ".attempts == 1" &&
        test "$(berth logs over | grep -c begin)" = 1 && says over end
    '
    test_expect_success 'one that ends while nobody is there is known to have ended' '
        submit away --cpus 1 -- sh -c "echo begin; sleep 1; echo end; exit 7" &&
        await 30 says away begin &&
        berth_kill && sleep 1.5 && berth_server &&
        test_expect_code 7 berth job wait away && has away ".attempts == 1" && says away end
    '
}

# Layers of their own each time: no machine has seen them.
conform_images() {
    . "$BERTH_SOURCE/tests/system/images.sh"
    for tool in umoci skopeo docker-registry busybox; do
        command -v $tool >/dev/null && continue
        echo "# images: $tool is not installed"
        return
    done
    test_expect_success 'an image that wants a login is pulled, and runs: layers hide each other, entrypoint, user and environment are its own' '
        busybox_tree one && head -c 100000 /dev/urandom >one/data/a && mkdir -p one/old/deep && echo below >one/old/deep/file &&
        chmod 0555 one/old && mkdir -p two/data two/old && echo b >two/data/b && touch two/data/.wh.a two/old/.wh..wh..opq && echo new >two/old/new &&
        image_layer oci:one one && image_layer oci:one two &&
        image_config oci:one --config.user user --config.env GREETING=hi --config.workingdir /data --config.entrypoint /bin/env --config.entrypoint VIA=entry \
            --config.cmd sh --config.cmd -c --config.cmd "id -u; pwd; ls /data /old; echo \$GREETING \$VIA \$HOME" &&
        registry_start auth && registry_push oci:one lib/one:1 && image=$REGISTRY/lib/one:1 &&
        test_expect_code 125 berth run --source none --image "$image" 2>err && grep "wants a login" err &&
        echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
        berth run --source none --name pulled --cpus 1 --image "$image" >out &&
        printf "1000\n/data\n/data:\nb\n\n/old:\nnew\nhi entry /home/user\n" >expected && test_cmp expected out
    '
    test_expect_success 'what was sent, storage and artifacts are its user'"'"'s to write, and what comes home is whole' '
        mkdir w && echo sent >w/file &&
        berth run --source w --name writes --cpus 1 --image "$image" -- "cat file; echo more >>file; touch /storage/kept; cat /old/new >/artifacts/result" >out &&
        echo sent >expected && test_cmp expected out &&
        test "$(berth artifacts writes -o json | jq -r ".items[0].path")" = result
    '
    command -v buildah >/dev/null || return 0
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$BERTH_TEST/graph" "$BERTH_TEST/graph.run" >storage.conf
    test_expect_success 'so does one that a Dockerfile makes' '
        mkdir context && cp one/bin/busybox context && date +%N >context/word &&
        printf "FROM scratch\nCOPY busybox /bin/sh\nCOPY word /word\nENTRYPOINT [\"/bin/sh\"]\nCMD [\"-c\", \"read word </word; echo \$word\"]\n" >context/Dockerfile &&
        CONTAINERS_STORAGE_CONF="$PWD/storage.conf" berth run --source none --name built --cpus 1 --dockerfile context >out 2>err && test_cmp context/word out
    '
    registry_stop
}

conform_loses_a_node() {
    test_expect_success 'a machine that is lost: the job is tried again elsewhere, and what the old one says counts for nothing' '
        submit lost --cpus 1 --retries 1 --backoff 0s -- \
            sh -c "echo try \$BERTH_ATTEMPT; [ \$BERTH_ATTEMPT = 2 ] || sleep 600; echo done" &&
        await 30 says lost "try 1" &&
        lose_node lost &&
        await 60 is_in_state lost succeeded &&
        has lost ".attempts == 2" && says lost "try 2" &&
        berth job attempts lost -o json | jq -e "[.items[].cause] | sort == [\"exited\", \"node_lost\"]" &&
        get_back
    '
}

conform_gangs() {
    test_expect_success 'a job of several tasks starts when all of it is there, and ends together' '
        berth run --source none --name gang --nodes 2 --tasks-per-node 1 --cpus 1 -- sh -c "echo rank \$RANK of \$WORLD_SIZE
            test -e /sys/class/net/\$BERTH_INTERFACE && [ \$NCCL_SOCKET_IFNAME = \$BERTH_INTERFACE ] && grep -c slots=1 \$BERTH_HOSTFILE | grep -x 2 && getent hosts \$MASTER_ADDR" >out &&
        grep "rank 0 of 2" out && berth logs gang --rank 1 | grep "rank 1 of 2" &&
        test_expect_code 9 berth run --source none --name breaks --nodes 2 --cpus 1 -- \
            sh -c "[ \$RANK = 1 ] && exit 9; sleep 600" &&
        has breaks ".attempt.failed_rank == 1"
    '
}

# submit_many COUNT: over one connection, each is told apart by what it prints
submit_many() {
    seq "$1" | while read -r i; do
        [ "$i" = 1 ] || echo next
        printf 'url = "http://localhost/v1/projects/lab/jobs"\nunix-socket = "%s"\nfail\nsilent\nshow-error\n' "$BERTH_SOCKET"
        printf 'header = "Content-Type: application/json"\noutput = "/dev/null"\n'
        printf 'data = "{\\"name\\": \\"many-%s\\", \\"cpus\\": 1, \\"command\\": [\\"echo\\", \\"many %s\\"]}"\n' "$i" "$i"
    done | curl --config -
}
# What they printed, wherever they ran and however often.
all_printed() { find "$BERTH_STATE/attempts" -name log -exec cat {} + | sed -n 's/^many //p'; }
some_printed() { [ "$(all_printed | wc -l)" -ge "$1" ]; }
conform_many() {
    test_expect_success "$many small jobs all run, once each, while the server is killed and comes back" '
        began=$(date +%s) &&
        submit_many $many && await 280 some_printed $((many / 3)) &&
        berth_kill && berth_server &&
        await 280 none_is_live &&
        test "$(jobs_in succeeded)" = $many &&
        seq $many >all && all_printed | sort -n >printed && test_cmp all printed &&
        echo "# $many small jobs took $(($(date +%s) - began)) s" >&5
    '
}
jobs_in() { api GET "/v1/projects/lab/jobs?state=$1&name=many-*&limit=1000" | jq '.items | length'; }
none_is_live() { [ "$(api GET "/v1/projects/lab/queue" | jq '.items | length')" = 0 ]; }

conform() {
    conform_starts_and_ends
    conform_logs_charts_artifacts
    conform_stops
    conform_inside
    conform_restarts
    conform_gangs
    conform_images
    conform_loses_a_node
    conform_many
}
