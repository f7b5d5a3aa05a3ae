# machines.sh - several machines on this one: namespaces with a host name, a network, processes and an /etc of their own
# shellcheck shell=sh disable=SC3043
#
# After tests/server.sh. The first machine has the switch that the others hang on; they are 10.99.0.1, 10.99.0.2, …
# Programs, libraries and dpkg's database are this machine's; what is configured and what runs is each one's own.
# Whoever sources it calls machines_end at its exit.

machines=

# machine_pid NAME: of its process 1, as seen from here
machine_pid() { cat "$BERTH_TEST/machines/$1.pid"; }

# on NAME COMMAND...: there, as root
on() {
    local name=$1
    shift
    nsenter -t "$(machine_pid "$name")" -m -u -n -p -i env -u BERTH_STATE -u BERTH_RUNTIME -u BERTH_SOCKET -u BERTH_CONFIG -u BERTH_URL \
        HOME=/root PATH="$BERTH_BUILD:$PATH:/usr/sbin:/sbin" "$@"
}

# Runs as process 1 of a new machine.
# shellcheck disable=SC2016
machine_setup='
    cd / && hostname "$1" && mount --make-rprivate / && mount -t proc proc /proc &&
    for place in run var/log root; do mount -t tmpfs -o mode=0755 machine "/$place" || exit 1; done &&
    for place in slurm munge berth; do
        mkdir -p "$2/$place" "/var/lib/$place" && mount --bind "$2/$place" "/var/lib/$place" || exit 1
    done &&
    mount --bind "$2/etc" /etc && ip link set lo up && echo ready >"$2/ready" || exit 1
    sleep infinity & while :; do wait; done'

# machine_begin NAME
machine_begin() {
    local name=$1 dir=$BERTH_TEST/machines/$1 first count
    mkdir -p "$dir/berth" && cp -a /etc "$dir/etc" && rm -rf "$dir/etc/slurm" "$dir/etc/munge" "$dir/etc/berth" &&
        mkdir "$dir/etc/berth" && chmod 0711 "$dir/berth" && chown berth:berth "$dir/berth" &&
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$dir/etc/machine-id" || return 1
    env -u BERTH_STATE unshare --mount --uts --net --pid --ipc --fork --kill-child sh -c "$machine_setup" sh "$name" "$dir" \
        >"$dir/said" 2>&1 3>&- 4>&- &
    await 10 test -e "$dir/ready" || { cat "$dir/said" >&2; return 1; }
    pgrep -P $! | head -n 1 >"$BERTH_TEST/machines/$name.pid"
    machines="$machines $name"
    # shellcheck disable=SC2086
    set -- $machines
    first=$1 count=$#
    if [ "$count" -eq 1 ]; then
        on "$name" sh -c 'ip link add switch type bridge && ip addr add 10.99.0.1/24 dev switch && ip link set switch up'
    else
        nsenter -t "$(machine_pid "$first")" -n ip link add "port$count" type veth peer name eth0 netns "$(machine_pid "$name")" &&
            on "$first" sh -c "ip link set port$count master switch && ip link set port$count up" &&
            on "$name" sh -c "ip addr add 10.99.0.$count/24 dev eth0 && ip link set eth0 up"
    fi
}

# Process 1 takes all of its machine with it.
machines_end() {
    local name
    for name in $machines; do
        kill -KILL "$(machine_pid "$name")" 2>/dev/null
        find /sys/fs/cgroup/*/"slurm_$name" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
    wait 2>/dev/null
    machines=
}

# ---- Berth on them: its server behind its proxy on the first, $head ----------------------------------------

# The proxy of docs/operations.md; its authority is in every machine's list.
begin_proxy() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$BERTH_TEST/berth.key" -out "$BERTH_TEST/berth.pem" -days 2 \
        -subj /CN=berth.example.org -addext "subjectAltName=DNS:berth.example.org" 2>/dev/null &&
        cat >"$BERTH_TEST/nginx.conf" <<-END &&
	daemon on; worker_processes 1; pid $BERTH_TEST/nginx.pid; error_log $BERTH_TEST/nginx.err; events {}
	http {
	    access_log off;
	    client_body_temp_path $BERTH_TEST; proxy_temp_path $BERTH_TEST; fastcgi_temp_path $BERTH_TEST;
	    uwsgi_temp_path $BERTH_TEST; scgi_temp_path $BERTH_TEST;
	    $(sed -n '/^server {/,/^}/p' "$BERTH_SOURCE/docs/operations.md" | sed "s|/etc/ssl|$BERTH_TEST|")
	}
	END
        on "$head" nginx -p "$BERTH_TEST" -c "$BERTH_TEST/nginx.conf" 2>"$BERTH_TEST/nginx.out"
}

# begin_machine NAME: one that trusts it
begin_machine() {
    machine_begin "$1" && trust_proxy "$1"
}

trust_proxy() {
    cat "$BERTH_TEST/berth.pem" >>"$BERTH_TEST/machines/$1/etc/ssl/certs/ca-certificates.crt" &&
        echo '10.99.0.1 berth.example.org' >>"$BERTH_TEST/machines/$1/etc/hosts"
}

# begin_head [LINE...]: the first machine, with the proxy and these settings too
begin_head() {
    machine_begin "$head" && begin_proxy && trust_proxy "$head" &&
        printf '%s\n' 'hosts: [berth.example.org]' "$@" >"$BERTH_TEST/machines/$head/etc/berth/berth.yaml"
}

answers() { on "$head" curl -sf --unix-socket /run/berth/api.sock http://localhost/readyz; }

begin_server() {
    on "$head" berth server >>"$BERTH_TEST/server.log" 2>&1 3>&- 4>&- &
    await 20 answers
}

# Of the processes that this machine sees, the first of the name.
end_server() { on "$head" pkill -TERM -o -x berth && await 20 has_ended; }
has_ended() { ! on "$head" pgrep -x berth; }

# join NAME [FLAG...]
join() {
    local name=$1
    shift
    token=$(on "$head" berth node token -o json | jq -r .token) &&
        echo "$token" | on "$name" berth node join https://berth.example.org - "$@" &&
        { on "$name" berth node run >>"$BERTH_TEST/$name.log" 2>&1 3>&- 4>&- & }
}
