#!/bin/sh
test_description='links and special files in /artifacts were left out of results and datasets without a word'
. "$(dirname "$0")/../system/lib.sh"
berth_start

test_expect_success 'the end of the job and its page say how many' '
    berth run --source none --name w --output-dataset o -- \
        sh -c "mkdir /artifacts/o; echo 1 >/artifacts/o/a; ln -s a /artifacts/o/b; mkfifo /artifacts/o/f" 2>err &&
    grep "1 artifact .*; 2 left out: links and special files" err &&
    berth job show w >out && grep "artifacts *1 file, 2 B; 2 left out" out &&
    berth dataset files o -o name >out && echo a | test_cmp - out
'

test_done
