/* privileges.h - a process becomes what `process` of config.json says, as crun would make it */
#ifndef EXECUTOR_PRIVILEGES_H
#define EXECUTOR_PRIVILEGES_H

#include "base/error.h"
#include "base/json.h"

/* Resource limits; while still root of the machine, because some are raised. */
int privileges_limits(const json_t *process, struct error *err);
/* Capabilities, groups and user, no new privileges; inside of the container's user namespace. KEEPS_GROUPS: it
 * lets nobody change them. */
int privileges_drop(const json_t *process, bool keeps_groups, struct error *err);
/* The filter of system calls; last, and for good. */
int seccomp_install(struct error *err);

#endif
