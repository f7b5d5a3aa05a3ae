#!/bin/sh
test_description='a simulation names the flag that is wrong, and says what it takes'
# It printed its whole usage, and never what was wrong.
. "$(dirname "$0")/../system/lib.sh"

refuses() {
    test_expect_code 2 berth simulate "$@" 2>said && test "$(wc -l <said)" -le 5
}

test_expect_success 'a value that is wrong is named, with the lines of the help' '
    refuses queue --jobs - --policy luck && grep "^berth: --policy: .luck. is wrong" said && grep "^  --policy NAME .*las" said &&
    refuses goodput --seeds=x && grep "^berth: --seeds: .x. is wrong" said && grep "^  --days N, --seeds N" said &&
    refuses queue --nodes 8x99 && grep "^  --nodes NxG" said && grep "^  --nodes FILE" said &&
    refuses pack --score && grep "^berth: --score needs a value" said
'
test_expect_success 'so are lists that are wrong, whatever the files say' '
    refuses queue --jobs none --nodes 2x8 --weights physics=0 && grep "weights: .physics=0. is not GROUP=WEIGHT with a whole number" said &&
    refuses queue --jobs none --nodes 2x8 --weights , && refuses queue --jobs none --nodes 2x8 --weights= && grep "^  --weights LIST" said &&
    refuses queue --jobs none --nodes 2x8 --booking group=g,gpus=0 && grep "booking: .gpus=0.: must be group=NAME" said &&
    refuses queue --jobs none --nodes 2x8 --booking group=g,gpus=1,gpus=2 && refuses queue --jobs none --nodes 2x8 --booking group=g &&
    refuses queue -o html && grep "^  -o FORM .*json" said && refuses pack --nodes "" && grep "^  --nodes FILE" said
'
test_expect_success 'what is no flag is too, and what is missing' '
    refuses turnover --bogus && grep "^berth: unknown flag --bogus; see berth simulate turnover --help$" said &&
    refuses pack here && grep "takes no argument .here." said &&
    refuses queue --nodes 8x8 && grep "^berth: --jobs is missing" said &&
    refuses turnover --nodes 6x8 --sizes 9:1 && grep "^berth: --sizes: no machine" said && refuses replay
'
test_expect_success 'a file without a whole line is no record, rather than empty' '
    printf "{}" >snapshot.json && test_expect_code 1 berth simulate replay snapshot.json 2>said && grep "is no record" said && refuses replay ""
'

test_done
