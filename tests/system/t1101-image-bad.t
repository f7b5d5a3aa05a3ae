#!/bin/sh
test_description='images that lie, layers that reach out, registries on bad days'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs python3

bad=$BERTH_TEST/bad
mkdir "$bad"
berth_start --image-paths "$bad" --image-max-entries 2000 --image-stall 2s

test_expect_success 'a layout of everything that is wrong, and a registry' '
    python3 "$BERTH_SOURCE/tests/system/bad-layers.py" "$bad" && chmod -R a+rX "$bad" &&
    { python3 "$BERTH_SOURCE/tests/system/bad-registry.py" "$bad" & } && registry_pid=$! &&
    await 10 test -s "$bad/port" && R=127.0.0.1:$(cat "$bad/port")
'

# refused TAG WORDS: the pull fails and says so, and nothing of it can be seen
refused() {
    test_expect_code 1 berth image pull "oci:$bad/oci:$1" 2>err && grep -e "$2" err &&
        ls -A "$BERTH_STATE/layers" >left && test_must_be_empty left
}

test_expect_success 'names that lead out are refused' '
    refused dotdot "a/../../escape. is no name within the layer" &&
    test ! -e "$BERTH_STATE/escape" && test ! -e "$BERTH_STATE/layers/escape"
'

test_expect_success 'hard links to what is not in the layer are refused' '
    refused hardlink "shadow: is a hard link to /etc/shadow, which the layer has not" &&
    refused hardlink-up "is a hard link to ../../../../etc/shadow, outside the layer"
'

test_expect_success 'owners that no container has are refused' '
    refused uid "dir: belongs to 200000:0; images have 0 to 65535"
'

test_expect_success 'bombs are refused: of bytes, of entries' '
    refused bomb "unpacks to more than 250 times its size" &&
    refused entries "has more than 2000 entries"
'

test_expect_success 'what is not what its digest says is refused' '
    refused liar "its unpacked bytes have another digest than its config says"
'

test_expect_success 'what is broken is refused' '
    refused cut "layer" && refused garbage "is no tar" && refused long "no name within"
'

test_expect_success 'a digest in the layout that does not hold is refused' '
    cp -r "$bad/oci" "$bad/flipped" && victim=$(ls -S "$bad/flipped/blobs/sha256" | head -n 1) &&
    printf X | dd of="$bad/flipped/blobs/sha256/$victim" bs=1 seek=100 conv=notrunc status=none &&
    test_expect_code 1 berth image pull "oci:$bad/flipped:big" 2>err && grep "not what the index promises" err
'

test_expect_success 'links that point outside end inside' '
    berth image pull "oci:$bad/oci:symlink" && berth image pull "oci:$bad/oci:absolute" &&
    test ! -e /tmp/berth-escaped && test ! -e /berth-escaped &&
    find "$BERTH_STATE/layers" -name berth-escaped >inside && test "$(wc -l <inside)" -ge 2
'

test_expect_success 'device nodes are left out' '
    berth image pull "oci:$bad/oci:device" &&
    find "$BERTH_STATE/layers" "(" -type c -o -type b ")" >nodes && test_must_be_empty nodes
'

test_expect_success 'any name of UTF-8 is kept' '
    berth image pull "oci:$bad/oci:names" &&
    find "$BERTH_STATE/layers" -path "*ünï/cödé" >out && grep cödé out &&
    find "$BERTH_STATE/layers" -path "*日本/語" >out && grep 語 out &&
    find "$BERTH_STATE/layers" -name "new*line" -print0 >out && grep -z line out
'

test_expect_success 'what is listed twice is as it is listed last' '
    berth image pull "oci:$bad/oci:replaced" &&
    layer=$(dirname "$(find "$BERTH_STATE/layers" -path "*/e/f")") && layer=$(dirname "$layer") &&
    test "$(readlink "$layer/a")" = b && test -f "$layer/c" && test -d "$layer/e" && test ! -L "$layer/e"
'

test_expect_success 'the unpacked files belong to nobody of this machine' '
    find "$BERTH_STATE/layers" -mindepth 1 "(" -uid -2147418112 -o -gid -2147418112 ")" >out && test_must_be_empty out
'

test_expect_success 'a manifest that lies about the size is refused' '
    test_expect_code 1 berth image pull "$R/size/x:big" 2>err && grep "longer than the [0-9]* bytes that were promised" err
'

test_expect_success 'a blob that lies about its digest is refused' '
    test_expect_code 1 berth image pull "$R/digest/x:big" 2>err && grep "has another digest than its name" err &&
    find "$BERTH_STATE/images" -name "*.part" -size +0 >out && test_must_be_empty out
'

test_expect_success 'what is no layer is refused with its reason, though it was looked at while it arrived' '
    test_expect_code 1 berth image pull "$R/good/x:noise" 2>err && grep "is no tar" err
'

test_expect_success 'a registry that drops connections is resumed where it broke off' '
    berth image pull "$R/drop/x:big" && grep "/drop/.* bytes=[1-9]" "$bad/log"
'

arriving() { find "$BERTH_STATE/layers" -maxdepth 1 -name "tmp.*" | grep tmp; }
layers() { find "$BERTH_STATE/layers" -maxdepth 1 ! -name "tmp.*" ! -name "gone.*" | sort; }

test_expect_success 'one that stalls is given up, and asked again' '
    berth image delete "$R/drop/x:big" && gone() { ! find "$BERTH_STATE/layers" -name big | grep big; } && await 10 gone &&
    layers >before && berth image pull --detach "$R/stall/x:big" &&
    stalled() { grep -c "/stall/.*bytes=" "$bad/log" | grep -v "^0"; } && await 30 stalled
'

test_expect_success 'meanwhile its layer is unpacked out of sight, and goes when the pull is cancelled' '
    await 10 arriving && layers >during && test_cmp before during &&
    berth image delete "$R/stall/x:big" && none() { ! arriving; } && await 10 none && layers >after && test_cmp before after
'

test_expect_success 'one that cannot resume is asked for everything again' '
    berth image pull --detach "$R/never/x:big" &&
    asked() { [ "$(grep -c "/never/x/blobs/.*bytes=" "$bad/log")" -ge 2 ]; } && await 30 asked &&
    berth image delete "$R/never/x:big"
'

test_expect_success 'tokens that expire are fetched again' '
    berth image pull "$R/token/x:big" && test "$(grep -c "^/token" "$bad/log")" -ge 2 &&
    grep "scope=repository%3Atoken%2Fx%3Apull" "$bad/log"
'

test_expect_success 'no credential follows a redirect to another host' '
    echo s3cret | berth image login "$R" --username demo --password-stdin &&
    berth image delete "$R/token/x:big" && await 10 gone &&
    berth image pull "$R/elsewhere/x:big" && grep "^/away/[0-9a-f]* - " "$bad/log" &&
    ! grep "^/away/[0-9a-f]* [BT]" "$bad/log" && berth image logout "$R"
'

test_expect_success 'a registry that is busy is asked again' '
    berth image pull "$R/busy/x:names" && test "$(grep -c "/busy/" "$bad/log")" -gt 3
'

test_expect_success 'one that is none is told apart' '
    test_expect_code 1 berth image pull "$R/html/x:1" 2>err && grep "index: " err &&
    test_expect_code 1 berth image pull "$R/endless/x:1" 2>err && grep "redirects without end" err
'

test_expect_success 'the server has seen all of this in peace' '
    berth ps && ! grep -i "level=error" "$BERTH_TEST/server.log"
'

kill "$registry_pid" 2>/dev/null
test_done
