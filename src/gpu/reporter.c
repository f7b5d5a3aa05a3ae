/* reporter.c - a child process that asks NVML once a second
 *
 * NVML can block for ever in the kernel, and it is not ours: neither may hold up or end a server.
 * The child has no other work. Its first packet says whether there is a library; then come reports.
 */
#include "gpu/internal.h"

#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PERIOD_MS = 1000 };

struct packet {
    int code; /* 0: REPORT holds; negative errno */
    struct error why;
    struct gpu_report report;
};

static _Noreturn void report_for_ever(const char *library, int socket)
{
    struct packet packet = { 0 };
    struct pollfd polled = { .fd = socket, .events = POLLIN };
    struct nvml *nvml = NULL;

    packet.code = nvml_open(library, &nvml);
    do {
        if (nvml)
            packet.code = nvml_read(nvml, &packet.report, &packet.why);
        /* A reader that is slow misses a report; the next one is fresher. */
        if (send(socket, &packet, sizeof packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
            errno != EAGAIN)
            break;
    } while (nvml && poll(&polled, 1, PERIOD_MS) == 0);
    /* The library's own exit handlers are as little ours as the rest of it. */
    _exit(0);
}

int gpu_reporter_start(const char *library, struct gpu_reporter *ret, struct error *err)
{
    pid_t parent = getpid();
    int pair[2];

    *ret = (struct gpu_reporter){ .fd = -1 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "GPU reporter: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        safe_close(pair[0]);
        (void) prctl(PR_SET_NAME, "berth-gpus", 0, 0, 0);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent)
            _exit(0);
        report_for_ever(library, pair[1]);
    }
    int r = pid < 0 ? -errno : set_nonblock(pair[0], true);
    safe_close(pair[1]);
    ret->pid = pid > 0 ? pid : 0;
    ret->fd = pair[0];
    if (r >= 0)
        return 0;
    gpu_reporter_stop(ret);
    return error_set(err, r, "GPU reporter: %s", strerror(-r));
}

/* The newest packet that is there: 1, 0, negative errno. */
static int drain(int fd, struct packet *packet)
{
    int found = 0;

    for (;;) {
        ssize_t n = recv(fd, packet, sizeof *packet, 0);
        if (n == sizeof *packet)
            found = 1;
        else if (n < 0 && errno == EAGAIN)
            return found;
        else if (n >= 0 || errno != EINTR)
            return found ? found : -ENOENT;
    }
}

int gpu_reporter_read(const struct gpu_reporter *reporter, int timeout_ms, struct gpu_report *ret,
                      struct error *err)
{
    struct pollfd polled = { .fd = reporter->fd, .events = POLLIN };
    struct packet packet;

    if (timeout_ms > 0 && poll(&polled, 1, timeout_ms) == 0)
        return error_set(err, -ETIMEDOUT, "NVML has not answered for %d s", timeout_ms / 1000);
    int r = drain(reporter->fd, &packet);
    if (r <= 0)
        return r;
    if (packet.code < 0) {
        if (err)
            *err = packet.why;
        return packet.code;
    }
    *ret = packet.report;
    return 1;
}

void gpu_reporter_stop(struct gpu_reporter *reporter)
{
    reporter->fd = safe_close(reporter->fd);
    if (reporter->pid <= 0)
        return;
    /* One that hangs in the kernel cannot be waited for; init will. */
    (void) kill(reporter->pid, SIGKILL);
    for (int i = 0; i < 100 && waitpid(reporter->pid, NULL, WNOHANG) == 0; i++)
        (void) poll(NULL, 0, 1);
    reporter->pid = 0;
}
