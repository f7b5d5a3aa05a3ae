/* port.c - sockets made inside another network namespace
 *
 * A socket keeps the namespace in which it was made, so two setns() around socket() are all that
 * a relay needs; the namespace needs neither a leg nor a route.
 */
#include "network/internal.h"
#include "os/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

static int socket_inside(int own_fd, int netns_fd, int family)
{
    int r = netns_fd < 0 ? 0 : namespace_enter(netns_fd, NULL);
    if (r < 0)
        return r;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = -errno;
    if (netns_fd >= 0)
        namespace_return(own_fd);
    return fd;
}

/* Over loopback yes or no comes within microseconds, from the same core. Only a full backlog is
 * silent: then the caller waits, not we. */
#define ANSWER_MS 10

static int answer(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t len = sizeof error;

    if (poll(&p, 1, ANSWER_MS) != 1)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

static int connect_inside(int own_fd, int netns_fd, const struct sockaddr *address, socklen_t len)
{
    _cleanup_close_ int fd = -1;

    int r = socket_inside(own_fd, netns_fd, address->sa_family);
    if (r < 0)
        return r;
    fd = r;
    if (connect(fd, address, len) < 0 && errno != EINPROGRESS)
        return -errno;
    r = answer(fd);
    return r < 0 ? r : take_fd(&fd);
}

int network_port_connect(int own_fd, int netns_fd, uint16_t port)
{
    const struct sockaddr_in v4 = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                                     .sin6_port = htons(port),
                                     .sin6_addr = IN6ADDR_LOOPBACK_INIT };

    int fd = connect_inside(own_fd, netns_fd, (const struct sockaddr *) &v4, sizeof v4);
    if (fd != -ECONNREFUSED)
        return fd;
    fd = connect_inside(own_fd, netns_fd, (const struct sockaddr *) &v6, sizeof v6);
    return fd >= 0 ? fd : -ECONNREFUSED;
}
