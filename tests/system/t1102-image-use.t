#!/bin/sh
test_description='one image and many who use it: one pull, and no layer goes while it is in use'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs umoci skopeo docker-registry busybox jq
berth_start --image-stall 120s
jobs=200

layers() { ls "$BERTH_STATE/layers"; }
layers_are() { [ "$(layers | wc -l)" -eq "$1" ]; }
state_is() { berth job show "$1" -o json | jq -e --arg state "$2" '.state == $state' >/dev/null; }

test_expect_success 'an image of two layers lies in a registry' '
    busybox_tree one && mkdir -p two/data && echo first >two/data/word &&
    image_layer oci:v1 one && image_layer oci:v1 two && image_config oci:v1 --config.cmd sh &&
    registry_start auth && registry_push oci:v1 lib/many:1 &&
    echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
    : >"$BERTH_TEST/registry.log"
'

test_expect_success "$jobs jobs are submitted while the registry does not answer" '
    kill -STOP "$registry_pid" &&
    seq $jobs | xargs -P 8 -I N berth run --detach --source none --flavor cpu.shared --name many-N \
        --image "$REGISTRY/lib/many:1" -- cat /data/word >ids &&
    berth ps --limit 1000 -o json >waiting && test "$(jq "[.items[] | select(.state == \"queued\")] | length" waiting)" -ge 100 &&
    berth why many-7 >why && grep "image $REGISTRY/lib/many:1: " why
'

test_expect_success 'all of them run, after one pull' '
    kill -CONT "$registry_pid" &&
    done_all() { [ "$(berth ps -a --limit 1000 --name "many-*" --state succeeded -o json | jq ".items | length")" -eq $jobs ]; } && await 60 done_all &&
    test "$(registry_blob_gets)" -eq 3 &&
    test "$(grep -c "GET /v2/lib/many/manifests/1 .* 200 " "$BERTH_TEST/registry.log")" -eq 1 &&
    berth logs many-42 >out && echo first >expected && test_cmp expected out
'

test_expect_success 'a job goes on in the image that it began with, also when the name means another one' '
    berth run --detach --source none --name old --image "$REGISTRY/lib/many:1" -- \
        "while [ ! -e /storage/go ]; do sleep 0.1; done; cat /data/word" &&
    await 20 state_is old running &&
    echo second >two/data/word && image_layer oci:v2 one && image_layer oci:v2 two && image_config oci:v2 --config.cmd sh &&
    registry_push oci:v2 lib/many:1 && berth image pull "$REGISTRY/lib/many:1" &&
    layers_are 3 && berth image list -o name >out && grep "lib/many:1@sha256:" out &&
    berth run --source none --image "$REGISTRY/lib/many:1" -- cat /data/word >out && grep second out &&
    berth run --source none -- touch /storage/go && await 20 state_is old succeeded && berth logs old >out && grep first out
'

test_expect_success 'an image of which a layer is shared leaves it there' '
    berth image delete "$(berth image list -o name | grep @sha256)" && await 10 layers_are 2 &&
    berth run --source none --image "$REGISTRY/lib/many:1" -- cat /data/word >out && grep second out
'

test_expect_success 'a layer that is mounted stays, whatever the records say' '
    { flock -s -F "$BERTH_STATE/layers/$(layers | head -n 1)" sleep 1000 & } && holder=$! &&
    layer_is_held() { ! flock -nx "$BERTH_STATE/layers/$(layers | head -n 1)" true; } && await 10 layer_is_held &&
    berth image delete "$REGISTRY/lib/many:1" && await 10 layers_are 1 &&
    berth_stop && berth_server --image-stall 120s && await 10 berth ps && layers_are 1
'

test_expect_success 'it goes when nobody holds it any more' '
    kill "$holder" && await 30 layers_are 0
'

test_expect_success 'packed bytes are not kept of what a registry has' '
    find "$BERTH_STATE/images" -type f -size +2k >left && test_must_be_empty left
'

registry_stop
test_done
