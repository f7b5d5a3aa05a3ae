#!/bin/sh
test_description='two machines with systemd become a Slurm cluster by two commands, from Debian packages'
. "$(dirname "$0")/lib.sh"

deep_begin
skip_unless 'systemd-nspawn is not installed (tools/install-deps deep)' command -v systemd-nspawn
skip_unless 'no package (make deb)' sh -c "ls $BERTH_SOURCE/build-deb/berth_*.deb"

names=''
space=berth-$$

# boot NAME ADDRESS: systemd as process 1, a network of its own on the switch of the first machine
boot() {
    local name=$1 root=$DEEP_DIR/$1 first=${names%% *} i=0
    cp -a "$DEEP_DIR/root" "$root" && : >"$root/etc/machine-id" && echo "$name" >"$root/etc/hostname" &&
        echo '10.98.0.1 berth.example.org' >>"$root/etc/hosts" && ip netns add "$space-$name" && ip -n "$space-$name" link set lo up || return 1
    if [ -z "$names" ]; then
        ip -n "$space-$name" link add switch type bridge && ip -n "$space-$name" addr add "$2/24" dev switch && ip -n "$space-$name" link set switch up
    else
        ip -n "$space-$first" link add "port-$name" type veth peer name eth0 netns "$space-$name" &&
            ip -n "$space-$first" link set "port-$name" master switch up && ip -n "$space-$name" addr add "$2/24" dev eth0 &&
            ip -n "$space-$name" link set eth0 up
    fi || return 1
    names="${names:+$names }$name"
    # Control groups, settings of the kernel and keyrings are the machine's own business, as on a real one.
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 setsid systemd-nspawn --quiet --directory="$root" --hostname="$name" --boot --keep-unit --register=no \
        --network-namespace-path="/run/netns/$space-$name" --capability=all --system-call-filter=@keyring >"$DEEP_DIR/$name.console" 2>&1 </dev/null 3>&- 4>&- &
    echo $! >"$DEEP_DIR/$name.nspawn"
    while [ $i -lt 300 ] && ! on "$name" systemctl is-system-running 2>/dev/null | grep -E 'running|degraded'; do
        i=$((i + 1))
        sleep 0.2
    done
    # shellcheck disable=SC2016  # the shell there expands
    [ $i -lt 300 ] && on "$name" sh -c 'for one in /sys/fs/cgroup/*; do [ -h "$one" ] || mount -o remount,rw,bind "$one" || exit 1; done'
}

# on NAME COMMAND...: there, as root
on() {
    local inside
    inside=$(pgrep -P "$(cat "$DEEP_DIR/$1.nspawn")" | head -n 1) && [ -n "$inside" ] || return 1
    shift
    nsenter -t "$inside" -m -u -n -p -i -r -w env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

machines_end() {
    local name inside
    for name in $names; do
        inside=$(pgrep -P "$(cat "$DEEP_DIR/$name.nspawn")" | head -n 1)
        [ -z "$inside" ] || kill -KILL "$inside"
        ip netns del "$space-$name"
        find /sys/fs/cgroup/*/"slurm_$name" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
    wait
}
trap 'code=$?; machines_end; deep_end; (exit $code); die' EXIT

# Packages are fetched here, and installed there: the machines reach each other alone.
test_expect_success 'a Debian with Berth, and what Slurm is made of' '
    deep_root root systemd-sysv,dbus,iproute2,nftables,procps,jq,curl,ca-certificates,nginx-light,openssl,adduser &&
    cp "$BERTH_SOURCE"/build-deb/berth_*.deb "$DEEP_DIR/root/root/berth.deb" && cp /etc/resolv.conf "$DEEP_DIR/root/etc/" &&
    inside="env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot $DEEP_DIR/root apt-get -q -y --no-install-recommends" &&
    $inside update && $inside install /root/berth.deb && $inside install --download-only munge slurmd slurm-client slurmctld &&
    ! chroot "$DEEP_DIR/root" dpkg-query -W slurmd munge
'
test_expect_success 'two machines, and a server behind its proxy' '
    boot "hq$$" 10.98.0.1 && boot "gp$$" 10.98.0.2 && head=hq$$ one=gp$$ &&
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$DEEP_DIR/$head/etc/ssl/berth.key" -out "$DEEP_DIR/$head/etc/ssl/berth.pem" -days 2 \
        -subj /CN=berth.example.org -addext "subjectAltName=DNS:berth.example.org" &&
    for name in $names; do cat "$DEEP_DIR/$head/etc/ssl/berth.pem" >>"$DEEP_DIR/$name/etc/ssl/certs/ca-certificates.crt" || return 1; done &&
    sed -n "/^server {/,/^}/p" "$BERTH_SOURCE/docs/operations.md" >"$DEEP_DIR/$head/etc/nginx/sites-available/default" &&
    echo "hosts: [berth.example.org]" >>"$DEEP_DIR/$head/etc/berth/berth.yaml" &&
    { on "$head" systemctl restart nginx berth || { on "$head" journalctl --no-pager -n 20; false; }; } &&
    on "$head" berth init --org acme --project lab --key test
'
test_expect_success 'a machine joins: the service reports as an ordinary account, one part of it is root' '
    on "$head" berth node token -o json | jq -r .token | on "$one" berth node join https://berth.example.org - &&
    on "$one" systemctl is-active berth-node && on "$one" ps -o user= -C berth >users && grep -x berth users && grep -x root users
'
test_expect_success 'one command more, and it is a cluster' '
    on "$head" berth engine install slurm >out; cat out && grep "^$one  *packages  *munge slurmd slurm-client" out && grep "jobs run on 2 machines" out &&
    on "$head" berth engine check >check; cat check && ! grep -E "^(warn|fail)" check &&
    on "$one" systemctl is-active munge slurmd berth-launcher && on "$one" systemctl is-enabled munge slurmd berth-launcher &&
    ! on "$one" systemctl is-enabled berth && on "$head" systemctl is-active berth slurmctld
'
test_expect_success 'a job has its own uids there, made by the launcher; a gang runs on both' '
    on "$head" berth node cordon "$head" && on "$head" timeout 60 berth run --source none --name alone --cpus 1 -- id -u &&
    on "$head" berth job show alone -o json | jq -e ".attempt.evidence.mode == \"privileged\"" && on "$head" berth node uncordon "$head" &&
    on "$head" timeout 60 berth run --source none --name gang --nodes 2 --cpus 1 -- hostname >out && grep "^.0. node-0" out && grep "^.1. node-1" out
'
test_expect_success 'again, nothing changes; a service that was ended is started' '
    on "$head" berth engine install slurm >out; cat out && test "$(grep -c "nothing to change" out)" = 2 &&
    on "$one" systemctl stop slurmd && on "$head" berth engine install slurm >out; cat out && grep "^$one  *daemons  *slurmd" out
'
test_expect_success 'all of it starts with the machine' '
    on "$one" systemctl list-dependencies --plain multi-user.target >wanted &&
    for unit in munge slurmd berth-launcher berth-node; do grep "$unit.service" wanted || return 1; done
'
test_done
