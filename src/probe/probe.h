/* probe.h - this machine as a struct node: cores, memory, GPUs, as the kernel and drivers say
 *
 * Cores come from hwloc where the library is there (opened at run time: a machine without it needs
 * nothing), else from sysfs; GPUs from NVML, else from PCI. What the process may not use (its
 * cpuset, offline CPUs) is left out: a core counts only when all its SMT siblings are allowed.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "fleet/fleet.h"

#include <stdbool.h>

struct probe_options {
    const char *sys;        /* "/sys" when NULL, like the others: tests give trees of their own */
    const char *proc;       /* "/proc" */
    const char *disk;       /* a path on the state's filesystem; NULL: disk_bytes stays 0 */
    const char *hwloc;      /* library, "libhwloc.so.15"; "": do not use hwloc */
    const char *const *cdi; /* directories of CDI specifications; NULL: none are read */
    const char *nvml;       /* library, "libnvidia-ml.so.1"; "": do not use NVML */
    const char *xml;        /* hwloc topology file in place of the machine, for tests and import */
};

/* OPTIONS may be NULL. The node has no id and its name is the host's. Memory is at least one
 * NUMA node; cores without a known NUMA node belong to the first. What the operator reserves is
 * for the caller to fill in. With `sys` of a test's own, hwloc must be "": it reads the machine. */
int probe_node(const struct probe_options *options, struct node **ret, struct error *err);

/* Bytes that are free for everybody on the filesystem of PATH, 1 on a full one; 0: not known. */
int64_t probe_disk_free(const char *path);

#endif
