/* serve.c - the side of the other nodes: the first process of their containers
 *
 * Every connection is a process of its own, which runs one command in a process group and ends it when
 * the other side goes. SIGTERM ends all.
 */
#include "agent/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASK_S     10   /* to say what is wanted */
#define GRACE_MS  5000 /* between SIGTERM and SIGKILL for a command whose asker has gone */
#define STEP_MS   20
#define BACKLOG   128
#define CODE_BASE 128 /* of who was ended by a signal */

static volatile sig_atomic_t stopped;

static void on_term(int signo)
{
    (void) signo;
    stopped = 1;
}

static void on_child(int signo) { (void) signo; }

/* ---- one connection ------------------------------------------------------------------------------- */

struct command {
    pid_t pid;
    int pipes[2]; /* from its stdout and stderr; -1: at the end */
};

/* The command of who knows the secret; false otherwise. */
static bool receive(int fd, const char *secret, char line[static AGENT_COMMAND_MAX + 1])
{
    const struct timeval patience = { .tv_sec = ASK_S };
    char head[AGENT_HEAD_LEN];
    uint32_t len = 0;

    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (io_read_full(fd, head, sizeof head) < 0 || agent_head_parse(head, secret, &len) < 0 ||
        io_read_full(fd, line, len) < 0)
        return false;
    line[len] = '\0';
    return true;
}

static _Noreturn void become(const char *line, const int ends[2])
{
    (void) setpgid(0, 0);
    (void) signal(SIGPIPE, SIG_DFL);
    (void) signal(SIGTERM, SIG_DFL);
    (void) signal(SIGCHLD, SIG_DFL);
    (void) dup2(ends[0], STDOUT_FILENO);
    (void) dup2(ends[1], STDERR_FILENO);
    (void) execl("/bin/sh", "sh", "-c", line, (char *) NULL);
    (void) fprintf(stderr, "mpi-agent: /bin/sh: %s\n", strerror(errno));
    _exit(127);
}

static int start(const char *line, struct command *ret)
{
    int out[2], err[2];

    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(err, O_CLOEXEC) < 0) {
        (void) close(out[0]);
        (void) close(out[1]);
        return -errno;
    }
    ret->pid = fork();
    if (ret->pid == 0)
        become(line, (const int[2]){ out[1], err[1] });
    (void) close(out[1]);
    (void) close(err[1]);
    ret->pipes[0] = out[0];
    ret->pipes[1] = err[0];
    return ret->pid < 0 ? -errno : 0;
}

/* One of its pipes has something; -1 when the asker does not take it. */
static int pass(int fd, struct command *command, int which)
{
    static char bytes[FRAME_MAX];
    ssize_t n = read(command->pipes[which], bytes, sizeof bytes);

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0) {
        (void) close(command->pipes[which]);
        command->pipes[which] = -1;
        return 0;
    }
    return io_send_frame(fd, which ? FRAME_STDERR : FRAME_STDOUT, bytes, (uint32_t) n);
}

/* Until its output has ended; -ECONNRESET when the asker has gone before. */
static int carry(int fd, struct command *command)
{
    while (command->pipes[0] >= 0 || command->pipes[1] >= 0) {
        struct pollfd polled[3] = { { .fd = command->pipes[0], .events = POLLIN },
                                    { .fd = command->pipes[1], .events = POLLIN },
                                    { .fd = fd, .events = POLLRDHUP } };
        if (poll(polled, 3, -1) < 0)
            continue;
        if (polled[2].revents)
            return -ECONNRESET;
        for (int i = 0; i < 2; i++)
            if (polled[i].revents && pass(fd, command, i) < 0)
                return -ECONNRESET;
    }
    return 0;
}

static void end(pid_t pid)
{
    (void) kill(-pid, SIGTERM);
    for (int waited = 0; waited < GRACE_MS; waited += STEP_MS) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            break;
        (void) poll(NULL, 0, STEP_MS);
    }
    (void) kill(-pid, SIGKILL);
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return CODE_BASE - 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : CODE_BASE + WTERMSIG(status);
}

static _Noreturn void serve_one(int fd, const char *secret)
{
    static char line[AGENT_COMMAND_MAX + 1];
    struct command command = { .pid = -1 };
    sigset_t none;

    sigemptyset(&none);
    (void) signal(SIGTERM, SIG_DFL);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    if (!receive(fd, secret, line) || start(line, &command) < 0)
        _exit(1);
    if (carry(fd, &command) < 0) {
        end(command.pid);
        _exit(1);
    }
    const unsigned char code[4] = { 0, 0, 0, (unsigned char) wait_for(command.pid) };
    (void) io_send_frame(fd, FRAME_EXIT, code, sizeof code);
    _exit(0);
}

/* ---- all ------------------------------------------------------------------------------------------ */

static int listen_at(uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    if (fd < 0)
        return -errno;
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *) &address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int r = -errno;
    (void) close(fd);
    return r;
}

/* They are let through only while nothing is done but waiting. */
static void catch_signals(void)
{
    struct sigaction term = { .sa_handler = on_term }, child = { .sa_handler = on_child };
    sigset_t caught;

    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGCHLD);
    (void) sigprocmask(SIG_BLOCK, &caught, NULL);
    (void) sigaction(SIGTERM, &term, NULL);
    (void) sigaction(SIGINT, &term, NULL);
    (void) sigaction(SIGCHLD, &child, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
}

static void accept_one(int listener, const char *secret)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        (void) close(listener);
        serve_one(fd, secret);
    }
    (void) close(fd);
}

static void serve(int listener, const char *secret)
{
    struct pollfd polled = { .fd = listener, .events = POLLIN };
    sigset_t none;

    sigemptyset(&none);
    while (!stopped) {
        if (ppoll(&polled, 1, NULL, &none) > 0)
            accept_one(listener, secret);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

int agent_serve(void)
{
    struct agent_settings settings;

    if (io_read_settings(&settings) < 0)
        return 1;
    catch_signals();
    int listener = listen_at(settings.port);
    if (listener < 0) {
        (void) fprintf(stderr, "mpi-agent: port %u: %s\n", (unsigned) settings.port,
                       strerror(-listener));
        return 1;
    }
    serve(listener, settings.secret);
    /* As the first process of the container; what is left ends with it. */
    if (getpid() == 1)
        (void) kill(-1, SIGTERM);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    return 0;
}
