/* door.c - the launcher of a node, for processes in steps of a batch system
 *
 * The launcher itself listens to nobody but who forked it. This process holds that end, without any
 * privilege, and hands on what the one account that owns STATE asks: LAUNCHER_START, for the asking process
 * and no other. The launcher checks every request again.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/packet.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASKER_S = 2, BACKLOG = 128 };

int door_listen(const char *path, uid_t uid, gid_t gid, struct error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, -ENAMETOOLONG, "socket path %s is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    (void) unlink(path);
    if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        chmod(path, 0600) < 0 || chown(path, uid, gid) < 0 || listen(fd, BACKLOG) < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    return take_fd(&fd);
}

/* Nobody keeps others waiting. */
static int greet(const struct door *door, int fd, pid_t *ret_pid)
{
    struct ucred cred = { .uid = (uid_t) -1 };
    socklen_t len = sizeof cred;
    struct timeval patience = { .tv_sec = ASKER_S };
    struct launcher_hello hello = { 0 };

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    if (cred.uid != door->owner && cred.uid != 0)
        return -EPERM;
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void) snprintf(hello.state, sizeof hello.state, "%s", door->state);
    *ret_pid = cred.pid;
    return send(fd, &hello, sizeof hello, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int ask_launcher(const struct door *door, const struct launcher_request *request,
                        const int fds[static 2], struct launcher_answer *ret, struct error *err)
{
    struct pollfd polled = { .fd = door->launcher, .events = POLLIN };
    int r = packet_send(door->launcher, request, sizeof *request, fds, 2);

    if (r < 0)
        return error_set(err, r, "asking the launcher: %s", strerror(-r));
    do
        r = poll(&polled, 1, -1);
    while (r < 0 && errno == EINTR);
    if (recv(door->launcher, ret, sizeof *ret, 0) != sizeof *ret)
        return error_set(err, -EPIPE, "the launcher has ended");
    return 0;
}

static void refuse(struct launcher_answer *answer, int code, const char *text)
{
    answer->code = code;
    (void) snprintf(answer->text, sizeof answer->text, "%s", text);
}

/* One request of one process; only -EPIPE is the launcher's end. */
static int serve_one(const struct door *door, int fd, struct error *err)
{
    struct launcher_request request = { 0 };
    struct launcher_answer answer = { .op = LAUNCHER_START };
    int fds[2] = { -1, -1 }, r = 0;
    pid_t pid = 0;

    if (greet(door, fd, &pid) < 0)
        return 0;
    int n = packet_receive(fd, &request, sizeof request, fds, 2);
    if (n == 0)
        return 0;
    request.flags |= LAUNCHER_STEP;
    request.pid = (uint32_t) pid;
    if (n < 0)
        refuse(&answer, n, "the request is not of the form that this launcher knows");
    else if (request.op != LAUNCHER_START || fds[0] < 0 || fds[1] < 0)
        refuse(&answer, -EPERM, "a step may only start its task");
    else
        r = ask_launcher(door, &request, fds, &answer, err);
    (void) send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
    safe_close(fds[0]);
    safe_close(fds[1]);
    return r;
}

int door_serve(const struct door *door, struct error *err)
{
    struct pollfd polled[2] = { { .fd = door->listener, .events = POLLIN },
                                { .fd = door->launcher, .events = POLLIN } };
    int r = 0;

    while (r >= 0) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return error_set(err, -errno, "waiting: %s", strerror(errno));
        if (polled[1].revents)
            return error_set(err, -EPIPE, "the launcher has ended");
        if (!polled[0].revents)
            continue;
        _cleanup_close_ int fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            r = serve_one(door, fd, err);
    }
    return r;
}
