#!/bin/sh
# dataset update, image pull, secret set, login, context use and others took --dry-run and changed things.
test_description='--dry-run changes nothing, whatever the command'
. "$(dirname "$0")/../system/lib.sh"

berth_start

runs() { berth ps --state running -o name | grep -x runs; }

test_expect_success 'something is there' '
    mkdir data && echo 1 >data/one &&
    berth dataset push numbers data &&
    berth run --source none -n kept -- true &&
    berth run --source none -n runs -d -- sleep 600 &&
    await 30 runs &&
    echo hunter2 | berth secret set TOKEN &&
    berth event list -a -o json | jq ".items | length" >before &&
    sha256sum "$HOME/.config/berth/config.yaml" >config
'

test_expect_success 'what would be sent is said, and not done' '
    for command in "dataset update numbers --tag a=b" "dataset delete numbers" "image pull nowhere.example/a:1" \
        "image login nowhere.example --username me --password-stdin" "image logout nowhere.example" "secret set OTHER" \
        "secret delete TOKEN" "job update kept --tag a=b" "job delete kept" "stop runs" "job signal runs USR1" \
        "job rerun kept" "key create other" "project create other" \
        "dataset push numbers data" "context use default" "context delete default" "init --org other"; do
        echo secret | berth $command --dry-run >>out 2>>err || { echo "failed: $command"; cat err; return 1; }
    done &&
    cat err &&
    grep "would send PATCH /v1/projects/lab/datasets/numbers" err &&
    grep "would send DELETE /v1/projects/lab/jobs/kept" err &&
    grep "would write $HOME/.config/berth/config.yaml" err &&
    ! grep hunter2 out err &&
    berth event list -a -o json | jq ".items | length" >after &&
    test_cmp before after &&
    sha256sum -c config &&
    berth stop --wait --grace 1s runs
'

test_done
