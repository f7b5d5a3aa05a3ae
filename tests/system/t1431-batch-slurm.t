#!/bin/sh
test_description='arrays, jobs that wait for others and batch scripts, on Slurm'
# shellcheck disable=SC2016,SC2034
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"

test_expect_success 'a cluster of two machines starts' 'slurm_start 2 4'
berth_start_on_slurm

job() { berth run --source none --cpus 1 --memory 64Mi "$@"; }
# A job that runs until it is told.
holds='trap "exit 0" USR1; echo begin; while :; do sleep 0.1; done'
says() { berth logs "$1" | grep -q "$2"; }
is() { test "$(berth job show "$1" -o json | jq -r .state)" = "$2"; }
node_of() { berth job show "$1" -o json | jq -r .node; }

test_expect_success 'an array runs by index, never more than its limit, and a job waits for all of it' '
    job --name sum --after sweep --detach -- true >/dev/null 2>&1; test $? = 3 &&
    job --name sweep --array 1-6%3 --detach -- sh -c "echo seed \$BERTH_ARRAY_INDEX; [ \$BERTH_ARRAY_INDEX != 6 ] || { $holds; }" >/dev/null &&
    job --name sum --after sweep --detach -- echo all >/dev/null && job --name pairs --array 1-2 --after each:sweep --detach -- true >/dev/null &&
    await 60 is pairs succeeded && is sum queued && berth why sum | grep "waits for array sweep to succeed" &&
    test "$(berth ps -a | grep -c "sweep\|pairs")" = 2 && berth logs sweep_3 | grep -x "seed 3"
'

test_expect_success 'the server that comes back knows what waits for what' '
    await 60 says sweep_6 begin && berth_kill && berth_server && await 60 is sweep_6 running &&
    berth job signal sweep_6 USR1 && berth job wait sum && is sweep succeeded && test "$(berth logs sweep | grep -c "^seed")" = 6
'

test_expect_success 'a range of an array is stopped, the others go on' '
    job --name hold --array 1-5 --detach -- sh -c "$holds" >/dev/null &&
    await 60 says hold_1 begin && await 60 says hold_4 begin && await 60 is hold_5 running && berth stop --grace 0 --wait "hold_[2-3,5]" >/dev/null 2>&1;
    is hold_2 stopped && is hold_3 stopped && is hold_5 stopped && is hold_4 running &&
    berth job signal hold_1 USR1 && berth job signal hold_4 USR1 && berth job wait hold_1 && berth job wait hold_4
'

test_expect_success 'a batch script is on Slurm what it was for Slurm: files, arrays, who follows whom, where' '
    mkdir -p work/out && cd work && cat >one.sh <<-\END &&
	#!/bin/bash
	#SBATCH --array=1-4%2 --mem=64M -n 2 -o out/%x-%2a.txt -w node2
	#SBATCH --begin=now --comment="a b" --nice
	srun -l sh -c "echo \$SLURM_PROCID of \$SLURM_NTASKS in \$SLURM_ARRAY_TASK_ID" | sort
	END
    first=$(berth sbatch --parsable one.sh 2>err) &&
    second=$(berth sbatch --parsable -d aftercorr:$first --array=2-3 -x node2 -o "out/%a-%N.txt" --mem=64 --wrap "echo after \$SLURM_ARRAY_TASK_ID") &&
    third=$(berth sbatch --parsable -d "afterany:$first:$second" --exclusive -o out/last.txt -e out/last-%x.err --mem=64 --wrap "echo no >&2; echo \$SLURM_CPUS_ON_NODE") &&
    berth job wait "$third" && await 60 test -s out/last.txt && cd .. &&
    for i in 1 2 3 4; do printf "%s: %s of 2 in $i\n" 0 0 1 1 | diff - work/out/one.sh-0$i.txt || return 1; done &&
    echo no | diff - work/out/last-wrap.err && echo "after 3" | diff - work/out/3-node1.txt && echo 4 | diff - work/out/last.txt
'

berth_stop
test_expect_success 'what is stored is what happened' 'berth store verify'
test_done
