/* namespace.c - make network namespaces and step into them and back */
#include "network/internal.h"
#include "os/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>

int network_own(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int namespace_enter(int fd, struct error *err)
{
    if (setns(fd, CLONE_NEWNET) < 0)
        return error_set(err, -errno, "entering a network namespace: %m");
    return 0;
}

void namespace_return(int own_fd)
{
    int r = setns(own_fd, CLONE_NEWNET);
    assert(r == 0);
}

int sysctl_write(const char *name, const char *value)
{
    char path[128];

    (void) snprintf(path, sizeof path, "/proc/sys/%s", name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write_full(fd, value, strlen(value));
}

int sysctl_read_bool(const char *name)
{
    char path[128], c;

    (void) snprintf(path, sizeof path, "/proc/sys/%s", name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &c, 1) < 0)
        return -errno;
    return c != '0';
}

/* What an unprivileged process in a namespace that root owns would miss, and what must not be. */
static int set_up(struct error *err)
{
    static const struct {
        const char *name, *value;
        bool may_fail;
    } settings[] = {
        /* Absent where the kernel has no IPv6. ::1 stays: many programs bind "localhost". */
        { "net/ipv6/conf/default/disable_ipv6", "1", true },
        /* A container's root has no capability over this namespace. */
        { "net/ipv4/ip_unprivileged_port_start", "0", false },
        { "net/ipv4/ping_group_range", "0 2147483647", false },
    };
    struct rtnl rtnl;

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int r = sysctl_write(settings[i].name, settings[i].value);
        if (r < 0 && !(settings[i].may_fail && r == -ENOENT))
            return error_set(err, r, "%s of a network namespace: %s", settings[i].name,
                             strerror(-r));
    }
    int r = rtnl_open(&rtnl);
    if (r < 0)
        return error_set(err, r, "netlink: %s", strerror(-r));
    r = rtnl_link_up(&rtnl, 1); /* lo is always the first */
    rtnl_close(&rtnl);
    return r < 0 ? error_set(err, r, "loopback of a network namespace: %s", strerror(-r)) : 0;
}

int namespace_make(int own_fd, int *ret_fd, struct error *err)
{
    if (unshare(CLONE_NEWNET) < 0)
        return error_set(err, -errno, "making a network namespace: %m");
    int r = set_up(err);
    _cleanup_close_ int fd = network_own();
    namespace_return(own_fd);
    if (r < 0)
        return r;
    if (fd < 0)
        return error_set(err, fd, "opening a network namespace: %s", strerror(-fd));
    *ret_fd = take_fd(&fd);
    return 0;
}
