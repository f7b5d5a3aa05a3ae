#!/bin/sh
test_description='mpirun over containers that have networks of their own, without SSH'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
for tool in mpirun mpicc; do
    command -v $tool >/dev/null || {
        skip_all="needs $tool: openmpi-bin and libopenmpi-dev"
        test_done
    }
done

berth_start

cp -r "$BERTH_SOURCE/examples/mpi-pi" . && cd mpi-pi || exit 1
field() { berth job show "$1" -o json | jq -r "$2"; }
final() { [ "$(field "$1" .state)" = "$2" ]; }
nothing_runs() { [ "$(find "$BERTH_STATE/running" -mindepth 1 | wc -l)" = 0 ] && [ -z "$(find "$BERTH_RUNTIME/network" -name '*-*')" ]; }

test_expect_success 'an MPI program is built and run on two nodes' '
    berth run --file job.yaml >out &&
    grep "^rank 0 of 2 on node-0$" out && grep "^rank 1 of 2 on node-1$" out &&
    grep "^pi is 3.141592653[56]" out &&
    field mpi-pi "[.attempt.tasks[] | .cause] | join(\" \")" | grep "^exited gang$" &&
    berth logs mpi-pi >again && test_cmp out again
'

test_expect_success 'tasks_per_node is how many ranks a node has, also without the internet' '
    grep -v "^cpus:\|^memory:" job.yaml >more.yaml &&
    berth run --file more.yaml --name more --network none --flavor cpu.shared --tasks-per-node 2 >out &&
    grep -c "on node-0$" out | grep -x 2 && grep -c "on node-1$" out | grep -x 2 && grep "^pi is 3.14159" out
'

test_expect_success 'the exit code of mpirun is the job'\''s, and nothing goes on after it' '
    test_expect_code 3 berth run --name bad --nodes 2 --mpi --flavor cpu.shared -- \
        sh -c "mpirun --map-by ppr:1:node mpicc -O2 -o pi pi.c -lm && mpirun ./pi --fail 1" >out 2>&1 &&
    field bad .reason >reason && grep "rank 0" reason &&
    await 20 nothing_runs
'

test_expect_success 'a job that is stopped leaves no rank behind' '
    berth run --source none --detach --name long --nodes 2 --mpi --flavor cpu.shared -- \
        mpirun sh -c "touch /storage/rank-\$OMPI_COMM_WORLD_RANK; exec sleep 1000" &&
    await 20 berth run --source none --flavor cpu.shared -- sh -c "test -e /storage/rank-0 -a -e /storage/rank-1" &&
    berth job stop long && await 20 final long stopped &&
    await 20 nothing_runs
'

test_expect_success 'outside of such a job the agent says where it belongs' '
    berth run --source none --nodes 2 --flavor cpu.shared -- test ! -e /run/berth/mpi-agent
'

command -v umoci >/dev/null && command -v busybox >/dev/null && test_set_prereq UMOCI

# What mpirun does, by hand: no image of this test has an mpirun that its shell could be.
# shellcheck disable=SC2016
ask='$OMPI_MCA_plm_rsh_agent node-1 "id -u; cat /etc/hostname"'
test_expect_success UMOCI 'the agent runs in an image that has nothing, as its user, past its entrypoint' '
    busybox_tree tree && image_layer bare:1 tree &&
    image_config bare:1 --config.user user --config.entrypoint /bin/echo && layout_tar bare bare.tar &&
    berth image import bare.tar --name bare:1 &&
    cat >bare.yaml <<-\END &&
	image: bare:1
	nodes: 2
	mpi: true
	flavor: cpu.shared
	command: [but this]
	END
    berth run --source none --file bare.yaml >out && grep -x "but this" out &&
    image_config bare:1 --clear=config.entrypoint && layout_tar bare bare.tar && berth image import bare.tar --name bare:2 &&
    sed s/bare:1/bare:2/ bare.yaml >clear.yaml &&
    berth run --source none --file clear.yaml -- sh -c "$ask" >out &&
    printf "%s\n" 1000 node-1 >expected && test_cmp expected out
'

test_done
