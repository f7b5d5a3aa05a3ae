#!/bin/sh
test_description='images on machines of a batch system'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs jq crun umoci skopeo docker-registry busybox

install -d -m 1777 "$BERTH_TEST/spool"
TMPDIR=$BERTH_TEST/spool
export TMPDIR
slurm_start 2 4
berth_start_on_slurm

test_expect_success 'an image of three layers is made' '
    busybox_tree one && echo a >one/data/a && mkdir -p one/old/deep && echo below >one/old/deep/file && chmod 0555 one/old/deep &&
    mkdir -p two/data two/old three && echo b >two/data/b && touch two/data/.wh.a two/old/.wh..wh..opq && echo new >two/old/new &&
    chmod 0750 two/data && chown 1000:50 two/data/b && head -c 3000000 /dev/urandom >three/big &&
    image_layer oci:one one && image_layer oci:one two && image_layer oci:one three &&
    image_config oci:one --config.user user --config.env GREETING=hi --config.workingdir /data --config.cmd id &&
    layout_tar oci one.tar && berth image import one.tar --name one:1
'

test_expect_success 'it runs on a machine of the cluster as on this one' '
    berth run --source none --image one:1 >out &&
    grep "uid=1000(user)" out &&
    berth run --source none --image one:1 -- "pwd; ls /data; ls /old; echo \$GREETING \$HOME; wc -c </big" >out &&
    printf "/data\nb\nnew\nhi /home/user\n3000000\n" >expected && test_cmp expected out
'

test_done
