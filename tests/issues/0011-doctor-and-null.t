#!/bin/sh
test_description='a look at the machine leaves its devices to root'
# crun gives its standard input to the container's user: of the trial's it made the machine's /dev/null.
. "$(dirname "$0")/../system/lib.sh"
berth_needs_root
berth_needs crun

owner() { stat -c '%u:%g %a' /dev/null; }

test_expect_success 'berth doctor runs a container, and /dev/null has the owner that it had' '
    owner >before && { berth doctor >out </dev/null || true; } && grep "container" out &&
    owner >after && test_cmp before after
'

test_done
