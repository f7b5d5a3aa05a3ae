#!/bin/sh
test_description='backup and restore: the commands of docs/operations.md, as they stand there'
. "$(dirname "$0")/lib.sh"

command -v rsync >/dev/null || {
    skip_all='rsync is not installed (tools/install-deps test)'
    test_done
}

# blocks HEADING: the commands below it, one file a block (block-1, block-2, ...), with this test's places
blocks() {
    awk -v heading="## $1" '
        /^## / { inside = $0 == heading; next }
        inside && /^```/ { if (open = !open) n++; next }
        inside && open { print > ("block-" n) }' "$BERTH_SOURCE/docs/operations.md" &&
        sed -i "s|/var/lib/berth|$BERTH_STATE|g; s|/backup\\>|$kept|g" block-*
}

kept=$BERTH_TEST/kept

# Whoever follows the page has systemd; here the test starts and stops the server.
mkdir bin && printf '#!/bin/sh\n' >bin/systemctl && chmod +x bin/systemctl
follow() { PATH=$PWD/bin:$PATH bash -e "$1"; }

berth_start

test_expect_success 'jobs leave results; a secret; one job runs' '
    echo "open sesame" | berth secret set WORD &&
    berth run --source none --name done -- sh -c "echo hello; echo 42 >/artifacts/answer; echo mine >/storage/file" &&
    berth run --source none --detach --name running --retries 1 -- sh -c "[ -n \"\$BERTH_RESUME\" ] || exec sleep 600" &&
    await 20 sh -c "berth job show running -o json | jq -e \".state == \\\"running\\\"\""
'

test_expect_success 'the page has the two blocks' 'blocks Backup && test -s block-1 && test -s block-2'

test_expect_success 'a backup beside the running server; the next shares what did not change' '
    follow block-1 && test -s "$kept/last/berth.db" &&
    mv "$(readlink "$kept/last")" "$kept/yesterday" && ln -sfn "$kept/yesterday" "$kept/last" &&
    follow block-1 &&
    test "$(stat -c %i "$kept"/last/blobs/*/* | sort)" = "$(stat -c %i "$kept"/yesterday/blobs/*/* | sort)"
'

test_expect_success 'everything is lost' '
    berth stop --grace 0s --wait running && berth job delete done && berth_stop &&
    rm -rf "$BERTH_STATE"
'

test_expect_success 'the second block brings it back' '
    follow block-2 && berth_server &&
    berth artifact get done answer --to got && test "$(cat got/answer)" = 42 &&
    test "$(berth logs done)" = hello &&
    berth run --source none -e W=secret:WORD -- sh -c "cat /storage/file; echo \"\$W\"" >out &&
    printf "mine\nopen sesame\n" | test_cmp - out
'

test_expect_success 'what ran at the time of the backup was lost, and is tried again' '
    await 20 sh -c "berth job show running -o json | jq -e \".state == \\\"succeeded\\\" and .attempts == 2\""
'

test_expect_success 'rows are the fold of events' 'berth_stop && berth store verify'

test_done
