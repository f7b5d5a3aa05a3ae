/* sweep.c - what attempts leave when their supervisor was killed: groups and writable layers
 *
 * The kernel has ended the processes and mounts with the supervisor's namespaces. STATE/running
 * holds a directory for every attempt that may have left something, so nothing else is searched.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

bool attempt_is_locked(struct executor *x, const char *attempt)
{
    _cleanup_free_ char *path = xasprintf("%s/lock", attempt);
    _cleanup_close_ int fd = open_beneath_nosymlink(x->attempts_fd, path, O_RDONLY, 0);

    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int sweep_attempt(struct executor *x, const struct id *attempt, struct error *err)
{
    char name[ID_TEXT_LEN + 1];

    id_format(attempt, name);
    if (attempt_is_locked(x, name))
        return error_set(err, -EBUSY, "attempt %s has a supervisor", name);
    cgroup_kill(&x->cgroups, name);
    int r = cgroup_remove(&x->cgroups, name);
    if (r < 0)
        return error_set(err, r, "removing the control groups of %s: %s", name, strerror(-r));
    return remove_tree(x->running_fd, name, err);
}

/* Whoever listens on the attempt's socket is its supervisor: the kernel says its pid. */
static int supervisor_pidfd(struct executor *x, const char *attempt)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct ucred cred = { 0 };
    socklen_t len = sizeof cred;
    _cleanup_close_ int dir =
        open_beneath_nosymlink(x->attempts_fd, attempt, O_PATH | O_DIRECTORY, 0);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (dir < 0 || fd < 0)
        return -ENOENT;

    (void) snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/sock", dir);
    if (connect(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    return cred.uid == 0 && cred.pid > 1 ? pidfd_open_pid(cred.pid) : -ESRCH;
}

int sweep_kill(struct executor *x, const struct id *attempt, struct error *err)
{
    char name[ID_TEXT_LEN + 1];

    id_format(attempt, name);
    if (!attempt_is_locked(x, name))
        return 0;
    _cleanup_close_ int pidfd = supervisor_pidfd(x, name);
    if (pidfd < 0)
        return error_set(err, pidfd, "finding the supervisor of %s: %s", name, strerror(-pidfd));
    int r = pidfd_signal(pidfd, SIGKILL);
    if (r < 0 && r != -ESRCH)
        return error_set(err, r, "ending the supervisor of %s: %s", name, strerror(-r));
    struct pollfd polled = { .fd = pidfd, .events = POLLIN };
    (void) poll(&polled, 1, 5000);
    return 0;
}

static bool is_in(const struct id *id, const struct id *live, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (id_equal(id, &live[i]))
            return true;
    return false;
}

int sweep_all(struct executor *x, const struct id *live, size_t n, struct error *err)
{
    int fd = openat(x->running_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int result = 0;

    if (!dir)
        return error_set(err, -errno, "running: %s", strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        struct id id;
        if (id_parse(e->d_name, &id) < 0 || is_in(&id, live, n))
            continue;
        int r = sweep_kill(x, &id, err);
        if (r >= 0)
            r = sweep_attempt(x, &id, err);
        if (r < 0)
            result = r;
    }
    closedir(dir);
    return result;
}
