#!/bin/sh
test_description='what a job leaves: artifacts with hashes, charts'
. "$(dirname "$0")/lib.sh"
berth_start

test_expect_success 'a job leaves files and points' '
    mkdir w && cat >w/job.sh <<-\EOF &&
	mkdir -p /artifacts/checkpoints
	echo weights >/artifacts/model.gguf
	head -c 3000000 /dev/zero >/artifacts/checkpoints/1.bin
	ln -s /etc/passwd /artifacts/passwd
	for i in 1 2 3 4 5; do
	    echo "{\"chart\": \"train_loss\", \"x\": $i, \"y\": $((10 - i))}"
	    echo "{\"chart\": \"val_loss\", \"x\": $i, \"y\": $((12 - i))}"
	done
	EOF
    berth run --source w -n left -- sh job.sh >log 2>err &&
    grep "2 artifacts" err
'

test_expect_success 'they are listed with their hashes' '
    berth artifacts left -o json >list &&
    jq -r ".items[].path" list >paths &&
    printf "checkpoints/1.bin\nmodel.gguf\n" >expected &&
    test_cmp expected paths &&
    echo weights | sha256sum | cut -d" " -f1 >expected &&
    jq -r ".items[] | select(.path == \"model.gguf\").sha256" list >sum &&
    test_cmp expected sum
'

test_expect_success 'they are fetched and checked' '
    berth artifact get left --to all 2>err &&
    grep "every hash is right" err &&
    echo weights | cmp - all/model.gguf &&
    head -c 3000000 /dev/zero | cmp - all/checkpoints/1.bin
'

test_expect_success 'by pattern, and as an archive' '
    berth artifact get left "*.gguf" --to some &&
    test -f some/model.gguf &&
    test ! -e some/checkpoints &&
    berth artifact get left --tar - | tar t >names &&
    grep checkpoints/1.bin names
'

test_expect_success 'bytes that changed on the server are noticed' '
    sum=$(jq -r ".items[] | select(.path == \"model.gguf\").sha256" list) &&
    blob=$BERTH_STATE/blobs/$(echo "$sum" | cut -c1-2)/$(echo "$sum" | cut -c3-) &&
    echo WEIGHTS >"$blob" &&
    test_must_fail berth artifact get left model.gguf --to broken 2>err &&
    grep "arrived with SHA-256" err &&
    test ! -e broken/model.gguf
'

test_expect_success 'curves are drawn, two of a kind together' '
    berth charts left --width 60 --height 6 >plot &&
    grep "train_loss  last 5  lowest 5  5 points" plot &&
    grep "val_loss  last 7  lowest 7  5 points" plot &&
    test "$(grep -c "^ *loss$" plot)" -eq 1
'

test_expect_success 'curves in ASCII where there is no UTF-8' '
    LC_ALL=C berth charts left --width 60 --height 6 >plot &&
    grep "[*]" plot &&
    LC_ALL=C test_must_fail grep "[^ -~]" plot
'

test_expect_success 'charts are data, too' '
    berth charts left -o json | jq -e ".items[0].name == \"train_loss\" and .items[0].minimum == 5"
'

test_expect_success 'no points, no artifacts: said in words' '
    berth run --source none -n nothing -- true &&
    berth charts nothing 2>err && grep "no chart points" err &&
    berth artifacts nothing 2>err && grep "no artifacts" err &&
    test_expect_code 3 berth artifact get nothing "*.bin"
'

test_done
