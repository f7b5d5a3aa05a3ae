#!/bin/sh
test_description='where nodes share no file system, /storage goes to each task by digest and what it changed comes home'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"
berth_needs jq crun squeue

slurm_start 2 2
berth_spools
berth_start_on_slurm

job() { berth run --source none --cpus 1 "$@"; }
storage() { ls -d "$BERTH_STATE"/projects/*/storage; }
let_go() { touch "$(ls -d "$BERTH_TEST"/node*/projects/*/artifacts/"$1")/go"; }
attempt() { berth job show "$1" -o json | jq -r .attempt.id; }
node_of() { berth job show "$1" -o json | jq -r .attempt.allocation.node; }
job_id() { berth job show "$1" -o json | jq -r .id; }
says() { berth logs "$1" 2>/dev/null | grep -q "$2"; }
is_in_state() { berth job show "$1" -o json | jq -e ".state == \"$2\"" >/dev/null; }

test_expect_success 'what a job wrote is home when it has ended, and the next one sees it' '
    job --name writes -- sh -c "cd /storage && mkdir -p a/empty b && echo one >a/one && echo run >b/run && chmod 750 b/run &&
        ln -s one a/link && ln -s /nowhere dangling && echo secret >key && chmod 600 key && : >nothing" &&
    test "$(cat "$(storage)/a/one")" = one && test "$(stat -c %a "$(storage)/b/run" "$(storage)/key" | tr "\n" " ")" = "750 600 " &&
    job --name reads -- sh -c "cd /storage && find . | sort && cat a/link && stat -c %a b/run key && readlink dangling" >out &&
    printf "%s\n" . ./a ./a/empty ./a/link ./a/one ./b ./b/run ./dangling ./key ./nothing one 750 600 /nowhere >expected &&
    test_cmp expected out
'

test_expect_success 'changes, removals and what takes the place of something else come home, after a failure too' '
    test_expect_code 3 job -- sh -c "cd /storage && echo more >>a/one && rm -r a/empty b && mkdir b && echo new >b/new &&
        rm nothing && mkdir nothing && rm dangling key && mv a/link c && exit 3" &&
    (cd "$(storage)" && find . | sort && cat a/one && readlink c) >out &&
    printf "%s\n" . ./a ./a/one ./b ./b/new ./c ./nothing one more one >expected && test_cmp expected out
'

# Both begin with the same; who ends first has the name.
test_expect_success 'of two who change one file on two nodes the first keeps the name, and the log says where the other is' '
    job --detach --name first --cpus 2 -- sh -c "echo first >/storage/a/one; rm /storage/b/new; echo up; until [ -e /artifacts/go ]; do sleep 0.05; done" >id.out &&
    job --detach --name second --cpus 2 -- sh -c "echo second >/storage/a/one; rm /storage/c; echo 2 >>/storage/b/new; echo up
        until [ -e /artifacts/go ]; do sleep 0.05; done" >id2.out && id2=$(job_id second) &&
    await 20 says first up && await 20 says second up &&
    let_go "$(attempt first)" && berth job wait first >/dev/null &&
    let_go "$(attempt second)" && berth job wait second >/dev/null &&
    lost="a/one.conflict-$(echo "$id2" | cut -c1-8)" && says second "this task.s is one.conflict" && ! says first conflict &&
    says second "b/new was removed by others while this task changed it" &&
    (cd "$(storage)" && cat a/one "$lost" b/new && ls) >out &&
    printf "%s\n" first second new 2 a b nothing >expected && test_cmp expected out
'

test_expect_success 'the ranks of a job change it together, of one file the lower keeps the name' '
    job --name gang --nodes 2 --tasks-per-node 1 -- sh -c "echo \$RANK >/storage/rank\$RANK; echo \$RANK >/storage/both" >/dev/null &&
    id=$(job_id gang) &&
    (cd "$(storage)" && cat rank0 rank1 both "both.conflict-$(echo "$id" | cut -c1-8)-1") >out &&
    printf "%s\n" 0 1 0 1 >expected && test_cmp expected out
'

test_expect_success 'what a job did that is stopped comes; what was given up never does' '
    job --detach --name stopped --grace 20s -- sh -c "trap \"echo late >/storage/late; exit\" TERM; echo up; while :; do sleep 0.05; done" >/dev/null &&
    await 20 says stopped up && berth stop --wait stopped && test "$(cat "$(storage)/late")" = late &&
    job --detach --name lost --cpus 2 --grace 1s -- sh -c "trap : TERM; echo gone >/storage/gone; echo up; while :; do sleep 0.05; done" >/dev/null &&
    await 20 says lost up && id=$(berth job show lost -o json | jq -r .attempt.id) && node=$(node_of lost) &&
    slurm_end "slurmd.$node" KILL && scontrol update NodeName="$node" State=DOWN Reason=lost &&
    await 30 is_in_state lost failed && await 20 sh -c "! grep -sqz ^BERTH_ATTEMPT_ID=$id\$ /proc/[0-9]*/environ" &&
    test ! -e "$(storage)/gone" && slurm_node "$node"
'

# It fails on one node, is lost with the other, and ends on the first.
test_expect_success 'a later attempt on another node has what came home of the earlier ones, and goes on there' '
    job --detach --name resumes --cpus 2 --grace 1s --retries 5 --backoff 0s -- sh -c "trap : TERM
        echo attempt \$BERTH_ATTEMPT resume \${BERTH_RESUME:-0} step \$(cat /artifacts/deep/step 2>/dev/null)
        case \$BERTH_ATTEMPT in
        1) mkdir /artifacts/deep; echo 1 >/artifacts/deep/step; chmod +x /artifacts/deep/step
            until [ -e /artifacts/go ]; do sleep 0.05; done; rm /artifacts/go; exit 1 ;;
        2) echo 2 >/artifacts/deep/step; while :; do sleep 0.05; done ;;
        *) test -x /artifacts/deep/step && echo end >/artifacts/end ;;
        esac" >/dev/null &&
    await 20 says resumes "attempt 1 resume 0 step" && first=$(node_of resumes) && berth node cordon "$first" &&
    let_go "$(attempt resumes)" && await 30 says resumes "attempt 2 resume 1 step 1" && second=$(node_of resumes) &&
    test "$first" != "$second" && berth node uncordon "$first" &&
    slurm_end "slurmd.$second" KILL && scontrol update NodeName="$second" State=DOWN Reason=lost &&
    await 40 is_in_state resumes succeeded && says resumes "resume 1 step 1" && ! says resumes "step 2" &&
    test "$(berth artifacts resumes -o name | sort | tr "\n" " ")" = "deep/step end " && slurm_node "$second" &&
    test -z "$(find "$BERTH_TEST/$first"/projects/*/artifacts/ -name step)"
'

test_expect_success 'how fast it comes to a node is known' '
    head -c 2000000 /dev/urandom >"$(storage)/random" && job -- cmp /storage/random /storage/random &&
    berth volume show storage -o json | jq -e "(.shared | not) and ([.nodes[] | select(.sent > 0).node] | length) == 1" &&
    rm "$(storage)/random"
'

test_expect_success 'more than is allowed is refused, with what to do' '
    export BERTH_STORAGE_PUSH_LIMIT=1Ki && berth_stop && berth_server && head -c 2000 /dev/zero >"$(storage)/large" &&
    test_must_fail job --name large -- true && berth why large | grep "2 KiB.*storage_push_limit"
'
test_done
