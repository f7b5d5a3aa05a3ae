#!/bin/sh
test_description='a machine with systemd and control groups of version 2 alone: install, run, upgrade, remove'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/deep/vm.sh"

vm_begin
next=$BERTH_BUILD/tests/berth-next
skip_unless "no package (make deb) or no $next" sh -c "ls $BERTH_SOURCE/build-deb/berth_*.deb $next"

# The next version's package: this one with the other executable.
test_expect_success 'two packages' '
    cp "$BERTH_SOURCE"/build-deb/berth_*.deb berth.deb &&
    dpkg-deb --raw-extract berth.deb next &&
    sed -i "s/^Version: .*/&+next/" next/DEBIAN/control &&
    strip -o next/usr/bin/berth "$next" &&
    dpkg-deb --build --root-owner-group next berth-next.deb
'

test_expect_success 'a machine' '
    vm_root berth.deb && cp berth.deb berth-next.deb "$DEEP_DIR/vm/root/" &&
    install -m 0755 "$BERTH_SOURCE/tests/deep/vm-session" "$DEEP_DIR/vm/root/session" &&
    cat >"$DEEP_DIR/vm/etc/systemd/system/session.service" <<-END &&
	[Service]
	Type=oneshot
	ExecStart=/root/session
	ExecStopPost=/bin/systemctl poweroff
	END
    ln -s ../session.service "$DEEP_DIR/vm/etc/systemd/system/multi-user.target.wants/" &&
    echo machine >"$DEEP_DIR/vm/etc/hostname" &&
    vm_disk
'

test_expect_success 'it boots, and powers itself off' '
    vm_boot 600 && test -s results
'

grep -v "^#" results >steps
while read -r line; do
    test_expect_success "${line#*ok }" "
        test '${line%%ok *}' = '' || { sed -n '/^not ok ${line#*ok }/,/^[no]/p' results; false; }"
done <steps

test_expect_success 'the session came to its end' 'grep "purge leaves nothing" results'

test_done
