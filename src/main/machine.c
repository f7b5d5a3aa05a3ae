/* machine.c - directories, and the launcher with its settings */
#include "main/machine.h"

#include "base/alloc.h"
#include "executor/executor.h"
#include "main/engines.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory that the server's account cannot reach fails later in ways that nobody understands. */
static int check_reachable(const char *path, const struct account *account, struct error *err)
{
    _cleanup_free_ char *part = xstrdup(path);

    for (char *p = part + 1; p[-1]; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        struct stat st;
        if (stat(part, &st) < 0)
            return error_set(err, -errno, "%s: %s", part, strerror(errno));
        if (!(st.st_mode & S_IXOTH) && st.st_uid != account->uid)
            return error_set(err, -EACCES,
                             "user of the server cannot enter %s; choose another state directory "
                             "(--state or BERTH_STATE), or: chmod o+x %s",
                             part, part);
        *p = end;
        if (!end)
            break;
    }
    return 0;
}

static int prepare_directory(const char *path, const struct account *owner, struct error *err)
{
    int r = mkdir_all(AT_FDCWD, path, 0711, err);
    if (r < 0)
        return r;
    if (chown(path, owner->uid, owner->gid) < 0)
        return error_set(err, -errno, "giving %s to the server's user: %s", path, strerror(errno));
    return check_reachable(path, owner, err);
}

int machine_directories(const struct settings *settings, const struct account *account,
                        struct error *err)
{
    static const char *const below[] = { "attempts", "blobs", "trees", "images" };
    int r = prepare_directory(settings->state, account, err);
    if (r >= 0)
        r = prepare_directory(settings->runtime, account, err);
    for (size_t i = 0; r >= 0 && i < sizeof below / sizeof below[0]; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", settings->state, below[i]);
        r = prepare_directory(path, account, err);
    }
    return r;
}

int machine_launcher(const struct settings *set, int *ret_fd, pid_t *ret_pid, struct error *err)
{
    struct executor_settings launcher = {
        .state = set->state,
        .runtime = set->runtime,
        .uid_first = (uint32_t) set->uid_first,
        .pool = set->pool,
        .blocked = (const char *const *) set->blocked,
        .dns = (const char *const *) set->dns,
        .image_opt = set->image_opt,
        .storage = set->storage,
        .driver_root = set->driver_root,
        .cdi = (const char *const *) set->cdi,
        .slurm_group = engine_is_by_account(set) ? set->slurm_group : NULL,
    };
    int r = launcher.slurm_group ? engine_slurm_site(set, &launcher.slurm, err) : 0;

    if (r >= 0)
        r = launcher_start(&launcher, ret_fd, ret_pid, err);
    engine_slurm_site_done(&launcher.slurm);
    return r;
}
