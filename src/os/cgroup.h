/* cgroup.h - where the kernel's control groups are mounted, version 1 or 2 */
#ifndef OS_CGROUP_H
#define OS_CGROUP_H

#include "base/error.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

enum cgroup_controller {
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_IO,
    CGROUP_DEVICES,
    CGROUP_HUGETLB,
    CGROUP_N
};

/* Name of the controller in version 1. */
const char *cgroup_controller_name(enum cgroup_controller controller);

struct cgroups {
    bool unified;          /* version 2 alone */
    char *v2;              /* where version 2 is mounted; NULL: it is not */
    char *roots[CGROUP_N]; /* where each controller is mounted; NULL: it is not there */
    /* The group below each root in which a batch system holds a process; NULL: in none of its own. */
    char *step[CGROUP_N];
    /* What the step's groups had counted when a task began in them: another may have run there before. */
    struct {
        double cpu_s;
        uint64_t oom_kills, memory_peak;
    } before;
    VEC(char *) hierarchies; /* every mounted hierarchy of version 1; with UNIFIED that of 2 */
};

/* Pure: the text of /proc/self/mountinfo, which is changed. */
void cgroups_parse(char *mountinfo, struct cgroups *ret);
/* -ENOENT when none are mounted. */
int cgroups_find(struct cgroups *ret, struct error *err);
/* Of version 2 the kernel is asked. */
bool cgroups_has(const struct cgroups *cg, enum cgroup_controller controller);
/* Fill `step` from the text of /proc/PID/cgroup, which is changed. Pure. Only groups that a job of Slurm
 * has for itself count: what is in others is not known. */
void cgroups_parse_step(char *membership, struct cgroups *cg);
/* Open FILE of CONTROLLER's group of the step, for reading; of the next one up within the job where that has none,
 * for a controller may not be led down to where the processes are. -ENOENT. */
int cgroup_step_open(const struct cgroups *cg, enum cgroup_controller controller, const char *file);
void cgroups_done(struct cgroups *cg);

#endif
