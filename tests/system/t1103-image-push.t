#!/bin/sh
test_description='images go to a registry, and skopeo finds them there as they were'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs umoci skopeo docker-registry busybox jq
berth_start

inspect() { skopeo inspect --tls-verify=false --creds demo:s3cret "$@"; }
blob_puts() { grep -c 'PUT /v2/[^ ]*/blobs/' "$BERTH_TEST/registry.log"; }

test_expect_success 'an image is imported, and a registry is there' '
    busybox_tree one && mkdir -p two/data && echo first >two/data/word &&
    image_layer oci:v1 one && image_layer oci:v1 two && image_config oci:v1 --config.cmd sh --config.env A=b &&
    layout_tar oci one.tar && berth image import one.tar --name one:1 >digest && registry_start auth
'

test_expect_success 'without a login it is refused' '
    test_expect_code 1 berth image push one:1 "$REGISTRY/made/one:1" 2>err && grep "wants a login" err
'

test_expect_success 'with one it is there, with its digest' '
    echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
    berth image push one:1 "$REGISTRY/made/one:1" >pushed && test_cmp digest pushed &&
    inspect "docker://$REGISTRY/made/one:1" >seen && jq -r .Digest seen >got && test_cmp digest got &&
    jq -e ".Env == [\"A=b\"] and (.Layers | length) == 2" seen
'

test_expect_success 'what skopeo takes from there is what was imported' '
    skopeo --insecure-policy copy -q --src-tls-verify=false --src-creds demo:s3cret \
        "docker://$REGISTRY/made/one:1" oci:back:v1 &&
    umoci raw unpack --image back:v1 tree && echo first >expected && test_cmp expected tree/data/word
'

test_expect_success 'what a registry has is not sent twice' '
    before=$(blob_puts) && berth image push one:1 "$REGISTRY/made/one:2" && test "$(blob_puts)" -eq "$before" &&
    inspect "docker://$REGISTRY/made/one:2" >seen
'

test_expect_success 'an image of a registry goes on to another place' '
    berth image pull "$REGISTRY/made/one:1" && berth image push "$REGISTRY/made/one:1" "$REGISTRY/other/two:3" >pushed &&
    test_cmp digest pushed && inspect "docker://$REGISTRY/other/two:3" >seen &&
    jq -r .Digest seen >got && test_cmp digest got
'

test_expect_success 'events say who sent what where' '
    berth event list -o json >events &&
    jq -e --arg to "$REGISTRY/made/one:1" "[.items[] | select(.type == \"image.pushed\" and .data.to == \$to)] | length == 1" events
'

test_expect_success 'what cannot be is said in words' '
    test_expect_code 2 berth image push one:1 nowhere 2>err && grep "is not REGISTRY/REPOSITORY:TAG" err &&
    test_expect_code 3 berth image push none:1 "$REGISTRY/x:1" 2>err && grep "no image" err &&
    test_expect_code 1 berth image push one:1 127.0.0.1:1/x:1 2>err && grep "127.0.0.1:1" err
'

test_expect_success 'packed bytes go with their image' '
    kept() { find "$BERTH_STATE/images" -type f | wc -l; } && test "$(kept)" -eq 4 &&
    berth image delete one:1 && none_kept() { [ "$(kept)" -eq 0 ]; } && await 10 none_kept
'

registry_stop
test_done
