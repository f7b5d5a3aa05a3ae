/* unpacker.c - see unpacker.h */
#include "executor/unpacker.h"

#include "base/alloc.h"
#include "executor/internal.h"
#include "os/fd.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { OPAQUE_BYTES_MAX = 64 << 20 };

const struct layer_owner layer_owner_range = { .opaque_mark = "trusted.overlay.opaque" };
const struct layer_owner layer_owner_account = { .one = true,
                                                 .opaque_mark = "user.overlay.opaque" };

/* What the unpacker leaves in shared memory, before the paths of opaque directories. */
struct report {
    int32_t code;
    struct unpack_result result;
    char text[232];
};

/* ---- the process ---------------------------------------------------------------------------------- */

struct child {
    const struct layer_unpack *what;
    int root, report, go; /* GO: readable when the uids are mapped */
    size_t opaque_len;
    bool opaque_lost;
};

static void on_opaque(void *userdata, const char *path)
{
    struct child *c = userdata;
    size_t n = strlen(path) + 1;
    off_t at = (off_t) (sizeof(struct report) + c->opaque_len);

    if (c->opaque_len + n <= OPAQUE_BYTES_MAX)
        c->opaque_lost |= pwrite(c->report, path, n, at) != (ssize_t) n;
    c->opaque_len += n;
}

/* No way back, and nothing to be had: no capability beyond what files need, no more than the one thread
 * beside this one. */
static int shut_in(const struct child *c, struct error *err)
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
    if (c->root >= 0 && (fchdir(c->root) < 0 || chroot(".") < 0))
        return error_set(err, -errno, "entering the layer: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set(err, -errno, "giving up privileges: %s", strerror(errno));
    return 0;
}

static _Noreturn void child_main(struct child *c)
{
    const struct unpack_options options = {
        .blob = c->what->blob,
        .arriving = c->what->arriving,
        .packed_size = c->what->packed_size,
        .root = c->root,
        .layer = c->what->layer,
        .limits = c->what->limits,
        .one_owner = c->what->owner.one,
        .opaque = on_opaque,
        .userdata = c,
    };
    struct report report = { 0 };
    struct error err = { 0 };
    char byte;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) prctl(PR_SET_NAME, "berth-unpack", 0, 0, 0);
    int r = image_unpack_prepare(&err);
    if (r >= 0 && read(c->go, &byte, 1) != 1)
        _exit(1);
    if (r >= 0 && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        r = error_set(&err, -errno, "becoming the owner of layers: %s", strerror(errno));
    (void) umask(0);
    if (r >= 0)
        r = shut_in(c, &err);
    if (r >= 0)
        r = image_unpack(&options, &report.result, &err);
    if (r >= 0 && (c->opaque_lost || c->opaque_len > OPAQUE_BYTES_MAX))
        r = error_set(&err, -E2BIG, "it has too many opaque directories");
    report.code = r < 0 ? r : 0;
    (void) snprintf(report.text, sizeof report.text, "%s", r < 0 ? err.text : "");
    _exit(pwrite(c->report, &report, sizeof report, 0) != sizeof report);
}

/* ---- its parent ----------------------------------------------------------------------------------- */

static int write_file_of(pid_t pid, const char *file, const char *content)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int) pid, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : write_full(fd, content, strlen(content));
}

static int map_owner(pid_t pid, const struct layer_owner *owner)
{
    uint32_t count = owner->one ? 1 : UIDS_PER_PROJECT;
    _cleanup_free_ char *uids =
        xasprintf("0 %" PRIu32 " %" PRIu32, owner->one ? geteuid() : LAYERS_UID, count);
    _cleanup_free_ char *gids =
        xasprintf("0 %" PRIu32 " %" PRIu32, owner->one ? getegid() : LAYERS_UID, count);

    int r = owner->one ? write_file_of(pid, "setgroups", "deny") : 0;
    if (r >= 0)
        r = write_file_of(pid, "uid_map", uids);
    return r < 0 ? r : write_file_of(pid, "gid_map", gids);
}

static pid_t clone_child(void)
{
    struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS |
                                        CLONE_NEWIPC | CLONE_NEWUTS,
                               .exit_signal = SIGCHLD };

    return (pid_t) syscall(SYS_clone3, &args, sizeof args);
}

static int reap(struct unpacker *u)
{
    int status = 0;

    if (u->pid > 0)
        while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR)
            ;
    u->pid = 0;
    return status;
}

int unpacker_start(const struct layer_unpack *what, int root, struct unpacker *ret,
                   struct error *err)
{
    _cleanup_close_ int report = memfd_create("report", MFD_CLOEXEC);
    int pipe_fds[2];

    if (report < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set(err, -errno, "unpacking: %s", strerror(errno));
    pid_t pid = clone_child();
    if (pid == 0) {
        struct child c = { .what = what, .root = root, .report = report, .go = pipe_fds[0] };
        safe_close(pipe_fds[1]);
        child_main(&c);
    }
    int r = pid < 0 ? -errno : map_owner(pid, &what->owner);
    if (r >= 0)
        r = write_full(pipe_fds[1], "", 1);
    safe_close(pipe_fds[0]);
    safe_close(pipe_fds[1]);
    *ret = (struct unpacker){
        .pid = pid, .report = take_fd(&report), .root = root, .owner = what->owner
    };
    if (r >= 0)
        return 0;
    if (pid > 0)
        (void) kill(pid, SIGKILL);
    (void) reap(ret);
    ret->report = safe_close(ret->report);
    return error_set(err, r, "unpacking in a user namespace: %s", strerror(-r));
}

/* The marks that only the overlay's owner may set. PATHS are the archive's. */
static int mark_opaque(const struct unpacker *u, const char *paths, size_t len, struct error *err)
{
    for (size_t at = 0; at < len; at += strnlen(paths + at, len - at) + 1) {
        const char *path = paths[at] ? paths + at : ".";
        _cleanup_close_ int fd = open_beneath_nosymlink(u->root, path, O_RDONLY | O_DIRECTORY, 0);
        if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
            continue; /* replaced later in the layer */
        if (fd >= 0 && fsetxattr(fd, u->owner.opaque_mark, "y", 1, 0) == 0)
            continue;
        int r = fd < 0 ? fd : -errno;
        return r == -EOPNOTSUPP
                   ? error_set(err, r,
                               "%.100s hides what lies below it, and this file system "
                               "has no room for that mark (user xattrs)",
                               path)
                   : error_set(err, r, "%.100s: marking it opaque: %s", path, strerror(-r));
    }
    return 0;
}

static int read_report(const struct unpacker *u, struct unpack_result *ret, struct error *err)
{
    struct report report;
    struct stat st;

    if (fstat(u->report, &st) < 0 || pread(u->report, &report, sizeof report, 0) != sizeof report)
        return error_set(err, -EIO, "the unpacker left no report");
    *ret = report.result;
    report.text[sizeof report.text - 1] = '\0';
    if (report.code < 0)
        return error_set(err, report.code, "%s", report.text);
    size_t len = (size_t) st.st_size - sizeof report;
    if (u->root < 0 || len == 0 || len > OPAQUE_BYTES_MAX)
        return 0;
    _cleanup_free_ char *paths = xnew_n(char, len + 1);
    if (pread(u->report, paths, len, sizeof report) != (ssize_t) len)
        return error_set(err, -EIO, "the unpacker's report is too short");
    return mark_opaque(u, paths, len, err);
}

int unpacker_wait(struct unpacker *u, struct unpack_result *ret, struct error *err)
{
    int status = reap(u);
    int r = status == 0 ? read_report(u, ret, err)
                        : error_set(err, -EIO, "the unpacker ended with %s %d",
                                    WIFSIGNALED(status) ? "signal" : "code",
                                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));

    u->report = safe_close(u->report);
    return r;
}
