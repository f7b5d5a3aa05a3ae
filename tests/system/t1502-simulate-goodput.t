#!/bin/sh
test_description='what failures cost a large training job, what would help, and whether there is room for large requests'
. "$(dirname "$0")/lib.sh"

failures=${BERTH_DATA:-$BERTH_SOURCE/../shared/data}/failures

cat >mix.csv <<'END'
# made up
component,count,assumed_action,assumed_detect_class
GPU,90,swap_node,gpu_lost
Bug,10,restart_in_place,process_exit
END
goodput() { berth simulate goodput --mix mix.csv --nodes 1000 "$@"; }

test_expect_success 'it says what is lost to what, and what would help' '
    goodput >said && grep "^gets on  *9[0-9.]* % of the time" said && grep "^  restart  *[0-9.]* %$" said &&
    grep "^best checkpoint .* (Young), .* (Daly)$" said && goodput -o json >figures &&
    jq -e "([.ettr] + [.lost[]] | add) > 0.9999 and .ettr_with.restart.half > .ettr and .ettr_with.restart.twice < .ettr" figures &&
    goodput -o json >again && test_cmp figures again
'
test_expect_success 'too few spares are waited for' '
    goodput --spares 1 --repair 48h -o json | jq -e ".waits_for_spare > 10 and .lost.wait_for_spare > 0.2"
'
test_expect_success 'what is wrong is named' '
    printf "component,count\nGPU,-1\n" >mix.csv && test_expect_code 1 goodput 2>said &&
    grep "^berth: mix.csv:2: count is .-1., expected a whole number from 0 to" said &&
    printf "component,count\n" >mix.csv && test_expect_code 1 goodput 2>said && grep "mix.csv: counts no failure" said &&
    printf "component,count,assumed_detect_class\nGPU,1,luck\n" >mix.csv && test_expect_code 1 goodput 2>said &&
    grep "mix.csv:2: assumed_detect_class is .luck., expected gpu_lost" said &&
    test_expect_code 2 goodput --rate=-1 && test_expect_code 2 goodput --detect luck=1s && test_expect_code 2 berth simulate goodput --mix mix.csv
'

[ -r "$failures/llama3_table5.csv" ] && test_set_prereq FAILURES
test_expect_success FAILURES 'with the failures of a published training run 0.97 on 2,048 machines, 0.975 on 1,200' '
    for want in "2048 0.97" "1200 0.975"; do
        berth simulate goodput --nodes "${want% *}" --mix "$failures/llama3_table5.csv" -o json | jq -e ".ettr >= ${want#* }" || return 1
    done
'

test_expect_success 'and without failures: requests that come and leave again, by every rule' '
    turnover() { berth simulate turnover --nodes 20x8 --requests 1000 --runs 2 "$@"; } &&
    turnover -o json >all && jq -e "map(.rule) == [\"yield\", \"fgd\", \"best-fit\", \"first-fit\", \"random\", \"spread\"]" all &&
    jq -e "map([.sizes[].asked]) | unique | length == 1" all &&
    jq -e "map(.sizes[3].refused) | .[0] < .[5]" all && turnover | grep "^refused of .* 8 GPUs" &&
    test_expect_code 2 turnover --sizes 1:0 && test_expect_code 2 turnover --sizes 9:1 && test_expect_code 2 turnover --nodes 20 &&
    test_expect_code 2 berth simulate turnover
'

test_done
