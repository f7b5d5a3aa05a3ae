/* process.c - run programs without a shell */
#include "os/process.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int pidfd_open_pid(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int) fd;
}

int pidfd_signal(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

/* Descriptors 0 to 2 from FDS, each first moved out of the way of the others. */
static int place_standard(const int fds[static 3])
{
    int moved[3];

    for (int i = 0; i < 3; i++) {
        int from = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
        moved[i] = fcntl(from, F_DUPFD_CLOEXEC, 3);
        if (moved[i] < 0)
            return -errno;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(moved[i], i) < 0)
            return -errno;
    return 0;
}

static int keep_only(const struct process_options *o)
{
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -errno;
    for (unsigned i = 0; i < o->n_keep_fds; i++) {
        int r = set_cloexec(o->keep_fds[i], false);
        if (r < 0)
            return r;
    }
    return 0;
}

static int become(const struct process_options *o)
{
    if (o->uid == 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
        setresuid(o->uid, o->uid, o->uid) < 0)
        return -errno;
    return 0;
}

/* The child has our memory until its exec: a handler of ours must not run in it. */
static void reset_signals(void)
{
    struct sigaction action;
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        if (sigaction(signo, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
            (action.sa_handler != SIG_IGN || signo == SIGPIPE || signo == SIGXFSZ)) {
            action = (struct sigaction){ .sa_handler = SIG_DFL };
            (void) sigaction(signo, &action, NULL);
        }
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static int execute(const struct process_options *o)
{
    char *const *argv = (char *const *) (uintptr_t) o->argv;
    char *const *env = o->envp ? (char *const *) (uintptr_t) o->envp : environ;

    if (o->program_fd > 0)
        (void) execveat(o->program_fd, "", argv, env, AT_EMPTY_PATH);
    else
        execvpe(o->argv[0], argv, env);
    return -errno;
}

/* In the child; returns only when it failed. */
static int prepare_and_exec(const struct process_options *o, pid_t parent)
{
    const int standard[3] = { o->stdin_fd, o->stdout_fd, o->stderr_fd };

    reset_signals();
    int r = place_standard(standard);
    if (r >= 0)
        r = keep_only(o);
    if (r < 0)
        return r;
    if ((o->new_session && setsid() < 0) || (o->cwd && chdir(o->cwd) < 0))
        return -errno;
    r = become(o);
    if (r < 0)
        return r;
    if (o->die_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            return -errno;
        if (getppid() != parent)
            return -ECHILD;
    }
    return execute(o);
}

/* A copy of this process that lasts until its exec would cost more than the rest of a start. The
 * child does system calls alone, so it may borrow our memory (vfork); we sleep meanwhile. */
static pid_t spawn(const struct process_options *o, int *ret_failed)
{
    volatile int failed = 0;
    pid_t parent = getpid();
    sigset_t all, before;

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid == 0) {
        failed = prepare_and_exec(o, parent); /* NOLINT(clang-analyzer-unix.Vfork) */
        _exit(127);
    }
    *ret_failed = pid < 0 ? -errno : failed;
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

int process_start(const struct process_options *o, struct process *ret, struct error *err)
{
    int r = 0;
    pid_t pid = spawn(o, &r);
    int pidfd = pid < 0 || r < 0 ? -1 : pidfd_open_pid(pid);

    if (r >= 0 && pidfd < 0) {
        r = pidfd;
        (void) kill(pid, SIGKILL);
    }
    if (r < 0) {
        if (pid > 0)
            (void) waitpid(pid, NULL, 0);
        return error_set(err, r, "starting %s: %s", o->argv[0], strerror(-r));
    }
    *ret = (struct process){ .pid = pid, .pidfd = pidfd };
    return 0;
}

/* The links of a directory of the kernel's count what is in it. */
static bool has_one_thread(void)
{
    struct stat st;

    return stat("/proc/self/task", &st) < 0 || st.st_nlink == 3;
}

int process_fork(int (*body)(void *userdata), void *userdata, struct process *ret,
                 struct error *err)
{
    pid_t parent = getpid();

    assert(has_one_thread());
    (void) fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        reset_signals();
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(127);
        int code = body(userdata);
        (void) fflush(NULL);
        _exit(code);
    }
    int pidfd = pid < 0 ? -errno : pidfd_open_pid(pid);
    if (pidfd < 0) {
        if (pid > 0 && kill(pid, SIGKILL) == 0)
            (void) waitpid(pid, NULL, 0);
        return error_set(err, pidfd, "forking: %s", strerror(-pidfd));
    }
    *ret = (struct process){ .pid = pid, .pidfd = pidfd };
    return 0;
}

int process_wait(struct process *p)
{
    int status = 0;

    while (waitpid(p->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    p->pidfd = safe_close(p->pidfd);
    p->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_kill(struct process *p)
{
    if (p->pid <= 0)
        return;
    (void) kill(p->pid, SIGKILL);
    (void) process_wait(p);
}

/* Up to LIMIT bytes are kept, the rest is read and dropped so that the program does not block. */
static bool drain(int fd, struct text *out, size_t limit)
{
    char buf[8192];
    ssize_t n = read(fd, buf, sizeof buf);

    if (n > 0 && out && out->len < limit)
        text_add_bytes(out, buf, (size_t) n < limit - out->len ? (size_t) n : limit - out->len);
    return n > 0 || (n < 0 && errno == EINTR);
}

static int collect(int fds[static 2], struct text *outs[static 2], size_t limit,
                   unsigned timeout_ms)
{
    int64_t deadline = clock_boot_us() + timeout_ms * INT64_C(1000);

    while (fds[0] >= 0 || fds[1] >= 0) {
        struct pollfd polled[2] = { { .fd = fds[0], .events = POLLIN },
                                    { .fd = fds[1], .events = POLLIN } };
        int64_t left_ms = timeout_ms ? (deadline - clock_boot_us()) / 1000 : -1;
        if (timeout_ms && left_ms <= 0)
            return -ETIMEDOUT;
        if (poll(polled, 2, (int) left_ms) < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < 2; i++)
            if (fds[i] >= 0 && polled[i].revents && !drain(fds[i], outs[i], limit))
                fds[i] = safe_close(fds[i]);
    }
    return 0;
}

int process_empty_input(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    safe_close(ends[1]);
    return ends[0];
}

int process_run(const char *const *argv, size_t limit, unsigned timeout_ms, struct text *out,
                struct text *err_out, struct error *err)
{
    int pipes[2][2] = { { -1, -1 }, { -1, -1 } };
    _cleanup_close_ int input = process_empty_input();
    if (input < 0 || pipe2(pipes[0], O_CLOEXEC) < 0 || pipe2(pipes[1], O_CLOEXEC) < 0) {
        int r = -errno;
        safe_close(pipes[0][0]);
        safe_close(pipes[0][1]);
        return error_set(err, r, "running %s: %s", argv[0], strerror(-r));
    }
    struct process_options options = {
        .argv = argv, .stdin_fd = input, .stdout_fd = pipes[0][1], .stderr_fd = pipes[1][1]
    };
    struct process process = { .pidfd = -1 };
    int r = process_start(&options, &process, err);
    safe_close(pipes[0][1]);
    safe_close(pipes[1][1]);
    int fds[2] = { pipes[0][0], pipes[1][0] };
    if (r >= 0) {
        r = collect(fds, (struct text *[2]){ out, err_out }, limit, timeout_ms);
        if (r < 0) {
            process_kill(&process);
            r = error_set(err, r, "running %s: %s", argv[0], strerror(-r));
        } else {
            r = process_wait(&process);
        }
    }
    safe_close(fds[0]);
    safe_close(fds[1]);
    return r;
}
