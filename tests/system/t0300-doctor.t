#!/bin/sh
test_description='the doctor looks at the machine and names what mends it'
# shellcheck disable=SC2016,SC2034
. "$(dirname "$0")/lib.sh"

berth_needs_root

# What doctors have on the machine; others may be at work beside this one.
belongings() {
    find /tmp "${BERTH_STATE%/*}" -maxdepth 1 -name "*berth-doctor.*"
    find /sys/fs/cgroup -name "berth-doctor-*" 2>/dev/null
}
belongings | sort >before
gone() { while read -r name; do [ ! -e "$name" ] || return 1; done <"$1"; }

test_expect_success 'every finding says what was seen; only failures make it fail' '
    { berth doctor -o json >found.json; code=$?; } &&
    jq -e "all(.items[]; (.check | length > 0) and (.seen | length > 0))" found.json &&
    jq -e "all(.items[]; .state == \"ok\" or (.mend // .seen | length > 0))" found.json &&
    failures=$(jq "[.items[] | select(.state == \"fail\")] | length" found.json) &&
    if [ "$failures" -gt 0 ]; then test $code -eq 1; else test $code -eq 0; fi
'

test_expect_success 'it really starts a container' '
    jq -r ".items[] | select(.check == \"container\") | .seen" found.json >seen &&
    grep "^crun .* ran one with a user namespace in [0-9]* ms$" seen
'

test_expect_success 'it leaves nothing behind' '
    belongings | sort >after && comm -13 before after >left && await 20 gone left
'

test_expect_success 'a table has no colours when nobody looks' '
    berth doctor >table; grep "^ok " table && ! grep "$(printf "\033")" table
'

test_expect_success 'a taken port is found, and who has it can be asked' '
    cat >in-a-room <<-\END &&
	ip link set lo up
	/usr/bin/python3 -c "
	import socket, subprocess, sys
	s = socket.socket()
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind((\"127.0.0.1\", 7077))
	s.listen()
	sys.exit(subprocess.call([\"berth\", \"doctor\", \"-o\", \"json\"]))"
	END
    test_expect_code 1 unshare --net sh ./in-a-room >taken.json &&
    jq -e ".items[] | select(.check == \"port\") | .state == \"fail\" and (.mend | contains(\"ss -ltnp\"))" taken.json
'

test_expect_success 'the ports that are looked at are those of the settings' '
    printf "listen: [\"127.0.0.1:7177\", \"[::1]:7178\", \"192.0.2.7:7179\"]\ninsecure: true\n" >settings.yaml &&
    sed "s/7077/7177/" in-a-room >in-another &&
    test_expect_code 1 env BERTH_CONFIG="$PWD/settings.yaml" unshare --net sh ./in-another >taken.json &&
    jq -e "[.items[] | select(.check == \"port\")] | map(.state) == [\"fail\", \"ok\", \"fail\"] and
        (.[0].seen | contains(\"127.0.0.1:7177 is taken\")) and (.[1].seen == \"[::1]:7178 is free\") and
        (.[2].seen | contains(\"192.0.2.7:7179: Cannot assign\"))" taken.json
'

test_expect_success 'a machine without a default route is told so' '
    unshare --net sh -c "ip link set lo up; berth doctor -o json" >lonely.json &&
    jq -e ".items[] | select(.check == \"way out\") | .state == \"warn\"" lonely.json
'

test_expect_success 'a missing crun is a failure that names its package' '
    mkdir bin && for tool in nft jq; do ln -s "$(command -v $tool)" bin/; done &&
    berth=$(command -v berth) &&
    test_expect_code 1 env PATH="$PWD/bin" "$berth" doctor -o json >without.json &&
    jq -e ".items[] | select(.check == \"container\") | .mend == \"apt-get install -y crun\"" without.json
'

test_expect_success 'a state directory that others cannot reach is a failure' '
    mkdir -m 0700 closed &&
    test_expect_code 1 berth doctor --state "$PWD/closed/state" -o json >closed.json &&
    jq -e "[.items[] | select(.check == \"disk\" and .state == \"fail\") | .mend | contains(\"chmod o+x\")] | any" closed.json
'

test_expect_success 'wrong usage is exit code 2' '
    test_expect_code 2 berth doctor --colour &&
    test_expect_code 2 berth doctor -o xml
'

test_done
