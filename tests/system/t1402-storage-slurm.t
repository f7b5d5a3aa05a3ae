#!/bin/sh
test_description='a file system that the nodes of a cluster share is /storage in their steps, and each says how fast'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
berth_needs jq crun squeue

# Jobs run as the server's account.
install -d -m 1777 "$BERTH_TEST/spool" "$BERTH_TEST/shared"
TMPDIR=$BERTH_TEST/spool shared=$BERTH_TEST/shared
export TMPDIR
slurm_start 2 1
printf 'engine: slurm\nslurm_conf: %s\nslurm_poll: 1s\nstorage: %s\n' "$SLURM_CONF" "$shared" >>"$BERTH_CONFIG"
berth_start

test_expect_success 'tasks on two nodes see what the other wrote' '
    berth run --source none --nodes 2 --tasks-per-node 1 --cpus 1 --name pair -- sh -c "echo \$RANK >/storage/\$RANK
        until [ -e /storage/0 ] && [ -e /storage/1 ]; do sleep 0.1; done; cat /storage/[01]" >out &&
    test "$(cat "$shared"/*/storage/[01] | tr "\n" " ")" = "0 1 " && grep 0 out && grep 1 out
'

test_expect_success 'both have measured it' '
    berth volume show storage -o json >volume && jq -e ".shared and .root == \"$shared\"" volume &&
    jq -e "[.nodes[] | select(.read > 0 and .write > 0).node] | contains([\"node1\", \"node2\"])" volume
'

test_expect_success 'where it is not the one of the server, the task does not begin, and says why' '
    echo 00112233445566778899aabbccddeeff >"$shared/.berth-storage/mark" &&
    test_must_fail berth run --source none --cpus 1 --name other -- echo ran >out 2>err && ! grep ran out &&
    grep "not the storage of the server" err
'
test_done
