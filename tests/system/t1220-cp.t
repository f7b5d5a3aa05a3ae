#!/bin/sh
test_description='files between this machine and a running job'
. "$(dirname "$0")/lib.sh"
berth_start

is_running() { berth job show "$1" -o json | jq -e '.state == "running"'; }

test_expect_success 'a job runs' '
    berth run --source none --detach --name work -- sleep 600 &&
    berth run --source none --detach --name short -- sleep 600 &&
    await 20 is_running work && await 20 is_running short
'

test_expect_success 'a tree goes in and comes back as it was' '
    mkdir -p tree/sub/empty tree/locked && echo one >tree/one && echo two >tree/sub/two &&
    echo "#!/bin/sh" >tree/run && chmod 755 tree/run && chmod 640 tree/one &&
    ln -s ../one tree/sub/near && ln -s /etc/hostname tree/far && chmod 500 tree/locked &&
    touch -d "2001-02-03 04:05:06 UTC" tree/one &&
    berth cp tree work:/storage/ && berth cp work:/storage/tree back &&
    (cd tree && find . -printf "%p %y %m %l\n" | sort) >want &&
    (cd back && find . -printf "%p %y %m %l\n" | sort) >got && test_cmp want got &&
    test "$(stat -c %Y back/one)" = "$(stat -c %Y tree/one)" && cmp tree/sub/two back/sub/two
'

test_expect_success 'names as with cp: into a directory, to a name, the content alone' '
    berth cp tree/one work: && test "$(berth exec work cat /workspace/one)" = one &&
    berth cp tree/one work:/tmp/other && test "$(berth exec work cat /tmp/other)" = one &&
    berth cp tree/. work:/tmp/new && test "$(berth exec work cat /tmp/new/sub/two)" = two &&
    berth cp work:one . && test "$(cat one)" = one &&
    mkdir here && berth cp work:/tmp/new here && test -f here/new/run
'

test_expect_success 'what arrives belongs to the job' '
    berth exec work -- sh -c "stat -c %u:%g /storage/tree/one && echo more >>/storage/tree/one" >out &&
    echo 0:0 >want && test_cmp want out
'

test_expect_success 'links in the job lead nowhere here, and the other way round' '
    echo kept >kept && mkdir evil && ln -s "$PWD" evil/tree &&
    test_must_fail berth cp work:/storage/tree evil 2>err && test "$(cat kept)" = kept &&
    berth exec work -- sh -c "mkdir /tmp/trap && ln -s /storage /tmp/trap/tree" &&
    test_must_fail berth cp tree work:/tmp/trap &&
    berth exec work -- sh -c "ln -s / /tmp/root" &&
    berth cp tree/one work:/tmp/root/through && test "$(berth exec work cat /through)" = one &&
    test ! -e /through
'

test_expect_success 'what cannot be copied says why' '
    test_must_fail berth cp work:/nothing . 2>err && grep "in the job: /nothing: No such file" err &&
    test_must_fail berth cp one work:/no/where 2>err && grep "in the job: /no: No such file" err &&
    test_must_fail berth cp one work:/proc/here 2>err && grep "in the job: here: " err &&
    test_expect_code 2 berth cp nothing work: 2>err && grep "nothing: No such file" err &&
    test_expect_code 2 berth cp one two && test_expect_code 2 berth cp work:one work:two &&
    test_expect_code 3 berth cp one nobody: &&
    mkfifo tree/pipe && berth cp tree work:/tmp/left 2>err && grep "1 left out" err
'

test_expect_success 'input becomes a file, a file output, a directory an archive' '
    { echo a; echo b; } | berth cp - work:/tmp/lines && printf "a\nb\n" >want &&
    berth cp work:/tmp/lines - >got && test_cmp want got &&
    berth exec work -- stat -c %a /tmp/lines >mode && echo 644 >want && test_cmp want mode &&
    berth cp work:/storage/tree - >tree.tar && tar tf tree.tar >names && grep "^sub/two$" names &&
    test_must_fail berth cp - work:/tmp </dev/null 2>err && grep "a file needs a name" err &&
    head -c 3000000 /dev/urandom >some && berth cp - work:/tmp/some <some &&
    berth cp work:/tmp/some - | cmp - some
'

test_expect_success '100 MB go through whole' '
    head -c 100000000 /dev/urandom >big && berth cp big work:/tmp/ && berth cp work:/tmp/big again && cmp big again
'

test_expect_success 'an interrupted copy leaves nothing half' '
    { berth cp big work:/tmp/half 2>/dev/null & copy=$!; } &&
    await 5 berth exec work -- sh -c "ls /tmp/.berth-*" &&
    kill -INT $copy && test_expect_code 130 wait $copy &&
    await 10 berth exec work -- sh -c "! ls /tmp/half /tmp/.berth-*"
'

test_expect_success 'a copy whose job ends, ends: also one that waits for input' '
    mkfifo input && { berth cp - short:/tmp/never <input 2>err & copy=$!; } && exec 9>input && echo x >&9 &&
    await 10 berth exec short -- sh -c "ls /tmp/.berth-*" &&
    berth stop --grace 0 --wait short && test_expect_code 1 wait $copy && exec 9>&- &&
    grep "the job has ended" err
'

test_expect_success 'it is on record' '
    berth event list --job work -o json >events.json &&
    jq -e "[.items[] | select(.data.kind == \"copy\" and .data.path == \"/nothing\")] | length == 1" events.json
'

test_done
