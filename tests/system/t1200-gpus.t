#!/bin/sh
test_description='GPUs: what CDI specifications name, one owner each, nothing else inside'
. "$(dirname "$0")/lib.sh"
berth_needs_root

# Nodes that do no harm: more of /dev/null and /dev/zero, under names of their own.
mkdir -p "$BERTH_TEST/dev" "$BERTH_TEST/cdi" "$BERTH_TEST/lib" &&
    mknod "$BERTH_TEST/dev/zero" c 1 5 2>/dev/null || {
    skip_all='device nodes cannot be made here'
    test_done
}
mknod "$BERTH_TEST/dev/null" c 1 3
chmod 0600 "$BERTH_TEST/dev/zero" # of root's: the container's root may use its own all the same
echo 'for GPUs only' >"$BERTH_TEST/lib/libfake.so.1"
cat >"$BERTH_TEST/hook" <<END
#!/bin/sh
cat >"$BERTH_TEST/hook.state"
echo "\$*" >"$BERTH_TEST/hook.args"
END
chmod 0755 "$BERTH_TEST/hook"

cat >"$BERTH_TEST/cdi/fake.yaml" <<END
cdiVersion: "0.6.0"
kind: example.com/gpu
containerEdits:
  env: [FAKE_DRIVER=1.2]
  deviceNodes:
  - path: /dev/fakectl
    hostPath: $BERTH_TEST/dev/null
  mounts:
  - hostPath: $BERTH_TEST/lib/libfake.so.1
    containerPath: /opt/fake/libfake.so.1
    options: [ro, bind]
  hooks:
  - hookName: createRuntime
    path: $BERTH_TEST/hook
    args: [hook, made]
  - hookName: startContainer
    path: /bin/sh
    args: [sh, -c, "cat >/dev/null; echo started >/opt/fake/hook"]
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/fake0
      hostPath: $BERTH_TEST/dev/zero
- name: "1"
  containerEdits:
    deviceNodes:
    - path: /dev/fake1
      hostPath: $BERTH_TEST/dev/zero
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/fake0
      hostPath: $BERTH_TEST/dev/zero
    - path: /dev/fake1
      hostPath: $BERTH_TEST/dev/zero
END

berth_start --cdi "$BERTH_TEST/cdi" --nvml=

state_of() { berth job show "$1" -o json | jq -r .state; }
is_in_state() { [ "$(state_of "$1")" = "$2" ]; }

test_expect_success 'the machine has two GPUs, each once' '
    berth node list -o json >node.json &&
    jq -e ".items[0].gpus | map(.cdi) == [\"example.com/gpu=0\", \"example.com/gpu=1\"]" node.json &&
    berth flavor list -o json | jq -e "[.items[] | select(.gpus > 0) | .name] == [\"gpu.1\", \"gpu.2\"]"
'

test_expect_success 'a job with one GPU finds its node, what belongs to it, and no other' '
    berth run --source none --name one --gpus 1 -- sh -c "
        ls /dev; head -c 3 /dev/fake0 | od -An -tx1; echo x >/dev/fakectl && echo wrote
        cat /opt/fake/libfake.so.1 /opt/fake/hook; echo gpus \$BERTH_GPUS \$BERTH_GPU_UUIDS driver \$FAKE_DRIVER
        ulimit -l" >one.log 2>&1 &&
    grep -x fake0 one.log && grep -x fakectl one.log && ! grep -x fake1 one.log &&
    grep -x " 00 00 00" one.log && grep -x wrote one.log && grep -x "for GPUs only" one.log &&
    grep -x started one.log &&
    grep -x "gpus 1 example.com/gpu=0 driver 1.2" one.log
'

test_expect_success 'its hook ran on the machine, with the state of the container' '
    grep -x "made" "$BERTH_TEST/hook.args" && jq -e .bundle "$BERTH_TEST/hook.state"
'

test_expect_success 'the nodes inside and the device cgroup are evidence' '
    berth job record one -o json >record.json &&
    jq -e ".evidence.devices | sort == [\"/dev/fake0 c 1:5\", \"/dev/fakectl c 1:3\"]" record.json &&
    jq -e ".record.gpu_uuids == [\"example.com/gpu=0\"]" record.json
'

test_expect_success 'a command that is not there ends a job with a GPU as any other' '
    for flags in "" "--gpus 1"; do
        berth run --source none $flags -- /no/such/program /x >out 2>&1
        echo $? >>codes
        tail -n 1 out >>lines
    done &&
    test $(uniq codes | wc -l) -eq 1 && test $(uniq lines | wc -l) -eq 1 && grep "No such file" lines
'

test_expect_success 'two jobs at once have a GPU each, a third one waits and says why' '
    for job in a b; do
        berth run --detach --source none --name $job --cpus 1 --memory 64Mi --gpus 1 -- \
            sh -c "ls /dev | grep fake.\$; sleep 60" || return 1
    done &&
    await 20 is_in_state a running && await 20 is_in_state b running &&
    berth run --detach --source none --name c --cpus 1 --memory 64Mi --gpus 1 -- true &&
    berth why c >why.out && grep "needs 1 GPU; 0 of 2 are free on node" why.out &&
    await 20 sh -c "berth logs a | grep -q fake" && await 20 sh -c "berth logs b | grep -q fake" &&
    berth logs a >a.log && berth logs b >b.log && ! cmp -s a.log b.log &&
    berth stop --grace 0 --wait a b && berth job wait c
'

test_expect_success 'a job without a GPU sees none' '
    berth run --source none --cpus 1 -- sh -c "ls /dev; echo \$BERTH_GPUS" >none.log 2>&1 &&
    ! grep fake none.log && grep -x 0 none.log
'

test_expect_success 'GPUs can be named, and one that is held is waited for' '
    berth run --source none --name named --device example.com/gpu=1 -- \
        sh -c "ls /dev; echo \$BERTH_GPU_UUIDS" >named.log 2>&1 &&
    grep -x fake1 named.log && ! grep -x fake0 named.log && grep -x "example.com/gpu=1" named.log &&
    berth run --detach --source none --name holds --cpus 1 --memory 64Mi --device example.com/gpu=1 -- sleep 60 &&
    await 20 is_in_state holds running &&
    berth run --detach --source none --name waits --cpus 1 --memory 64Mi --device example.com/gpu=1 -- true &&
    berth why waits | grep "needs example.com/gpu=1; 0 of 1 are free" &&
    berth run --source none --cpus 1 --memory 64Mi --gpus 1 -- ls /dev >other.log 2>&1 && grep -x fake0 other.log &&
    berth stop --grace 0 --wait holds && berth job wait waits &&
    test_expect_code 5 berth run --source none --device example.com/gpu=7 -- true 2>err &&
    grep "needs example.com/gpu=7; node .* has example.com/gpu=0, example.com/gpu=1" err &&
    test_must_fail berth run --source none --device gpu7 -- true 2>err && grep "devices\[0\]" err
'

test_expect_success 'more or other GPUs than there are, are refused at once' '
    test_expect_code 5 berth run --source none --gpus 3 -- true 2>err &&
    grep "needs 3 GPUs; node .* has 2 x example.com/gpu" err &&
    test_expect_code 5 berth run --source none --gpus 1 --gpu-model H200 -- true 2>err &&
    grep "needs 1 GPU of model H200; node .* has 2 x example.com/gpu" err &&
    test_must_fail berth run --source none --gpu-model H200 -- true 2>err && grep "gpu_model:" err &&
    test_must_fail berth run --source none --gpus 0.5 -- true 2>err &&
    grep "gpus: is 0.5, and no flavor allows a part of a GPU" err
'

test_expect_success 'a flavor with RDMA gives its nodes, and as much locked memory as there is' '
    berth_stop && mkdir -p "$BERTH_TEST/drivers/dev/infiniband" &&
    mknod "$BERTH_TEST/drivers/dev/infiniband/uverbs0" c 1 5 &&
    cat >"$BERTH_CONFIG" <<-END &&
	driver_root: $BERTH_TEST/drivers
	flavors:
	- {name: fast, cores: 1, memory: 256Mi, gpus: 1, rdma: true, max_cores_per_gpu: 1}
	- {name: slow, cores: 1, memory: 256Mi}
	- {name: part, cores: 1, memory: 32Mi, shared: true, gpus: 1, gpu_milli: 500}
	END
    berth_server --cdi "$BERTH_TEST/cdi" --nvml= &&
    for flavor in slow fast; do
        berth run --source none --name $flavor --flavor $flavor -- sh -c "ulimit -l; ls /dev/infiniband" >$flavor.log 2>&1
    done
    grep -x uverbs0 fast.log && ! grep -x uverbs0 slow.log &&
    { grep -x unlimited fast.log || [ "$(ulimit -H -l)" != unlimited ]; } && ! grep -x unlimited slow.log &&
    berth job record fast -o json | jq -e ".evidence.devices | index(\"/dev/infiniband/uverbs0 c 1:5\")"
'

shares() { berth run --detach --source none --name "$1" $2 -- sh -c "ls /dev; echo part \$BERTH_GPU_MILLI of \$BERTH_GPU_UUIDS; sleep 60"; }

test_expect_success 'parts of a GPU: who shares it sees it, and who finds too little waits' '
    shares a "--flavor part --gpus 0.25" && shares b "--gpus 0.5" && shares c "--flavor part" &&
    for job in a b c; do await 20 sh -c "berth logs $job | grep -q part" && berth logs $job >$job.log || return 1; done &&
    grep -x "part 250 of example.com/gpu=0" a.log && grep -x "part 500 of example.com/gpu=0" b.log &&
    grep -x fake0 a.log && grep -x fake0 b.log && ! grep -x fake1 a.log && grep -x "part 500 of example.com/gpu=1" c.log &&
    berth job show b -o json | jq -e ".spec.flavor == \"part\" and .spec.gpus == 0.5 and .spec.memory == 32 * 1048576 and
        .attempt.allocation.gpu_milli == 500" &&
    berth run --detach --source none --name d --gpus 0.6 -- true && berth run --detach --source none --name whole --flavor fast -- true &&
    berth node list -o json | jq -e ".items[0].use | (.gpus | sort == [\"example.com/gpu=0\", \"example.com/gpu=1\"]) and
        .gpu_parts[\"example.com/gpu=0\"] == 0.75 and .gpu_parts[\"example.com/gpu=1\"] == 0.5" &&
    berth why d | tee why.out | grep "ask for 0.5 of a GPU instead of 0.6" && grep "needs 0.6 of a GPU: most free on one is 0.5, of 2 on node" why.out &&
    berth why whole | grep "needs 1 GPU; 0 of 2 are free" && berth queue | grep "0.6 x GPU, 2 cores" &&
    berth top -o json | jq -e "[.jobs[].gpus] | sort == [0.25, 0.5, 0.5]" &&
    berth scheduler snapshot s.json && berth simulate what-if --snapshot s.json --add-nodes 1 --gpus 0.5 -o json >if.json &&
    jq -e "[.jobs[].name] | index(\"(this job)\")" if.json && berth flavor list | grep "part .* 0.5 " &&
    berth stop --grace 0 --wait c && berth job wait d && berth stop --grace 0 --wait a b && berth job wait whole
'

test_expect_success 'a part where none is to be had is refused' '
    test_must_fail berth run --source none --flavor fast --gpus 0.5 -- true 2>err &&
    grep "gpus: is 0.5, and flavor fast does not allow a part of a GPU" err &&
    test_must_fail berth run --source none --flavor part --gpus 1 -- true 2>err && grep "flavor part has 0.5 of a GPU" err &&
    test_must_fail berth run --source none --gpus 1.5 -- true 2>err && grep "gpus: is 1.5" err &&
    test_must_fail berth run --source none --gpus 0.5 --tasks-per-node 2 -- true 2>err && grep "tasks_per_node" err
'

test_expect_success 'so many cores for a GPU as its flavor says' '
    test_must_fail berth run --source none --gpus 2 --cpus 3 -- true 2>err &&
    grep "cpus: is 3 with 2 GPUs; flavor fast has max_cores_per_gpu 1: ask for 2 or fewer" err &&
    berth flavor list -o json | jq -e "any(.items[]; .name == \"fast\" and .max_cores_per_gpu == 1)"
'

test_expect_success 'a specification that others can change does not count' '
    chmod 0666 "$BERTH_TEST/cdi/fake.yaml" &&
    test_expect_code 125 berth run --source none --name open --gpus 1 -- true 2>err &&
    berth why open >why.out && grep "no CDI specification has a device example.com/gpu=0" why.out &&
    BERTH_CDI=$BERTH_TEST/cdi BERTH_NVML= berth doctor -o json >found.json
    jq -r ".items[] | select(.check == \"cdi\") | .seen, .mend" found.json >seen &&
    grep "fake.yaml does not count: .*others than root can change it" seen &&
    grep -x "chown root $BERTH_TEST/cdi/fake.yaml && chmod go-w $BERTH_TEST/cdi/fake.yaml" seen
'

test_done
