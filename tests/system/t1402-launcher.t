#!/bin/sh
test_description='where the launcher runs on a node, tasks in steps get what a machine of ours gives'
. "$(dirname "$0")/lib.sh"
berth_needs_root
berth_needs jq crun
. "$BERTH_SOURCE/tests/system/home.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
home_account=berth
home_start

launcher_answers() { test -S "$BERTH_TEST/launcher/launcher.sock"; }
NODE_STATE=$BERTH_TEST/node

test_expect_success 'the launcher starts' '
    { BERTH_IMAGE_MAX_SIZE=16Mi "$BERTH_BUILD/berth" launcher --state "$NODE_STATE" --runtime "$BERTH_TEST/launcher" 2>launcher.log & } &&
    launcher=$! && await 20 launcher_answers
'

test_expect_success 'a task has a range of uids and a network of its own, and its end comes home' '
    id=$(new_task . sh -c "cat /proc/self/uid_map; ls /sys/class/net; echo 42 >/artifacts/answer; exit 3") &&
    supervise "$id" && home exit.json >exit && jq -e ".exit_code == 3 and .artifacts.count == 1" exit &&
    home started | jq -e ".evidence | .uid_base == 1879048192 and .address != null" &&
    home log | tr -s " " >log && printf "%s\n" " 0 1879048192 65536" eth0 lo >expected && test_cmp expected log &&
    test ! -e "$NODE_STATE/attempts/$id" && test -z "$(ls -A "$NODE_STATE/running" "$NODE_STATE/using" | grep -v :)" &&
    test "$(stat -c %U "$NODE_STATE/swept")" = root
'

test_expect_success 'orders reach it, and secrets that were never on a disk' '
    id=$(new_task ".has_secrets = true | .spec.env = {PASSWORD: \"secret:PASSWORD\"}" \
        sh -c "trap \"echo \\\$PASSWORD; exit 5\" TERM; echo up; while :; do sleep 0.1; done") &&
    { exec_task "$id" & } && pid=$! && await 20 says up && ! grep -r sesame "$NODE_STATE" &&
    order "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":20}" && wait $pid && says "open sesame" &&
    home exit.json | jq -e ".cause == \"stopped\" and .exit_code == 5"
'

command -v umoci >/dev/null && command -v busybox >/dev/null && test_set_prereq IMAGES
test_expect_success IMAGES 'layers come to the launcher, whose files they are; who begins meanwhile does not wait for them' '
    busybox_tree root && echo a >root/data/a && chmod 0700 root/home/user && home_image one &&
    id=$(new_task "$(with one ".image.config = {user: \"user\"}")" sh -c "id -u; stat -c %u /home/user /bin; ls /data") && : >"$HOME_DIR/hold" &&
    { exec_task "$id" & } && pid=$! && first=$id && id=$(new_task . echo meanwhile) && supervise "$id" && says meanwhile && rm "$HOME_DIR/hold" &&
    wait "$pid" && id=$first && home log >log && printf "1000\n1000\n0\nbig\n" >expected && test_cmp expected log &&
    test "$(stat -c %u "$NODE_STATE/layers"/*/home/user)" = 2147419112 && test "$(stat -c %u:%a "$NODE_STATE/layers")" = 0:700 &&
    id=$(new_task "$(with one)" cat /old/new) && supervise "$id" && says new && test "$(grep -c "^layer" "$HOME_DIR/log")" = 2
'

test_expect_success IMAGES 'what a layer may have is the machine'"'"'s to say' '
    mkdir -p two && head -c 20000000 /dev/zero >two/zeros && home_image two && id=$(new_task "$(with two)" echo ran) && supervise "$id" &&
    home exit.json | jq -e ".cause == \"start_failed\" and (.reason | test(\"image two: layer .*unpacks to more than 16 MiB\"))"
'

test_expect_success 'it ends with its step' '
    id=$(new_task . sh -c "setsid sleep 1000 & echo up; exec sleep 1000") &&
    { exec_task "$id" & } && pid=$! && await 20 says up && alive && kill -9 $pid && test_expect_code 137 wait $pid &&
    await 10 is_dead
'

test_expect_success 'a task that was given up is killed at once' '
    id=$(new_task . sh -c "trap : TERM; echo up; while :; do sleep 0.02; done") &&
    { exec_task "$id" 2>err & } && pid=$! && await 20 says up && : >"$HOME_DIR/$id/fenced" &&
    test_expect_code 76 wait $pid && is_dead
'

test_expect_success 'uids that are not of the range are refused, by name, at home' '
    id=$(new_task ".uid_base = 0" echo ran) && supervise "$id" &&
    home exit.json | jq -e ".cause == \"start_failed\" and (.reason | test(\"launcher: start: uid 0\"))"
'

# Two ways to ask; neither is this account.
test_expect_success 'another account is not served: its tasks run as what it may' '
    home_account=games && rm -rf "$BERTH_TEST/spool" && install -d -o games -m 700 "$BERTH_TEST/spool" && id=$(new_task . id -u) && supervise "$id" &&
    home started | jq -e ".evidence.mode == \"step\""
'

test_expect_success 'without its launcher the door closes' '
    kill $launcher && ! wait $launcher
'

test_done
