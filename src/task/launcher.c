/* launcher.c - the form of what the engine asks the launcher for */
#include "task/task.h"

#include <errno.h>
#include <string.h>

#define UIDS_PER_PROJECT UINT32_C(65536)

static int check_start(const struct launcher_request *request, uint32_t uid_first,
                       struct error *err)
{
    if ((request->flags & LAUNCHER_STEP) &&
        (request->pid < 2 || !memchr(request->address, '\0', sizeof request->address)))
        return error_set(err, -EINVAL, "start: the step's process or address is missing");
    if (id_is_none(&request->project) || id_is_none(&request->workload))
        return error_set(err, -EINVAL, "start: project or workload is missing");
    if (request->epoch == 0)
        return error_set(err, -EINVAL, "start: epoch is missing");
    if (request->uid_base == LAYERS_UID)
        return error_set(err, -EPERM, "start: the uids from %u are those of layers", LAYERS_UID);
    if (request->range >= (UINT32_MAX - uid_first) / UIDS_PER_PROJECT ||
        request->uid_base != uid_first + request->range * UIDS_PER_PROJECT)
        return error_set(err, -EPERM, "start: uid %u is not the first of range %u",
                         request->uid_base, request->range);
    return 0;
}

static int check_delete(const struct launcher_request *request, struct error *err)
{
    if (id_is_none(&request->project) || id_is_none(&request->workload))
        return error_set(err, -EINVAL, "delete: project or workload is missing");
    return 0;
}

int launcher_request_check(const struct launcher_request *request, uint32_t uid_first,
                           struct error *err)
{
    if (request->op < LAUNCHER_START || request->op > LAUNCHER_SLURM)
        return error_set(err, -EINVAL, "there is no request %u", request->op);
    if (request->flags & ~(uint32_t) (LAUNCHER_HAS_TOKEN | LAUNCHER_HOLD | LAUNCHER_STEP))
        return error_set(err, -EINVAL, "flags %x are unknown", request->flags);
    if (request->op == LAUNCHER_DELETE)
        return check_delete(request, err);
    if (request->op != LAUNCHER_SWEEP && request->op != LAUNCHER_SLURM &&
        id_is_none(&request->attempt))
        return error_set(err, -EINVAL, "the attempt is missing");
    if (request->op == LAUNCHER_START)
        return check_start(request, uid_first, err);
    return 0;
}
