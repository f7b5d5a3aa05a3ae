/* layers.c - the keeper of unpacked layers: a root process that starts a worker for each request
 *
 *     keeper    root; takes requests, forks a worker for each
 *     worker    root; makes the directory, starts the unpacker, marks opaque directories, syncs, renames
 *     unpacker  reads the archive. It lives in a user namespace whose uids are nobody's, has no network,
 *               sees no other process, and its root is the new directory
 *
 * A layer appears under its name when it is whole and on the disk, or not at all.
 */
#include "executor/layers.h"

#include "base/alloc.h"
#include "base/map.h"
#include "executor/internal.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { LAYERS_COUNT_MAX = 1000000, OPAQUE_BYTES_MAX = 64 << 20 };

struct worker {
    pid_t pid;
    uint64_t serial;
};

struct keeper {
    int socket;
    int layers; /* STATE/layers */
    VEC(struct worker) workers;
};

/* What the unpacker leaves in shared memory. */
struct report {
    int32_t code;
    struct unpack_result result;
    char text[232];
};

/* ---- the unpacker ---- */

struct unpacker {
    int blob, arriving, root, report, go; /* GO: readable when the uids are mapped */
    const struct layers_request *request;
    size_t opaque_len;
    bool opaque_lost;
};

static void on_opaque(void *userdata, const char *path)
{
    struct unpacker *u = userdata;
    size_t n = strlen(path) + 1;
    off_t at = (off_t) (sizeof(struct report) + u->opaque_len);

    if (u->opaque_len + n <= OPAQUE_BYTES_MAX)
        u->opaque_lost |= pwrite(u->report, path, n, at) != (ssize_t) n;
    u->opaque_len += n;
}

/* No way back, and nothing to be had: no capability beyond what files need, no more than the one thread
 * beside this one. */
static int shut_in(const struct unpacker *u, struct error *err)
{
    static const struct {
        int which;
        rlim_t value;
    } limits[] = {
        { RLIMIT_NPROC, 2 },
        { RLIMIT_CORE, 0 },
#ifndef __SANITIZE_ADDRESS__ /* it maps terabytes that it does not use */
        { RLIMIT_AS, (rlim_t) 1 << 30 },
#endif
    };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        (void) setrlimit(limits[i].which, &(struct rlimit){ limits[i].value, limits[i].value });
    if (u->root >= 0 && (fchdir(u->root) < 0 || chroot(".") < 0))
        return error_set(err, -errno, "entering the layer: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set(err, -errno, "giving up privileges: %s", strerror(errno));
    return 0;
}

static _Noreturn void unpacker_main(struct unpacker *u)
{
    const struct unpack_options options = {
        .blob = u->blob,
        .arriving = u->arriving,
        .packed_size = u->request->packed_size,
        .root = u->root,
        .layer = u->request->layer,
        .limits = { u->request->entries_max, u->request->bytes_max, u->request->ratio_max },
        .opaque = on_opaque,
        .userdata = u,
    };
    struct report report = { 0 };
    struct error err = { 0 };
    char byte;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) prctl(PR_SET_NAME, "berth-unpack", 0, 0, 0);
    int r = image_unpack_prepare(&err);
    if (r >= 0 && read(u->go, &byte, 1) != 1)
        _exit(1);
    if (r >= 0 && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        r = error_set(&err, -errno, "becoming the owner of layers: %s", strerror(errno));
    (void) umask(0);
    if (r >= 0)
        r = shut_in(u, &err);
    if (r >= 0)
        r = image_unpack(&options, &report.result, &err);
    if (r >= 0 && (u->opaque_lost || u->opaque_len > OPAQUE_BYTES_MAX))
        r = error_set(&err, -E2BIG, "it has too many opaque directories");
    report.code = r < 0 ? r : 0;
    (void) snprintf(report.text, sizeof report.text, "%s", r < 0 ? err.text : "");
    _exit(pwrite(u->report, &report, sizeof report, 0) != sizeof report);
}

static int write_map(pid_t pid, const char *file)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int) pid, file);
    _cleanup_free_ char *map = xasprintf("0 %" PRIu32 " %" PRIu32, LAYERS_UID, UIDS_PER_PROJECT);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : write_full(fd, map, strlen(map));
}

/* Run it to its end. */
static int run_unpacker(struct unpacker *u, struct error *err)
{
    struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS |
                                        CLONE_NEWIPC | CLONE_NEWUTS,
                               .exit_signal = SIGCHLD };
    int pipe_fds[2], status = 0;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set(err, -errno, "unpacking: %s", strerror(errno));
    u->go = pipe_fds[0];
    pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        safe_close(pipe_fds[1]);
        unpacker_main(u);
    }
    int r = pid < 0 ? -errno : write_map(pid, "uid_map");
    if (r >= 0)
        r = write_map(pid, "gid_map");
    if (r >= 0)
        r = write_full(pipe_fds[1], "", 1);
    safe_close(pipe_fds[0]);
    safe_close(pipe_fds[1]);
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    if (r < 0)
        return error_set(err, r, "unpacking in a user namespace: %s", strerror(-r));
    if (status != 0)
        return error_set(err, -EIO, "the unpacker ended with %s %d",
                         WIFSIGNALED(status) ? "signal" : "code",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}

/* ---- the worker ---- */

/* The marks that only the overlay's owner may set. PATHS are the archive's. */
static int mark_opaque(int layer, const char *paths, size_t len, struct error *err)
{
    for (size_t at = 0; at < len; at += strnlen(paths + at, len - at) + 1) {
        const char *path = paths[at] ? paths + at : ".";
        _cleanup_close_ int fd = open_beneath_nosymlink(layer, path, O_RDONLY | O_DIRECTORY, 0);
        if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
            continue; /* replaced later in the layer */
        if (fd < 0 || fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
            return error_set(err, fd < 0 ? fd : -errno, "%.100s: marking it opaque: %s", path,
                             strerror(fd < 0 ? -fd : errno));
    }
    return 0;
}

static int read_report(int fd, int layer, struct layers_answer *answer, struct error *err)
{
    struct report report;
    struct stat st;

    if (fstat(fd, &st) < 0 || pread(fd, &report, sizeof report, 0) != sizeof report)
        return error_set(err, -EIO, "the unpacker left no report");
    answer->entries = report.result.entries;
    answer->bytes = report.result.bytes;
    report.text[sizeof report.text - 1] = '\0';
    if (report.code < 0)
        return error_set(err, report.code, "%s", report.text);
    size_t len = (size_t) st.st_size - sizeof report;
    if (layer < 0 || len == 0 || len > OPAQUE_BYTES_MAX)
        return 0;
    _cleanup_free_ char *paths = xnew_n(char, len + 1);
    if (pread(fd, paths, len, sizeof report) != (ssize_t) len)
        return error_set(err, -EIO, "the unpacker's report is too short");
    return mark_opaque(layer, paths, len, err);
}

static int make_aside(const struct keeper *k, const char *aside, int *ret, struct error *err)
{
    if (mkdirat(k->layers, aside, 0755) < 0 ||
        fchownat(k->layers, aside, LAYERS_UID, LAYERS_UID, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, -errno, "layers/%s: %s", aside, strerror(errno));
    *ret = open_beneath_nosymlink(k->layers, aside, O_RDONLY | O_DIRECTORY, 0);
    return *ret < 0 ? error_set(err, *ret, "layers/%s: %s", aside, strerror(-*ret)) : 0;
}

/* Whole and on the disk, then visible. */
static int publish(const struct keeper *k, int layer, const char *aside, const char *name,
                   struct error *err)
{
    if (syncfs(layer) < 0)
        return error_set(err, -errno, "writing the layer: %s", strerror(errno));
    if (renameat2(k->layers, aside, k->layers, name, RENAME_NOREPLACE) < 0 && errno != EEXIST)
        return error_set(err, -errno, "layers/%s: %s", name, strerror(errno));
    if (fsync(k->layers) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    return 0;
}

/* Until this process ends. A collection has the layers for itself: what it removes nobody has just found. */
static int lock_layers(const struct keeper *k, int how)
{
    int fd = openat(k->layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -1 : flock(fd, how);
}

static int unpack(const struct keeper *k, const struct layers_request *request,
                  const int fds[static LAYERS_FDS], struct layers_answer *answer, struct error *err)
{
    char name[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *aside = xasprintf("tmp.%d.%" PRIu64, (int) getppid(), request->serial);
    _cleanup_close_ int layer = -1, report = memfd_create("report", MFD_CLOEXEC);
    int r = 0;

    if (fds[0] < 0)
        return error_set(err, -EINVAL, "unpack: the descriptor is missing");
    if (lock_layers(k, LOCK_SH) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    bool is_there = faccessat(k->layers, sha256_format(&request->layer, name), F_OK, 0) == 0;
    if (!is_there)
        r = make_aside(k, aside, &layer, err);
    struct unpacker unpacker = {
        .blob = fds[0], .arriving = fds[1], .root = layer, .report = report, .request = request
    };
    if (r >= 0)
        r = run_unpacker(&unpacker, err);
    if (r >= 0)
        r = read_report(report, layer, answer, err);
    if (r >= 0 && !is_there)
        r = publish(k, layer, aside, name, err);
    if (!is_there)
        (void) remove_tree(k->layers, aside, NULL); /* renamed: nothing */
    return r;
}

/* 1: it is gone; 0: somebody uses it. */
static int remove_layer(const struct keeper *k, const char *name, struct error *err)
{
    _cleanup_close_ int fd = open_beneath_nosymlink(k->layers, name, O_RDONLY | O_DIRECTORY, 0);
    _cleanup_free_ char *gone = xasprintf("gone.%s", name);

    if (fd < 0)
        return 0;
    /* Supervisors hold what they have mounted. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    if (renameat(k->layers, name, k->layers, gone) < 0)
        return error_set(err, -errno, "layers/%s: %s", name, strerror(errno));
    int r = remove_tree(k->layers, gone, err);
    return r < 0 ? r : 1;
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
        r = remove_layer(k, entry->d_name, err);
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
        r = unpack(k, request, fds, &answer, &err);
        break;
    case LAYERS_COLLECT:
        r = collect(k, request, fds[0], &answer, &err);
        break;
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

static void obey(struct keeper *k, const struct layers_request *request,
                 const int fds[static LAYERS_FDS])
{
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

static int open_layers(const char *state, int *ret, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/layers", state);

    /* Nobody but root looks into it: modes and owners within are the images'. */
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    *ret = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret < 0 || fchown(*ret, 0, 0) < 0 || fchmod(*ret, 0700) < 0)
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

int layers_start(const char *state, int *ret_fd, pid_t *ret_pid, struct error *err)
{
    struct keeper k = { .layers = -1 };
    int pair[2];

    int r = open_layers(state, &k.layers, err);
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
