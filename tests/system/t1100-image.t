#!/bin/sh
test_description='container images: import, pull with a login, run, delete'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs umoci skopeo docker-registry busybox
berth_start

test_expect_success 'an image of two layers is made' '
    busybox_tree one && echo a >one/data/a && ln one/data/a one/data/hard && mkdir -p one/old/deep &&
    echo below >one/old/deep/file &&
    mkdir -p two/data two/old && echo b >two/data/b && touch two/data/.wh.a two/old/.wh..wh..opq &&
    echo new >two/old/new &&
    image_layer oci:one one && image_layer oci:one two &&
    image_config oci:one --config.user user --config.env GREETING=hi --config.workingdir /data --config.cmd id &&
    layout_tar oci one.tar
'

test_expect_success 'it is imported and its command runs as its user' '
    berth image import one.tar --name one:1 >digest &&
    grep "^sha256:" digest &&
    berth run --source none --image one:1 >out &&
    echo "uid=1000(user) gid=1000(user) groups=50(staff)" >expected &&
    test_cmp expected out
'

test_expect_success 'whiteouts and opaque directories hide what lies below' '
    berth run --source none --image one:1 -- "pwd; ls /data; ls /old; echo \$GREETING \$HOME" >out &&
    printf "/data\nb\nhard\nnew\nhi /home/user\n" >expected &&
    test_cmp expected out
'

test_expect_success 'its user can write where jobs write' '
    mkdir w && echo sent >w/file &&
    berth run --source w --image one:1 --name writes -- \
        "pwd; cat file; echo more >>file; touch new /artifacts/result /storage/kept" >out 2>err &&
    printf "/workspace\nsent\n" >expected && test_cmp expected out &&
    grep "1 artifact" err
'

test_expect_success 'the record names reference and digest' '
    berth job record writes -o json >record &&
    jq -r .record.image record >name && echo localhost/one:1 >expected && test_cmp expected name &&
    jq -r .record.image_digest record >got && sed s/^sha256:// digest >expected && test_cmp expected got
'

test_expect_success 'a registry with a password refuses who has none' '
    registry_start auth && registry_push oci:one lib/one:1 &&
    test_expect_code 1 berth image pull "$REGISTRY/lib/one:1" 2>err &&
    grep "wants a login; give one: berth image login $REGISTRY --username" err &&
    test_expect_code 125 berth run --source none --image "$REGISTRY/lib/one:1" 2>err &&
    grep "wants a login" err
'

test_expect_success 'with a login it is pulled, and a job runs in it' '
    echo wrong | berth image login "$REGISTRY" --username demo --password-stdin &&
    test_expect_code 1 berth image pull "$REGISTRY/lib/one:1" 2>err && grep "refuses the login" err &&
    echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
    berth image pull "$REGISTRY/lib/one:1" >pulled && test_cmp digest pulled &&
    berth run --source none --image "$REGISTRY/lib/one:1" -- cat /etc/passwd >out && test_cmp one/etc/passwd out
'

test_expect_success 'the login is nowhere to be seen' '
    ! grep -r s3cret "$BERTH_STATE" && berth secret list -o json >secrets && ! grep registry secrets &&
    test_expect_code 2 berth run --source none -e "X=secret:@registry/$REGISTRY" -- true
'

test_expect_success 'an image that is in use stays, others go with their layers' '
    berth run --source none --image one:1 --detach --name sleeper -- sleep 1000 &&
    test_expect_code 5 berth image delete one:1 2>err && grep "jobs that have not ended" err &&
    berth stop sleeper --grace 0 --wait && berth image delete one:1 && berth image delete "$REGISTRY/lib/one:1" &&
    layers_are_gone() { [ -z "$(ls "$BERTH_STATE/layers")" ]; } && await 10 layers_are_gone &&
    berth image list -o name >out && test_must_be_empty out
'

test_expect_success 'what is wrong is said in words' '
    test_expect_code 2 berth run --source none --image UPPER -- true 2>err && grep "python:3.12" err &&
    test_expect_code 2 berth run --source none --image localhost/none -- true 2>err && grep "berth image build" err &&
    test_expect_code 4 berth run --source none --image oci:/etc/x -- true 2>err && grep image_paths err &&
    test_expect_code 1 berth image pull "$REGISTRY/lib/none:1" 2>err && grep "no such image" err
'

registry_stop
test_done
