#!/bin/sh
test_description='the same job again from its record, and what differs between two records'
. "$(dirname "$0")/lib.sh"
berth_start
cp -r "$BERTH_SOURCE/examples/tiny-gpt" .

digests() { berth artifacts "$1" -o json | jq -r '.items[] | "\(.path) \(.sha256)"'; }
id_of() { berth job show "$1" -o json | jq -r .id; }

test_expect_success 'a rerun of the example leaves the same bytes' '
    mkdir text && cp /usr/share/common-licenses/GPL-3 text && berth dataset push licences text &&
    (cd tiny-gpt && berth run --name tiny --cpus 1 --memory 1Gi --env OMP_NUM_THREADS=1 --dataset licences --tag kind=demo \
        -- python3 train.py --steps 12 --data /datasets/licences) >run.out 2>run.err &&
    first=$(id_of tiny) && rm -rf tiny-gpt text && mkdir text && cp /usr/share/common-licenses/GPL-2 /usr/share/common-licenses/GPL-3 text &&
    berth dataset push licences text &&
    berth job rerun tiny >again.out 2>again.err && second=$(id_of tiny) &&
    test "$first" != "$second" &&
    digests "$first" >one && digests "$second" >two && grep model.gguf one && test_cmp one two
'

test_expect_success 'it says what it repeats, and the records are the same' '
    berth job show tiny -o json | jq -e --arg first "$first" ".rerun_of == \$first and .tags.kind == \"demo\" and .inputs[0].version == 1" &&
    berth job show tiny >out && grep "again *of $first" out && grep "reads *licences@1" out &&
    berth job diff "$first" tiny 2>err && grep "the same" err
'

test_expect_success 'a rerun may differ where it is asked to, and the comparison names that alone' '
    berth job rerun "$first" --name other -e OMP_NUM_THREADS=1 -e SEED=2 --dataset licences --memory 900Mi --max-time 1h --detach >id &&
    berth job wait other &&
    berth job diff "$first" other -o json >out &&
    jq -r ".items[].field" out | grep -v "^artifacts\|^exit_code\|^state" | sort >fields &&
    cat >expected <<-EOF &&
	datasets[0].manifest
	datasets[0].version
	env.SEED
	max_time
	memory
	EOF
    test_cmp expected fields &&
    jq -e "[.items[] | select(.field == \"env.SEED\")] == [{\"field\": \"env.SEED\", \"b\": \"2\"}]" out &&
    berth job diff "$first" other >out && grep "datasets\[0\].version *1 *2" out
'

test_expect_success 'what cannot be repeated is refused' '
    test_expect_code 3 berth job rerun nothing 2>err &&
    berth dataset delete licences@1 && test_expect_code 2 berth job rerun "$first" 2>err &&
    grep "version 1 of dataset .licences. was deleted" err &&
    test_expect_code 2 berth job rerun "$first" --flavor none 2>err && grep flavor err
'

test_done
