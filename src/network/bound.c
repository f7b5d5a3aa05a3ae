/* bound.c - network namespaces that a file keeps, so that who comes later finds them */
#include "network/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>

int bound_open(const char *path)
{
    struct statfs fs;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    return fs.f_type == NSFS_MAGIC ? take_fd(&fd) : -ENOENT;
}

static int make(const struct network *network, const char *path, struct error *err)
{
    char source[64];
    _cleanup_close_ int ns = -1;
    _cleanup_close_ int file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0)
        return error_set(err, -errno, "making %s: %m", path);
    int r = namespace_make(network->own, &ns, err);
    if (r < 0)
        return r;
    (void) snprintf(source, sizeof source, "/proc/self/fd/%d", ns);
    if (mount(source, path, NULL, MS_BIND, NULL) < 0)
        return error_set(err, -errno, "keeping the network namespace at %s: %m", path);
    return take_fd(&ns);
}

int bound_open_or_make(const struct network *network, const char *path, bool *ret_made,
                       struct error *err)
{
    int fd = bound_open(path);

    *ret_made = fd == -ENOENT;
    if (fd == -ENOENT)
        return make(network, path, err);
    return fd < 0 ? error_set(err, fd, "opening %s: %s", path, strerror(-fd)) : fd;
}

int bound_detach(const char *path, struct error *err)
{
    return umount2(path, MNT_DETACH) < 0 ? error_set(err, -errno, "releasing %s: %m", path) : 0;
}

int bound_remove(const char *path, struct error *err)
{
    for (int fd; (fd = bound_open(path)) >= 0;) {
        (void) safe_close(fd);
        int r = bound_detach(path, err);
        if (r < 0)
            return r;
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(err, -errno, "removing %s: %m", path);
    return 0;
}
