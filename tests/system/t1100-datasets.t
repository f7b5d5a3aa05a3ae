#!/bin/sh
test_description='datasets: pushed, versioned, mounted read-only, written by jobs, with lineage both ways'
. "$(dirname "$0")/lib.sh"
berth_start

run() { berth run --source none "$@"; }

test_expect_success 'a directory becomes version 1' '
    mkdir -p d/sub && echo alpha >d/a && echo beta >d/sub/b && : >d/empty &&
    printf "#!/bin/sh\necho ran\n" >d/go && chmod +x d/go && ln -s sub/b d/link &&
    berth dataset push corpus d -m "first words" --tag lang=en >out 2>err &&
    echo corpus@1 | test_cmp - out &&
    grep "5 files" err && grep "4 of them sent" err
'

test_expect_success 'the same again is the same version, and nothing is sent' '
    berth dataset push corpus d >out 2>err &&
    echo corpus@1 | test_cmp - out && grep " 0 of them sent" err
'

test_expect_success 'a change is version 2; only what is new is sent' '
    echo gamma >d/c && rm d/empty &&
    berth dataset push corpus d -m "more words" >out 2>err &&
    echo corpus@2 | test_cmp - out && grep " 1 of them sent" err
'

test_expect_success 'list, show and versions' '
    berth dataset list >out && grep "^corpus" out &&
    berth dataset list --tag lang=en -o name >out && echo corpus | test_cmp - out &&
    berth dataset list --tag lang=fr -o json | jq -e ".items == []" &&
    berth dataset versions corpus -o json >out &&
    jq -e "[.items[] | .number] == [2, 1] and .items[1].message == \"first words\"" out &&
    berth dataset show corpus@1 -o json | jq -e ".version.number == 1 and .version.tags.lang == \"en\"" &&
    test_expect_code 3 berth dataset show corpus@9 2>err && grep "the newest is 2" err
'

test_expect_success 'a job sees the newest, a number or a digest, read-only' '
    run --name reads --dataset corpus -- sh -c "
        cd /datasets/corpus && find . | sort && cat a c link && ./go &&
        ! touch x && ! echo y >a && stat -c %u:%a:%A a" >out 2>err &&
    cat >expected <<-EOF &&
	.
	./a
	./c
	./go
	./link
	./sub
	./sub/b
	alpha
	gamma
	beta
	ran
	EOF
    grep -v "Read-only\|0:644" out | test_cmp expected - && grep "^0:644:-rw-r--r--" out &&
    digest=$(berth dataset show corpus@1 -o json | jq -r .version.manifest) &&
    run --dataset corpus@1:old --dataset "corpus@sha256:$digest:/data/by-digest" -- \
        sh -c "ls /datasets/old; test -e /datasets/old/empty; diff -r /datasets/old /data/by-digest" >out &&
    grep empty out
'

test_expect_success 'the version is pinned when the job is accepted' '
    berth job show reads -o json >out &&
    jq -e ".spec.datasets[0] | .version == 2 and .path == \"/datasets/corpus\"" out &&
    berth job record reads -o json | jq -e ".record.datasets[0].manifest | length == 64"
'

test_expect_success 'what is not there is refused with what would be right' '
    test_expect_code 2 run --dataset nothing -- true 2>err && grep "berth dataset push nothing" err &&
    test_expect_code 2 run --dataset corpus@7 -- true 2>err && grep "the newest is 2" err &&
    test_expect_code 2 run --dataset corpus:/etc -- true 2>err && grep "below /datasets" err
'

test_expect_success 'an output becomes a version when the job succeeds, and only then' '
    run --name writes --dataset corpus@1 --output-dataset clean -- \
        sh -c "mkdir /artifacts/clean && tr a-z A-Z </datasets/corpus/a >/artifacts/clean/A" &&
    berth dataset show clean -o json >out &&
    jq -e ".version.number == 1 and .version.job_name == \"writes\" and .version.files == 1" out &&
    run --dataset clean -- cat /datasets/clean/A >out && echo ALPHA | test_cmp - out &&
    test_expect_code 3 run --output-dataset clean -- sh -c "mkdir /artifacts/clean && echo no >/artifacts/clean/A; exit 3" &&
    berth dataset versions clean -o json | jq -e ".items | length == 1" &&
    run --name nothing --output-dataset clean -- true 2>err &&
    berth job show nothing -o json | jq -e ".reason | test(\"holds no file\")"
'

test_expect_success 'lineage both ways' '
    berth dataset show corpus -o json | jq -e "[.jobs[] | select(.role == \"read\") | .name] | contains([\"writes\", \"reads\"])" &&
    berth dataset show corpus@1 -o json | jq -e "[.jobs[] | .name] | index(\"reads\") == null" &&
    berth dataset show clean -o json | jq -e "[.jobs[] | select(.role == \"wrote\") | .name] == [\"writes\"]" &&
    berth job show writes -o json >out &&
    jq -e ".inputs == [{\"dataset\": \"corpus\", \"version\": 1, \"manifest\": .inputs[0].manifest}]" out &&
    jq -e ".outputs[0] | .dataset == \"clean\" and .version == 1" out &&
    berth job delete writes &&
    berth dataset show clean -o json | jq -e ".jobs[] | select(.role == \"wrote\") | .state == \"deleted\" and .name == \"writes\""
'

test_expect_success 'show says it in words' '
    berth dataset show corpus@1 >out && grep "^version *1: 5 files, .* by key:" out && grep "^message *first words" out &&
    grep "^its tags *lang=en" out && grep "writes *read *1 *deleted" out &&
    berth dataset show clean >out && grep "made .* ago by a job\|made .* by a job" out && grep "writes *write *1" out
'

test_expect_success 'a version that is pushed later changes nothing for a job that runs' '
    run --detach --name runs --dataset corpus -- sleep 60 && echo changed >d/a && berth dataset push corpus d >out && echo corpus@3 | test_cmp - out &&
    await 10 sh -c "berth exec runs -- cat /datasets/corpus/a >seen" && echo alpha | test_cmp - seen &&
    test_must_fail berth exec runs -- sh -c "echo x >/datasets/corpus/a" 2>err && grep -i "read-only" err &&
    berth stop runs --wait && berth job rerun runs --name again --detach &&
    await 10 sh -c "berth exec again -- cat /datasets/corpus/a >seen" && echo alpha | test_cmp - seen &&
    berth stop again --wait && berth dataset delete corpus@3 && echo alpha >d/a
'

test_expect_success 'what a waiting or running job reads cannot be deleted' '
    run --detach --name holds --dataset corpus@1 -- sleep 60 &&
    test_expect_code 5 berth dataset delete corpus@1 2>err && grep "job .holds." err &&
    test_expect_code 5 berth dataset delete corpus 2>err &&
    berth dataset delete corpus@2 &&
    berth stop holds --wait &&
    berth dataset delete corpus@1 && berth dataset versions corpus -o json | jq -e ".items == []" &&
    echo delta >d/d && berth dataset push corpus d >out && echo corpus@4 | test_cmp - out &&
    berth dataset delete corpus && test_expect_code 3 berth dataset show corpus
'

test_expect_success 'all of it is in the store, and its rows are the fold of its events' '
    berth dataset push corpus d && berth_stop && berth store verify && berth_server &&
    berth dataset show corpus -o json | jq -e ".version.number == 1" &&
    run --dataset corpus -- cat /datasets/corpus/d >out && echo delta | test_cmp - out
'

test_done
