#!/bin/sh
test_description='a job waits for the disk that it asks for, and is told the numbers'
. "$(dirname "$0")/lib.sh"
berth_needs_root

# The state on a small disk of its own.
mkdir -p "$BERTH_STATE" && mount -t tmpfs -o size=512m,mode=0711 berth-test "$BERTH_STATE" ||
    { skip_all='cannot mount a small disk'; test_done; }
berth_start --reserved-disk 16Mi

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
why_has() { berth why "$1" >why && grep "$2" why; }
submit() { berth run --detach --source none --flavor cpu.shared "$@"; }

test_expect_success 'more than the disk has is refused at once' '
    test_expect_code 5 submit --disk 1Gi -- true 2>err && grep "needs 1 GiB of disk; node .* has 496 MiB" err
'

test_expect_success 'what a job gets by default leaves room for results' '
    berth flavor list -o json >flavors && jq -e "[.items[] | .disk * 2 <= 496 * 1048576] | all" flavors
'

test_expect_success 'files of others take room: the job waits, with numbers' '
    head -c 300M /dev/zero >"$BERTH_STATE/filler" &&
    await 20 sh -c "berth node list -o json | jq -e \".items[0].disk_free < 260000000\"" &&
    submit --name waits --disk 300Mi -- true && await 10 has waits ".state == \"queued\"" &&
    why_has waits "needs 300 MiB of disk; [0-9.]* MiB of 496 MiB is free on node"
'

test_expect_success 'one that asks for less is not held up by it' '
    submit --name small --disk 20Mi -- true && await 20 has small ".state == \"succeeded\""
'

test_expect_success 'when there is room it starts' '
    rm "$BERTH_STATE/filler" && await 20 has waits ".state == \"succeeded\""
'

test_expect_success 'room that a running job may still need is kept for it' '
    submit --name holds --disk 300Mi -- sh -c "head -c 50M /dev/zero >/artifacts/some; sleep 1000" &&
    await 20 has holds ".state == \"running\"" &&
    submit --name second --disk 300Mi -- true && why_has second "of it is kept for 1 job"
'

test_expect_success 'what it uses is not counted twice, also after a restart' '
    submit --name third --disk 150Mi -- true && await 20 has third ".state == \"succeeded\"" &&
    berth_kill && berth_server --reserved-disk 16Mi &&
    submit --name fourth --disk 150Mi -- true && await 20 has fourth ".state == \"succeeded\"" &&
    has second ".state == \"queued\""
'

test_expect_success 'its end gives the rest back' '
    berth stop --grace 0 holds && berth job delete --wait holds 2>/dev/null; await 20 has second ".state == \"succeeded\""
'

test_done
