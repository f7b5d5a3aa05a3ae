#!/bin/sh
test_description='a task runs in a step of a batch system, as any account, and its word comes home'
. "$(dirname "$0")/lib.sh"
berth_needs_root
berth_needs jq crun

. "$BERTH_SOURCE/tests/system/home.sh"
home_account=games
home_start

test_expect_success 'log, exit code and results come home; the supervisor ends well' '
    id=$(new_task . sh -c "echo out; echo err >&2; echo 42 >/artifacts/answer; id -u; exit 3") && supervise "$id" &&
    home exit.json >exit && jq -e ".cause == \"exited\" and .exit_code == 3 and .artifacts.count == 1" exit &&
    home log | sort >log && printf "%s\n" 0 err out >expected && test_cmp expected log &&
    manifest=$(jq -r .artifacts.manifest exit) && echo 42 >expected &&
    sum=$(sha256sum expected) && test_cmp expected "$HOME_DIR/blobs/${sum%% *}" && grep "${sum%% *}" "$HOME_DIR/blobs/$manifest"
'

test_expect_success 'what ran is seen as evidence, and nothing of it stays but the cache' '
    home started >started && jq -e ".evidence | .mode == \"step\" and .seccomp == 2 and .no_new_privileges == 1 and
        (.cpus | length) > 0" started &&
    test -z "$(ls -A "$BERTH_TEST/spool/attempts" "$BERTH_TEST/spool/running" | grep -v :)"
'

test_expect_success 'the command has neither the token nor anything else of the account' '
    id=$(new_task . sh -c "env; cat /proc/*/environ | tr \"\\0\" \"\\n\"; ls / /home /root /tmp; ls $BERTH_TEST") &&
    supervise "$id" && home log >log && ! grep -e token- -e spool log && grep BERTH_ATTEMPT_ID log
'

test_expect_success 'a long log comes home as it was, from a home that takes half and forgets to answer' '
    id=$(new_task . sh -c "seq 400000; echo the end >&2") && : >"$HOME_DIR/short" && : >"$HOME_DIR/mute" &&
    supervise "$id" && rm "$HOME_DIR/short" && { seq 400000; echo the end; } | sort >expected && home log | sort >log &&
    test_cmp expected log
'

test_expect_success 'charts and the index come, too' '
    id=$(new_task . sh -c "echo \"{\\\"chart\\\": \\\"loss\\\", \\\"x\\\": 1, \\\"y\\\": 2}\"") && supervise "$id" &&
    home charts | jq -e ".y == 2" && test "$(home log.idx | wc -c)" -eq 32
'

test_expect_success 'workspace and datasets come by digest, secrets by the token' '
    echo one >one && sum=$(sha256sum one) && sum=${sum%% *} && cp one "$HOME_DIR/blobs/$sum" &&
    echo "f $sum 4 dir/one" >list && list=$(sha256sum list) && list=${list%% *} && cp list "$HOME_DIR/blobs/$list" &&
    id=$(new_task ".workspace_tree = \"$list\" | .has_secrets = true | .spec.env = {PASSWORD: \"secret:PASSWORD\"} |
        .spec.datasets = [{name: \"d\", version: 1, path: \"/datasets/d\", manifest: \"$list\"}]" \
        sh -c "cat dir/one /datasets/d/dir/one; echo two >dir/one; cat dir/one; echo three >/datasets/d/x; echo \$PASSWORD") &&
    supervise "$id" && home log | grep -v "x: Read-only" >log && printf "%s\n" one one two "open sesame" >expected &&
    test_cmp expected log
'

test_expect_success 'bytes that are not what was named are not used' '
    other=$(echo other | sha256sum) && other=${other%% *} && cp one "$HOME_DIR/blobs/$other" &&
    id=$(new_task ".workspace_tree = \"$other\"" echo ran) && supervise "$id" && home exit.json >exit &&
    jq -e ".cause == \"start_failed\" and (.reason | test(\"workspace.*SHA-256\"))" exit
'

test_expect_success 'storage is the file system that was declared, or the task does not begin' '
    shared=$BERTH_TEST/shared && install -d -o games "$shared" "$shared/.berth-storage" && mkdir empty &&
    echo 00112233445566778899aabbccddeeff >"$shared/.berth-storage/mark" &&
    storage() { echo ".storage = {root: \"$1\", mark: \"00112233445566778899aabbccddeeff\", measure: true}"; } &&
    id=$(new_task "$(storage "$shared")" sh -c "echo kept >/storage/file") && supervise "$id" &&
    echo kept >expected && test_cmp expected "$shared/$id/storage/file" &&
    home started | jq -e ".evidence.storage | .read_bps > 0 and .write_bps > 0" &&
    id=$(new_task "$(storage "$PWD/empty")" echo ran) && supervise "$id" && home exit.json >exit &&
    jq -e ".cause == \"start_failed\" and (.reason | test(\"empty is not mounted on this machine\"))" exit
'

test_expect_success 'an order from home stops it with its grace' '
    id=$(new_task . sh -c "trap \"echo asked; exit 5\" TERM; echo up; while :; do sleep 0.1; done") &&
    { exec_task "$id" & } && pid=$! && await 20 says up && order "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":20}" &&
    wait $pid && says asked && home exit.json | jq -e ".cause == \"stopped\" and .exit_code == 5"
'

test_expect_success 'so does the batch system by SIGTERM' '
    id=$(new_task . sh -c "trap \"echo asked; exit 5\" TERM; echo up; while :; do sleep 0.1; done") &&
    { exec_task "$id" & } && pid=$! && await 20 says up && kill $pid && wait $pid && says asked &&
    home exit.json | jq -e ".exit_code == 5"
'

test_expect_success 'while home is away it goes on, and all comes home afterwards' '
    id=$(new_task . sh -c "echo up; until [ -e /artifacts/go ]; do sleep 0.05; done; seq 1000; echo 1 >/artifacts/a") &&
    { exec_task "$id" & } && pid=$! && await 20 says up && : >"$HOME_DIR/away" &&
    touch "$BERTH_TEST/spool/projects/$id/artifacts/$id/go" &&
    await 20 test -s "$BERTH_TEST/spool/attempts/$id/exit.json" && ! says 1000 && rm "$HOME_DIR/away" && wait $pid &&
    says 1000 && home exit.json | jq -e ".artifacts.count == 2"
'

test_expect_success 'results that nobody takes stay, and the end says so' '
    id=$(new_task . sh -c "echo up; until [ -e /artifacts/go ]; do sleep 0.05; done") &&
    { WAIT=0 exec_task "$id" 2>err & } && pid=$! && await 20 says up && : >"$HOME_DIR/away" &&
    touch "$BERTH_TEST/spool/projects/$id/artifacts/$id/go" && test_expect_code 75 wait $pid && grep "away" err &&
    test -s "$BERTH_TEST/spool/attempts/$id/exit.json" && rm "$HOME_DIR/away"
'

test_expect_success 'a task that was given up is killed at once, and nothing of it lands' '
    id=$(new_task . sh -c "trap : TERM; echo up; while :; do echo more; sleep 0.02; done") &&
    { exec_task "$id" 2>err & } && pid=$! && await 20 says up && : >"$HOME_DIR/$id/fenced" &&
    test_expect_code 76 wait $pid && grep "given up" err && home log >before && is_dead &&
    sleep 0.3 && home log >after && test_cmp before after && test ! -e "$HOME_DIR/$id/files/exit.json" &&
    test ! -e "$BERTH_TEST/spool/attempts/$id"
'

test_expect_success 'it is not begun again' '
    test_expect_code 76 supervise "$id"
'

test_expect_success 'who kills the supervisor kills all of it' '
    id=$(new_task . sh -c "setsid sleep 1000 & echo up; exec sleep 1000") &&
    { exec_task "$id" & } && pid=$! && await 20 says up && alive && kill -9 $pid && test_expect_code 137 wait $pid &&
    await 10 is_dead && killed=$id
'

test_expect_success 'network none is a network with nobody in it' '
    id=$(new_task ".network = \"none\"" sh -c "ls /sys/class/net; cat /proc/net/route | wc -l") && supervise "$id" &&
    home log >log && printf "%s\n" lo 1 >expected && test_cmp expected log
'

test_expect_success 'the tasks of a gang are told of each other before they begin' '
    gang="attempt: \$id, rank: 0, world_size: 1, local_rank: 0, local_size: 1, node_rank: 0, n_nodes: 1, master_port: 29500" &&
    id=$(new_task ".gang = {$gang}" sh -c "echo up") &&
    { exec_task "$id" & } && pid=$! && await 20 test -s "$HOME_DIR/$id/files/ready" && home ready | jq -e ".address == \"127.0.0.1\"" && ! says up &&
    order "$(jq -nc "{op: \"go\", secret: \"$(printf %064d 7)\",
        peers: [{task: \$id, node: \"n1\", address: \"127.0.0.1\", $gang}]}" --arg id "$id")" &&
    wait $pid && says up
'

has() { test -e "$BERTH_TEST/spool/blobs/$(echo "$1" | sed "s|^..|&/|")"; }
# All that is there was used long ago, and no sweep was of late.
age() { (cd "$BERTH_TEST/spool" && find . -path ./projects -prune -o -path ./using -prune -o -exec touch -h -d "2 days ago" {} +); }
sweep() { age && id=$(new_task . true) && (export BERTH_SPOOL_MAX=1 && supervise "$id"); }

test_expect_success 'too much is swept: nothing of a task that runs, nothing that is not home; and what was killed leaves nothing' '
    one=$(sha256sum one) && one=${one%% *} && has "$one" && stuck=$(cd "$BERTH_TEST/spool/attempts" && ls -d -- */exit.json) &&
    manifest=$(jq -r .artifacts.manifest "$BERTH_TEST/spool/attempts/$stuck") && has "$manifest" &&
    echo kept >kept && sum=$(sha256sum kept) && sum=${sum%% *} && cp kept "$HOME_DIR/blobs/$sum" &&
    echo "f $sum 5 dir/kept" >list && list=$(sha256sum list) && list=${list%% *} && cp list "$HOME_DIR/blobs/$list" &&
    id=$(new_task ".workspace_tree = \"$list\"" sh -c "echo up; until [ -e /artifacts/go ]; do sleep 0.05; done; cat dir/kept") && runs=$id &&
    { exec_task "$id" & } && pid=$! && await 20 says up && test -e "$BERTH_TEST/spool/attempts/$killed" && sweep && ! has "$one" &&
    has "$sum" && has "$manifest" && test -s "$BERTH_TEST/spool/attempts/$stuck" && test -d "$BERTH_TEST/spool/trees/$list" &&
    test ! -e "$BERTH_TEST/spool/attempts/$killed" && test ! -e "$BERTH_TEST/spool/running/$killed" &&
    touch "$BERTH_TEST/spool/projects/$runs/artifacts/$runs/go" && wait $pid && id=$runs && says kept &&
    sweep && ! has "$sum" && has "$manifest" && test ! -e "$BERTH_TEST/spool/trees/$list" && test -z "$(ls "$BERTH_TEST/spool/using")"
'

test_done
