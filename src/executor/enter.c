/* enter.c - a process of ours becomes a process of the container
 *
 *     supervisor
 *       fork                 limits, control groups, then all namespaces at once: still ours
 *         clone(PARENT)      in the container's PID namespace, the supervisor's child: drops everything
 *           execve           theirs
 *
 * Between setns and execve it runs our code with our memory among the container's processes. It cannot
 * be dumped, so nobody inside may look into it or into its /proc (the memory belongs to the first user
 * namespace); the paths that it opens are resolved by the container's own mounts and rights.
 */
#include "executor/session.h"

#include "base/alloc.h"
#include "executor/privileges.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define INSIDE_WAIT_MS 20000

enum { EXIT_BROKEN = 125, EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127 };

static void send_report(int socket, const struct report *report, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = (void *) (uintptr_t) report, .iov_len = sizeof *report };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    (void) sendmsg(socket, &msg, MSG_NOSIGNAL);
}

__attribute__((format(printf, 3, 4))) static _Noreturn void give_up(const struct entry *e,
                                                                    int exit_code, const char *fmt,
                                                                    ...)
{
    struct report report = { .kind = REPORT_FAILED, .code = exit_code };
    va_list ap;

    va_start(ap, fmt);
    (void) vsnprintf(report.text, sizeof report.text, fmt, ap);
    va_end(ap);
    send_report(e->report, &report, -1);
    _exit(exit_code);
}

/* ---- inside -------------------------------------------------------------------------------------- */

/* The container's own devpts: the terminal is among its devices and has its user for an owner. */
static void open_terminal(const struct entry *e)
{
    struct winsize size = { .ws_row = (unsigned short) e->rows,
                            .ws_col = (unsigned short) e->columns };
    struct report report = { .kind = REPORT_TTY };
    struct stat st;
    int zero = 0;
    int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (master < 0 || fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) ||
        ioctl(master, TIOCSPTLCK, &zero) < 0)
        give_up(e, EXIT_BROKEN, "the job has no terminals: /dev/pts/ptmx: %s", strerror(errno));
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || ioctl(slave, TIOCSWINSZ, &size) < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
        give_up(e, EXIT_BROKEN, "making a terminal: %s", strerror(errno));
    send_report(e->report, &report, master);
    for (int i = 0; i < 3; i++)
        (void) dup2(slave, i);
    safe_close(slave);
    safe_close(master);
}

static void take_stdio(const struct entry *e)
{
    /* The report's descriptor is above 2: the supervisor's own 0 to 2 are taken. */
    for (int i = 0; i < 3; i++)
        if (dup2(e->stdio[i], i) < 0)
            give_up(e, EXIT_BROKEN, "descriptors: %s", strerror(errno));
}

static void go_to(const struct entry *e, const char *path)
{
    _cleanup_free_ char *here = NULL;

    if (chdir(path) < 0)
        give_up(e, EXIT_NOT_RUN, "%s: %s", path, strerror(errno));
    here = getcwd(NULL, 0);
    if (!here || *here != '/')
        give_up(e, EXIT_NOT_RUN, "%s: is outside of the job", path);
}

static char **make_env(const struct entry *e, const json_t *process)
{
    VEC(char *) env = { 0 };
    size_t i;
    const json_t *item;

    json_array_foreach(json_object_get(process, "env"), i, item) {
        const char *var = json_string_value(item);
        if (var && !(e->term && str_starts(var, "TERM=")))
            vec_push(&env, xstrdup(var));
    }
    if (e->term)
        vec_push(&env, xasprintf("TERM=%s", e->term));
    vec_push(&env, NULL);
    return env.items;
}

static _Noreturn void run_shell(const struct entry *e)
{
    static char bash[] = "bash", sh[] = "sh";

    (void) execvp(bash, (char *const[]){ bash, NULL });
    (void) execvp(sh, (char *const[]){ sh, NULL });
    give_up(e, EXIT_NOT_FOUND,
            "the job's image has no shell; give a command: berth exec JOB -- COMMAND");
}

static _Noreturn void run_command(const struct entry *e)
{
    const char *name = e->command[0];

    (void) execvp(name, e->command);
    if (errno == ENOENT || errno == ENOTDIR)
        give_up(e, EXIT_NOT_FOUND, "%.160s: there is no such command in the job", name);
    give_up(e, EXIT_NOT_RUN, "%.160s: %s", name, strerror(errno));
}

static _Noreturn void inside(const struct entry *e, const json_t *process)
{
    struct error err = { 0 };

    (void) setsid();
    /* Where one uid is everybody, the kernel lets nobody change groups: they are the account's, as the job's. */
    if (privileges_drop(process, !e->s->x->mode->own_ids, &err) < 0)
        give_up(e, EXIT_BROKEN, "%s", err.text);
    if (e->tty)
        open_terminal(e);
    else
        take_stdio(e);
    environ = make_env(e, process);
    go_to(e, e->workdir ? e->workdir : json_get_str(process, "cwd", "/"));
    (void) umask(022);
    /* All else goes with execve, or now when there is none. */
    if (e->body) {
        if (seccomp_install(&err) < 0)
            give_up(e, EXIT_BROKEN, "%s", err.text);
        (void) close_range(3, UINT_MAX, 0);
        _exit(e->body(e->userdata));
    }
    (void) close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    if (seccomp_install(&err) < 0)
        give_up(e, EXIT_BROKEN, "%s", err.text);
    if (e->command && e->command[0])
        run_command(e);
    run_shell(e);
}

/* ---- on the way ---------------------------------------------------------------------------------- */

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void) signal(i, SIG_DFL);
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What is said of the process comes before what it says itself: the other end of GATE goes with who tells. */
static void await_turn(int gate[static 2])
{
    char nothing;

    safe_close(gate[1]);
    while (read(gate[0], &nothing, 1) < 0 && errno == EINTR)
        ;
    safe_close(gate[0]);
}

static _Noreturn void on_the_way(const struct entry *e)
{
    struct clone_args args = { .flags = CLONE_PARENT };
    struct report report = { .kind = REPORT_PID };
    const json_t *process = e->s->process;
    struct error err = { 0 };
    int gate[2];

    (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    reset_signals();
    (void) syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (privileges_limits(process, &err) < 0 ||
        (e->s->x->mode->own_groups && cgroup_join(&e->s->x->cgroups, e->s->name, &err) < 0))
        give_up(e, EXIT_BROKEN, "%s", err.text);
    int network = e->s->launch->netns < 0 ? 0 : CLONE_NEWNET;
    if (setns(e->s->container.pidfd, NAMESPACES | network) < 0)
        give_up(e, EXIT_BROKEN, "entering the job: %s", strerror(errno));
    if (pipe2(gate, O_CLOEXEC) < 0)
        give_up(e, EXIT_BROKEN, "%s", strerror(errno));
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        await_turn(gate);
        inside(e, process);
    }
    if (pid < 0)
        give_up(e, EXIT_BROKEN, "%s",
                errno == EAGAIN ? "the job is at its limit of processes" : strerror(errno));
    report.code = (int32_t) pid;
    send_report(e->report, &report, -1);
    _exit(0);
}

/* The first word is our own code's: it comes, or the process ends. */
static int await_pid(int socket, pid_t *ret_pid, struct error *err)
{
    struct pollfd p = { .fd = socket, .events = POLLIN };
    struct report report;
    int r;

    do
        r = poll(&p, 1, INSIDE_WAIT_MS);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return error_set(err, -ETIMEDOUT, "entering the job took too long");
    ssize_t n = recv(socket, &report, sizeof report, 0);
    if (n != sizeof report)
        return error_set(err, -EIO, "entering the job failed");
    if (report.kind != REPORT_PID)
        return error_set(err, -EIO, "%.*s", (int) sizeof report.text - 1, report.text);
    *ret_pid = report.code;
    return 0;
}

int enter_container(const struct entry *entry, int report, pid_t *ret_pid, struct error *err)
{
    pid_t pid = fork();

    if (pid == 0)
        on_the_way(entry);
    if (pid < 0)
        return error_set(err, -errno, "fork: %s", strerror(errno));
    return await_pid(report, ret_pid, err);
}
