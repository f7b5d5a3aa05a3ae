# lib.sh - for benchmarks: a server of their own, medians, rows
# shellcheck shell=bash
set -eEuo pipefail
BERTH_BUILD=${BERTH_BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../build" && pwd)}
BERTH_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$BERTH_BUILD:$BERTH_BUILD/bench:$PATH
export PATH BERTH_BUILD BERTH_SOURCE
. "$(dirname "${BASH_SOURCE[0]}")/../tests/server.sh"
export HOME=$BERTH_TEST
cd "$BERTH_TEST"
trap 'code=$?; trap - ERR; berth_cleanup; exit $code' EXIT
# What fails says where, and so does whoever is ended before its time.
trap 'echo "bench: ${0##*/}: line $LINENO: failed: $BASH_COMMAND" >&2' ERR
trap 'echo "bench: ${0##*/}: ended by a signal after $SECONDS s" >&2; exit 1' INT TERM HUP

skip() {
    echo "bench: ${0##*/}: $*" >&2
    exit 0
}
need() {
    local program
    for program; do command -v "$program" >/dev/null || skip "$program is missing: tools/install-deps bench"; done
}

# bench_start [FLAG...]: a server, a project `lab`, its key in $BERTH_KEY
bench_start() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root: the server starts containers'
    berth_server --log-level warn "$@"
    berth init --org acme --project lab --key bench >/dev/null
    BERTH_KEY=$(sed -n 's/.*key: *"\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p' "$HOME/.config/berth/config.yaml" | head -n 1)
    export BERTH_KEY
}

# The middle of the numbers on stdin.
median() { sort -g | awk '{ a[NR] = $1 } END { if (NR) print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }
# percentile P
percentile() { sort -g | awk -v p="$1" '{ a[NR] = $1 } END { i = int(NR * p / 100 + 0.5); print a[i < 1 ? 1 : i] }'; }
# calc EXPRESSION [FORMAT]
calc() { awk "BEGIN { printf \"${2:-%.2f}\", $1 }"; }
now() { date +%s.%N; }
# CPU seconds that a process and its threads have used
cpu_seconds() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$1/stat"; }
# row FIGURE MEASURED BESIDE RATIO AIM
row() { printf '| %s | %s | %s | %s | %s |\n' "$@"; }
