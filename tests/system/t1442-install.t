#!/bin/sh
test_description='two commands make a Slurm cluster of machines that have none'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"
. "$BERTH_SOURCE/tests/machines.sh"

berth_needs_root
berth_needs nginx openssl
missing=$(slurm_is_missing)
[ -z "$missing" ] || {
    skip_all=$missing
    test_done
}
trap 'code=$?; machines_end; berth_cleanup; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT

# Control groups of Slurm are named by its nodes.
head=hq$$ one=gp$$-1 two=gp$$-2 late=gp$$-3

test_expect_success 'a server behind its proxy, and three machines' '
    begin_head && begin_server && on "$head" berth init --org acme --project lab --key test &&
    begin_machine "$one" && begin_machine "$two" &&
    sed -i "s/^berth:x:[0-9]*:[0-9]*:/berth:x:7771:7772:/" "$BERTH_TEST/machines/$two/etc/passwd" &&
    sed -i "s/^berth:x:[0-9]*:/berth:x:7772:/" "$BERTH_TEST/machines/$two/etc/group" &&
    chown 7771:7772 "$BERTH_TEST/machines/$two/berth"
'
test_expect_success 'the first command, on each machine' '
    join "$one" >out && grep "is node $one of https://berth.example.org" out && grep "it takes orders" out &&
    join "$two" --no-orders >out && ! grep "takes orders" out &&
    on "$head" berth node show "$one" -o json | jq -e ".address == \"10.99.0.2\" and .url == \"https://berth.example.org\""
'
test_expect_success 'a dry run shows what would be changed, and changes nothing' '
    test_expect_code 1 on "$head" berth engine install slurm --dry-run >out && cat out &&
    grep "^$one  *files .*would change: .*/etc/slurm/slurm.conf" out && grep "^$two  *failed .*takes no orders" out &&
    ! on "$one" test -e /etc/slurm/slurm.conf && ! on "$head" test -e /etc/munge/munge.key
'
test_expect_success 'the second command: a machine that refuses orders fails, the others are a cluster' '
    test_expect_code 1 on "$head" berth engine install slurm >out; cat out &&
    grep "^$one  *done" out && grep "^$head  *daemons  *munged slurmctld slurmd" out && grep "^$two  *failed" out &&
    grep "engine: slurm stands in /etc/berth/berth.yaml" out && on "$head" cat /etc/berth/berth.yaml >yaml &&
    grep "^home_url: https://berth.example.org$" yaml && grep "^hosts: .berth.example.org" yaml &&
    on "$one" cmp /etc/slurm/slurm.conf "$BERTH_TEST/machines/$head/etc/slurm/slurm.conf" &&
    test "$(on "$one" stat -c "%U %a" /etc/munge/munge.key)" = "munge 400"
'
test_expect_success 'the key of munge went nowhere else' '
    key=$(base64 -w 0 "$BERTH_TEST/machines/$head/etc/munge/munge.key" | cut -c 1-40) && ! grep -rqF "$key" "$BERTH_TEST/server.log" "$BERTH_TEST/$one.log" &&
    ! on "$head" grep -rqF -f /etc/munge/munge.key /var/lib/berth
'
test_expect_success 'the machine that comes later, and the one that failed, are taken in' '
    end_server && begin_server && on "$two" pkill -x berth &&
    join "$two" >out && grep "already" out && grep "the account berth has the numbers now that it has on the server: $(id -u berth):$(id -g berth)" out &&
    test "$(stat -c %U:%G "$BERTH_TEST/machines/$two/berth/node.json")" = berth:berth &&
    on "$head" berth engine install slurm -o json >out; cat out &&
    jq -e ".ok and .server == null and (.machines | length) == 3" out
'
test_expect_success 'the check finds it whole, and a job runs on two machines' '
    on "$head" berth engine check >check; cat check && ! grep -E "^(warn|fail)" check &&
    on "$head" berth node show "$one" -o json | jq -e ".address == \"10.99.0.2\"" &&
    on "$head" berth node cordon "$head" >/dev/null &&
    on "$head" berth run --source none --name gang --nodes 2 --cpus 1 -- sh -c "hostname; echo \$MASTER_ADDR" >out && cat out &&
    test "$(grep -c "^.[01]. 10\.99\.0\.[23]$" out)" = 2 && grep "^.0. node-0" out && grep "^.1. node-1" out &&
    on "$head" berth job show gang -o json | jq -e ".attempt.evidence.mode == \"privileged\""
'
test_expect_success 'installed again, nothing changes' '
    on "$head" berth engine install slurm >out; cat out &&
    test "$(grep -c "done  *nothing to change" out)" = 3 && test "$(wc -l <out)" = 4
'
order_is() { test "$(on "$head" berth node show "$one" -o json | jq -r .order.state)" = "$1"; }
test_expect_success 'an order that is not in order is refused where it comes to' '
    on "$head" berth node show "$one" -o json >node && id=$(jq -r .id node) &&
    jq -n -c --arg one "$one" --slurpfile node node "{op: \"slurm\", account: {name: \"berth\", uid: 999, gid: 999}, sums: {},
        cluster: {name: \"x\nProlog=/bin/evil\", controller: \"evil\", nodes: [{node: \$node[0]}]}}" >order &&
    ask() { on "$head" curl -s -o "$BERTH_TEST/out" -w "%{http_code}" -H "Content-Type: application/json" "$@"; } &&
    test "$(ask --unix-socket /run/berth/api.sock -d "@$PWD/order" "http://localhost/v1/nodes/$one/order")" = 201 &&
    await 10 order_is failed && on "$head" berth node show "$one" -o json | jq -e ".order.detail | startswith(\"cluster: name\")" &&
    key=$(jq -r .key "$BERTH_TEST/machines/$one/berth/node.json") && test -n "$key" &&
    test "$(ask -k -H "Authorization: Bearer $key" -d "@$PWD/order" "https://berth.example.org/v1/nodes/$one/order")" = 403
'
test_done
