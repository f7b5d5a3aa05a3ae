/* cgroup.h - where the kernel's control groups are mounted, version 1 or 2 */
#ifndef OS_CGROUP_H
#define OS_CGROUP_H

#include "base/error.h"
#include "base/vec.h"

#include <stdbool.h>

enum cgroup_controller {
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_IO,
    CGROUP_DEVICES,
    CGROUP_N
};

/* Name of the controller in version 1. */
const char *cgroup_controller_name(enum cgroup_controller controller);

struct cgroups {
    bool unified;            /* version 2 alone */
    char *v2;                /* where version 2 is mounted; NULL: it is not */
    char *roots[CGROUP_N];   /* where each controller is mounted; NULL: it is not there */
    VEC(char *) hierarchies; /* every mounted hierarchy of version 1; with UNIFIED that of 2 */
};

/* Pure: the text of /proc/self/mountinfo, which is changed. */
void cgroups_parse(char *mountinfo, struct cgroups *ret);
/* -ENOENT when none are mounted. */
int cgroups_find(struct cgroups *ret, struct error *err);
void cgroups_done(struct cgroups *cg);

#endif
