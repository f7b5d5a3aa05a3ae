/* userns.c - user namespaces that only carry a mapping, for idmapped mounts */
#include "executor/internal.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int write_map(pid_t pid, const char *file, const char *map)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int) pid, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : write_full(fd, map, strlen(map));
}

static int fill(pid_t pid, const char *uids, const char *gids, int *ret_fd)
{
    int r = write_map(pid, "uid_map", uids);
    if (r >= 0)
        r = write_map(pid, "gid_map", gids);
    if (r < 0)
        return r;
    _cleanup_free_ char *path = xasprintf("/proc/%d/ns/user", (int) pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static void add_line(struct text *t, uint32_t inside, const struct userns_map *map)
{
    text_addf(t, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", inside, map->outside, map->count);
}

static int make(const struct userns_map *maps, size_t n, int *ret_fd, struct error *err)
{
    struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void) pause();
    }
    if (pid < 0)
        return error_set(err, -errno, "making a user namespace: %s", strerror(errno));
    _cleanup_text_ struct text uids = { 0 }, gids = { 0 };
    for (size_t i = 0; i < n; i++) {
        add_line(&uids, maps[i].uid, &maps[i]);
        add_line(&gids, maps[i].gid, &maps[i]);
    }
    int r = fill((pid_t) pid, text_str(&uids), text_str(&gids), ret_fd);
    (void) kill((pid_t) pid, SIGKILL);
    (void) waitpid((pid_t) pid, NULL, 0);
    if (r < 0)
        return error_set(err, r, "mapping a user namespace to uid %" PRIu32 ": %s", maps->outside,
                         strerror(-r));
    return 0;
}

int userns_make(const struct userns_map *map, int *ret_fd, struct error *err)
{
    return make(map, 1, ret_fd, err);
}

int userns_make_two(const struct userns_map maps[static 2], int *ret_fd, struct error *err)
{
    return make(maps, 2, ret_fd, err);
}
