#!/bin/sh
test_description='the disk fills up while an image is unpacked: a clear error, nothing half visible, and later it works'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs_root
berth_needs umoci skopeo docker-registry busybox

# The state on a small disk of its own, of which the image needs more when it is unpacked than there is.
mkdir -p "$BERTH_STATE" && mount -t tmpfs -o size=128m,mode=0711 berth-test "$BERTH_STATE" ||
    { skip_all='cannot mount a small disk'; test_done; }
printf 'image_plain_http: ["127.0.0.1"]\n' >"$BERTH_CONFIG"
berth_start --reserved-disk 1Mi

layers() { find "$BERTH_STATE/layers" -mindepth 1 -maxdepth 1; }
nothing_unpacked() { test -z "$(layers)"; }

# 60 MiB that compress to a thirtieth: less is taken for a bomb.
cat >files.py <<'END'
import os, sys
for path in sys.argv[1:]:
    with open(path, "wb") as f:
        for _ in range(60):
            f.write(os.urandom(32768) + b"x" * (1048576 - 32768))
END

test_expect_success 'an image that is small to send and large to have, in an archive and in a registry' '
    busybox_tree one && mkdir two && /usr/bin/python3 files.py two/1 two/2 two/3 &&
    image_layer oci:large one && image_layer oci:large two && layout_tar oci large.tar &&
    skopeo --insecure-policy copy -q --dest-compress oci:oci:large oci:packed:large &&
    registry_start && registry_push packed:large lib/large:1 && test "$(du -sm packed | cut -f1)" -lt 20
'

test_expect_success 'a pull fails, and says that the disk is full' '
    test_expect_code 1 berth image pull "$REGISTRY/lib/large:1" 2>err; cat err; grep -i "no space left\|disk is full\|too little room" err
'

test_expect_success 'nothing of it is visible, and nothing of its large layer stays' '
    berth image list -o json >out && jq -e "[.items[].state] == [\"failed\"]" out &&
    ! find "$BERTH_STATE/layers" -name 3 | grep . && await 10 berth_is_ready &&
    await 20 sh -c "test \$(df --output=avail -m \"$BERTH_STATE\" | tail -n 1) -gt 60"
'

test_expect_success 'jobs go on, and one that wants the image says why it cannot start' '
    berth run --source none --disk 1Mi -- true &&
    { timeout 3 berth run --source none --disk 1Mi --name wants --image "$REGISTRY/lib/large:1" -- true 2>err; berth why wants >why; cat err why; } | grep -i "no space left\|disk is full\|too little room" &&
    { berth stop --grace 0 wants; true; }
'

test_expect_success 'with room it is pulled and runs' '
    mount -o remount,size=600m "$BERTH_STATE" && berth image pull "$REGISTRY/lib/large:1" &&
    berth run --source none --disk 1Mi --image "$REGISTRY/lib/large:1" -- stat -c %s /3 >out && echo 62914560 | test_cmp - out
'

registry_stop
test_done
