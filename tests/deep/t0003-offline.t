#!/bin/sh
test_description='the offline bundle installs on a bare Debian that reaches nothing'
. "$(dirname "$0")/lib.sh"

deep_begin
skip_unless 'no bundle (make bundle)' sh -c "ls $BERTH_SOURCE/build-deb/berth-*-offline-*.tar"

test_expect_success 'a bare Debian without a network, where services may not start' '
    deep_root bare make,sudo,passwd && DEEP_NET=none deep_enter bare &&
    printf "#!/bin/sh\nexit 101\n" >"$DEEP_DIR/bare/usr/sbin/policy-rc.d" && chmod +x "$DEEP_DIR/bare/usr/sbin/policy-rc.d" &&
    tar -C "$DEEP_DIR/bare/root" -xf "$BERTH_SOURCE"/build-deb/berth-*-offline-*.tar &&
    test_must_fail deep_run getent passwd berth
'

test_expect_success 'a damaged copy is refused, by the name of the file' '
    deep_run sh -c "cp -r /root/berth-*-offline-* /root/damaged; echo x >>/root/damaged/Packages" &&
    test_must_fail deep_run /root/damaged/install 2>err && grep "damaged.*Packages" err &&
    test_must_fail deep_run test -e /usr/bin/berth
'

test_expect_success 'it installs' '
    deep_run sh -c "/root/berth-*-offline-*/install" >out && grep "^Berth .* is installed" out &&
    deep_run stat -c "%U %a" /var/lib/berth >mode && echo "berth 711" >want && test_cmp want mode
'

test_expect_success 'the command of the service runs, and a job through it' '
    deep_run sed -n "s/^ExecStart=//p" /lib/systemd/system/berth.service >command && test -s command &&
    { deep_run sh -c "exec $(cat command)" >server.log 2>&1 & } &&
    deep_run sh -c "i=0; until [ -S /run/berth/api.sock ]; do i=\$((i + 1)); [ \$i -lt 100 ] || exit 1; sleep 0.1; done" &&
    deep_run berth init --org acme --project lab --key admin &&
    deep_run berth run --source none --name hello -- sh -c "echo hello" >out && grep "^hello" out
'

test_expect_success 'the same bundle again changes nothing' '
    deep_run sh -c "/root/berth-*-offline-*/install" && deep_run berth ps --all >ps.out && grep "hello *succeeded" ps.out
'

test_expect_success 'purge leaves nothing, also where the server and its launcher were killed' '
    deep_run start-stop-daemon --stop --quiet --signal KILL --exec /usr/bin/berth --retry KILL/20 &&
    deep_run dpkg --purge berth && test_must_fail deep_run test -e /var/lib/berth &&
    deep_run sh -c "! ls -d /sys/class/net/bth* && ! nft list table inet berth" 2>/dev/null &&
    test_must_fail deep_run getent passwd berth
'

test_done
