/* packet.c - packets with descriptors over SOCK_SEQPACKET */
#include "os/packet.h"

#include "os/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
};

int packet_send(int socket, const void *bytes, size_t len, const int *fds, unsigned n)
{
    union control control = { 0 };
    struct iovec iov = { .iov_base = (void *) (uintptr_t) bytes, .iov_len = len };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = CMSG_SPACE(n * sizeof *fds) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    ssize_t sent;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof *fds);
    memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
    do
        sent = sendmsg(socket, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void take(const struct msghdr *msg, int *fds, unsigned n)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int all[PACKET_FDS_MAX] = { 0 };

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(all, CMSG_DATA(c), count * sizeof(int));
    for (size_t i = 0; i < count; i++)
        if (i < n)
            fds[i] = all[i];
        else
            safe_close(all[i]);
}

int packet_receive(int socket, void *bytes, size_t len, int *fds, unsigned n)
{
    union control control = { 0 };
    struct iovec iov = { .iov_base = bytes, .iov_len = len };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;

    for (unsigned i = 0; i < n; i++)
        fds[i] = -1;
    do
        got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    take(&msg, fds, n);
    if (got == 0)
        return 0;
    return (size_t) got == len && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 1 : -EBADMSG;
}

int packet_connect(int dir, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    (void) snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir, name);
    if (connect(fd, (const struct sockaddr *) &address, sizeof address) < 0)
        return -errno;
    return take_fd(&fd);
}
