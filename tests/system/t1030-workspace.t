#!/bin/sh
test_description='the directory that goes along: what is left out, what is not sent again'
. "$(dirname "$0")/lib.sh"
berth_start

test_expect_success 'ignored files stay, the rest arrives as it was' '
    mkdir -p w/sub w/.git &&
    echo "print(1)" >w/train.py &&
    printf "#!/bin/sh\necho ran\n" >w/sub/run.sh && chmod +x w/sub/run.sh &&
    ln -s sub/run.sh w/go &&
    printf "*.log\n/data/\n!keep.log\n" >w/.gitignore &&
    echo x >w/a.log && echo x >w/keep.log &&
    mkdir w/data && echo x >w/data/big &&
    berth run --source w -- sh -c "find . -type f -o -type l | sort; ./go" >out &&
    cat >expected <<-EOF &&
	./.gitignore
	./go
	./keep.log
	./sub/run.sh
	./train.py
	ran
	EOF
    test_cmp expected out
'

test_expect_success '.berthignore goes before .gitignore' '
    echo "*.py" >w/.berthignore &&
    berth workspace push --dry-run -o name w >out &&
    grep a.log out && test_must_fail grep train.py out &&
    rm w/.berthignore
'

test_expect_success 'unchanged files are not sent again' '
    head -c 2000000 /dev/urandom >w/weights &&
    berth workspace push w 2>err && grep "1 of them sent" err &&
    berth workspace push w 2>err && grep " 0 of them sent" err &&
    echo "print(2)" >w/train.py &&
    berth workspace push w 2>err && grep "1 of them sent (9 B)" err
'

test_expect_success 'the workspace is private to the job: nothing comes back' '
    berth run --source w -- sh -c "echo changed >train.py; cat train.py" >out &&
    echo changed | test_cmp - out &&
    echo "print(2)" | test_cmp - w/train.py &&
    berth run --source w -- cat train.py >out &&
    echo "print(2)" | test_cmp - out
'

test_expect_success 'commit and dirty flag are recorded' '
    rm -rf w/.git && git init -q w && git -C w add -A &&
    git -C w -c user.name=t -c user.email=t@example.org commit -qm x &&
    berth run --source w -n clean -- true 2>err &&
    commit=$(git -C w rev-parse HEAD) &&
    berth job record clean -o json | jq -e ".spec.source.commit == \"$commit\"" &&
    echo "# more" >>w/train.py &&
    berth run --source w -n dirty -- true 2>err &&
    grep "with changes" err &&
    berth job show dirty -o json | jq -e ".tags[\"git-dirty\"] == \"yes\""
'

test_expect_success 'what cannot go is said' '
    ln -s /etc/passwd w/out && mkfifo w/pipe &&
    berth workspace push w 2>err &&
    grep "left out out: link" err || berth run --source w -- true 2>err && grep "left out pipe" err
'

test_expect_success 'a home directory is not sent by accident' '
    (cd "$HOME" && test_expect_code 2 berth run -- true 2>err && grep "would be sent whole" err)
'

test_done
