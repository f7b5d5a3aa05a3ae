# bare.sh - crun by hand, with the bundle that Berth made for a job and inside its supervisor's mounts
# shellcheck shell=bash
#
# A job that sleeps is held; its config.json, namespaces, mounted overlay, control groups and system call
# filter are what the bare runs use, so the difference is what Berth does around crun.

# bare_open CPU: hold a job on one core; sets supervisor, bundle
bare_open() {
    holder=$(berth run --detach --source none --cpus 1 -o name -- sleep 3600)
    await 10 bare_find
}

bare_find() {
    local pid
    for pid in $(berth_processes); do
        [ "$(awk '/^NSpid:/ { print $NF, NF }' "/proc/$pid/status" 2>/dev/null)" = '1 3' ] || continue
        [ "$(readlink "/proc/$pid/exe")" = "$(realpath "$BERTH_BUILD/berth")" ] || continue
        bundle=$(awk '$5 ~ /bundle/ && / - tmpfs / { print $5; exit }' "/proc/$pid/mountinfo")
        [ -n "$bundle" ] && config=$(ls "/proc/$pid/root$bundle"/crun/*/config.json 2>/dev/null) && supervisor=$pid && return
    done
    return 1
}

# bare_prepare NAME CPUS COMMAND...: a bundle like the held job's that runs COMMAND. crun gives what it has as
# standard input and output to the container's user: its directory has `empty` to read from, never /dev/null.
bare_prepare() {
    local name=$1 cpus=$2 directory
    shift 2
    directory=/proc/$supervisor/root$bundle/bench-$name
    mkdir -p "$directory/state"
    : >"$directory/empty"
    jq --arg group "/berth/bench-$name" --arg cpus "$cpus" '.process.args = $ARGS.positional
        | .linux.cgroupsPath = $group | .linux.resources.cpu.cpus = $cpus' --args -- "$@" <"$config" >"$directory/config.json"
}

# bare_own_network NAME: each run of that bundle makes a network namespace instead of joining the held job's
bare_own_network() {
    local file=/proc/$supervisor/root$bundle/bench-$1/config.json
    jq '.linux.namespaces |= map(if .type == "network" then del(.path) else . end)' "$file" >own-network.json
    cat own-network.json >"$file"
}

# bare_close: let the held job go
bare_close() { berth job stop --grace 0s --wait "$holder" >/dev/null; }

# bare_enter SCRIPT [ARGUMENT...]: a shell where the bundles are; $0 is the directory that holds them
bare_enter() {
    local script=$1
    shift
    nsenter -t "$supervisor" -m -p sh -c "$script" "$bundle" "$@"
}
