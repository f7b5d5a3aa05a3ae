#!/bin/sh
test_description='an enormous line and a large artifact pass through in bounded memory'
. "$(dirname "$0")/lib.sh"

# To be quick the line is an eighth of 2 GiB and the artifact a twentieth of 5 GiB, four times what the memory may
# be; with BERTH_LINE_BYTES=2147483648 and BERTH_ARTIFACT_BYTES=5368709120 they are whole.
: "${BERTH_ARTIFACT_BYTES:=268435456}"
: "${BERTH_LINE_BYTES:=268435456}"
# A sanitizer keeps what was freed.
limit_kb=65536
grep -q __asan_init "$(command -v berth)" && limit_kb=600000

[ "$(df --output=avail -B1 "$BERTH_TEST" | tail -n 1)" -gt $((BERTH_LINE_BYTES * 3)) ] || {
    skip_all='too little room for the line'
    test_done
}

berth_start

supervisor_of() {
    local attempt inode
    attempt=$(api GET "/v1/projects/lab/jobs/$1" | jq -r .attempt.id)
    inode=$(stat -c %i "$BERTH_STATE/attempts/$attempt/lock")
    awk -v inode="$inode" '$2 == "FLOCK" && $6 ~ ":" inode "$" { print $5; exit }' /proc/locks
}
peak_kb() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
has() { api GET "/v1/projects/lab/jobs/$1" | jq -e "$2" >/dev/null; }
told() { berth logs --tail 1 "$1" | grep "$2"; }

test_expect_success 'a job writes an enormous line' '
    berth run --source none --detach --name line --disk 4Gi -- sh -c \
        "head -c $BERTH_LINE_BYTES /dev/zero | tr \"\\\\0\" x; echo; echo written; until test -e /storage/go; do sleep 0.05; done" &&
    await 120 told line written && pid=$(supervisor_of line) &&
    peak_kb $pid >peak && cat peak && test "$(cat peak)" -lt $limit_kb
'

test_expect_success 'the server sends it whole, and the next line after it' '
    berth logs line | wc -c >size && test "$(cat size)" -eq $((BERTH_LINE_BYTES + 9)) &&
    test "$(berth logs --since-line 1 line)" = written &&
    peak_kb $berth_pid >peak && cat peak && test "$(cat peak)" -lt $limit_kb
'

test_expect_success 'the job ends as any other' '
    touch "$(echo "$BERTH_STATE"/projects/*/storage)/go" && await 20 has line ".state == \"succeeded\"" && berth job delete line
'

test_expect_success 'a large artifact is collected in bounded memory' '
    berth run --source none --detach --name large --disk 4Gi -- sh -c \
        "until test -e /storage/on; do sleep 0.02; done; truncate -s $BERTH_ARTIFACT_BYTES /artifacts/big; echo end >>/artifacts/big" &&
    await 20 has large ".state == \"running\"" && pid=$(supervisor_of large) && test -n "$pid" &&
    touch "$(echo "$BERTH_STATE"/projects/*/storage)/on" &&
    while peak_kb $pid 2>/dev/null >now && test -s now; do mv now peak; sleep 0.01; done;
    cat peak && test "$(cat peak)" -lt $limit_kb &&
    await 60 has large ".state == \"succeeded\""
'

test_expect_success 'its digest is right, and it is sent in bounded memory' '
    { head -c $BERTH_ARTIFACT_BYTES /dev/zero && echo end; } | sha256sum | cut -d" " -f1 >want &&
    berth artifacts large -o json | jq -r ".items[0].sha256" >got && test_cmp want got &&
    api GET /v1/projects/lab/jobs/large/artifacts/big | sha256sum | cut -d" " -f1 >got && test_cmp want got &&
    peak_kb $berth_pid >peak && cat peak && test "$(cat peak)" -lt $limit_kb
'

test_done
