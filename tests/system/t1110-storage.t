#!/bin/sh
test_description='a file system for /storage that every machine has: shown, measured, and looked at before each start'
. "$(dirname "$0")/lib.sh"
berth_needs_root

shared=$BERTH_TEST/shared
mkdir "$shared"
mounted() { mount -t tmpfs -o size=200m,mode=0755 berth-test "$shared"; }
if ! mounted; then
    skip_all="no file system can be mounted here"
    test_done
fi
cleanup() { umount -l "$shared" 2>/dev/null; }

test_expect_success 'without one, /storage is the own disk of the machine' '
    berth_server && berth init --org acme --project lab --key test >init.out &&
    berth volume list -o json | jq -e ".items | length == 1 and .[0].shared == false" &&
    berth volume show storage -o json >volume && jq -e ".nodes[0] | .read > 0 and .write > 0 and .measured != null" volume &&
    jq -e ".size > .free and .free > 0" volume &&
    test_expect_code 3 berth volume show other 2>err && grep "volume .storage. alone" err &&
    berth_stop
'

test_expect_success 'with one, jobs write to it, and the node says how fast it is' '
    berth_server --storage "$shared" &&
    berth run --source none --name first -- sh -c "echo kept >/storage/file" &&
    test "$(cat "$shared"/*/storage/file)" = kept &&
    berth job show first -o json | jq -e ".attempt.evidence.storage.write_bps > 0" &&
    berth run --source none --name second -- sh -c "cat /storage/file" >out && grep kept out &&
    berth job show second -o json | jq -e ".attempt.evidence.storage == null" &&
    berth volume show storage -o json >volume &&
    jq -e ".shared and .root == \"$shared\" and (.nodes | length == 1) and .nodes[0].write > 0" volume &&
    berth volume show storage >out && grep "$shared" out
'

test_expect_success 'a machine where it is not mounted, or another one is, starts nothing' '
    umount "$shared" &&
    test_must_fail berth run --source none --name third -- true 2>err && grep "storage $shared is not mounted on this machine" err &&
    mounted && mkdir "$shared/.berth-storage" && echo 00112233445566778899aabbccddeeff >"$shared/.berth-storage/mark" &&
    test_must_fail berth run --source none --name fourth -- true 2>err && grep "not the storage of the server" err &&
    berth_stop && umount "$shared"
'

test_expect_success 'nor does a server start on an empty mount point' '
    test_must_fail berth server --storage "$shared" --listen 127.0.0.1:1 >out 2>&1 && grep "is it mounted?" out &&
    test "$(find "$shared" -type f)" = ""
'
cleanup
test_done
