# home.sh - tasks as a batch system runs them, and a home for them; sourced after lib.sh
# shellcheck shell=sh disable=SC3043
#
# home_account runs them. The last task is `id`.

HOME_DIR=$BERTH_TEST/home
export HOME_DIR

home_start() {
    mkdir "$HOME_DIR" && install -d -o "$home_account" -m 700 "$BERTH_TEST/spool" || return
    /usr/bin/python3 "$BERTH_SOURCE/tests/system/home.py" "$HOME_DIR" &
    await 10 test -s "$HOME_DIR/port"
}

# Control groups and processes on the machine are known by the ids of tasks: each test has its own.
task_ids=$(sed 's/^\(.\{8\}-.\{4\}\)-.\(...\)-.\(...\)-.*/\1-7\2-8\3/' /proc/sys/kernel/random/uuid)

# new_task CHANGES COMMAND...: its id; CHANGES is a jq expression on the specification
new_task() {
    id=$task_ids-$(printf %012d "$(find "$HOME_DIR" -maxdepth 1 -type d | wc -l)")
    change=$1
    shift
    mkdir "$HOME_DIR/$id" &&
        jq -n '{version: 1, attempt: $id, workload: $id, project: $id, project_name: "lab", workload_name: "one",
            number: 1, epoch: 1, uid_base: 1879048192, range: 0, network: "egress",
            spec: {name: "one", image: "host", command: $ARGS.positional, grace: 20},
            allocation: {node: "n1", cpus: "0", mems: "0", memory: 1073741824, disk: 1073741824}} | '"$change" \
            --arg id "$id" --args -- "$@" >"$HOME_DIR/$id/spec.json" &&
        echo "$id"
}

# As a batch system does: in the place of this shell, and here.
exec_task() {
    cd / && exec setpriv --reuid="$home_account" --regid="$home_account" --clear-groups env BERTH_SPOOL="${BERTH_SPOOL_DIR:-$BERTH_TEST/spool}" \
        BERTH_LAUNCHER="$BERTH_TEST/launcher/launcher.sock" BERTH_TASK_TOKEN="token-$1" \
        "$BERTH_BUILD/berth" supervise --home "http://127.0.0.1:$(cat "$HOME_DIR/port")" \
        --task "$1" --results-wait "${WAIT:-60}"
}
supervise() { (exec_task "$1"); }

home() { cat "$HOME_DIR/$id/files/$1"; }
says() { grep -q "$1" "$HOME_DIR/$id/files/log"; }
order() { echo "$1" >>"$HOME_DIR/$id/orders"; }
# Processes of its container.
alive() { grep -sq "BERTH_ATTEMPT_ID=$id" /proc/[0-9]*/environ; }
is_dead() { ! alive; }

# home_image NAME: of a busybox_tree in root/, and a layer of its own of 3 MB that hides parts of it; after images.sh
home_image() {
    mkdir -p "$1/data" "$1/old" && head -c 3000000 /dev/urandom >"$1/data/big" && touch "$1/data/.wh.a" "$1/old/.wh..wh..opq" &&
        echo new >"$1/old/new" && image_layer "oci:$1" root && image_layer "oci:$1" "$1" && cp -n oci/blobs/sha256/* "$HOME_DIR/blobs" &&
        describe_image "$1" >"$1.json"
}
describe_image() {
    local manifest config
    manifest=$(jq -r --arg t "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest[7:]' oci/index.json)
    config=$(jq -r '.config.digest[7:]' "oci/blobs/sha256/$manifest")
    jq -n --arg name "$1" --arg digest "$manifest" --slurpfile m "oci/blobs/sha256/$manifest" --slurpfile c "oci/blobs/sha256/$config" \
        '{image: {name: $name, digest: $digest, layers: [$c[0].rootfs.diff_ids[][7:]],
            packed: {blobs: [$m[0].layers[] | {digest: .digest[7:], size}], entries_max: 1000, bytes_max: 100000000, ratio_max: 250}}}'
}
# with NAME [CHANGES]: for new_task, a job of that image
with() { echo ". * $(cat "$1.json") | ${2:-.}"; }
