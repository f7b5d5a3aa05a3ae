#!/bin/sh
test_description='a wrong --port says what would be right, and berth run says where a port is reached'
. "$(dirname "$0")/../system/lib.sh"
berth_start

test_expect_success 'the form of --port is said' '
    for port in web=8000 8000; do
        test_expect_code 2 berth run --source none --port $port -- true 2>err &&
        grep -e "--port: .$port. must have the form NAME:PORT\[:PUBLISH\]" err || return 1
    done
'

test_expect_success 'berth run says where the port is' '
    { berth run --source none --port web:8000 -- \
        python3 -u -m http.server --bind 127.0.0.1 8000 >out 2>&1 & } &&
    await 20 grep "web at 127.0.0.1:[0-9]" out &&
    address=$(sed -n "s/.*web at \(127.0.0.1:[0-9]*\).*/\1/p" out) && await 10 curl -sf "http://$address/"
'

test_done
