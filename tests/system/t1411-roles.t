#!/bin/sh
test_description='parameter servers, workers and a master; and ranks that train one model together'
. "$(dirname "$0")/lib.sh"
berth_start

field() { berth job show "$1" -o json | jq -r "$2"; }

test_expect_success 'a parameter server serves as long as the others work' '
    berth run --source "$BERTH_SOURCE/examples/parameter-server" --file "$BERTH_SOURCE/examples/parameter-server/job.yaml" >out &&
    grep -c "\"chart\": *\"accuracy\"" out | grep -x 20 &&
    field parameter-server "[.attempt.tasks[] | .role, .cause] | join(\" \")" >causes &&
    echo "master exited ps gang worker exited worker exited" >want && test_cmp want causes &&
    berth artifact get parameter-server model.json && jq -e ".accuracy > 0.9" model.json
'

test_expect_success 'a worker that fails is named once, and ends all' '
    test_expect_code 1 berth run --source "$BERTH_SOURCE/examples/parameter-server" --file "$BERTH_SOURCE/examples/parameter-server/job.yaml" --name failing -- \
        python3 train.py --fail 1 >out 2>&1 &&
    test "$(field failing .attempt.failed_rank)" = 3 &&
    test "$(field failing .attempts)" = 1 &&
    grep -c "was the first to fail" out | grep -x 1 && grep "rank 3 (worker 1) on node" out
'

test_expect_success 'what each task is told is the same everywhere' '
    berth run --source none --name told --nodes 2 --tasks-per-node 2 --role ps --role worker:3 --flavor cpu.shared -- \
        sh -c "env | grep -v ^BERTH_ATTEMPT | sort >/artifacts/env-\$BERTH_RANK; cat /etc/hosts >/artifacts/hosts-\$BERTH_RANK" &&
    for rank in 0 1 2 3; do berth artifact get told env-$rank && berth artifact get told hosts-$rank || return 1; done &&
    cmp hosts-0 hosts-3 && grep "node-1 rank-2 worker-1 rank-3 worker-2$" hosts-0 &&
    grep -h "^MASTER_\|^WORLD_SIZE\|^PS_HOSTS\|^WORKER_HOSTS" env-? | sort | uniq -c | awk "{ print \$1 }" | uniq | grep -x 4 &&
    grep -x "TYPE=worker" env-3 && grep -x "INDEX=2" env-3 && grep -x "RANK=3" env-3 && grep -x "LOCAL_RANK=1" env-3 &&
    grep -x "NODE_RANK=1" env-3 && grep -x "NCCL_SOCKET_IFNAME=eth0" env-3 &&
    sed -n "s/^TF_CONFIG=//p" env-0 | jq -e ".cluster.worker | length == 3" &&
    sed -n "s/^PS_CONFIG=//p" env-3 | /usr/bin/python3 -c "
import base64, json, sys
config = json.loads(base64.urlsafe_b64decode(sys.stdin.read()))
assert config[\"task\"] == {\"type\": \"worker\", \"index\": 2} and config[\"environment\"] == \"cloud\", config"
'

if /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
    test_set_prereq NUMPY
fi

test_expect_success NUMPY 'two containers train the model that one does' '
    job=$BERTH_SOURCE/examples/tiny-gpt/job.yaml &&
    berth run --source "$BERTH_SOURCE/examples/tiny-gpt" --file "$job" --name alone -- python3 train.py --steps 20 >alone.log &&
    berth run --source "$BERTH_SOURCE/examples/tiny-gpt" --file "$job" --name together --nodes 2 -- python3 train.py --steps 20 >together.log &&
    grep "after 20 steps" together.log &&
    grep -c "\"train_loss\"" together.log | grep -x 2 &&
    for name in alone together; do berth artifact get $name checkpoint.npz && mv checkpoint.npz $name.npz || return 1; done &&
    ! cmp -s alone.npz together.npz &&
    /usr/bin/python3 "$BERTH_SOURCE/examples/tiny-gpt/compare.py" alone.npz together.npz
'

test_done
