#!/bin/sh
test_description='jobs reach the internet and nothing nearer, on a machine of this test'
# shellcheck disable=SC2016,SC2034,SC2086
# The machine is a network namespace, and so is its internet: the real ones see nothing of it.
if [ "$(id -u)" -eq 0 ] && [ -z "${BERTH_ROOM:-}" ]; then
    BERTH_ROOM=1 exec unshare --net --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

berth_needs_root

internet=
in_internet() { nsenter --net="/proc/$internet/ns/net" "$@"; }

# A server that answers one line to whoever connects: serve ADDRESS PORT
cat >serve.py <<'END'
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(64)
print("listening", flush=True)
while True:
    c, peer = s.accept()
    c.sendall(f"hello {peer[0]}\n".encode())
    c.close()
END

# What a job does: connect ADDRESS PORT, print the answer.
cat >connect.py <<'END'
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20) as s:
    print(s.makefile().readline().strip())
END

test_expect_success 'a machine with an internet' '
    unshare --net sleep 1000 & internet=$! &&
    await 5 test -e /proc/$internet/ns/net &&
    await 5 sh -c "test \$(readlink /proc/$internet/ns/net) != \$(readlink /proc/self/ns/net)" &&
    ip link set lo up &&
    ip link add eth0 type veth peer name eth0 netns $internet &&
    ip addr add 198.51.100.2/24 dev eth0 && ip link set eth0 up &&
    in_internet ip addr add 198.51.100.1/24 dev eth0 && in_internet ip link set eth0 up &&
    in_internet ip addr add 203.0.113.7/32 dev lo && in_internet ip addr add 169.254.169.254/32 dev lo &&
    in_internet ip link set lo up &&
    ip route add default via 198.51.100.1 &&
    { in_internet /usr/bin/python3 serve.py 203.0.113.7 80 >one.out & } &&
    { in_internet /usr/bin/python3 serve.py 169.254.169.254 80 >two.out & } &&
    { /usr/bin/python3 serve.py 0.0.0.0 5432 >three.out & } &&
    await 5 grep listening one.out && await 5 grep listening two.out && await 5 grep listening three.out
'

mkdir work && cp connect.py work/ && cd work || exit 1
berth_start --dns 203.0.113.7

job() { berth run --source . --cpus 1 --memory 256Mi "$@"; }

test_expect_success 'a job reaches the internet, which sees the machine' '
    job --name out -- python3 connect.py 203.0.113.7 80 >out.log &&
    grep "hello 198.51.100.2" out.log
'

test_expect_success 'its resolver is the operator'\''s' '
    job --name resolv -- cat /etc/resolv.conf >resolv.log && grep "nameserver 203.0.113.7" resolv.log
'

for address in 198.51.100.2 10.113.0.1 10.113.4.0 10.113.4.1; do
    test_expect_success "a service of the machine is out of reach at $address" '
        ! job -- python3 connect.py '$address' 5432 >near.log 2>&1 &&
        ! grep hello near.log
    '
done

test_expect_success 'metadata is out of reach, for jobs alone' '
    /usr/bin/python3 connect.py 169.254.169.254 80 | grep hello &&
    ! job -- python3 connect.py 169.254.169.254 80 >metadata.log 2>&1 &&
    ! grep hello metadata.log && grep -i "unreachable\|no route" metadata.log
'

test_expect_success 'without a network a failed job is told which setting it was' '
    ! job --name alone --network none -- python3 connect.py 203.0.113.7 80 >alone.log 2>&1 &&
    berth why alone >why.log; cat why.log alone.log | grep "network: egress"
'

test_expect_success 'the server'\''s end takes the network with it' '
    berth_stop &&
    await 10 sh -c "! ip -o link | grep bth" &&
    await 10 sh -c "! nft list tables | grep berth" &&
    await 10 grep -x 0 /proc/sys/net/ipv4/conf/eth0/forwarding &&
    ! grep "$BERTH_RUNTIME/network" /proc/self/mounts
'

test_expect_success 'the internet goes' 'kill $internet'

test_done
