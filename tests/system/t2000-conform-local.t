#!/bin/sh
test_description='what a job can rely on: the local engine'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/conformance.sh"

boots=1
BERTH_BOOT_ID=$boots
export BERTH_BOOT_ID
berth_start

many=${BERTH_MANY:-200}
# This machine is all there is: it starts anew.
lose_node() {
    boots=$((boots + 1))
    BERTH_BOOT_ID=$boots
    berth_stop
    berth_server
}
get_back() { :; }

conform
test_done
