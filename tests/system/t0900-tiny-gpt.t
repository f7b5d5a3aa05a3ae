#!/bin/sh
test_description='The example job: its loss falls, its results are kept, a stop keeps its checkpoint'
. "$(dirname "$0")/lib.sh"
berth_start
cp -r "$BERTH_SOURCE/examples/tiny-gpt" .

chart() { # chart JOB NAME: the points, oldest first
    api GET "/v1/projects/lab/jobs/$1/charts/$2"
}

test_expect_success 'the example runs from its directory' '
    (cd tiny-gpt && berth run --name tiny --cpus 1 --memory 1Gi --env OMP_NUM_THREADS=1 \
        -- python3 train.py --steps 80 --validate-every 20) >run.out 2>run.err
'
test_expect_success 'its log is followed' '
    grep "tokens to learn from" run.out && grep "after 80 steps the model writes" run.out
'
test_expect_success 'validation loss falls in the stored chart' '
    chart tiny val_loss >val.json &&
    jq -e "[.items[].y] | length == 5 and .[0] > 5 and .[-1] < .[0] - 1.5" val.json
'
test_expect_success 'training loss falls over each third of its chart' '
    chart tiny train_loss >train.json &&
    jq -e "[.items[].y] | length == 8 and (.[0:2] | add) > (.[3:5] | add) and (.[3:5] | add) > (.[6:8] | add)" train.json
'
test_expect_success 'speed is charted' '
    chart tiny tokens_per_second | jq -e "[.items[].y] | length == 8 and all(. > 0)"
'
test_expect_success 'the model is among the results, with its true digest' '
    berth artifact get tiny model.gguf &&
    sum=$(sha256sum <model.gguf | cut -d" " -f1) &&
    berth artifacts tiny -o json >list.json &&
    jq -e --arg sum "$sum" "any(.items[]; .path == \"model.gguf\" and .sha256 == \$sum)" list.json
'
test_expect_success 'and the same as without Berth' '
    OMP_NUM_THREADS=1 /usr/bin/python3 tiny-gpt/train.py --steps 80 --validate-every 20 --out plain >/dev/null &&
    cmp plain/model.gguf model.gguf
'
charted() { chart "$1" train_loss | jq -e '.items | length >= 2'; }
test_expect_success 'a stop saves a checkpoint first' '
    (cd tiny-gpt && berth run --detach --name long --cpus 1 --memory 1Gi -- python3 train.py --steps 100000) &&
    await 60 charted long &&
    berth stop long --wait &&
    berth logs long | grep "^stopped at step" &&
    berth artifacts long -o json | jq -e "any(.items[]; .path == \"checkpoint.npz\")"
'
test_done
