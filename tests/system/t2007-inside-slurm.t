#!/bin/sh
test_description='in jobs on nodes of Slurm: whose way in it is, how it ends, and home over TLS'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"

front_pid=
trap 'code=$?; [ -z "$front_pid" ] || kill $front_pid; berth_cleanup; slurm_stop; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT

submit() { # NAME [FLAG...] -- COMMAND
    local name=$1
    shift
    berth run --detach --source none --name "$name" --cpus 1 "$@" >/dev/null
}
says() { berth logs "$@" | grep -q begin; }
has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
task() { berth job show "$1" -o json | jq -r .attempt.id; }
# The token of a job's task, which root can see in Slurm.
token() {
    scontrol write batch_script "$(cat "$BERTH_STATE/attempts/$(task "$1")/slurm")" - | sed -n 's/^BERTH_TASK_TOKEN=\([0-9a-f]*\).*/\1/p'
}
# status TOKEN PATH [FLAG...]: of a request for a WebSocket
status() {
    local token=$1 path=$2
    shift 2
    curl -s -o /dev/null -w '%{http_code}' --max-time 5 -H "Authorization: Bearer $token" -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
        -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' -H 'Sec-WebSocket-Protocol: berth.session.v1' \
        "$@" "$BERTH_URL$path"
}

# Somebody went into `one`, and who listens to its orders has heard that.
asked() { berth exec one -- true && test -s orders; }

# The nodes reach the server over TLS, by a certificate that only this site trusts.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$BERTH_TEST/home.key" -out "$BERTH_TEST/home.pem" -days 2 \
    -subj /CN=localhost -addext "subjectAltName=DNS:localhost" 2>/dev/null
chmod 0644 "$BERTH_TEST/home.pem"
BERTH_PORT=$(free_port)
/usr/bin/python3 "$BERTH_SOURCE/tests/system/tls-front.py" "$BERTH_TEST/home.pem" "$BERTH_TEST/home.key" "$BERTH_PORT" >front.out &
front_pid=$!
await 10 test -s front.out
BERTH_HOME_URL=https://localhost:$(cat front.out)
BERTH_HOME_CA=$BERTH_TEST/home.pem
export BERTH_HOME_URL BERTH_HOME_CA

test_expect_success 'a cluster of two machines starts' 'slurm_start 2 4'
berth_start_on_slurm

test_expect_success 'over TLS: a job, its log, its results, and a way into it' '
    submit one -- sh -c "echo begin; echo 1 >/artifacts/1; exec sleep 600" && submit two -- sh -c "echo begin; exec sleep 600" &&
    await 30 says one && head -c 3000000 /dev/urandom >big && berth exec -i one -- cat <big >back && cmp big back &&
    tr "\\0" "\\n" <"/proc/$(pgrep -f "supervise --home $BERTH_HOME_URL --task $(task one)" | head -n 1)/environ" | grep "^SSL_CERT_FILE=$BERTH_HOME_CA"
'

test_expect_success 'a stream is opened by the task that was asked, by nobody else, and once' '
    await 30 says two && one=$(token one) two=$(token two) && test -n "$one" && test -n "$two" && any=00112233445566778899aabbccddeeff &&
    { curl -s --max-time 20 -H "Authorization: Bearer $one" "$BERTH_URL/v1/tasks/$(task one)/orders?wait=20&after=$(date +%s%6N)" >orders & poll=$!; } &&
    await 20 asked && wait $poll && stream=$(jq -r ".orders[0] | select(.op == \"connect\") | .stream" orders) &&
    test ${#stream} = 32 && own=/v1/tasks/$(task one)/streams &&
    test "$(status "$one" "$own/$stream")" = 404 && test "$(status "$one" "$own/$any")" = 404 &&
    test "$(status "$two" "$own/$stream")" = 403 && test "$(status "$two" "/v1/tasks/$(task two)/streams/$stream")" = 404 &&
    test "$(status x "$own/$stream")" = 401
'

test_expect_success 'the server goes: the command is hung up, the job is not, and one goes in again' '
    { berth exec one -- sh -c "echo up; exec sleep 501" >up 2>err & session=$!; } && await 20 test -s up &&
    berth_kill && test_expect_code 125 wait $session && grep "the job goes on" err && berth_server &&
    berth exec one -- sh -c "echo again" >out && grep again out && await 20 test_must_fail berth exec one -- pgrep -f "sleep 501" &&
    has one ".attempts == 1 and .state == \"running\""
'

test_expect_success 'the machine is lost: who was in the job is told so' '
    { berth exec two -- sh -c "echo up; exec sleep 502" >up2 2>err & session=$!; } && await 20 test -s up2 &&
    node=$(berth job show two -o json | jq -r .attempt.allocation.node) &&
    slurm_end "slurmd.$node" KILL && scontrol update NodeName="$node" State=DOWN Reason=gone &&
    test_must_fail wait $session && cat err && grep "the machine that the job ran on was lost" err &&
    test "$(status "$two" "/v1/tasks/$(task two)/streams/$any")" = 410
'

test_done
