#!/bin/sh
test_description='a real GPU inside a container as on the machine itself'
. "$(dirname "$0")/../system/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
. "$BERTH_SOURCE/tests/system/nvidia.sh"
berth_needs_root
berth_needs cc

test_expect_success 'the CUDA program compiles' '
    cc -Wall -Wextra -Werror -O1 -o cuda-add "$BERTH_SOURCE/tests/deep/cuda-add.c"
'

[ -r /proc/driver/nvidia/version ] || {
    say "skipped: no NVIDIA driver is loaded here (/proc/driver/nvidia/version)"
    test_done
}
berth_needs nvidia-smi

# Specifications of the machine's own are left out: what is tested is the one that Berth writes.
BERTH_CDI=$BERTH_TEST/cdi
export BERTH_CDI
berth_start

# The first GPU that Berth gives, as a bare process sees it.
uuid=$(berth node list -o json | jq -r '[.items[].gpus[] | select(.fault == null)][0].uuid')
facts() { echo "nvidia-smi --query-gpu=uuid,name,memory.total,driver_version,vbios_version --format=csv,noheader"; }

test_expect_success 'Berth has a specification and a GPU' '
    test -s "$BERTH_CDI/berth-nvidia.json" && test "$uuid" != null
'

test_expect_success 'nvidia-smi says inside what it says outside, of its own GPU alone' '
    $(facts) --id="$uuid" >expected && cat expected &&
    berth run --source none --name smi --gpus 1 --device "nvidia.com/gpu=$uuid" -- sh -c "$(facts)" >inside 2>smi.err &&
    test_cmp expected inside
'

test_expect_success 'a CUDA program computes inside what it computes outside' '
    CUDA_VISIBLE_DEVICES=$uuid ./cuda-add >expected && cat expected && mkdir cuda && cp cuda-add cuda/ &&
    berth run --source cuda --name cuda --device "nvidia.com/gpu=$uuid" -- ./cuda-add >inside 2>cuda.err &&
    test_cmp expected inside
'

test_expect_success 'and in an image whose loader has never heard of the driver' '
    if command -v umoci >/dev/null && command -v busybox >/dev/null; then
        glibc_tree root "$(command -v nvidia-smi)" && image_layer oci:glibc root && layout_tar oci glibc.tar &&
        berth image import glibc.tar --name glibc:1 >/dev/null &&
        berth run --source cuda --image glibc:1 --name other --device "nvidia.com/gpu=$uuid" -- ./cuda-add >inside 2>other.err &&
        test_cmp expected inside &&
        berth job record other -o json | jq -e ".evidence.loader_cache == \"made\""
    else
        say "not done: needs umoci and busybox"
    fi
'

test_expect_success 'a job without a GPU has none' '
    test_must_fail berth run --source cuda --name none --cpus 1 -- ./cuda-add
'

test_expect_success 'what the GPU does is measured' '
    berth run --detach --source cuda --name busy --device "nvidia.com/gpu=$uuid" -- \
        sh -c "while ./cuda-add; do :; done" &&
    await 60 sh -c "berth job metrics busy -o json |
        jq -e \"[.live[].gpus[] | select(.memory > 0 and .temperature > 0 and .power > 0)] | length > 3\"" &&
    berth job show busy && berth stop --grace 0 --wait busy
'

test_done
