#include "os/process.h"
#include "tests/tap.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

TEST(a_program_that_is_not_there_is_the_callers_error)
{
    static const char *const argv[] = { "berth-no-such-program", NULL };
    struct process_options options = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    struct process process = { .pidfd = -1 };
    struct error err = { 0 };

    ok(process_start(&options, &process, &err) == -ENOENT);
    ok(strstr(err.text, "berth-no-such-program"));
    ok(process.pid == 0);
}

TEST(a_descriptor_can_be_the_program)
{
    static const char *const argv[] = { "a name of its own", "-c", "exit 7", NULL };
    _cleanup_close_ int shell = open("/bin/sh", O_RDONLY | O_CLOEXEC);
    struct process_options options = {
        .argv = argv, .program_fd = shell, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    struct process process = { .pidfd = -1 };

    ok(process_start(&options, &process, NULL) == 0);
    ok(process_wait(&process) == 7);
}

static volatile sig_atomic_t handled;

static void on_signal(int signo) { handled = signo; }

/* The child has our memory until its exec: its signals and descriptors are its own all the same. */
TEST(the_child_changes_nothing_of_its_parent)
{
    static const char *const argv[] = { "sh", "-c", "kill -USR1 $$; exit 3", NULL };
    struct process_options options = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .cwd = "/"
    };
    struct process process = { .pidfd = -1 };
    sigset_t blocked, now;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    (void) sigprocmask(SIG_BLOCK, &blocked, NULL);
    (void) signal(SIGUSR1, on_signal);
    _cleanup_close_ int fd = open("/dev/null", O_RDONLY);
    ok(process_start(&options, &process, NULL) == 0);
    ok(process_wait(&process) == 128 + SIGUSR1);
    ok(!handled);
    ok(fcntl(fd, F_GETFD) == 0);
    ok(sigprocmask(SIG_SETMASK, NULL, &now) == 0 && sigismember(&now, SIGUSR2) &&
       !sigismember(&now, SIGUSR1));
    ok(raise(SIGUSR1) == 0 && handled == SIGUSR1);
}

static int body(void *userdata)
{
    const int *code = userdata;

    return handled ? 1 : *code;
}

TEST(a_copy_gives_what_its_body_returns)
{
    struct process process = { .pidfd = -1 };
    int code = 42;

    handled = 0;
    ok(process_fork(body, &code, &process, NULL) == 0);
    code = 43;
    ok(process_wait(&process) == 42);
}

TAP_MAIN
