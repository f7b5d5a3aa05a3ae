/* door.c - the launcher of a node, for processes in steps of a batch system
 *
 * The launcher itself listens to nobody but who forked it. This process holds that end, without any
 * privilege, and hands on what the one account that owns STATE asks: LAUNCHER_START, for the asking process
 * and no other, and layers of images. The launcher checks every request again.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/fd.h"
#include "os/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASKER_S = 2, BACKLOG = 128, ASKED_MAX = 256 };

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

/* A task, for the asking process and no other; only -EPIPE is the launcher's end. */
static int start_task(const struct door *door, int asker, pid_t pid,
                      struct launcher_request *request, const int fds[static 2], struct error *err)
{
    struct launcher_answer answer = { .op = LAUNCHER_START };
    int r = 0;

    request->flags |= LAUNCHER_STEP;
    request->pid = (uint32_t) pid;
    if (request->op != LAUNCHER_START || fds[0] < 0 || fds[1] < 0)
        refuse(&answer, -EPERM, "a step may only start its task");
    else
        r = ask_launcher(door, request, fds, &answer, err);
    (void) send(asker, &answer, sizeof answer, MSG_NOSIGNAL);
    return r;
}

/* ---- layers ------------------------------------------------------------------------------------------- */

/* Who waits for the keeper: that takes as long as a layer has bytes, and others must not wait for it. */
struct asked {
    uint64_t serial;
    int asker;
};

struct desk {
    const struct door *door;
    uint64_t serial;
    VEC(struct asked) asked;
};

static void answer_layers(int asker, int code, const char *text)
{
    struct layers_answer answer = { .code = code };

    (void) snprintf(answer.text, sizeof answer.text, "%s", text);
    (void) send(asker, &answer, sizeof answer, MSG_NOSIGNAL);
}

/* What a layer may be and how many are kept is this machine's to say. False: a step may not ask that. */
static bool limit_layers(const struct door_limits *limits, struct layers_request *request)
{
    bool hard = request->bytes_max == 0;

    switch ((enum layers_op) request->op) {
    case LAYERS_LOOK:
        return true;
    case LAYERS_SHED:
        request->bytes_max = hard ? 0 : limits->layers_max > 0 ? limits->layers_max : -1;
        return true;
    case LAYERS_SWEEP:
        request->bytes_max = limits->spool_max > 0 ? limits->spool_max : -1;
        return true;
    case LAYERS_UNPACK:
        request->entries_max = limits->entries_max;
        request->bytes_max = limits->bytes_max;
        request->ratio_max = limits->ratio_max;
        return true;
    case LAYERS_COLLECT:
    case LAYERS_CHECK:
        break;
    }
    return false;
}

static void ask_keeper(struct desk *desk, int asker, struct layers_request *request,
                       const int fds[static 2])
{
    bool unpack = request->op == LAYERS_UNPACK;
    int keeper = desk->door->keeper, r = 0;

    request->serial = ++desk->serial;
    if (!limit_layers(&desk->door->limits, request) || unpack != (fds[0] >= 0 && fds[1] >= 0))
        r = -EPERM;
    else if (desk->asked.len >= ASKED_MAX)
        r = -EBUSY;
    else if (unpack)
        r = packet_send(keeper, request, sizeof *request, fds, 2);
    else if (send(keeper, request, sizeof *request, MSG_NOSIGNAL) < 0)
        r = -errno;
    int copy = r < 0 ? -1 : fcntl(asker, F_DUPFD_CLOEXEC, 0);
    struct asked asked = { request->serial, copy };
    if (r < 0)
        answer_layers(asker, r, r == -EPERM ? "a step may not ask that" : strerror(-r));
    else
        vec_push(&desk->asked, asked);
}

static void hear_keeper(struct desk *desk)
{
    struct layers_answer answer;

    while (recv(desk->door->keeper, &answer, sizeof answer, MSG_DONTWAIT) == sizeof answer)
        for (size_t i = 0; i < desk->asked.len; i++) {
            if (desk->asked.items[i].serial != answer.serial)
                continue;
            (void) send(desk->asked.items[i].asker, &answer, sizeof answer, MSG_NOSIGNAL);
            safe_close(desk->asked.items[i].asker);
            vec_remove(&desk->asked, i);
            break;
        }
}

/* ---- one after the other -------------------------------------------------------------------------------- */

union asks {
    struct launcher_request task;
    struct layers_request layers;
};
_Static_assert(sizeof(struct launcher_request) != sizeof(struct layers_request),
               "a request is known by its length");

static void forget_fds(int fds[static 2])
{
    fds[0] = safe_close(fds[0]);
    fds[1] = safe_close(fds[1]);
}

static int serve_one(struct desk *desk, int fd, struct error *err)
{
    union asks asks = { 0 };
    int fds[2] = { -1, -1 }, r = 0;
    pid_t pid = 0;

    if (greet(desk->door, fd, &pid) < 0)
        return 0;
    ssize_t len = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
    if (len <= 0)
        return 0;
    bool layers = len == sizeof asks.layers;
    int n = packet_receive(fd, &asks, layers ? sizeof asks.layers : sizeof asks.task, fds, 2);
    if (n < 0) {
        struct launcher_answer answer = { .op = LAUNCHER_START };
        refuse(&answer, n, "the request is not of the form that this launcher knows");
        (void) send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
    } else if (n > 0 && layers) {
        ask_keeper(desk, fd, &asks.layers, fds);
    } else if (n > 0) {
        r = start_task(desk->door, fd, pid, &asks.task, fds, err);
    }
    forget_fds(fds);
    return r;
}

static int serve(struct desk *desk, struct error *err)
{
    struct pollfd polled[3] = { { .fd = desk->door->listener, .events = POLLIN },
                                { .fd = desk->door->launcher, .events = POLLIN },
                                { .fd = desk->door->keeper, .events = POLLIN } };
    int r = 0;

    while (r >= 0) {
        if (poll(polled, 3, -1) < 0 && errno != EINTR)
            return error_set(err, -errno, "waiting: %s", strerror(errno));
        if (polled[1].revents || (polled[2].revents & (POLLHUP | POLLERR)))
            return error_set(err, -EPIPE, "the launcher has ended");
        if (polled[2].revents)
            hear_keeper(desk);
        if (!polled[0].revents)
            continue;
        _cleanup_close_ int fd = accept4(desk->door->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            r = serve_one(desk, fd, err);
    }
    return r;
}

int door_serve(const struct door *door, struct error *err)
{
    struct desk desk = { .door = door };
    int r = serve(&desk, err);

    vec_foreach(&desk.asked, asked)
        safe_close(asked->asker);
    vec_done(&desk.asked);
    return r;
}
