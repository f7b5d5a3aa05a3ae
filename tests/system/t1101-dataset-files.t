#!/bin/sh
test_description='datasets: pull, verify, diff, and what people and disks do to them'
. "$(dirname "$0")/lib.sh"
berth_start

# How many requests the server has answered.
served() { api GET /metrics | awk '/^berth_http_answers_total/ { n += $2 } END { print n }'; }

test_expect_success 'two versions, compared' '
    mkdir -p d/sub && echo alpha >d/a && echo beta >d/sub/b && echo gone >d/gone && ln -s a d/l &&
    berth dataset push corpus d && rm d/gone && echo BETA >d/sub/b && echo new >d/new && chmod +x d/a &&
    berth dataset push corpus d &&
    berth dataset diff corpus@1 corpus@2 >out 2>err &&
    cat >expected <<-EOF &&
	~ a  6 B -> 6 B
	- gone  5 B
	+ new  4 B
	~ sub/b  5 B -> 5 B
	EOF
    test_cmp expected out && grep "1 added, 1 removed, 2 changed" err &&
    berth dataset diff corpus@1 corpus@1 >out && test_must_be_empty out &&
    berth dataset diff corpus@1 corpus -o json | jq -e ".items | length == 4"
'

test_expect_success 'a pull gives the directory again, twice is nothing to do, half is finished' '
    berth dataset pull corpus p 2>err && grep " 3 of them fetched" err && diff -r d p &&
    test -x p/a && test "$(readlink p/l)" = a &&
    berth dataset pull corpus p 2>err && grep " 0 of them fetched" err &&
    rm p/new && echo torn >p/sub/b && berth dataset pull corpus p 2>err &&
    grep " 2 of them fetched" err && diff -r d p &&
    berth dataset pull corpus@1 one && test -f one/gone && ! test -x one/a &&
    berth dataset pull corpus some --glob "sub/**" && test "$(find some -type f)" = some/sub/b
'

test_expect_success 'thousands of files come in a few answers, alike ones and large ones too' '
    /usr/bin/python3 -c "
import os
os.mkdir(\"many\")
for i in range(5000): open(f\"many/{i}\", \"w\").write(str(i // 3))
open(\"many/large\", \"wb\").write(os.urandom(3 << 20))
open(\"many/middle\", \"wb\").write(os.urandom(1 << 20))
open(\"many/empty\", \"w\").close()" &&
    berth dataset push many many && requests=$(served) && berth dataset pull many back 2>err &&
    grep " 5003 of them fetched" err && diff -r many back && test "$(($(served) - requests))" -le 6
'

test_expect_success 'files are listed and fetched by name' '
    berth dataset files corpus -o name >out && printf "a\nl\nnew\nsub/b\n" | test_cmp - out &&
    berth dataset files corpus --limit 1 --all -o json | jq -e ".items | length == 4" &&
    api GET /v1/projects/lab/datasets/corpus@1/files/sub/b >out && echo beta | test_cmp - out &&
    api GET /v1/projects/lab/datasets/corpus/files/sub | jq -e ".status == 404"
'

# flip FILE: one bit of its first byte
flip() {
    /usr/bin/python3 -c "
import sys
with open(sys.argv[1], 'r+b') as f:
    b = f.read(1); f.seek(0); f.write(bytes([b[0] ^ 1]))" "$1"
}

blob_of() {
    local sum
    sum=$(sha256sum <"$1" | cut -c1-64)
    echo "$BERTH_STATE/blobs/$(echo "$sum" | cut -c1-2)/$(echo "$sum" | cut -c3-)"
}

test_expect_success 'verify names the file with the flipped byte, stored or copied' '
    berth dataset verify corpus 2>err && grep "4 files, .* all are right" err &&
    berth dataset verify corpus p &&
    flip p/sub/b && rm p/new && echo more >p/more &&
    test_expect_code 1 berth dataset verify corpus p >out &&
    cat >expected <<-EOF &&
	more: it is not in the dataset
	new: it is missing
	sub/b: its bytes differ from its digest
	EOF
    test_cmp expected out &&
    flip "$(blob_of d/sub/b)" &&
    test_expect_code 1 berth dataset verify corpus >out 2>err &&
    echo "sub/b: its bytes differ from its digest" | test_cmp - out &&
    test_expect_code 1 berth dataset verify corpus -o json >out && jq -e "[.wrong[].path] == [\"sub/b\"]" out &&
    berth dataset verify corpus@1 &&
    test_expect_code 1 berth dataset pull corpus again 2>err && grep "verify the dataset" err &&
    flip "$(blob_of d/sub/b)" && berth dataset verify corpus &&
    mv "$(blob_of d/new)" aside && test_expect_code 1 berth dataset verify corpus >out &&
    grep "new: its bytes are missing" out &&
    test_expect_code 1 berth dataset pull corpus third --glob new 2>err && grep "new did not come .*verify" err &&
    ! test -e third/new && mv aside "$(blob_of d/new)"
'

has_socket() { find "/proc/$1/fd" -lname 'socket:*' 2>/dev/null | grep -q .; }

# push_while CHANGE: the directory was hashed, the server has not answered yet, then CHANGE happens
push_while() {
    kill -STOP "$berth_pid" &&
        { berth dataset push corpus d >out 2>err & } &&
        await 10 has_socket $! && eval "$1" && kill -CONT "$berth_pid" && wait $!
}

test_expect_success 'a directory that changes while it is pushed makes no version' '
    for i in 1 2 3 4 5 6 7 8 9; do echo $i >d/$i || return 1; done &&
    test_expect_code 5 push_while "echo x >>d/5" && grep "d\?5 changed while it was pushed" err &&
    test_expect_code 5 push_while "echo x >>d/a" && grep "a changed while it was pushed" err &&
    test_expect_code 5 push_while "rm d/9" && grep "changed while it was pushed" err &&
    test_expect_code 5 push_while "touch d/sub/added" && grep "sub changed while it was pushed" err &&
    berth dataset versions corpus -o json | jq -e "[.items[].number] == [2, 1]" &&
    berth dataset push corpus d && berth dataset pull corpus n && diff -r d n
'

test_expect_success 'names of any script and of any malice are names' '
    mkdir -p u/日本 "u/<script>alert(1)</script>" && echo 1 >"u/日本/データ.txt" &&
    echo 2 >"u/<script>alert(1)</script>/\"onload=x\".txt" && echo 3 >"u/é 100%" &&
    echo 4 >"u/$(printf "a\033[31m\nb")" &&
    berth dataset push odd u --message "<img src=x onerror=alert(1)>" --tag "k=</script>" &&
    berth dataset pull odd v && diff -r u v &&
    berth dataset files odd >out && grep "日本/データ.txt" out && ! grep "$(printf "\033")" out &&
    berth dataset show odd -o json | jq -e ".version.message == \"<img src=x onerror=alert(1)>\"" &&
    curl -s -D head --unix-socket "$BERTH_SOCKET" "http://localhost/v1/projects/lab/datasets/odd/files/%3Cscript%3Ealert%281%29%3C%2Fscript%3E/%22onload%3Dx%22.txt" >out &&
    echo 2 | test_cmp - out && grep -i "content-type: application/octet-stream" head && grep -i nosniff head &&
    berth run --source none --dataset odd -- sh -c "cat /datasets/odd/日本/*" >out && echo 1 | test_cmp - out
'

test_expect_success 'what no dataset can hold is refused, or left out if asked' '
    mkdir -p o && echo 1 >o/a && ln -s /etc/passwd o/out &&
    test_expect_code 2 berth dataset push bad o 2>err && grep "out: link .* absolute target" err &&
    rm o/out && mkfifo o/pipe && test_expect_code 2 berth dataset push bad o 2>err && grep pipe err &&
    rm o/pipe && touch "o/$(printf "\377")" && test_expect_code 2 berth dataset push bad o 2>err && grep UTF-8 err &&
    test_expect_code 3 berth dataset show bad &&
    berth dataset push bad o --skip 2>err && grep "left out" err &&
    test_expect_code 2 berth dataset push Bad o && mkdir e && test_expect_code 2 berth dataset push none e
'

test_expect_success 'bad references, and another project sees nothing' '
    for ref in corpus@0 corpus@x corpus@sha256:12 Corpus ../x; do
        test_expect_code 3 berth dataset show "$ref" 2>err || return 1
    done &&
    berth project create other >/dev/null && test_expect_code 3 berth dataset show corpus --project other &&
    sum=$(berth dataset show corpus@1 -o json | jq -r .version.manifest) &&
    api POST /v1/projects/other/datasets/stolen/versions -d "{\"manifest\": \"$sum\"}" | jq -e ".status == 400 and (.detail | test(\"was not sent\"))"
'

test_expect_success 'tags of a dataset and of a version change' '
    berth dataset update corpus --tag owner=anna && berth dataset update corpus@1 --tag stage=old &&
    berth dataset list --tag owner -o name >out && echo corpus | test_cmp - out &&
    berth dataset versions corpus --tag stage=old -o json | jq -e "[.items[].number] == [1]" &&
    berth dataset update corpus --untag owner && berth dataset list --tag owner -o json | jq -e ".items == []"
'

test_done
