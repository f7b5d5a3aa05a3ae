#!/bin/sh
# What a machine can hold was remembered by the numbers of a job alone: one of a flavor with rules was let in, and waited for ever,
# after one with the same numbers and no rules.
test_description='a job with rules is not let in because one without them was'
. "$(dirname "$0")/../system/lib.sh"

if ls /sys/class/infiniband/* >/dev/null 2>&1; then
    skip_all='this machine has a NIC for RDMA'
    test_done
fi
cat >"$BERTH_CONFIG" <<END
flavors:
- {name: loose, cores: 1, memory: 64Mi, disk: 64Mi}
- {name: near, cores: 1, memory: 64Mi, disk: 64Mi, network_optimised: true}
END
berth_start

test_expect_success 'the one with rules is refused, before and after the one without' '
    for when in before after; do
        test_must_fail berth run --source none --flavor near --dry-run -- true 2>said &&
        grep "NIC for RDMA" said && berth run --source none --flavor loose --dry-run -- true || return 1
    done
'

test_done
