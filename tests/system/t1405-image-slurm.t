#!/bin/sh
test_description='images on machines of a batch system: what users see of the way there, and of a change of the engine'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs jq crun umoci skopeo docker-registry busybox flock

has() { berth job show "$1" -o json | jq -e "$2" >/dev/null; }
why() { berth why "$1" >why.out 2>&1 && grep "$2" why.out; }
kept() { find "$BERTH_STATE/$1" -mindepth 1 -maxdepth 1 | grep -c "/[0-9a-f]\{64\}$"; }

# Each machine has a disk of its own.
install -d -m 1777 "$BERTH_TEST/disks"
printf '#!/bin/sh\nBERTH_SPOOL=%s/$SLURMD_NODENAME exec %s/berth "$@"\n' "$BERTH_TEST/disks" "$BERTH_BUILD" >"$BERTH_TEST/program"
chmod +x "$BERTH_TEST/program"
BERTH_NODE_PROGRAM=$BERTH_TEST/program
export BERTH_NODE_PROGRAM
slurm_start 2 4

test_expect_success 'an image in a registry, and one in a file' '
    busybox_tree one && echo first >one/data/word && image_layer oci:one one && mkdir -p two/data && head -c 3000000 /dev/urandom >two/data/big &&
    image_layer oci:one two && image_layer made:1 one && layout_tar made one.tar && registry_start auth && registry_push oci:one lib/one:1
'
berth_start

test_expect_success 'on this machine it is unpacked' '
    berth image import one.tar --name made:1 && echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
    berth run --source none --image "$REGISTRY/lib/one:1" -- cat /data/word >out && echo first >expected && test_cmp expected out &&
    berth image list -o json >list && test "$(kept layers)" = 2
'

berth_stop
BERTH_ENGINE=slurm BERTH_SLURM_CONF=$SLURM_CONF BERTH_SLURM_POLL=1s
export BERTH_ENGINE BERTH_SLURM_CONF BERTH_SLURM_POLL

# The tag is another image by now.
test_expect_success 'after a change to Slurm it is brought again by its digest; what nobody uses is not' '
    mkdir -p three/data && echo second >three/data/word && image_layer oci:one three && registry_push oci:one lib/one:1 && berth_server &&
    berth run --source none --image "$REGISTRY/lib/one:1" --name again -- cat /data/word >out && test_cmp expected out &&
    berth image show "$REGISTRY/lib/one:1" -o json | jq -e ".kept == \"packed\"" && berth image show made:1 -o json | jq -e ".kept == \"unpacked\"" &&
    berth run --source none --image made:1 -- cat /data/word >out && test_cmp expected out &&
    gone() { test "$(kept layers)" = 0; } && await 10 gone && berth image pull "$REGISTRY/lib/one:1" &&
    berth run --source none --image "$REGISTRY/lib/one:1" -- cat /data/word >out && echo second >expected && test_cmp expected out
'

# Somebody else on those machines fetches its layer, and is slow.
test_expect_success 'how far it is on its machine is seen; who stops it then waits for nothing' '
    mkdir -p four/data && head -c 3000000 /dev/urandom >four/data/big && image_layer oci:four one && image_layer oci:four four && registry_push oci:four lib/four:1 &&
    layer=$(jq -r ".layers[1].digest[7:]" "oci/blobs/sha256/$(jq -r ".manifests[] | select(.annotations[\"org.opencontainers.image.ref.name\"] == \"four\") | .digest[7:]" oci/index.json)") &&
    for node in node1 node2; do
        install -d -o berth -m 700 "$BERTH_TEST/disks/$node" "$BERTH_TEST/disks/$node/packed" && : >"$BERTH_TEST/disks/$node/packed/$layer" &&
        chown berth "$BERTH_TEST/disks/$node/packed/$layer" && { flock "$BERTH_TEST/disks/$node/packed/$layer" sleep 1000 & } && pids="$pids $!" || return 1
    done &&
    berth run --detach --source none --image "$REGISTRY/lib/four:1" --name slow -- echo ran && await 30 why slow "begins on node.*image .*lib/four:1: 0 B of 2.9 MiB" &&
    berth stop slow --wait && has slow ".state == \"stopped\""
'

test_expect_success 'a server that is killed meanwhile finds it going on' '
    berth run --detach --source none --image "$REGISTRY/lib/four:1" --name over -- echo ran && await 30 why over "0 B of 2.9 MiB" &&
    berth_kill && kill $pids && rm "$BERTH_TEST"/disks/*/packed/* && berth_server &&
    berth job wait over && has over ".attempts == 1" && berth logs over | grep ran
'

test_expect_success 'what no image names goes from the server, too' '
    berth image delete "$REGISTRY/lib/four:1" && away() { ! find "$BERTH_STATE/images" -name "$layer" | grep .; } && await 10 away
'

registry_stop
test_done
