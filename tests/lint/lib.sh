# lib.sh - TAP for the checks of tools/: a check must be silent on a good tree and complain about a bad one
# shellcheck shell=bash
set -u
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../tools" && pwd)
tree=$(mktemp -d "${TMPDIR:-/tmp}/berth-lint.XXXXXX")
trap 'rm -rf "$tree"' EXIT
count=0 bad=0

report() { # report STATUS NAME [OUTPUT]
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
        return
    fi
    bad=$((bad + 1))
    echo "not ok $count - $2"
    printf '%s\n' "${3:-}" | sed 's/^/# /'
}

# passes NAME COMMAND...: exits 0 and prints nothing
passes() {
    local name=$1 out status
    shift
    out=$("$@" 2>&1) && [ -z "$out" ]
    status=$?
    report $status "$name" "$out"
}

# refuses NAME PATTERN COMMAND...: exits non-zero and prints a line that matches
refuses() {
    local name=$1 pattern=$2 out status
    shift 2
    out=$("$@" 2>&1)
    status=$?
    if [ $status -ne 0 ] && grep -qE "$pattern" <<<"$out"; then
        report 0 "$name"
    else
        report 1 "$name" "status $status, wanted a line like '$pattern', got: $out"
    fi
}

finish() {
    echo "1..$count"
    [ "$bad" -eq 0 ]
}
