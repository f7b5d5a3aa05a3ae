#!/bin/sh
test_description='whose Slurm jobs are: the server submits as the account of a project, and what such a tenant can do'
# Accounts of the test's own, which nobody else on this machine sees.
[ -n "${BERTH_OWN_MOUNTS:-}" ] || [ "$(id -u)" -ne 0 ] || BERTH_OWN_MOUNTS=1 exec unshare --mount sh "$0" "$@"
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"

first=$(shuf -i 30000-58000 -n 1)
uid_of() { echo $((first + $1)); }
cp /etc/passwd /etc/group "$BERTH_TEST"
printf '%s:x:%d:%d::/nonexistent:/bin/sh\n' alice "$(uid_of 1)" "$first" bob "$(uid_of 2)" "$first" \
    dave "$(uid_of 3)" "$first" erin "$(uid_of 4)" "$first" >>"$BERTH_TEST/passwd"
printf 'tenants:x:%d:\nberth-tenants:x:%d:alice,bob,erin\n' "$first" $((first + 9)) >>"$BERTH_TEST/group"
grep -v ^erin: "$BERTH_TEST/passwd" >"$BERTH_TEST/passwd.ctld"
mount --bind "$BERTH_TEST/passwd" /etc/passwd
mount --bind "$BERTH_TEST/group" /etc/group
trap 'code=$?; rm -rf /tmp/berth-$(uid_of 1) /tmp/berth-$(uid_of 2); berth_cleanup; slurm_stop; rm -rf "$BERTH_TEST"; (exit $code); die' EXIT

# The machine of slurmctld does not know erin.
slurm_controller() {
    unshare --mount sh -c 'mount --bind "$BERTH_TEST/passwd.ctld" /etc/passwd && exec slurmctld'
}
as() { # ACCOUNT COMMAND...
    local account=$1
    shift
    setpriv --reuid="$account" --regid=tenants --init-groups "$@"
}
submit() { # PROJECT NAME [FLAG...] -- COMMAND
    local project=$1 name=$2
    shift 2
    BERTH_PROJECT=$project berth run --detach --source none --name "$name" --cpus 1 "$@" >/dev/null
}
has() { BERTH_PROJECT=$1 berth job show "$2" -o json | jq -e "$3" >/dev/null; }
is_in_state() { has "$1" "$2" ".state == \"$3\""; }
says() { BERTH_PROJECT=$1 berth logs "$2" | grep -q "$3"; }
because() { BERTH_PROJECT=$1 berth why "$2" | grep -q "$3"; }
task_of() { BERTH_PROJECT=$1 berth job show "$2" -o json | jq -r .attempt.id; }
slurm_job() { cat "$BERTH_STATE/attempts/$(task_of "$1" "$2")/slurm"; }

# What Slurm could not launch is COMPLETING for a moment: in the first list that has a job of erin's.
BERTH_SLURM_BIN=$BERTH_TEST/bin
export BERTH_SLURM_BIN
install -d "$BERTH_SLURM_BIN" && install -d -o berth "$BERTH_TEST/moment"
for program in sbatch scancel scontrol; do
    ln -s "$(command -v "$program")" "$BERTH_SLURM_BIN"
done
cat >"$BERTH_SLURM_BIN/squeue" <<END
#!/bin/sh
case "\$*" in
*'-u erin'*)
    $(command -v squeue) "\$@" >$BERTH_TEST/moment/list
    [ -e $BERTH_TEST/moment/over ] || [ ! -s $BERTH_TEST/moment/list ] || {
        : >$BERTH_TEST/moment/over
        sed -i "s/|PENDING|/|COMPLETING|/" $BERTH_TEST/moment/list
    }
    cat $BERTH_TEST/moment/list
    ;;
*) exec $(command -v squeue) "\$@" ;;
esac
END
chmod +x "$BERTH_SLURM_BIN/squeue"

test_expect_success 'a cluster of two machines starts' 'slurm_start 2 4'
BERTH_SLURM_IDENTITY=account
install -d -m 755 "$BERTH_TEST/shared"
BERTH_STORAGE=$BERTH_TEST/shared
export BERTH_SLURM_IDENTITY BERTH_STORAGE
berth_start_on_slurm
storage_of() { echo "$BERTH_STORAGE/$(berth project show "$1" -o json | jq -r .id)/storage"; }

test_expect_success 'a project without an account runs nothing, and says who can name one' '
    test_must_fail berth run --source none -- true 2>err && grep "berth project update lab --account NAME" err
'
test_expect_success 'administrators of the whole cloud name it, and it is shown' '
    berth project update lab --account alice && berth project show lab | grep alice &&
    berth project create other && berth project update other --account bob -o json | jq -e ".account == \"bob\"" &&
    berth key create --role admin --for-project lab mine -o json >key &&
    test_must_fail env BERTH_KEY="$(jq -r .key key)" berth project update lab --account bob 2>err &&
    grep "a key of one project may not name it" err &&
    test_must_fail berth project update lab --account "x --uid=0" 2>err && grep "is no name of an account" err
'
test_expect_success 'the launcher refuses whom jobs may not be' '
    berth project create odd &&
    refused() {
        berth project update odd --account "$1" &&
        test_expect_code 125 env BERTH_PROJECT=odd berth run --source none --name "no-$1" --cpus 1 -- true && because odd "no-$1" "$2"
    } &&
    refused root "one of the system.s (uid 0)" && refused daemon "one of the system.s" &&
    refused "$(stat -c %U "$BERTH_STATE")" "the server.s own" && refused dave "not in group .berth-tenants." &&
    refused nobody "one of the system.s" && refused carol "there is no account .carol. on the server"
'
test_expect_success 'jobs run as the accounts of their projects, and all comes home' '
    printf shown | BERTH_PROJECT=lab berth secret set WORD && printf hidden | BERTH_PROJECT=other berth secret set WORD &&
    submit lab hers --env WORD=secret:WORD -- sh -c "echo begin \$WORD; echo x >/artifacts/x; sleep 600" &&
    submit other his --env WORD=secret:WORD -- sh -c "echo begin \$WORD; sleep 600" &&
    await 30 says lab hers "begin shown" && await 30 says other his "begin hidden" &&
    scontrol show job "$(slurm_job lab hers)" | grep "UserId=alice($(uid_of 1))" &&
    scontrol show job "$(slurm_job other his)" | grep "UserId=bob($(uid_of 2))"
'
test_expect_success 'what one tenant has on a machine is nothing to another, and nothing to everybody' '
    as bob ls "/tmp/berth-$(uid_of 2)/attempts" &&
    test_must_fail as alice ls "/tmp/berth-$(uid_of 2)" && test_must_fail as bob ls "/tmp/berth-$(uid_of 1)" &&
    test_must_fail as alice ls "$BERTH_STATE/attempts/$(task_of other his)" &&
    pid=$(pgrep -o -U bob -f "supervise --home") &&
    test_must_fail as alice cat "/proc/$pid/environ" && ! grep -az "BERTH_TASK_TOKEN=[0-9a-f]" "/proc/$pid/environ" &&
    ! ps axww -o args | grep "BERTH_TASK_TOKEN=[0-9a-f]" &&
    as alice scontrol write batch_script "$(slurm_job other his)" - 2>&1 | grep "Invalid user id" &&
    as bob scontrol write batch_script "$(slurm_job other his)" - | grep "^BERTH_TASK_TOKEN=[0-9a-f]"
'
test_expect_success '/storage on a file system that the machines share is the account.s alone' '
    test "$(stat -c "%U %a" "$(storage_of lab)")" = "alice 700" && test "$(stat -c "%U %a" "$(storage_of other)")" = "bob 700" &&
    BERTH_PROJECT=lab berth run --source none --cpus 1 -- sh -c "echo hers >/storage/x" &&
    test "$(as alice cat "$(storage_of lab)/x")" = hers && test_must_fail as bob cat "$(storage_of lab)/x" &&
    BERTH_PROJECT=lab berth run --source none --name reads --cpus 1 -- cat /storage/x && says lab reads hers
'
test_expect_success 'a project that gets another account is told whose its /storage is, before anything is submitted' '
    berth project update lab --account bob &&
    test_expect_code 125 env BERTH_PROJECT=lab berth run --source none --name changed --cpus 1 -- true &&
    because lab changed "belongs to uid $(uid_of 1), not to account .bob.; as root: chown -R bob: " &&
    chmod 700 "$BERTH_STORAGE" && berth project update lab --account alice &&
    test_expect_code 125 env BERTH_PROJECT=lab berth run --source none --name closed --cpus 2 -- true &&
    chmod 755 "$BERTH_STORAGE" && because lab closed "account .alice. may not read storage .*: Permission denied; as root: chmod o+rx" &&
    BERTH_PROJECT=lab berth run --source none --cpus 1 -- test -e /storage/x
'
test_expect_success 'nobody reaches Slurm out of a container' '
    BERTH_PROJECT=lab berth run --source none --name inside --cpus 1 -- sh -c "ls $slurm /run/munge; test ! -e $slurm/munge.sock" &&
    ! says lab inside munge.sock
'
test_expect_success 'a tenant cannot end the job of another' '
    test_must_fail as alice scancel -v "$(slurm_job other his)" 2>err && grep -i "access" err && is_in_state other his running
'
test_expect_success 'jobs that others name like ours, with line ends in their names too, change nothing' '
    as alice sbatch -o /dev/null -D / -J "$(printf "x\n%s|FAILED|None|berth-%s" "$(slurm_job other his)" "$(task_of other his)")" \
        --wrap "sleep 600" && as alice sbatch --parsable -o /dev/null -D / -J "berth-$(task_of other his)" --wrap "sleep 600" >left &&
    as alice sbatch --parsable -o /dev/null -D / -J mine --wrap "sleep 600" >mine &&
    await 30 sh -c "squeue -h -t CA -j \$(cat left) -o %T | grep CANCELLED" &&
    test "$(squeue -h -j "$(cat mine)" -o %T)" != CANCELLED && is_in_state other his running &&
    has other his ".attempts == 1" && as alice scancel -u alice -n mine
'
test_expect_success 'after a restart of the server the jobs of all accounts are known' '
    berth_kill && berth_server &&
    BERTH_PROJECT=other berth stop --grace 0 --wait his && is_in_state other his stopped
'
test_expect_success 'who cancels its own job in Slurm is told so by Berth' '
    as alice scancel "$(slurm_job lab hers)" && await 30 is_in_state lab hers stopped &&
    because lab hers "cancelled in Slurm, not by Berth" && berth artifacts hers -o json | jq -e ".items[0].path == \"x\""
'
test_expect_success 'what waits in Slurm is cancelled as the account that it was submitted as' '
    scontrol update PartitionName=main State=DOWN &&
    submit lab waits -- true && await 30 because lab waits "waits in Slurm" &&
    berth project update lab --account bob && berth_stop && berth_server &&
    berth stop --wait waits && is_in_state lab waits stopped &&
    squeue -h -t CA -u alice -o %j | grep "berth-$(task_of lab waits)" &&
    scontrol update PartitionName=main State=UP && berth project update lab --account alice
'
test_expect_success 'an account that the cluster does not know: Berth says so' '
    berth project update odd --account erin &&
    test_expect_code 125 env BERTH_PROJECT=odd berth run --source none --name strange --cpus 1 -- true &&
    because odd strange "could not launch job [0-9]* as account .erin.: .*getent passwd erin" &&
    test -e "$BERTH_TEST/moment/over" && has odd strange ".attempts == 1"
'
test_expect_success 'Slurm accounts to whom it belongs' '
    grep "UserId=alice($(uid_of 1)) .*Name=berth-$(task_of lab hers)" "$slurm/ended" &&
    grep "UserId=bob($(uid_of 2)) .*Name=berth-$(task_of other his)" "$slurm/ended" &&
    ! grep "UserId=berth" "$slurm/ended"
'
test_done
