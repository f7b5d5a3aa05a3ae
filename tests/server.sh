# server.sh - a server of one's own for tests and benchmarks, and an end to all it left behind
# shellcheck shell=sh disable=SC3043
#
# Expects BERTH_BUILD on PATH. Sets BERTH_TEST (a short directory), BERTH_STATE, BERTH_RUNTIME,
# BERTH_SOCKET, BERTH_CONFIG; whoever sources it calls berth_cleanup at its exit. What is to be ended
# is known by BERTH_TEST in its environment, which the server's children inherit.

# Short: a unix socket's path has at most 107 bytes.
BERTH_TEST=$(mktemp -d /tmp/berth-t.XXXXXX)
chmod 0755 "$BERTH_TEST"
BERTH_STATE=$BERTH_TEST/state
BERTH_RUNTIME=$BERTH_TEST/run
BERTH_SOCKET=$BERTH_RUNTIME/api.sock
BERTH_CONFIG=$BERTH_TEST/berth.yaml
: >"$BERTH_CONFIG"
# Whoever runs tests may have a server of their own.
unset BERTH_URL BERTH_LAUNCHER BERTH_SPOOL BERTH_TASK_TOKEN
export BERTH_TEST BERTH_STATE BERTH_RUNTIME BERTH_SOCKET BERTH_CONFIG
berth_pid=

# shellcheck source=tests/prism.sh
[ -z "${BERTH_PRISM:-}" ] || . "$BERTH_SOURCE/tests/prism.sh"

# A TCP port that is free now, and that the kernel gives to nobody by itself: a server that is away for a
# moment finds it free again.
free_port() {
    /usr/bin/python3 -c '
import random, socket
while True:
    try:
        socket.socket().bind(("127.0.0.1", port := random.randrange(10000, 32768)))
    except OSError:
        continue
    print(port)
    break'
}

# await SECONDS COMMAND...: until COMMAND succeeds, for what no event announces. It looks often at first, then every
# tenth of a second: what is waited for needs the CPU too.
# shellcheck disable=SC2034  # await_rest
await() {
    local await_now await_rest await_limit await_pause=1020
    read -r await_now await_rest </proc/uptime
    await_limit=$((${await_now%.*} + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        read -r await_now await_rest </proc/uptime
        if [ "${await_now%.*}" -gt "$await_limit" ]; then
            echo "# waited in vain for: $*" >&2
            return 1
        fi
        sleep "0.${await_pause#1}"
        [ "$await_pause" -ge 1100 ] || await_pause=$((await_pause + (await_pause - 1000) / 4))
    done
}

berth_is_ready() {
    curl -sf --unix-socket "$BERTH_SOCKET" http://localhost/readyz
}

# One step of waiting for a start: ready, or dead.
berth_ready_or_dead() {
    berth_is_ready || ! kill -0 "$berth_pid"
}

# berth_server [FLAG...]: the process alone; its log goes to $BERTH_TEST/server.log
berth_server() {
    : "${BERTH_PORT:=$(free_port)}"
    BERTH_URL=http://127.0.0.1:$BERTH_PORT
    export BERTH_PORT BERTH_URL
    # BERTH_URL is for clients; the server's own settings come from the variables above.
    berth server --listen "127.0.0.1:$BERTH_PORT" "$@" >>"$BERTH_TEST/server.log" 2>&1 &
    berth_pid=$!
    if await 20 berth_ready_or_dead && berth_is_ready >/dev/null; then
        [ -z "${BERTH_PRISM:-}" ] || prism_start
        return
    fi
    echo "# the server is not ready; its log ends:" >&2
    tail -n 20 "$BERTH_TEST/server.log" >&2
    return 1
}

# The server alone ends, as by systemctl restart: supervisors and their containers go on.
berth_stop() {
    [ -n "$berth_pid" ] || return 0
    kill -TERM "$berth_pid" 2>/dev/null
    wait "$berth_pid"
    local code=$?
    berth_pid=
    return $code
}

berth_kill() {
    kill -KILL "$berth_pid"
    wait "$berth_pid" 2>/dev/null
    berth_pid=
}

# api METHOD PATH [CURL OPTIONS...]: over the unix socket, as admin; prints the answer's body
api() {
    local method=$1 path=$2
    shift 2
    curl -sS --unix-socket "$BERTH_SOCKET" -X "$method" -H 'Content-Type: application/json' "$@" "http://localhost$path"
}

# The processes that this test file started, containers included.
berth_processes() {
    grep -lsz "^BERTH_TEST=$BERTH_TEST\$" /proc/[0-9]*/environ 2>/dev/null |
        sed -n 's|^/proc/\([0-9]*\)/environ$|\1|p' | grep -vx "$$"
}

berth_cleanup() {
    [ -n "${BERTH_TEST:-}" ] && [ -d "$BERTH_TEST" ] || return 0
    [ -z "${BERTH_PRISM:-}" ] || prism_end
    if [ -n "$berth_pid" ]; then
        kill -TERM "$berth_pid" 2>/dev/null
        wait "$berth_pid" 2>/dev/null
    fi
    # Supervisors take their containers with them; children of this shell that still run go too.
    local pid
    for pid in $(berth_processes); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        '' | grep | sed | sh | bash | dash) ;;
        *) kill -KILL "$pid" 2>/dev/null ;;
        esac
    done
    local mount
    for mount in $(awk -v top="$BERTH_TEST/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
        umount -l "$mount" 2>/dev/null
    done
    # Groups of other servers come and go meanwhile.
    local group attempt
    find /sys/fs/cgroup -depth -type d -path '*/berth/*' 2>/dev/null | while read -r group; do
        attempt=${group#*/berth/}
        [ ! -d "$BERTH_STATE/attempts/${attempt%%/*}" ] || rmdir "$group" 2>/dev/null || :
    done || :
    if [ -n "${BERTH_KEEP:-}" ]; then
        echo "# kept: $BERTH_TEST" >&2
    else
        rm -rf "$BERTH_TEST" 2>/dev/null
    fi
    return 0
}
