#!/bin/sh
test_description='a job cannot take the place of a service of the machine'
. "$(dirname "$0")/../system/lib.sh"
berth_start

test_expect_success 'ports below 1024 are not published' '
    for port in 1 22 443 1023; do
        test_expect_code 2 berth run --source none --port web:8000:$port -- true 2>err &&
        grep "ports\[0\].publish: $port belongs to the machine; choose 1024 to 65535" err || return 1
    done
'

test_expect_success 'the same port inside is fine' '
    berth run --source none --port web:80 -- true
'

test_expect_success 'neither is one that is taken, and the job says which' '
    test_expect_code 125 berth run --source none --port web:80:$BERTH_PORT --name taken -- true 2>err && cat err &&
    berth why taken | grep "$BERTH_PORT.*in use"
'

test_done
