#!/bin/sh
test_description='a batch script that was written for Slurm runs unchanged'
# shellcheck disable=SC2016,SC2034
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/slurm.sh"

berth_needs_root
trap 'code=$?; berth_cleanup; [ -z "${slurm:-}" ] || slurm_stop; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT
berth_start

mkdir work && cd work || exit 1
cat >train.sh <<'END'
#!/bin/bash
#SBATCH --job-name=train      # what it is called
#SBATCH --nodes=1
#SBATCH --ntasks=2 -c 1
#SBATCH --mem=128M
#SBATCH -t 0-00:10:00
#SBATCH --output=%x-%A.out
#SBATCH --mail-type=END --mail-user=me@example.org
#SBATCH --export=ALL,GREETING=hello

set -e
cd "$SLURM_SUBMIT_DIR"
echo "$GREETING $1 of $SLURM_JOB_NAME on $SLURM_JOB_NUM_NODES, tasks $SLURM_NTASKS of $SLURM_CPUS_PER_TASK, bash ${BASH_VERSION:+yes}"
cat data.txt
srun -l sh -c 'echo "task $SLURM_PROCID of $SLURM_NTASKS"' | sort
srun -n 1 sh -c 'echo "one, step $SLURM_STEP_ID"'
[ -n "$SLURM_JOB_ID" ] && [ -n "$SLURM_JOB_NODELIST" ] && [ -z "${SLURM_ARRAY_TASK_ID+x}" ]
echo "$SLURM_JOB_USER on $SLURM_SUBMIT_HOST"
# What Slurm says of its own daemons and of the environment that it copies is nobody else's.
env | sed -n 's/^\(SLURM[A-Z_]*\)=.*/\1/p' | grep -vE '_(CONF|EXPORT_ENV|USER_ENV|ALIASES|PRIO_PROCESS|ADDR|ADDR_PATTERN|CLUSTER|DIR)$' | sort
exit 3
END
cat >want <<'END'
hello world of train on 1, tasks 2 of 1, bash yes
data
0: task 0 of 2
1: task 1 of 2
one, step 1
END
echo "$(id -un) on $(hostname)" >>want
echo data >data.txt

cat >sweep.sh <<'END'
#!/bin/sh
#SBATCH --array=1-7:3%1
#SBATCH -J sweep -o out/%x_%a.txt
echo "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT, $SLURM_ARRAY_TASK_MIN to $SLURM_ARRAY_TASK_MAX by $SLURM_ARRAY_TASK_STEP"
[ -n "$SLURM_ARRAY_JOB_ID" ] || exit 9
END
mkdir out

test_expect_success 'it runs, is waited for, its output lies where it says and its exit code is given' '
    test_expect_code 3 berth sbatch --wait train.sh world >said 2>err &&
    id=$(sed -n "s/^Submitted batch job //p" said) && test -n "$id" &&
    head -n 6 "train-$id.out" | test_cmp want - && sed 1,6d "train-$id.out" >names && grep "mail-type: no mail is sent" err &&
    berth job show "$id" -o json | jq -e ".name == \"train\" and .spec.cpus == 2 and .spec.memory == 134217728 and .spec.max_time == 600"
'

has_ended() { [ -z "$(squeue -h -t pending,running,completing)" ]; }

test_expect_success 'Slurm itself says the same of it' '
    missing=$(slurm_is_missing) && if [ -n "$missing" ]; then echo "# not compared: $missing" >&2; return 0; fi &&
    mkdir slurm && cp train.sh data.txt sweep.sh slurm/ && mkdir slurm/out && chmod -R a+rwX . &&
    slurm_start 1 2 && ( cd slurm && train=$(sbatch --parsable train.sh world) && sbatch sweep.sh &&
        await 60 has_ended && grep -v "^srun: " "train-$train.out" >said && head -n 6 said | test_cmp ../want - && sed 1,6d said | test_cmp ../names - &&
        scontrol show job "$train" | grep "ExitCode=3:0" ); code=$?
    slurm_stop; return $code
'

test_expect_success 'an array is a file each' '
    berth sbatch --wait --quiet sweep.sh >said &&
    for i in 1 4 7; do echo "$i of 3, 1 to 7 by 3" | diff - out/sweep_$i.txt || return 1; done &&
    { [ ! -d slurm ] || diff -r out slurm/out; }
'

test_expect_success 'the command line goes over the script, also in short forms' '
    id=$(berth sbatch --parsable -J other -n1 -t 5 --array=2 --mem=64 sweep.sh) && berth job wait "$id" &&
    berth logs "${id}_2" | grep "^2 of 1, 2 to 2 by 1$" &&
    berth job show "${id}_2" -o json | jq -e ".name == \"other_2\" and .spec.max_time == 300 and .spec.memory == 67108864"
'

has() { grep -qx "$1" "$2"; }
# How many processes of this HOME write output.
writers() {
    for one in $(grep -lzx "HOME=$HOME" /proc/[0-9]*/environ 2>/dev/null); do
        tr '\0' ' ' <"${one%environ}cmdline" 2>/dev/null | grep -q 'sbatch --collect' && echo "$one"
    done | wc -l
}
one_writes() { [ "$(writers)" = 1 ]; }

test_expect_success 'without --wait its files appear where it was submitted and grow, over restarts of the server and of who writes' '
    cat >slow.sh <<-\END &&
	#!/bin/sh
	#SBATCH -J slow --mem=64M -o out/slow-%j-%u.log --open-mode=append
	echo one
	while [ ! -e /storage/two ]; do sleep 0.1; done
	echo two
	while [ ! -e /storage/three ]; do sleep 0.1; done
	echo three
	END
    id=$(berth sbatch --parsable slow.sh) && file=out/slow-$id-$(id -un).log &&
    await 20 has one "$file" && berth_kill && berth_server &&
    berth run --source none --cpus 1 --memory 64Mi -- touch /storage/two 2>/dev/null && await 20 has two "$file" &&
    state=$(echo "$HOME"/.local/state/berth/batch/*) && test -e "$state/$id.json" && ! grep -rF "$(sed -n "s,.*key: *,,p" "$HOME/.config/berth/config.yaml" | tr -d \"\" | head -n 1)" "$state" &&
    kill -9 "$(cat "$state/lock")" &&
    berth run --source none --cpus 1 --memory 64Mi -- touch /storage/three 2>/dev/null && berth job wait "$id" &&
    ! has three "$file" && berth sbatch --collect && printf "%s\n" one two three >want && test_cmp want "$file" &&
    test ! -e "$state/$id.json"
'

test_expect_success '--error is a file of stderr alone; with the name of --output both are there' '
    berth sbatch --wait --quiet --array=1-2 -o out/o-%a.txt -e out/e-%A-%3a.txt --mem=64 --wrap "printf a; echo B >&2; sleep 0.1; echo c; echo D >&2" &&
    for i in 1 2; do echo ac | diff - out/o-$i.txt && printf "%s\n" B D | diff - out/e-*-00$i.txt || return 1; done &&
    berth sbatch --wait --quiet -e out/both-%j.txt -o out/both-%j.txt --mem=64 --wrap "echo a; echo B >&2" && sort out/both-*.txt >both && printf "%s\n" B a | diff - both
'

test_expect_success 'one process writes the files of many' '
    for i in 1 2; do berth sbatch --quiet --array=1-12 -o "out/many-$i-%2a.txt" --mem=64 --wrap "echo \$SLURM_ARRAY_TASK_ID" || return 1; done >many &&
    await 10 one_writes &&
    ids=$(sed "s/.* //" many) && for id in $ids; do berth job wait "$id" && await 20 test ! -e "$state/$id.json" || return 1; done &&
    test "$(cat out/many-?-*.txt | sort -n | uniq -c | awk "\$1 == 2" | wc -l)" = 12 && test "$(ls out/many-?-01.txt | wc -l)" = 2
'

test_expect_success 'jobs follow each other by their ids' '
    first=$(berth sbatch --parsable --wrap "exit 4") &&
    second=$(berth sbatch --parsable -d afternotok:$first --wrap "echo so be it") &&
    third=$(berth sbatch --parsable --dependency=afterok:$first --kill-on-invalid-dep=yes --wrap true) &&
    berth job wait "$second" && berth logs "$second" | grep "so be it" &&
    test_expect_code 125 berth job wait "$third" && berth job show "$third" -o json | jq -e ".cause == \"dependency\""
'

test_expect_success 'it is told before its time ends' '
    cat >told.sh <<-\END &&
	#!/bin/bash
	#SBATCH --time=0:4 --signal=B:USR1@3 --mem=64M
	trap "echo told; exit 5" USR1
	while :; do sleep 0.1; done
	END
    test_expect_code 5 berth sbatch --wait -o told.out told.sh && grep told told.out
'

command -v mpirun >/dev/null && test_set_prereq MPIRUN

test_expect_success MPIRUN 'on several machines the script runs on the first, and srun starts its tasks on all' '
    cat >gang.sh <<-\END &&
	#!/bin/bash
	#SBATCH -N 2 --ntasks-per-node=1 --mem=512M -J gang
	first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
	export COLOUR=blue
	echo "$SLURM_NNODES machines, $SLURM_NTASKS tasks, $SLURM_TASKS_PER_NODE, first $first"
	srun sh -c "echo \$SLURM_PROCID of \$SLURM_NTASKS on \$SLURMD_NODENAME is \$COLOUR" | sort
	srun -l -N2 --ntasks-per-node=1 hostname | sort
	srun -n 1 sh -c "exit 6"
	END
    test_expect_code 6 berth sbatch --wait -o gang.out gang.sh 2>err; cat err gang.out
    printf "%s\n" "2 machines, 2 tasks, 1(x2), first node-0" "0 of 2 on node-0 is blue" "1 of 2 on node-1 is blue" \
        "0: node-0" "1: node-1" >want && head -n 5 gang.out >got && test_cmp want got &&
    berth job show gang -o json | jq -e ".exit_code == 6"
'

test_expect_success 'its help has the script after the flags' '
    berth sbatch --help | grep -F "berth sbatch [--flag] [SCRIPT [ARG]...]"
'

test_expect_success 'what is not known is refused by name and line' '
    printf "#!/bin/sh\n#SBATCH -n 1\n#SBATCH --frobnicate=3\ntrue\n" >bad.sh &&
    test_expect_code 2 berth sbatch bad.sh 2>err && grep "line 3: option .--frobnicate=3. is not known to berth sbatch" err &&
    echo true >none.sh && test_expect_code 2 berth sbatch none.sh 2>err && grep "begins with #!" err &&
    test_expect_code 2 berth sbatch nothing.sh 2>err && grep "there is no script nothing.sh" err &&
    berth sbatch -p long --test-only sweep.sh 2>err && grep "there is no flavor long" err && grep "would be accepted" err
'

test_done
