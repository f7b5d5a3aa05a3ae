/* as-account.c - sbatch and scancel as the account of a tenant
 *
 * The order holds values, no command: what is run is made here, of the launcher's own settings. Who the account
 * is, and whether jobs may be it, is asked here too, in the child, for a directory service may take its time.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE_MAX = 64, LIMIT_S = 60, GROUPS_MAX = 1024 };

struct child {
    const struct executor *x;
    const struct slurm_job_order *order;
    int out;
};

/* ---- the child ---------------------------------------------------------------------------------------- */

static int is_member(const struct executor *x, const struct passwd *pw, bool *ret,
                     struct error *err)
{
    const struct group *group = getgrnam(x->slurm_group);
    gid_t groups[GROUPS_MAX];
    int n = GROUPS_MAX;

    if (!group)
        return error_set(err, -ENOENT,
                         "there is no group '%s' on the server's machine, whose members jobs may "
                         "be; as root: groupadd %s; usermod -aG %s %s",
                         x->slurm_group, x->slurm_group, x->slurm_group, pw->pw_name);
    gid_t wanted = group->gr_gid;
    if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
        return error_set(err, -E2BIG, "account '%s' is in too many groups", pw->pw_name);
    for (int i = 0; i < n; i++)
        *ret = *ret || groups[i] == wanted;
    return 0;
}

static int find(const struct executor *x, const char *name, struct passwd **ret, struct error *err)
{
    struct slurm_account account = { 0 };

    errno = 0;
    struct passwd *pw = getpwnam(name);
    if (!pw)
        return error_set(err, errno ? -errno : -ENOENT,
                         "there is no account '%s' on the server's machine; jobs need it there and "
                         "on the nodes, with the same uid",
                         name);
    int r = is_member(x, pw, &account.is_member, err);
    account.uid = pw->pw_uid;
    if (r >= 0)
        r = slurm_account_allow(name, &account, x->owner, x->uid_first, x->slurm_group, err);
    *ret = pw;
    return r;
}

/* For good: nothing of root is left, nor of the launcher's groups. */
static int become(const struct passwd *pw, struct error *err)
{
    uid_t uid = pw->pw_uid;

    if (initgroups(pw->pw_name, pw->pw_gid) < 0 ||
        setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 || setresuid(uid, uid, uid) < 0)
        return error_set(err, -errno, "becoming account '%s': %s", pw->pw_name, strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return error_set(err, -errno, "giving up privileges: %s", strerror(errno));
    if (setuid(0) == 0)
        return error_set(err, -EPERM, "root came back after it was given up");
    return 0;
}

static int run(const struct child *child, struct error *err)
{
    const struct slurm_site *site = &child->x->slurm;
    struct process process = { .pidfd = -1 };
    char **argv = slurm_job_arguments(site, child->order);
    char **envp = slurm_environment(site->conf, site->bin);
    _cleanup_free_ char *program = site->bin ? xasprintf("%s/%s", site->bin, argv[0]) : NULL;
    _cleanup_free_ char *script = slurm_job_script(site, child->order);
    _cleanup_close_ int input = memfd_create("script", MFD_CLOEXEC);

    if (program)
        xstr_set(&argv[0], program);
    if (input < 0 || write_full(input, script, strlen(script)) < 0 || lseek(input, 0, SEEK_SET) < 0)
        return error_set(err, -errno, "the script: %s", strerror(errno));
    const struct process_options options = {
        .argv = (const char *const *) argv,
        .envp = (const char *const *) envp,
        .cwd = "/",
        .stdin_fd = child->order->job ? -1 : input,
        .stdout_fd = child->out,
        .stderr_fd = child->out,
        .die_with_parent = true,
    };
    int r = process_start(&options, &process, err);
    slurm_words_free(argv);
    slurm_words_free(envp);
    return r < 0 ? r : process_wait(&process);
}

/* Its exit code is the answer. */
static int child_main(void *userdata)
{
    const struct child *child = userdata;
    struct passwd *pw = NULL;
    struct error err = { 0 };

    (void) alarm(LIMIT_S);
    (void) umask(022);
    int r = find(child->x, child->order->account, &pw, &err);
    bool storage = child->x->storage && !child->order->job;
    if (r >= 0 && storage)
        r = storage_give(child->x, &child->order->project, pw, &err);
    if (r >= 0)
        r = become(pw, &err);
    if (r >= 0 && storage)
        r = storage_reach(child->x, pw, &err);
    if (r >= 0)
        r = run(child, &err);
    if (r < 0) {
        (void) write_full(child->out, err.text, strlen(err.text));
        return SLURM_NO_ACCOUNT_CODE;
    }
    return r;
}

/* ---- the launcher ------------------------------------------------------------------------------------- */

/* A copy: the server may still write to the file. */
static int read_order(int fd, struct slurm_job_order *ret, struct error *err)
{
    if (pread(fd, ret, sizeof *ret, 0) != (ssize_t) sizeof *ret)
        return error_set(err, -EBADMSG, "the order is too short");
    int r = slurm_job_order_check(ret, err);
    return r >= 0 && !ret->account[0] ? error_set(err, -EINVAL, "order: names no account") : r;
}

int account_order(struct executor *x, uint64_t serial, int order_fd, int out, struct error *err)
{
    struct slurm_job_order order;
    struct process process = { .pidfd = -1 };
    const struct child child = { x, &order, out };

    if (!x->slurm_group)
        return error_set(err, -EPERM, "this server submits as its own account alone");
    if (order_fd < 0 || out < 0)
        return error_set(err, -EINVAL, "order: descriptors are missing");
    if (x->ordered.len >= AT_ONCE_MAX)
        return error_set(err, -EAGAIN, "%d orders to Slurm are under way", AT_ONCE_MAX);
    int r = read_order(order_fd, &order, err);
    if (r >= 0)
        r = process_fork(child_main, (void *) (uintptr_t) &child, &process, err);
    explicit_bzero(&order, sizeof order);
    if (r < 0)
        return r;
    safe_close(process.pidfd);
    vec_push(&x->ordered, ((struct ordered){ process.pid, serial }));
    return 0;
}

bool account_ended(struct executor *x, pid_t pid, int status)
{
    for (size_t i = 0; i < x->ordered.len; i++) {
        if (x->ordered.items[i].pid != pid)
            continue;
        struct launcher_answer answer = {
            .op = LAUNCHER_SLURM,
            .serial = x->ordered.items[i].serial,
            .code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
        };
        vec_remove(&x->ordered, i);
        while (send(x->socket, &answer, sizeof answer, MSG_NOSIGNAL) < 0 && errno == EINTR)
            ;
        return true;
    }
    return false;
}
