#!/bin/sh
test_description='the whole tour on a machine without any way out, and not a packet leaves'
# shellcheck disable=SC2016,SC2034
# The machine is a network namespace with an interface, an address and no route; what leaves it is
# counted at the other end of its cable.
if [ "$(id -u)" -eq 0 ] && [ -z "${BERTH_ROOM:-}" ]; then
    BERTH_ROOM=1 exec unshare --net --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"

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
    "$BERTH_SOURCE/tools/tour" start -- python3 train.py --steps 80 >tour.log 2>&1 || { tail -30 tour.log; false; }
'

if command -v umoci >/dev/null && command -v busybox >/dev/null; then test_set_prereq IMAGES; fi
[ ! -f "$BERTH_BUILD/src/console/console-files.c.p/files/index.html" ] || test_set_prereq CONSOLE

test_expect_success IMAGES 'an image from an archive runs' '
    busybox_tree root && image_layer oci:one root && layout_tar oci one.tar &&
    berth image import one.tar --name one:1 &&
    berth run --source none --name imaged --image one:1 -- cat /etc/group >imaged.log && grep staff imaged.log
'

why_says() { berth why "$1" | grep "$2"; }

# It is asked for again for more than a minute; then the job fails with the same words.
test_expect_success IMAGES 'a job whose image would have to be fetched says in words what is missing' '
    berth run --detach --source none --name fetched --image registry.example.org/a/b:1 -- true &&
    await 30 why_says fetched "registry registry.example.org: Couldn.t resolve host" &&
    berth stop --wait fetched
'

test_expect_success 'a dataset is pushed, read by a job, written by another, verified' '
    mkdir data && seq 1000 >data/numbers && berth dataset push numbers data &&
    berth run --source none --name sum --dataset numbers --output-dataset sums -- sh -c \
        "mkdir -p /artifacts/sums && wc -l </datasets/numbers/numbers >/artifacts/sums/lines" &&
    berth dataset pull sums sums && test "$(cat sums/lines)" = 1000 && berth dataset verify numbers
'

test_expect_success CONSOLE 'the console is served, and names nothing outside' '
    url=${BERTH_URL:-http://127.0.0.1:7077} && curl -sf "$url/console/" >page &&
    for file in $(sed -n "s/.*\(src\|href\)=\"\([^\"]*\)\".*/\2/p" page); do
        case $file in /console/*) curl -sf -o file "$url$file" || return 1 ;; *) echo "outside: $file" && return 1 ;; esac
    done
'

test_expect_success 'a shell in a job, files to it, what it uses, a job again' '
    berth run --source none --detach --name stays -- sleep 1000 && await 20 berth exec stays -- true &&
    berth cp tour.log stays:/tmp/log && berth exec stays -- cat /tmp/log >back && test_cmp tour.log back &&
    berth top >top && grep stays top && berth stop --grace 0 --wait stays && berth job rerun sum
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
