# lib.sh - sessions of a user with a server of their own
# shellcheck shell=sh disable=SC3043
#
#     #!/bin/sh
#     test_description='a job runs'
#     . "$(dirname "$0")/lib.sh"
#     berth_start
#     test_expect_success 'hello' 'berth run -- echo hello >out && grep hello out'
#     test_done
#
# Every test file gets a state directory, sockets and a port that nobody else uses; HOME is the
# trash directory, so contexts and keys are its own too. What a failed test leaves behind
# (server, supervisors, containers, mounts, cgroups) is ended at exit: processes are known by
# BERTH_TEST in their environment, which the server's children inherit.

: "${BERTH_BUILD:=$(cd "$(dirname "$0")/../../build" && pwd)}"
BERTH_SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
SHARNESS_BUILD_DIRECTORY=$BERTH_BUILD
export BERTH_BUILD BERTH_SOURCE SHARNESS_BUILD_DIRECTORY
. /usr/share/sharness/sharness.sh

. "$BERTH_SOURCE/tests/server.sh"

# Where nobody watches, what the commands of a failed test said is part of the report.
if [ -n "${HARNESS_ACTIVE:-}" ] && [ "${verbose:-}" != t ]; then
    exec 3>>"$BERTH_TEST/said" 4>&3
    test_failure_() {
        test_failure=$((test_failure + 1))
        echo "not ok $test_count - $1"
        awk '/^expecting success: /{ said = "" } { said = said $0 "\n" } END { printf "%s", said }' "$BERTH_TEST/said" |
            tail -n 100 | sed 's/^/# /' >&2
    }
fi

[ "$(id -u)" -eq 0 ] && test_set_prereq ROOT

# Prism makes text of what passes it, and takes so long that short jobs have ended before they are followed.
[ -n "${BERTH_PRISM:-}" ] || test_set_prereq DIRECT

# Servers need root; a file that starts one begins with this.
berth_needs_root() {
    test_have_prereq ROOT && return
    skip_all='needs root: the server starts containers'
    test_done
}

# berth_needs TOOL...: without one of them the file is skipped
berth_needs() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null && continue
        skip_all="needs $tool"
        test_done
    done
}

# berth_start [FLAG...]: a server with an org, a project and an admin key in this HOME
berth_start() {
    berth_needs_root
    test_expect_success 'a server starts' '
        berth_server '"$*"' &&
        berth init --org acme --project lab --key test >init.out
    '
}

trap 'code=$?; berth_cleanup; (exit $code); die' EXIT
trap 'exit 1' INT TERM HUP
