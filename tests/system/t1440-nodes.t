#!/bin/sh
test_description='machines join, report, are kept from work and forgotten'
. "$(dirname "$0")/lib.sh"

berth_start --node-timeout 3s

node_pid=
end_node() {
    [ -z "$node_pid" ] || kill "$node_pid" 2>/dev/null
    [ -z "$node_pid" ] || wait "$node_pid" 2>/dev/null
    node_pid=
}

# Another machine, as far as the server can tell: an id of its own, a state of its own.
join_as() {
    machine=$1
    shift
    [ -e "$machine.id" ] || echo "0123456789abcdef-$machine" >"$machine.id"
    BERTH_MACHINE_ID=$PWD/$machine.id berth node join "$BERTH_URL" "$@" --state "$PWD/$machine" --no-start
}

token() {
    berth node token -o json | jq -r .token
}

state_is() {
    test "$(berth node show "$1" -o json | jq -r .state)" = "$2"
}

test_expect_success 'a machine joins with a token, once' '
    token >token && join_as one "$(cat token)" --name one >out &&
    grep "this machine is node one of $BERTH_URL" out && test "$(stat -c %a one/node.json)" = 600 &&
    test_expect_code 4 join_as two "$(cat token)" --name two 2>err && grep "not known here" err
'
test_expect_success 'it is a node that takes no work of this engine' '
    berth node list >list && grep "^one  *faulty" list && grep "no engine starts tasks on it yet" list &&
    berth node show one -o json >node && jq -e "(.cores | length) > 0 and .joined and .heard" node &&
    berth run --source none --cpus 1 -- true
'
test_expect_success 'neither the token nor the key of a node are anywhere but with it' '
    key=$(jq -r .key one/node.json) && test -n "$key" &&
    ! grep -r -e "$key" -e "$(cat token)" "$BERTH_STATE" "$BERTH_TEST/server.log" &&
    /usr/bin/python3 -c "import sqlite3, sys; print(*(t for t, in sqlite3.connect(sys.argv[1]).execute(\"SELECT type FROM events\")), sep=\"\\n\")" \
        "$BERTH_STATE/berth.db" >events && grep -x node.joined events
'
# put_as KEY METHOD PATH FILE: the status
put_as() {
    curl -s -o out -w "%{http_code}" -H "Authorization: Bearer $1" -H "Content-Type: application/json" -X "$2" -d "@$4" "$BERTH_URL$3"
}
test_expect_success 'the key of a node opens nothing but its own report' '
    key=$(jq -r .key one/node.json) &&
    test "$(curl -s -o out -w "%{http_code}" -H "Authorization: Bearer $key" "$BERTH_URL/v1/nodes")" = 403 &&
    test "$(curl -s -o out -w "%{http_code}" -H "Authorization: Bearer $key" "$BERTH_URL/v1/projects")" = 403 &&
    jq -c "{node: {name: \"one\", memory: 1, cores: [{id: 0, cpus: \"0\"}]}}" -n >body &&
    test "$(put_as "$key" PUT /v1/nodes/other/report body)" = 403 && grep "another node" out &&
    test "$(put_as "$key" POST /v1/nodes body)" = 400 &&
    berth key create people --role admin -o json >admin &&
    test "$(put_as "$(jq -r .key admin)" PUT /v1/nodes/one/report body)" = 403 && grep "of role node" out
'
test_expect_success 'a machine that joins again is the same node' '
    join_as one "$(token)" --name another >out && grep "is node one of .* already" out &&
    test "$(berth node list -o json | jq "[.items[] | select(.joined)] | length")" = 1
'
test_expect_success 'a token may come on stdin, where nobody sees it' '
    token | join_as four - --name four && berth node show four >/dev/null && berth node delete four
'
test_expect_success 'another machine of the same name is refused, and the server itself' '
    test_expect_code 5 join_as two "$(token)" --name one 2>err && grep "another machine joined as .one.*berth node delete one" err &&
    test_expect_code 5 join_as three "$(token)" --name "$(berth node list -o json | jq -r ".items[0].name")" 2>err &&
    grep "the machine of the server" err
'
test_expect_success 'a token that has expired, and one that was taken back, are refused' '
    berth node token -o json >made && berth key delete "$(jq -r .name made)" &&
    test_expect_code 4 join_as two "$(jq -r .token made)" --name two &&
    berth key list >keys && grep -c join- keys
'
test_expect_success 'it reports, is lost when it is silent, and is there again' '
    await 10 state_is one lost &&
    berth node run --state one >node.log 2>&1 &
    node_pid=$! && await 10 state_is one faulty &&
    end_node && await 10 state_is one lost
'
test_expect_success 'a drained machine takes no work' '
    name=$(berth node list -o json | jq -r ".items[0].name") &&
    berth run --source none --detach --name held --cpus 1 -- sleep 1000 &&
    await 10 sh -c "test \$(berth job show held -o json | jq -r .state) = running" &&
    berth node drain "$name" --reason "new fans" >out && state_is "$name" draining &&
    berth run --source none --detach --name waits --cpus 1 -- true &&
    berth why waits >why && grep cordoned why
'
drains() {
    berth node drain "$name" --reason "new fans" --wait -o json >drained 2>said &
    waits=$!
}
test_expect_success 'whoever waits for it sees what still runs; Ctrl-C leaves it draining' '
    drains && await 10 grep "$name: 1 task still runs there" said && kill -INT "$waits" && test_expect_code 130 wait "$waits" &&
    grep "$name goes on draining" said && state_is "$name" draining &&
    drains && await 10 grep "1 task" said && berth stop held && wait "$waits" && jq -e ".state == \"drained\"" drained
'
test_expect_success 'the operator says which of its GPUs the fabric manager joins' '
    token >token && jq -n -c --arg sum "$(printf gpus | sha256sum | cut -d" " -f1)" "{machine: \$sum, node: {name: \"hgx\", memory: 1,
        cores: [{id: 0, cpus: \"0\"}], gpus: [range(8) | {uuid: \"GPU-\\(.)\", model: \"H100\", index: ., module: (8 - .), island: 1}]}}" >body &&
    test "$(put_as "$(cat token)" POST /v1/nodes body)" = 201 &&
    test_expect_code 2 berth node partition hgx --table 1=1-9 2>err && grep "table: partition 1 has module 9; the modules of node hgx are 1-8" err &&
    berth node partition hgx --table hgx8 >shown && grep "partition_table *hgx8" shown &&
    berth node show hgx -o json | jq -e "(.partitions | length) == 15 and .partitions[3] == {id: 3, gpus: \"5,7\"}" &&
    berth node partition hgx --table reported -o json | jq -e ".partitions == null and .partition_table == null" &&
    berth node partition hgx --table "1=1-4 2=5-8" && test_expect_code 2 berth node partition hgx 2>err && grep "table: is missing" err
'
test_expect_success 'how far machines are from each other is known where they stand' '
    berth node update one --tag leaf=l1 --tag block=b1 >/dev/null && berth node update hgx --tag leaf=l2 --tag block=b1 >/dev/null &&
    berth node hops one >hops && grep "^hgx  *block  *3\$" hops && grep "^$name  *-" hops && test $(wc -l <hops) -eq 3 &&
    berth node hops hgx --to one -o json | jq -e ".items == [{node: \"one\", within: \"block\", hops: 3}]" &&
    test_expect_code 3 berth node hops one --to nobody 2>err && grep "no other node .nobody" err
'
test_expect_success 'a restart forgets none of it' '
    berth_stop && berth_server --node-timeout 3s && state_is "$name" drained && berth why waits &&
    berth node show "$name" -o json | jq -e ".cordon.reason == \"new fans\" and (.cordon.by | length) > 0" &&
    berth node show one -o json | jq -e .joined && berth node show hgx -o json | jq -e "(.partitions | length) == 2"
'
test_expect_success 'given back to work, it takes what waits' '
    berth node resume "$name" && berth job wait waits && state_is "$name" ready &&
    berth node cordon "$name" && state_is "$name" cordoned && berth node uncordon "$name" && state_is "$name" ready
'
test_expect_success 'what is preemptible leaves at once where it is told to, and goes on when it can' '
    berth run --source none --detach --name soft --cpus 1 --preemptible -- sleep 1000 &&
    await 10 sh -c "test \$(berth job show soft -o json | jq -r .state) = running" &&
    berth node drain "$name" --preempt --wait && state_is "$name" drained &&
    berth why soft >why && grep "it was preempted and goes on when it can: .*cordoned" why &&
    berth node resume "$name" && await 10 sh -c "berth job show soft -o json | jq -e \".state == \\\"running\\\" and .preemptions == 1\"" &&
    berth stop --grace 0 --wait soft
'
test_expect_success 'a machine that is forgotten can report no more' '
    berth node delete one && ! berth node show one && test_expect_code 2 berth node run --state one 2>err &&
    grep "let it join again" err && test_expect_code 5 berth node delete "$name"
'
test_expect_success 'what hardware could not be is refused' '
    token=$(token) && sum=$(printf x | sha256sum | cut -d" " -f1) &&
    for node in "{}" "{\"name\":\"../x\"}" "{\"name\":\"n\",\"memory\":1,\"cores\":[{\"id\":7,\"cpus\":\"0\"}]}" \
        "{\"name\":\"n\",\"memory\":-1,\"cores\":[{\"id\":0,\"cpus\":\"0\"}]}" "{\"name\":\"n\",\"memory\":1}"; do
        echo "{\"machine\":\"$sum\",\"node\":$node}" >body && test "$(put_as "$token" POST /v1/nodes body)" = 400 || return 1
    done
'
end_node
test_done
