/* layers.c - the keeper of unpacked layers: a process that starts a worker for each request
 *
 *     keeper    root, or the account of a step; takes requests, forks a worker for each
 *     worker    the same; makes the directory, starts the unpacker, marks opaque directories, syncs, renames
 *     unpacker  reads the archive. It lives in a user namespace whose uids are nobody's, has no network,
 *               sees no other process, and its root is the new directory
 *
 * A layer appears under its name when it is whole and on the disk, or not at all.
 */
#include "executor/layers.h"

#include "base/alloc.h"
#include "base/map.h"
#include "executor/internal.h"
#include "executor/layer-store.h"
#include "executor/spool.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAYERS_COUNT_MAX = 1000000 };

struct worker {
    pid_t pid;
    uint64_t serial;
};

struct keeper {
    int socket;
    const char *state;
    int layers; /* STATE/layers */
    struct layer_owner owner;
    VEC(struct worker) workers;
};

/* Until this process ends. A collection has the layers for itself: what it removes nobody has just found. */
static int lock_layers(const struct keeper *k, int how)
{
    int fd = openat(k->layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -1 : flock(fd, how);
}

static int unpack(const struct keeper *k, const struct layers_request *request,
                  const int fds[static LAYERS_FDS], struct layers_answer *answer, struct error *err)
{
    _cleanup_free_ char *aside = xasprintf("tmp.%d.%" PRIu64, (int) getppid(), request->serial);
    const struct layer_unpack what = {
        .blob = fds[0],
        .arriving = fds[1],
        .packed_size = request->packed_size,
        .layer = request->layer,
        .limits = { request->entries_max, request->bytes_max, request->ratio_max },
        .owner = k->owner,
    };
    struct unpack_result result = { 0 };

    if (fds[0] < 0)
        return error_set(err, -EINVAL, "unpack: the descriptor is missing");
    if (lock_layers(k, LOCK_SH) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    int r = request->op == LAYERS_CHECK ? layer_check(&what, &result, err)
                                        : layer_make(k->layers, aside, &what, &result, err);
    answer->entries = result.entries;
    answer->bytes = result.bytes;
    return r;
}

/* Left behind by a keeper that died. */
static bool is_leftover(const char *name)
{
    _cleanup_free_ char *mine = xasprintf("tmp.%d.", (int) getppid());

    return str_starts(name, "gone.") || (str_starts(name, "tmp.") && !str_starts(name, mine));
}

static int collect(const struct keeper *k, const struct layers_request *request, int list,
                   struct layers_answer *answer, struct error *err)
{
    size_t n = request->count;
    _cleanup_(map_freep) struct map *keep = map_new();
    char name[SHA256_HEX_LEN + 1];
    struct sha256 sum;

    if (n > LAYERS_COUNT_MAX)
        return error_set(err, -E2BIG, "more than %d layers", LAYERS_COUNT_MAX);
    if (lock_layers(k, LOCK_EX) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    for (size_t i = 0; i < n; i++) {
        if (pread(list, &sum, sizeof sum, (off_t) (i * sizeof sum)) != sizeof sum)
            return error_set(err, -EBADMSG, "the list of layers is too short");
        map_set_str(keep, sha256_format(&sum, name), keep);
    }
    int copy = dup(k->layers);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    rewinddir(dir);
    const struct dirent *entry;
    int r = 0;
    while (r >= 0 && (entry = readdir(dir))) {
        if (is_leftover(entry->d_name))
            r = remove_tree(k->layers, entry->d_name, err);
        if (sha256_parse(entry->d_name, &sum) < 0 || map_get_str(keep, entry->d_name))
            continue;
        r = layer_remove(k->layers, entry->d_name, err);
        answer->entries += r > 0;
        answer->bytes += r == 0;
    }
    (void) closedir(dir);
    return r;
}

static _Noreturn void worker_main(const struct keeper *k, const struct layers_request *request,
                                  const int fds[static LAYERS_FDS])
{
    struct layers_answer answer = { .serial = request->serial };
    struct error err = { 0 };
    int r;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    switch ((enum layers_op) request->op) {
    case LAYERS_UNPACK:
    case LAYERS_CHECK:
        r = unpack(k, request, fds, &answer, &err);
        break;
    case LAYERS_COLLECT:
        r = collect(k, request, fds[0], &answer, &err);
        break;
    case LAYERS_SHED:
        r = layers_shed(k->layers,
                        request->bytes_max < 0 ? layers_bytes_max(k->layers, 0)
                                               : request->bytes_max,
                        LAYERS_MIN_AGE_S, &err);
        break;
    case LAYERS_SWEEP:
        r = spool_sweep(k->state, request->bytes_max, &err);
        break;
    case LAYERS_LOOK: /* needs no worker */
    default:
        r = error_set(&err, -EINVAL, "there is no request %u", request->op);
    }
    answer.code = r < 0 ? r : 0;
    (void) snprintf(answer.text, sizeof answer.text, "%s",
                    r >= 0        ? ""
                    : err.text[0] ? err.text
                                  : strerror(-r));
    _exit(send(k->socket, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer);
}

/* ---- the keeper ---- */

static void fail(const struct keeper *k, uint64_t serial, const char *text)
{
    struct layers_answer answer = { .serial = serial, .code = -EIO };

    (void) snprintf(answer.text, sizeof answer.text, "%s", text);
    (void) send(k->socket, &answer, sizeof answer, MSG_NOSIGNAL);
}

/* A worker that ended well has answered. */
static void reap(struct keeper *k)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < k->workers.len; i++) {
            if (k->workers.items[i].pid != pid)
                continue;
            if (status != 0)
                fail(k, k->workers.items[i].serial, "the worker for layers was ended");
            vec_remove(&k->workers, i);
            break;
        }
}

/* Too little for a worker: tasks ask for each layer of their images. */
static void look(const struct keeper *k, const struct layers_request *request)
{
    struct layers_answer answer = { .serial = request->serial };

    answer.code = layer_touch(k->layers, &request->layer) ? 0 : -ENOENT;
    (void) send(k->socket, &answer, sizeof answer, MSG_NOSIGNAL);
}

static void obey(struct keeper *k, const struct layers_request *request,
                 const int fds[static LAYERS_FDS])
{
    if (request->op == LAYERS_LOOK) {
        look(k, request);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        worker_main(k, request, fds);
    }
    if (pid < 0) {
        fail(k, request->serial, strerror(errno));
        return;
    }
    struct worker worker = { pid, request->serial };
    vec_push(&k->workers, worker);
}

/* 0 at the end of the socket. */
static int receive(int socket, struct layers_request *ret, int ret_fds[static LAYERS_FDS])
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(LAYERS_FDS * sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = ret, .iov_len = sizeof *ret };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };

    for (size_t i = 0; i < LAYERS_FDS; i++)
        ret_fds[i] = -1;
    ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    if (n == 0)
        return 0;
    return n == sizeof *ret && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 1 : -EBADMSG;
}

static void serve(struct keeper *k, int signals)
{
    struct pollfd polled[2] = { { .fd = k->socket, .events = POLLIN },
                                { .fd = signals, .events = POLLIN } };

    for (;;) {
        struct signalfd_siginfo info;
        struct layers_request request;
        int fds[LAYERS_FDS] = { -1, -1 };

        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return;
        if (polled[1].revents && read(signals, &info, sizeof info) > 0)
            reap(k);
        if (!polled[0].revents)
            continue;
        int r = receive(k->socket, &request, fds);
        if (r == 0 || r == -ECONNRESET)
            return;
        if (r > 0)
            obey(k, &request, fds);
        for (size_t i = 0; i < LAYERS_FDS; i++)
            safe_close(fds[i]);
    }
}

static int open_layers(const char *state, bool one_owner, int *ret, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/layers", state);

    /* Nobody else looks into it: modes and owners within are the images'. */
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    *ret = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret < 0 || (!one_owner && fchown(*ret, 0, 0) < 0) || fchmod(*ret, 0700) < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    directory_spread(*ret);
    return 0;
}

static _Noreturn void keeper_main(struct keeper *k)
{
    sigset_t child;

    (void) setsid();
    (void) umask(022);
    (void) prctl(PR_SET_NAME, "berth-layers", 0, 0, 0);
    (void) signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void) sigprocmask(SIG_BLOCK, &child, NULL);
    serve(k, signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    vec_foreach(&k->workers, worker)
        (void) kill(worker->pid, SIGKILL);
    _exit(0);
}

int layers_start(const char *state, bool one_owner, int *ret_fd, pid_t *ret_pid, struct error *err)
{
    struct keeper k = { .state = state,
                        .layers = -1,
                        .owner = one_owner ? layer_owner_account : layer_owner_range };
    int pair[2];

    int r = open_layers(state, one_owner, &k.layers, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        safe_close(pair[0]);
        k.socket = pair[1];
        keeper_main(&k);
    }
    r = pid < 0 ? error_set(err, -errno, "layers: %s", strerror(errno)) : 0;
    safe_close(pair[1]);
    safe_close(k.layers);
    if (r >= 0)
        r = set_nonblock(pair[0], true);
    if (r < 0) {
        safe_close(pair[0]);
        return r;
    }
    *ret_fd = pair[0];
    *ret_pid = pid;
    return 0;
}
