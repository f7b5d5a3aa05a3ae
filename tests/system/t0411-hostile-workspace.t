#!/bin/sh
test_description='a workspace that points outside of itself is refused, wherever it comes from'
. "$(dirname "$0")/lib.sh"
berth_start

sum() { sha256sum | cut -d' ' -f1; }
push() { api POST /v1/projects/lab/workspaces -H 'Content-Type: text/plain' --data-binary @"$1" -D head -o body; }

test_expect_success 'a file to speak of' '
    echo hello >hello && digest=$(sum <hello) && echo $digest >digest &&
    api PUT /v1/projects/lab/blobs/$digest -H "Content-Type: application/octet-stream" --data-binary @hello >answer &&
    mkdir w && cp hello w/ && berth workspace push w 2>err
'

# The canonical form: type sum size path
test_expect_success 'the form is known: an honest manifest is taken' '
    printf "f %s 6 hello\n" "$(cat digest)" >manifest && push manifest; cat body; grep "^HTTP/1.1 201" head
'

for path in ../hello a/../../hello /hello a/./b a//b . .. a/ 'a\nb'; do
    test_expect_success "the path $path is refused" '
        printf "f %s 6 '"$path"'\n" "$(cat digest)" >manifest && push manifest; grep "^HTTP/1.1 400" head
    '
done

for target in /etc/passwd ../../etc/passwd ..; do
    test_expect_success "a link to $target is refused" '
        printf "f %s 6 hello\nl - 0 link '"$target"'\n" "$(cat digest)" >manifest && push manifest; cat body; grep "^HTTP/1.1 400" head
    '
done

test_expect_success 'a path through a link is refused' '
    printf "l - 0 a b\nf %s 6 a/hello\n" "$(cat digest)" >manifest && push manifest; grep "^HTTP/1.1 400" head
'

test_expect_success 'a file twice, and one that nobody sent, are refused' '
    printf "f %s 6 a\nf %s 6 a\n" "$(cat digest)" "$(cat digest)" >manifest && push manifest; grep "^HTTP/1.1 400" head &&
    printf "f %s 7 a\n" "$(echo other | sum)" >manifest && push manifest; grep "^HTTP/1.1 4" head
'

test_expect_success 'what a job leaves as links to the outside is no artifact' '
    echo secret >"$BERTH_TEST/secret" &&
    berth run --source none --name links -- sh -c "
        cd /artifacts && ln -s /etc/passwd abs && ln -s ../../../../../secret rel && ln -s . loop && mkfifo pipe &&
        mkdir sub && ln -s ../../.. sub/up && ln -s /proc/self/root root && echo own >own" &&
    berth artifacts links -o json | jq -r ".items[].path" >paths && echo own | test_cmp - paths
'

test_expect_success 'a client packs no link that leads out, and says so' '
    mkdir out && ln -s /etc/passwd out/abs && ln -s ../hello out/rel && echo kept >out/kept && ln -s kept out/good &&
    berth run --source out -- sh -c "ls" >listed 2>err && printf "%s\n" good kept | test_cmp - listed &&
    grep "left out abs" err && grep "left out rel" err
'

test_done
