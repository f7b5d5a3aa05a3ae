#!/bin/sh
test_description='the whole tour on a machine without any way out, and not a packet leaves'
# shellcheck disable=SC2016,SC2034
# The machine is a network namespace with an interface, an address and no route; what leaves it is
# counted at the other end of its cable.
if [ "$(id -u)" -eq 0 ] && [ -z "${BERTH_ROOM:-}" ]; then
    BERTH_ROOM=1 exec unshare --net --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

berth_needs_root
[ "$BERTH_BUILD" -ef "$BERTH_SOURCE/build" ] || {
    skip_all='the tour shows build/berth'
    test_done
}

left() { ip -s -j link show eth0 | jq '.[0].stats64.tx.packets' && ip -s -j link show cable | jq '.[0].stats64.rx.packets'; }

test_expect_success 'a machine with a cable that leads nowhere' '
    ip link add eth0 type veth peer name cable &&
    for i in eth0 cable; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6 || return 1; done &&
    ip link set lo up && ip link set cable up && ip link set eth0 up && ip addr add 198.51.100.2/24 dev eth0 &&
    left >before && test "$(sort -u before)" = 0
'

test_expect_success 'the tour works: server, key, job, charts, artifacts, record' '
    "$BERTH_SOURCE/tools/tour" start >tour.log 2>&1 || { tail -30 tour.log; false; }
'

test_expect_success 'a job that tries to get out is told that there is no way' '
    ! berth run --source none --name lost -- \
        python3 -c "import socket; socket.create_connection((\"203.0.113.7\", 80), 20)" >lost.log 2>&1 &&
    grep -i "no way out" lost.log
'

test_expect_success 'not a packet has left' '
    left >after && cat after && test "$(sort -u after)" = 0
'

test_expect_success 'the counter counts' '
    ! timeout 1 python3 -c "import socket; socket.create_connection((\"198.51.100.9\", 80), timeout=0.3)" 2>/dev/null;
    left >counted && test "$(sort -u counted)" != 0
'

test_expect_success 'the server ends and leaves no network' '
    "$BERTH_SOURCE/tools/tour" stop && ! ip -o link | grep bth && ! nft list tables | grep berth
'

test_done
