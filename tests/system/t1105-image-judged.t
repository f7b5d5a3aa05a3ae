#!/bin/sh
test_description='what is unpacked is what umoci unpacks: metadata, links, whiteouts, attributes, names'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs umoci skopeo docker-registry busybox jq python3
berth_start

# The first uid of unpacked layers (src/task/layers.h).
layers_uid=2147418112

test_expect_success 'a layer of all that files can be' '
    busybox_tree one && mkdir -p one/dir/deep one/emptied/below one/gone one/was-dir one/sticky && chmod 1777 one/sticky &&
    echo linked >one/dir/a && ln one/dir/a one/dir/b && ln one/dir/a one/other &&
    echo setuid >one/bin/setuid && chown 33:50 one/bin/setuid && chmod 6755 one/bin/setuid &&
    echo secret >one/dir/secret && chmod 0600 one/dir/secret && chown 1000:1000 one/dir/secret &&
    ln -s /etc/passwd one/absolute && ln -s ../../../nowhere one/dangling && mkfifo -m 620 one/fifo &&
    echo old >one/dir/old && touch -d 1999-12-31T23:59:58Z one/dir/old && chown -h 7:8 one/dangling &&
    echo x >one/emptied/below/x && echo y >one/gone/y && echo z >one/was-dir/z && echo f >one/was-file &&
    echo names >"one/ünï 日本 $(printf "\\001") \"quoted\"" && truncate -s 3M one/sparse && echo end >>one/sparse &&
    python3 -c "
import os
os.setxattr(\"one/dir/a\", \"user.color\", b\"blue\\0\\xff\")
os.setxattr(\"one/dir\", \"user.kind\", b\"directory\")
os.setxattr(\"one/bin/busybox\", \"security.capability\", bytes.fromhex(\"0100000200040000000000000000000000000000\"))
"
'

test_expect_success 'and one that takes away from it' '
    mkdir -p two/dir two/emptied two/was-file && touch two/.wh.gone two/dir/.wh.b two/emptied/.wh..wh..opq two/.wh.was-dir &&
    echo new >two/emptied/new && echo in >two/was-file/in && echo now >two/was-dir && rm two/.wh.was-dir &&
    image_layer oci:1 one && image_layer oci:1 two && image_config oci:1 --config.cmd sh
'

test_expect_success 'it is pulled from a registry that skopeo filled' '
    registry_start auth && registry_push oci:1 lib/all:1 && echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
    berth image pull "$REGISTRY/lib/all:1" >ours &&
    skopeo inspect --tls-verify=false --creds demo:s3cret "docker://$REGISTRY/lib/all:1" | jq -r .Digest >theirs && test_cmp theirs ours
'

test_expect_success 'both trees are the same' '
    umoci raw unpack --image oci:1 theirs.tree &&
    lower=$(skopeo inspect --config oci:oci:1 |
        jq -r --arg state "$BERTH_STATE" "[.rootfs.diff_ids[] | sub(\"sha256:\"; \$state + \"/layers/\")] | reverse | join(\":\")") &&
    mkdir "$BERTH_TEST/ours.tree" && mount -t overlay -o "ro,lowerdir=$lower" overlay "$BERTH_TEST/ours.tree" &&
    python3 "$BERTH_SOURCE/tests/system/tree.py" theirs.tree >theirs.list &&
    python3 "$BERTH_SOURCE/tests/system/tree.py" "$BERTH_TEST/ours.tree" $layers_uid >ours.list &&
    umount "$BERTH_TEST/ours.tree" && test "$(wc -l <theirs.list)" -gt 30 && test_cmp theirs.list ours.list
'

test_expect_success 'a job sees them so' '
    berth run --source none --image "$REGISTRY/lib/all:1" -- "ls /emptied /was-file /dir; ls /gone; stat -c %u:%g:%a /bin/setuid /dir/secret" >out 2>&1 ||:;
    grep "^33:50:6755" out && grep "^1000:1000:600" out && grep "/gone: No such file" out && ! grep "^below" out
'

registry_stop
test_done
