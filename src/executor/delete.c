/* delete.c - what was deleted for good: directories of attempts, results of jobs
 *
 * A directory is moved to STATE/trash, which is quick and whole or not at all, and its files are
 * removed by a child: a job may have left millions, and starts must not wait for them. Names are made
 * of ids here; no link on the way is followed.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ioprio_set(2): only when nobody else wants the disk. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE        (3 << 13)

/* NAME of DIRFD out of sight; success also when it is not there. */
static int throw_away(struct executor *x, int dirfd, const char *name, struct error *err)
{
    char thrown[64];

    do {
        (void) snprintf(thrown, sizeof thrown, "%" PRIu64, x->trashed++);
        if (renameat2(dirfd, name, x->trash_fd, thrown, RENAME_NOREPLACE) == 0)
            return 1;
    } while (errno == EEXIST);
    if (errno == ENOENT && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    return error_set(err, -errno, "deleting %s: %s", name, strerror(errno));
}

static int delete_attempt(struct executor *x, const struct id *attempt, struct error *err)
{
    char name[ID_TEXT_LEN + 1];

    /* It has ended, but its supervisor may still be on its way out, or may have left something. */
    int r = sweep_attempt(x, attempt, err);
    return r < 0 ? r : throw_away(x, x->attempts_fd, id_format(attempt, name), err);
}

static int delete_results(struct executor *x, const struct id *project, const struct id *workload,
                          struct error *err)
{
    char name[ID_TEXT_LEN + 1];
    _cleanup_free_ char *path = xasprintf("projects/%s/artifacts", id_format(project, name));
    _cleanup_close_ int dir = open_beneath_nosymlink(x->state_fd, path, O_RDONLY | O_DIRECTORY, 0);

    if (dir < 0)
        return dir == -ENOENT ? 0 : error_set(err, dir, "%s: %s", path, strerror(-dir));
    return throw_away(x, dir, id_format(workload, name), err);
}

int delete_leftover(struct executor *x, const struct launcher_request *request, struct error *err)
{
    int r = id_is_none(&request->attempt)
                ? delete_results(x, &request->project, &request->workload, err)
                : delete_attempt(x, &request->attempt, err);

    if (r > 0)
        trash_remove(x);
    return r < 0 ? r : 0;
}

static void remove_all(int trash)
{
    struct error err = { 0 };
    DIR *dir = fdopendir(trash);

    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && remove_tree(dirfd(dir), e->d_name, &err) < 0)
            log_warn("what was deleted is still on the disk", "reason", err.text);
}

void trash_remove(struct executor *x)
{
    x->remove_again = x->remover > 0;
    if (x->remover > 0)
        return;
    x->remover = fork();
    if (x->remover != 0) {
        if (x->remover < 0) /* with the next one, or after the next start */
            x->remover = 0;
        return;
    }
    (void) prctl(PR_SET_NAME, "berth-remover", 0, 0, 0);
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    safe_close(x->socket);
    (void) setpriority(PRIO_PROCESS, 0, 10);
    (void) syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    int trash = openat(x->trash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (trash >= 0)
        remove_all(trash);
    _exit(0);
}

void trash_removed(struct executor *x)
{
    x->remover = 0;
    if (x->remove_again)
        trash_remove(x);
}

void trash_stop(struct executor *x)
{
    if (x->remover <= 0)
        return;
    (void) kill(x->remover, SIGKILL);
    (void) waitpid(x->remover, NULL, 0);
    x->remover = 0;
}
