#!/bin/sh
test_description='a git repository as the source of a job'
# shellcheck disable=SC2016,SC2034
if [ "$(id -u)" -eq 0 ] && [ -z "${BERTH_ROOM:-}" ]; then
    BERTH_ROOM=1 exec unshare --net --mount "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

berth_needs_root
command -v git >/dev/null && [ -x "$(git --exec-path)/git-daemon" ] || {
    skip_all='needs git and its daemon'
    test_done
}

internet=

test_expect_success 'an internet with a repository on it' '
    unshare --net sleep 1000 & internet=$! &&
    await 5 sh -c "test \$(readlink /proc/$internet/ns/net) != \$(readlink /proc/self/ns/net)" &&
    ip link set lo up &&
    ip link add eth0 type veth peer name eth0 netns $internet &&
    ip addr add 198.51.100.2/24 dev eth0 && ip link set eth0 up &&
    nsenter --net=/proc/$internet/ns/net sh -c "
        ip link set lo up; ip link set eth0 up
        ip addr add 198.51.100.1/24 dev eth0; ip addr add 203.0.113.7/32 dev lo" &&
    ip route add default via 198.51.100.1 &&
    git init -q repo && cd repo && git config user.name T && git config user.email t@example.com &&
    echo "echo one" >run.sh && git add run.sh && git commit -qm one && git tag v1 &&
    echo "echo two" >run.sh && git commit -qam two && cd .. && git clone -q --bare repo served/repo.git &&
    { nsenter --net=/proc/$internet/ns/net git daemon --export-all --base-path="$PWD/served" \
        --listen=203.0.113.7 --pid-file="$PWD/git.pid" "$PWD/served" >git.log 2>&1 & } &&
    await 5 sh -c "nsenter --net=/proc/$internet/ns/net ss -ltn | grep :9418"
'

berth_start

job() { berth run --cpus 1 --memory 256Mi "$@"; }

test_expect_success 'a job runs what the branch holds, and its commit is recorded' '
    job --name head --git git://203.0.113.7/repo.git -- sh run.sh >head.log && grep "^two$" head.log &&
    berth job record head -o json >record.json && grep "$(git -C repo rev-parse HEAD)" record.json
'

test_expect_success 'or a tag' '
    job --name tag --git git://203.0.113.7/repo.git --ref v1 -- sh run.sh >tag.log && grep "^one$" tag.log
'

test_expect_success 'a ref that is not there is told, with what git said' '
    ! job --name none --git git://203.0.113.7/repo.git --ref gone -- true >none.log 2>&1 &&
    grep "gone" none.log
'

for url in file:///etc ext::sh /etc ../x; do
    test_expect_success "$url is refused before anything runs" '
        ! job --git '$url' -- true >refused.log 2>&1 && grep "https://" refused.log
    '
done

# Takes connections and says nothing.
cat >hang.py <<'END'
import socket, time
s = socket.create_server(("203.0.113.7", 9419))
print("listening", flush=True)
kept = [s.accept() for _ in iter(int, 1)]
END

state_is() { test "$(api GET "/v1/projects/lab/jobs/$1" | jq -r .state)" = "$2"; }
is_cloning() { nsenter --net=/proc/$internet/ns/net ss -tn state established "sport = :9419" | grep 203.0.113.7; }

test_expect_success 'a job whose repository hangs can be stopped' '
    { nsenter --net=/proc/$internet/ns/net /usr/bin/python3 hang.py >hang.out & hang=$!; } &&
    await 10 grep listening hang.out &&
    job --detach --name hangs --git git://203.0.113.7:9419/repo.git -- true && await 20 is_cloning &&
    state_is hangs starting && berth job stop hangs && await 20 state_is hangs stopped &&
    await 10 sh -c "! pgrep -f [2]03.0.113.7:9419/repo" && berth why hangs >why.log && grep "was stopped" why.log
'

test_expect_success 'also with a server that was restarted meanwhile' '
    job --detach --name hangs-on --git git://203.0.113.7:9419/repo.git -- true && await 20 is_cloning &&
    berth_kill && berth_server && berth job stop hangs-on && await 20 state_is hangs-on stopped && kill $hang
'

if command -v buildah >/dev/null && command -v busybox >/dev/null; then
    test_set_prereq BUILDAH
fi

result() { berth artifacts "$1" -o json | jq -e "[.. | .sha256? // empty]"; }

test_expect_success BUILDAH 'the same code gives the same as a directory, a repository and an image built for the run' '
    . "$BERTH_SOURCE/tests/system/images.sh" &&
    printf "[storage]\ndriver = \"vfs\"\ngraphroot = \"%s\"\nrunroot = \"%s\"\n" "$BERTH_TEST/graph" "$BERTH_TEST/graph.run" >storage.conf &&
    export CONTAINERS_STORAGE_CONF="$PWD/storage.conf" && rm -rf code && git clone -q served/repo.git code &&
    git -C code config user.name T && git -C code config user.email t@example.com &&
    echo "sed s/t/T/ words >/artifacts/out; cat /artifacts/out" >code/run.sh && echo twenty-two >code/words &&
    git -C code add . && git -C code commit -qm three && git -C code push -q origin HEAD &&
    mkdir -p context/root && busybox_tree context/root && ln -s busybox context/root/bin/sed && cp -r code context/code &&
    printf "FROM scratch\nCOPY root /\nCOPY code /code\nWORKDIR /code\n" >context/Dockerfile &&
    job --name of-directory --source code -- sh run.sh >a.log && job --name of-repository --git git://203.0.113.7/repo.git -- sh run.sh >b.log &&
    job --name of-image --source none --dockerfile context -- sh run.sh >c.log &&
    grep -x Twenty-two a.log && grep -x Twenty-two b.log && grep -x Twenty-two c.log &&
    result of-directory >a && test -s a && result of-repository >b && result of-image >c && test_cmp a b && test_cmp a c &&
    berth job show of-image -o json | tr -d " \n" | grep -F "\"image\":\"localhost/context:run\"" &&
    test_expect_code 2 berth run --dockerfile context --image made:1 -- true 2>err && grep "either --image or --dockerfile" err
'

test_expect_success 'the internet goes' 'kill $internet "$(cat git.pid)"'

test_done
