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

# new_task CHANGES COMMAND...: its id; CHANGES is a jq expression on the specification
new_task() {
    id=01900000-0000-7000-8000-$(printf %012d "$(find "$HOME_DIR" -maxdepth 1 -type d | wc -l)")
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
    cd / && exec setpriv --reuid="$home_account" --regid="$home_account" --clear-groups env BERTH_SPOOL="$BERTH_TEST/spool" \
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

