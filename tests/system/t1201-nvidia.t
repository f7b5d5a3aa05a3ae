#!/bin/sh
test_description='NVIDIA GPUs on a machine where nobody has written a CDI specification'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
. "$BERTH_SOURCE/tests/system/nvidia.sh"
berth_needs_root
berth_needs cc umoci busybox

driver=$BERTH_TEST/driver
mkdir -p "$BERTH_TEST/dev" && mknod "$BERTH_TEST/dev/null" c 1 3 2>/dev/null || {
    skip_all='device nodes cannot be made here'
    test_done
}
BERTH_DRIVER_ROOT=$driver
BERTH_CDI=$BERTH_TEST/cdi
BERTH_NVML=$driver/usr/lib/nvidia/libnvidia-ml.so.1
FAKE_NVML_LOAD=$BERTH_TEST/load
FAKE_NVML_LINKS=00000000:C1:00.0
export BERTH_DRIVER_ROOT BERTH_CDI BERTH_NVML FAKE_NVML_LOAD FAKE_NVML_LINKS
echo 37 512300 61 40000000000 >"$FAKE_NVML_LOAD"

test_expect_success 'a driver is installed' 'fake_driver "$driver"'

test_expect_success 'the doctor says that its device nodes are missing' '
    berth doctor -o json >found.json
    jq -r ".items[] | select(.check == \"gpus\") | .seen, .mend" found.json >gpus &&
    grep "/dev/nvidia0 is not there" gpus && grep -x "nvidia-modprobe -u -c 0" gpus
'

berth_start

test_expect_success 'the server made the nodes and wrote a specification' '
    grep -x -- "-u -c 0" "$driver/modprobe.args" &&
    jq -e ".kind == \"nvidia.com/gpu\" and ([.devices[].name] | length) == 4" "$BERTH_CDI/berth-nvidia.json" &&
    grep "wrote a CDI specification" "$BERTH_TEST/server.log" &&
    berth node list -o json | jq -e "[.items[0].gpus[] | .cdi, .fault] ==
        [\"nvidia.com/gpu=0\", null, \"nvidia.com/gpu=1\", null]" &&
    berth doctor -o json | jq -r ".items[] | select(.check == \"gpus\") | .state, .seen" >gpus &&
    grep -x ok gpus && grep "2 x NVIDIA H100 80GB HBM3, driver 535.261.03" gpus
'

test_expect_success 'an image with a C library is there' '
    glibc_tree root "$driver/usr/bin/nvidia-smi" && image_layer oci:glibc root && layout_tar oci glibc.tar &&
    berth image import glibc.tar --name glibc:1 >/dev/null
'

test_expect_success 'nvidia-smi runs inside as outside' '
    LD_LIBRARY_PATH=$driver/usr/lib/nvidia "$driver/usr/bin/nvidia-smi" >expected &&
    { berth run --source none --image glibc:1 --name smi --gpus 1 -- /usr/bin/nvidia-smi >smi.log 2>smi.err || { cat smi.log smi.err; false; } } &&
    test_cmp expected smi.log
'

runs() { test "$(berth job show "$@" -o json | jq -r .state)" = running; }
test_expect_success 'GPUs that NVLink joins are of one org, unless the fabric manager parts them' '
    berth org create other >/dev/null && test_expect_code 3 berth project create theirs --org nobody 2>err && grep "no org .nobody" err &&
    berth project create theirs --org other >/dev/null && berth image import glibc.tar --project theirs --name glibc:1 >/dev/null &&
    set -- --detach --source none --image glibc:1 --cpus 1 --memory 64Mi --gpus 1 &&
    berth run "$@" --name ours -- sleep 60 && await 20 runs ours && berth run "$@" --project theirs --name beside -- sleep 60 &&
    berth why --project theirs beside >why && grep "1 is free .* joined by NVLink .* of another org; the operator may allow it: splits_islands" why &&
    berth node partition "$(berth node list -o json | jq -r ".items[0].name")" --table "1=1 2=2" >/dev/null && await 20 runs beside --project theirs &&
    berth stop --grace 0 --wait ours && berth stop --grace 0 --wait --project theirs beside
'

test_expect_success 'its loader lists the driver, and it has its own GPU alone' '
    berth run --source none --image glibc:1 --name list --gpus 1 -- \
        "/sbin/ldconfig -p; ls /dev; ls /usr/lib/nvidia" >list.log 2>list.err &&
    grep "libcuda.so.1 .*=> /usr/lib/nvidia/libcuda.so.1" list.log &&
    grep -x nvidia0 list.log && ! grep -x nvidia1 list.log && ! grep old list.log &&
    berth job record list -o json >record.json &&
    jq -e ".evidence.loader_cache == \"made\" and .record.gpu_uuids == [\"GPU-00000000-0000-0000-0000-000000000000\"]" record.json &&
    jq -e ".evidence.devices | map(split(\" \")[0]) | sort == [\"/dev/nvidia-uvm\", \"/dev/nvidia0\", \"/dev/nvidiactl\"]" record.json
'

test_expect_success 'an image without ldconfig starts all the same, and the record says so' '
    busybox_tree small && image_layer small-oci:small small && layout_tar small-oci small.tar && berth image import small.tar --name small:1 >/dev/null &&
    berth run --source none --image small:1 --name small --gpus 1 -- "ls /usr/lib/nvidia" >small.log 2>small.err &&
    grep -x libcuda.so.1 small.log &&
    berth job record small -o json | jq -e ".evidence.loader_cache == \"the image has no ldconfig\""
'

test_expect_success 'what its GPU does is measured, and named where it is the limit' '
    berth run --detach --source none --name trains --image glibc:1 --cpus 1 --memory 64Mi --gpus 1 -- \
        sleep 600 >/dev/null &&
    await 30 sh -c "berth job show trains -o json | jq -e \".limit.rule == \\\"waiting\\\"\"" &&
    berth job show trains -o json | jq -r .limit.text >limit && grep "^GPU idle 63 %" limit &&
    berth job metrics trains -o json >m.json &&
    jq -e ".live[-1].gpus[0] | .busy == 0.37 and .memory == 40000000000 and .power == 512.3 and .temperature == 61" m.json &&
    berth top >top.out && grep "37 %" top.out &&
    echo 97 699000 80 80000000000 >"$FAKE_NVML_LOAD.new" && mv "$FAKE_NVML_LOAD.new" "$FAKE_NVML_LOAD" &&
    await 40 sh -c "berth why trains | grep \"the GPU is the limit\"" &&
    api GET /metrics >metrics.out && { ! command -v promtool >/dev/null || promtool check metrics <metrics.out; } &&
    grep "^berth_.*gpu.* 0.97" metrics.out &&
    echo 31 >"$FAKE_NVML_LOAD.xid" &&
    await 20 sh -c "berth why trains | grep \"GPU 0 reported an error, XID 31: a kernel of the program used memory\"" &&
    api GET /metrics | grep "^berth_gpu_errors_total{.*} 1" &&
    berth stop --grace 0 --wait trains
'

test_expect_success 'a specification of somebody else is left alone, and used' '
    berth_stop && printf "%s\n" "cdiVersion: 0.6.0" "kind: nvidia.com/gpu" "devices:" \
        "- {name: x, containerEdits: {deviceNodes: [{path: /dev/nvidia0, hostPath: $driver/dev/nvidia0}]}}" \
        >"$BERTH_CDI/nvidia.yaml" &&
    berth_server && test ! -e "$BERTH_CDI/berth-nvidia.json" &&
    berth node list -o json | jq -e "[.items[0].gpus[].cdi] == [\"nvidia.com/gpu=x\", null]" &&
    rm "$BERTH_CDI/nvidia.yaml"
'

test_expect_success 'a driver that is half there is said, and the machine does its other work' '
    berth_stop && rm "$driver/dev/nvidia-uvm" "$driver/usr/bin/nvidia-modprobe" && berth_server &&
    grep "cannot be given to containers" "$BERTH_TEST/server.log" | grep "run: nvidia-modprobe" &&
    berth run --source none -- true &&
    test_expect_code 5 berth run --source none --gpus 1 -- true 2>err && grep "not to be used" err
'

test_done
