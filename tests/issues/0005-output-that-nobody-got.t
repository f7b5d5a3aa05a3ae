#!/bin/sh
test_description='what could not be written is said, is no success, and no device is removed for it'
. "$(dirname "$0")/../system/lib.sh"
berth_start

# A device of this test: root may remove any.
mknod full c 1 7 2>/dev/null && dd if=/dev/zero of=full count=1 2>/dev/null
[ -c full ] || {
    skip_all='cannot make a device'
    test_done
}

test_expect_success 'a list that does not fit' '
    berth run --source none --name big -- sh -c "head -c 3M /dev/zero >/artifacts/big" &&
    for o in table json yaml name; do
        test_expect_code 1 berth ps -a -o $o 2>err >full && grep "could not be written" err || return 1
    done
'

test_expect_success 'an archive that does not fit, and the device is there still' '
    test_expect_code 1 berth artifact get big --tar full 2>err && grep "writing full: No space left on device" err &&
    test -c full
'

test_expect_success 'half an archive on a full disk is removed' '
    mkdir small && mount -t tmpfs -o size=1m small small &&
    { test_expect_code 1 berth artifact get big --tar small/big.tar 2>err; r=$?; ls -A small >left; } &&
    { test_expect_code 1 berth artifact get big --to small 2>err2; s=$?; ls -A small >>left; umount small; } &&
    test $r = 0 && test $s = 0 && grep "writing small/big.tar: No space left on device" err &&
    grep "writing .*big.*: No space left on device" err2 && test_must_be_empty left
'

test_done
