#!/bin/sh
test_description='layers of images come to a machine once, whole, and go on where they were cut off'
. "$(dirname "$0")/lib.sh"
berth_needs_root
berth_needs jq crun umoci busybox
. "$BERTH_SOURCE/tests/system/home.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
home_account=games
home_start
SPOOL=$BERTH_TEST/spool

fetched() { grep -c "^layer" "$HOME_DIR/log"; }
large() { jq -r '.image.packed.blobs[1].digest' "$1.json"; }
is_half() { [ "$(stat -c %s "$SPOOL/packed/$1" 2>/dev/null || echo 0)" -gt 1000000 ]; }
ended() { home exit.json | jq -e "$1"; }

test_expect_success 'an image' '
    busybox_tree root && echo a >root/data/a && mkdir -p root/old/deep && echo below >root/old/deep/file && chmod 0555 root/old/deep &&
    home_image one && home_image two && home_image three && home_image four
'

test_expect_success 'its layers come, and it runs with one uid, whatever its files belong to' '
    id=$(new_task "$(with one ".image.config = {user: \"user\", env: [\"A=b\"]}")" sh -c "id -u; ls /data /old; echo \$A; touch ~/x /data/x && wc -c </data/big") &&
    supervise "$id" && home log >log && printf "1000\n/data:\nbig\n\n/old:\nnew\nb\n3000000\n" >expected && test_cmp expected log &&
    test "$(fetched)" -eq 2 && test -z "$(ls "$SPOOL/packed")"
'

test_expect_success 'four tasks that begin at once fetch each layer once' '
    before=$(fetched) && ids=$(for _ in 1 2 3 4; do new_task "$(with two)" cat /old/new; done) && : >"$HOME_DIR/hold" &&
    for id in $ids; do { exec_task "$id" & } && pids="$pids $!"; done && await 20 is_half "$(large two)" && rm "$HOME_DIR/hold" &&
    for pid in $pids; do wait "$pid" || return 1; done && for id in $ids; do says new || return 1; done &&
    test $(($(fetched) - before)) -eq 1
'

test_expect_success 'a home that goes away in the middle is asked for the rest when it is back' '
    id=$(new_task "$(with three)" cat /old/new) && : >"$HOME_DIR/hold" && { exec_task "$id" & } && pid=$! && await 20 is_half "$(large three)" &&
    : >"$HOME_DIR/away" && : >"$HOME_DIR/cut" && rm "$HOME_DIR/hold" && cut() { test ! -e "$HOME_DIR/cut"; } && await 20 cut && rm "$HOME_DIR/away" && wait "$pid" &&
    says new && grep "layer $(large three) from [1-9]" "$HOME_DIR/log"
'

test_expect_success 'what a task that was killed had of it serves the next; how far it is was said' '
    id=$(new_task "$(with four)" cat /old/new) && : >"$HOME_DIR/hold" && { exec_task "$id" & } && pid=$! && await 20 is_half "$(large four)" &&
    kill -9 $pid && test_expect_code 137 wait "$pid" && id=$(new_task "$(with four)" cat /old/new) && rm "$HOME_DIR/hold" && supervise "$id" && says new &&
    grep "layer $(large four) from [1-9]" "$HOME_DIR/log"
'

test_expect_success 'who waits for it says how far it is, and hears that it is to stop' '
    home_image five && id=$(new_task "$(with five)" echo ran) && : >"$HOME_DIR/hold" && { exec_task "$id" & } && pid=$! && await 20 is_half "$(large five)" &&
    first=$id && id=$(new_task "$(with five)" echo ran) &&
    order "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":20}" && supervise "$id" &&
    jq -e ".what == \"image five\" and .done > 1000000 and .total > .done" "$HOME_DIR/$id/progress" && ended ".cause == \"stopped\" and (.reason | test(\"stopped while image five\"))" &&
    rm "$HOME_DIR/hold" && wait "$pid" && id=$first && says ran
'

test_expect_success 'other bytes than were named are no layer, whatever they are' '
    home_image six && large=$(large six) && printf x | dd of="$HOME_DIR/blobs/$large" bs=1 seek=1000 conv=notrunc 2>/dev/null &&
    id=$(new_task "$(with six)" echo ran) && supervise "$id" && ended ".cause == \"start_failed\" and (.reason | test(\"image six: layer .*another digest\"))" &&
    test ! -e "$SPOOL/packed/$large" && test ! -e "$SPOOL/layers/$(jq -r ".image.layers[1]" six.json)"
'

test_expect_success 'a layer that unpacks to something else, or to too much, is refused' '
    home_image seven && id=$(new_task "$(with seven ".image.layers[1] = .image.layers[0][1:] + \"0\"")" echo ran) && supervise "$id" &&
    ended ".reason | test(\"image seven: layer .*another digest than its config\")" &&
    id=$(new_task "$(with seven ".image.packed.bytes_max = 1000000")" echo ran) && supervise "$id" && ended ".reason | test(\"unpacks to more than\")"
'

test_expect_success 'the layers that were used least go when there are too many, none that runs' '
    long=$(new_task "$(with one)" sh -c "echo up; sleep 1000") && id=$long && { exec_task "$id" & } && pid=$! && await 20 says up &&
    touch -a -d "1 hour ago" "$SPOOL"/layers/* && id=$(new_task "$(with seven)" echo ran) && BERTH_LAYERS_MAX=1 supervise "$id" && says ran &&
    ls "$SPOOL/layers" | sort >left && jq -r ".image.layers[]" one.json seven.json | sort -u >expected && test_cmp expected left &&
    kill -9 $pid; ! wait "$pid"
'

test_expect_success 'a full spool is said, with what to do' '
    mkdir small && mount -t tmpfs -o size=5m,mode=700,uid="$(id -u games)" none small && home_image eight &&
    id=$(new_task "$(with eight)" echo ran) && BERTH_SPOOL_DIR=$PWD/small supervise "$id" && umount small &&
    ended ".cause == \"start_failed\" and (.reason | test(\"spool .*small is full: image eight .*BERTH_SPOOL\"))"
'

test_done
