/* launcher.c - the root process that does what the server may not
 *
 * It is forked before the server has threads, listens to one socket pair and ends with it. Requests
 * have a fixed size and name things by ids and numbers only; paths are made here.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define IDS_MAX     1000000
#define SOCKET_SIZE (4 << 20) /* starts that wait */
enum { ANSWERED_LATER = 1 };

#define SPARES_MS 10000 /* without a start or an end, unused networks are let go */

struct received {
    struct launcher_request request;
    int fds[2];
};

static void close_received(struct received *in)
{
    in->fds[0] = safe_close(in->fds[0]);
    in->fds[1] = safe_close(in->fds[1]);
}

static void take_descriptors(struct msghdr *msg, struct received *in)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fds[4] = { -1, -1, -1, -1 };

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return;
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(c), (n < 4 ? n : 4) * sizeof(int));
    in->fds[0] = fds[0];
    in->fds[1] = fds[1];
    safe_close(fds[2]);
    safe_close(fds[3]);
}

/* 0 at the end of the socket, 1 with a request, negative errno for a packet of another form. */
static int receive(int socket, struct received *ret)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = &ret->request, .iov_len = sizeof ret->request };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };

    ret->fds[0] = ret->fds[1] = -1;
    ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    take_descriptors(&msg, ret);
    if (n == 0)
        return 0;
    return n == sizeof ret->request && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 1 : -EBADMSG;
}

static int sweep(struct executor *x, const struct received *in, struct error *err)
{
    size_t n = in->request.count;

    if (n > IDS_MAX)
        return error_set(err, -E2BIG, "more than %d attempts", IDS_MAX);
    _cleanup_free_ struct id *live = xnew_n(struct id, n + 1);
    if (n && pread(in->fds[0], live, n * sizeof *live, 0) != (ssize_t) (n * sizeof *live))
        return error_set(err, -EBADMSG, "the list of attempts is too short");
    int r = sweep_all(x, live, n, err);
    int network = sweep_networks(x, live, n, r < 0 ? NULL : err);
    return r < 0 ? r : network;
}

static int start(struct executor *x, const struct received *in, struct error *err)
{
    bool token = in->request.flags & LAUNCHER_HAS_TOKEN;

    if (in->fds[0] < 0 || (token && in->fds[1] < 0))
        return error_set(err, -EINVAL, "start: descriptors are missing");
    return launch_start(x, &in->request, in->fds[0], in->fds[1], err);
}

static int obey(struct executor *x, const struct received *in, struct error *err)
{
    int r = launcher_request_check(&in->request, x->uid_first, err);
    if (r < 0)
        return r;
    switch ((enum launcher_op) in->request.op) {
    case LAUNCHER_START:
        return start(x, in, err);
    case LAUNCHER_KILL:
        r = sweep_kill(x, &in->request.attempt, err);
        return r < 0 ? r : sweep_attempt(x, &in->request.attempt, err);
    case LAUNCHER_CLEAN:
        return sweep_attempt(x, &in->request.attempt, err);
    case LAUNCHER_SWEEP:
        return sweep(x, in, err);
    case LAUNCHER_DELETE:
        return delete_leftover(x, &in->request, err);
    case LAUNCHER_SLURM:
        r = account_order(x, in->request.serial, in->fds[0], in->fds[1], err);
        return r < 0 ? r : ANSWERED_LATER;
    }
    return error_set(err, -EINVAL, "there is no request %u", in->request.op);
}

static void answer(struct executor *x, const struct received *in, int code, const struct error *err)
{
    struct launcher_answer out = { .op = in->request.op,
                                   .code = code < 0 ? code : 0,
                                   .serial = in->request.serial,
                                   .attempt = in->request.attempt,
                                   .workload = in->request.workload };

    if (code < 0)
        (void) snprintf(out.text, sizeof out.text, "%s",
                        err->text[0] ? err->text : strerror(-code));
    while (send(x->socket, &out, sizeof out, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void serve_one(struct executor *x, const struct received *in)
{
    struct error err = { 0 };
    int r = obey(x, in, &err);

    if (r != ANSWERED_LATER)
        answer(x, in, r, &err);
}

static void reap(struct executor *x)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == x->remover)
            trash_removed(x);
        else if (!account_ended(x, pid, status))
            launch_ended(x, pid);
}

static void serve(struct executor *x, int signals)
{
    struct pollfd polled[2] = { { .fd = x->socket, .events = POLLIN },
                                { .fd = signals, .events = POLLIN } };

    for (;;) {
        struct received in;
        struct signalfd_siginfo info;

        int n = poll(polled, 2, network_has_spares(x->network) ? SPARES_MS : -1);
        if (n < 0 && errno != EINTR)
            return;
        if (n == 0)
            network_drop_spares(x->network);
        if (polled[1].revents && read(signals, &info, sizeof info) > 0)
            reap(x);
        if (!polled[0].revents)
            continue;
        int r = receive(x->socket, &in);
        if (r == 0 || r == -ECONNRESET)
            return;
        if (r > 0)
            serve_one(x, &in);
        close_received(&in);
    }
}

/* ---- start ---------------------------------------------------------------------------------------- */

static int open_directory(const char *base, const char *name, mode_t mode, int *ret_fd,
                          struct error *err)
{
    _cleanup_free_ char *path = name ? xasprintf("%s/%s", base, name) : xstrdup(base);
    int r = mkdir_all(AT_FDCWD, path, mode, err);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    *ret_fd = fd;
    return 0;
}

static int open_directories(struct executor *x, struct error *err)
{
    struct stat st;

    int r = open_directory(x->state, NULL, 0711, &x->state_fd, err);
    if (r < 0)
        return r;
    if (fstat(x->state_fd, &st) < 0)
        return error_set(err, -errno, "%s: %s", x->state, strerror(errno));
    x->owner = st.st_uid;
    x->group = st.st_gid;
    r = open_directory(x->state, "attempts", 0711, &x->attempts_fd, err);
    if (r >= 0 && fchown(x->attempts_fd, x->owner, x->group) < 0)
        r = error_set(err, -errno, "attempts: %s", strerror(errno));
    if (r >= 0)
        r = open_directory(x->state, "running", 0711, &x->running_fd, err);
    if (r >= 0)
        r = open_directory(x->state, "trash", 0700, &x->trash_fd, err);
    if (r >= 0) {
        directory_spread(x->attempts_fd);
        directory_spread(x->running_fd);
    }
    if (r >= 0)
        r = mkdir_all(AT_FDCWD, x->bundle, 0711, err);
    return r;
}

/* A driver that is half there must not keep the machine from its other work. */
static void describe_nvidia(const struct executor *x)
{
    _cleanup_free_ char *path = NULL;
    struct error err = { 0 };

    if (nvidia_spec_write(x->driver_root, x->cdi, &path, &err) < 0)
        log_warn("NVIDIA's GPUs cannot be given to containers", "why", err.text);
    else if (path)
        log_info("wrote a CDI specification of NVIDIA's GPUs: there was none", "path", path);
}

static int prepare(struct executor *x, const struct network_settings *network, struct error *err)
{
    _cleanup_free_ char *mounted = NULL;
    struct stat st;

    int r = open_directories(x, err);
    if (r >= 0)
        r = cgroups_probe(&x->cgroups, &mounted, err);
    if (r >= 0)
        r = cgroups_join_supervisors(&x->cgroups, err);
    if (r >= 0 && fstat(x->state_fd, &st) == 0)
        cgroups_count_io(&x->cgroups, st.st_dev);
    if (r >= 0)
        r = network_new(network, &x->network, err);
    if (r < 0)
        return r;
    if (mounted)
        log_info("mounted as cgroup v1 what nobody used in v2: crun cannot work with both",
                 "controllers", mounted);
    x->seccomp = seccomp_compile();
    crun_refresh(&x->crun);
    describe_nvidia(x);
    return 0;
}

static _Noreturn void launcher_main(struct executor *x, const struct network_settings *network)
{
    struct error err = { 0 };
    sigset_t child;

    pid_t server = getppid();
    (void) setsid();
    (void) prctl(PR_SET_NAME, "berth-launcher", 0, 0, 0);
    (void) signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void) sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);

    int r = prepare(x, network, &err);
    struct launcher_answer ready = { .code = r < 0 ? r : 0 };
    (void) snprintf(ready.text, sizeof ready.text, "%s", r < 0 ? err.text : "");
    (void) send(x->socket, &ready, sizeof ready, MSG_NOSIGNAL);
    if (r >= 0) {
        trash_remove(x);
        serve(x, signals);
        trash_stop(x);
    }
    /* What runs goes on; the rest of the machine is as it was. A server that ends well waits for that, and so
     * does the next one; where it was killed, the next one may begin attempts at this moment and sweeps
     * itself. */
    if (r >= 0 && getppid() == server)
        sweep_networks_at_end(x);
    _exit(r < 0);
}

int launcher_start(const struct executor_settings *settings, int *ret_fd, pid_t *ret_pid,
                   struct error *err)
{
    struct network_settings network = { .runtime = settings->runtime,
                                        .pool = settings->pool,
                                        .blocked = settings->blocked,
                                        .dns = settings->dns };
    struct launcher_answer ready = { 0 };
    int pair[2], size = SOCKET_SIZE;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "launcher: %s", strerror(errno));
    (void) setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    (void) setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);

    pid_t pid = fork();
    if (pid == 0) {
        struct executor x = { .mode = &mode_machine,
                              .state = xstrdup(settings->state),
                              .runtime = xstrdup(settings->runtime),
                              .bundle = xasprintf("%s/bundle", settings->runtime),
                              .uid_first = settings->uid_first,
                              .image_options = { .root = "/",
                                                 .show_opt = settings->image_opt,
                                                 .state = settings->state },
                              .crun = { .fd = -1 },
                              .cdi = settings->cdi,
                              .storage = settings->storage,
                              .slurm = settings->slurm,
                              .slurm_group = settings->slurm_group,
                              .driver_root = settings->driver_root,
                              .socket = pair[1] };
        safe_close(pair[0]);
        launcher_main(&x, &network);
    }
    int r = pid < 0 ? -errno : 0;
    safe_close(pair[1]);
    if (r >= 0 && recv(pair[0], &ready, sizeof ready, 0) != sizeof ready)
        r = -EPIPE;
    if (r >= 0)
        r = ready.code;
    if (r >= 0)
        r = set_nonblock(pair[0], true);
    if (r < 0) {
        safe_close(pair[0]);
        return error_set(err, r, "launcher: %s", ready.text[0] ? ready.text : strerror(-r));
    }
    *ret_fd = pair[0];
    *ret_pid = pid;
    return 0;
}
