#!/bin/sh
test_description='an image that runs as an ordinary user may use the GPU, whoever owns its node on the machine'
# The node inside belonged to root with the mode of the machine's: 0660 of render or video shut everybody else out.
. "$(dirname "$0")/../system/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs_root
berth_needs umoci busybox

mkdir -p "$BERTH_TEST/dev" "$BERTH_TEST/cdi" && mknod "$BERTH_TEST/dev/gpu" c 1 5 2>/dev/null || {
    skip_all='device nodes cannot be made here'
    test_done
}
chmod 0660 "$BERTH_TEST/dev/gpu"
cat >"$BERTH_TEST/cdi/x.json" <<END
{"cdiVersion": "0.6.0", "kind": "x.com/gpu", "devices": [
  {"name": "a", "containerEdits": {"deviceNodes": [{"path": "/dev/xa", "hostPath": "$BERTH_TEST/dev/gpu"}]}}]}
END
berth_start --cdi "$BERTH_TEST/cdi" --nvml=

test_expect_success 'its user opens the node' '
    busybox_tree root && image_layer oci:u root && image_config oci:u --config.user user && layout_tar oci u.tar &&
    berth image import u.tar --name u:1 >/dev/null &&
    berth run --source none --image u:1 --device x.com/gpu=a -- "id; : </dev/xa && echo opened" >out 2>err &&
    grep "uid=1000" out && grep -x opened out
'

test_expect_success 'and so does root in a shell of a job of root' '
    berth run --detach --source none --name holds --device x.com/gpu=a -- sleep 60 >/dev/null &&
    await 20 sh -c "berth exec holds -- sh -c \": </dev/xa\"" && berth stop --grace 0 --wait holds
'

test_expect_success 'a GPU that is held stays so when the server was killed' '
    berth run --detach --source none --name keeps --cpus 1 --memory 64Mi --device x.com/gpu=a -- sleep 60 >/dev/null &&
    await 20 sh -c "berth job show keeps -o json | jq -e \".state == \\\"running\\\"\"" &&
    berth_kill && berth_server --cdi "$BERTH_TEST/cdi" --nvml= &&
    berth run --detach --source none --name next --cpus 1 --memory 64Mi --device x.com/gpu=a -- true >/dev/null &&
    berth why next | grep "needs x.com/gpu=a; 0 of 1 are free" &&
    berth stop --grace 0 --wait keeps && berth job wait next
'

test_expect_success 'a job that holds a GPU whose specification has gone runs on and ends' '
    berth run --detach --source none --name orphan --cpus 1 --memory 64Mi --device x.com/gpu=a -- sleep 60 >/dev/null &&
    await 20 sh -c "berth job show orphan -o json | jq -e \".state == \\\"running\\\"\"" &&
    berth_stop && mv "$BERTH_TEST/cdi/x.json" "$BERTH_TEST/" && berth_server --cdi "$BERTH_TEST/cdi" --nvml= &&
    test_expect_code 5 berth run --source none --gpus 1 -- true 2>err && grep "has none" err &&
    berth job show orphan | grep "GPUs x.com/gpu=a" && berth stop --grace 0 --wait orphan
'

test_done
