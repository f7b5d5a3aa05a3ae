#!/bin/sh
test_description='a new version takes over the running tasks of the old one, which refuses to follow it'
. "$(dirname "$0")/lib.sh"

# The executable that is installed; an upgrade puts another file in its place.
mkdir bin
PATH=$PWD/bin:$PATH
install_version() { cp "$BERTH_BUILD/$1" bin/berth.new && mv bin/berth.new bin/berth; }
install_version berth

berth_start

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
counts() { berth logs "$1" | grep -qx "line $2"; }
attempt_of() { berth job attempts "$1" -o json | jq -r '.items[0].id'; }
record_of() { echo "$BERTH_STATE/attempts/$(attempt_of "$1")/$2"; }

# A job that counts until it is let go, then leaves a result and ends with CODE.
counting_job() {
    berth run --detach --source none --flavor cpu.shared --name "$1" -- sh -c "
        n=0; until [ -e /storage/go-$1 ]; do n=\$((n + 1)); echo line \$n; sleep 0.02; done
        echo \$n >/artifacts/lines; exit $2"
}
let_go() { : >"$(echo "$BERTH_STATE"/projects/*/storage)/go-$1"; }

# Each line once and in order, as many as the job says that it wrote.
is_whole() {
    berth artifact get "$1" lines --to "got-$1" >/dev/null &&
        berth logs "$1" | sed 's/^line //' >"lines-$1" &&
        seq "$(cat "got-$1/lines")" >"want-$1" && test_cmp "want-$1" "lines-$1"
}

# A server that must not start, saying WORDS.
refuses_to_start() {
    ! berth_server 2>refused && berth_pid='' && grep "$1" refused
}

test_expect_success 'jobs run under the old version, one waits for them' '
    berth --version >old-version &&
    counting_job one 0 && counting_job two 7 && counting_job three 0 &&
    await 20 counts one 3 && await 20 counts two 3 && await 20 counts three 3 &&
    berth run --detach --source none --cpus "$(nproc)" --memory 64Mi --name last -- true &&
    attempt_of one >attempt-one && record_of two exit.json >exit-two &&
    has last ".state == \"queued\""
'

test_expect_success 'the executable is replaced while they run' '
    install_version tests/berth-next && berth --version >new-version &&
    ! cmp -s old-version new-version
'

test_expect_success 'one of them ends while no server is there' '
    berth_stop && let_go two && await 20 test -e "$(cat exit-two)" &&
    jq -e ".version == 1" "$(cat exit-two)"
'

test_expect_success 'the new version takes them over' '
    berth_server &&
    api GET /v1/version | jq -r "\"berth \" + .version" >running && test_cmp new-version running &&
    await 20 has two ".state == \"failed\" and .exit_code == 7 and .attempts == 1" && is_whole two &&
    has one ".state == \"running\"" && has three ".state == \"running\""
'

test_expect_success 'what runs goes on in the same attempt' '
    n=$(berth logs one | wc -l) && await 20 counts one $((n + 5)) &&
    attempt_of one >attempt && test_cmp attempt-one attempt &&
    let_go one && await 20 has one ".state == \"succeeded\" and .exit_code == 0 and .attempts == 1" &&
    is_whole one
'

test_expect_success 'a task of the old version obeys the new one' '
    berth stop three && await 20 has three ".state == \"stopped\" and .exit_code == 143"
'

test_expect_success 'what waited runs under the new version' '
    await 20 has last ".state == \"succeeded\" and .attempts == 1" &&
    jq -e ".version == 2" "$(record_of last exit.json)" &&
    berth job show last -o json | jq -r "\"berth \" + .attempt.record.berth" >by && test_cmp new-version by
'

test_expect_success 'the old version refuses the store of the new one, whose task runs on' '
    counting_job four 3 && await 20 counts four 3 && record_of four spec.json >spec-four &&
    berth_stop && install_version berth &&
    refuses_to_start "newer than this Berth knows.*use the newer version"
'

test_expect_success 'a task of an even newer version is refused by name, before anything is lost' '
    install_version tests/berth-next &&
    cp "$(cat spec-four)" kept.json && jq -c ".version = 3" kept.json >"$(cat spec-four)" &&
    refuses_to_start "spec.json: is of format 3, newer than this Berth knows (2)" &&
    cp kept.json "$(cat spec-four)"
'

test_expect_success 'back under the new version nothing was lost' '
    berth_server && has four ".state == \"running\"" && let_go four &&
    await 20 has four ".state == \"failed\" and .exit_code == 3 and .attempts == 1" && is_whole four
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
