/* call.c - the side of mpirun: one command on another node */
#include "agent/io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAILED      255 /* as ssh says that it was not the command */
#define HOSTS_MAX   (4U << 20)
#define PATIENCE_S  60 /* for a container that is about to be there */
#define PAUSE_MS    50
#define MS_A_SECOND 1000

static int fail(const char *host, const char *what, int r)
{
    (void) fprintf(stderr, "mpi-agent: %s: %s: %s\n", host, what, strerror(-r));
    return FAILED;
}

static int find(const char *host, struct in_addr *ret)
{
    static char text[HOSTS_MAX];
    int len = io_read_file("/etc/hosts", text, sizeof text);

    return len < 0 ? len : hosts_find(text, (size_t) len, host, ret);
}

static int try_connect(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *) address, sizeof *address) == 0)
        return fd;
    int r = -errno;
    (void) close(fd);
    return r;
}

/* All tasks go at once, and some are faster. */
static int reach(const struct sockaddr_in *address)
{
    int fd = -ECONNREFUSED;

    for (int waited = 0; waited < PATIENCE_S * MS_A_SECOND; waited += PAUSE_MS) {
        fd = try_connect(address);
        if (fd != -ECONNREFUSED && fd != -EHOSTUNREACH)
            return fd;
        (void) poll(NULL, 0, PAUSE_MS);
    }
    return fd;
}

/* Joined by blanks for the other side's shell, as rsh and ssh do; the length, or -E2BIG. */
static int join(char *const *words, char line[static AGENT_COMMAND_MAX])
{
    size_t len = 0;

    for (char *const *word = words; *word; word++) {
        size_t n = strlen(*word);
        if (len + 1 + n > AGENT_COMMAND_MAX)
            return -E2BIG;
        if (len > 0)
            line[len++] = ' ';
        memcpy(line + len, *word, n);
        len += n;
    }
    return len ? (int) len : -EINVAL;
}

static int ask(int fd, const struct agent_settings *settings, char *const *words)
{
    static char line[AGENT_COMMAND_MAX];
    char head[AGENT_HEAD_LEN];
    int len = join(words, line);

    if (len < 0)
        return len;
    agent_head_format(settings->secret, (uint32_t) len, head);
    int r = io_write_full(fd, head, sizeof head);
    explicit_bzero(head, sizeof head);
    return r < 0 ? r : io_write_full(fd, line, (size_t) len);
}

/* Its exit code, or a negative errno. */
static int follow(int fd)
{
    static char payload[FRAME_MAX];
    char head[FRAME_HEAD_LEN];
    enum frame_kind kind = FRAME_EXIT;
    uint32_t len = 0;

    for (;;) {
        int r = io_read_full(fd, head, sizeof head);
        if (r == 0)
            r = frame_parse(head, &kind, &len);
        if (r == 0)
            r = io_read_full(fd, payload, len);
        if (r < 0)
            return r;
        if (kind == FRAME_EXIT)
            return (unsigned char) payload[3];
        /* Nobody listens any more: the command goes on, as it would below ssh. */
        (void) io_write_full(kind == FRAME_STDOUT ? STDOUT_FILENO : STDERR_FILENO, payload, len);
    }
}

int agent_call(const char *host, char *const *words)
{
    struct agent_settings settings;
    struct sockaddr_in address = { .sin_family = AF_INET };

    if (io_read_settings(&settings) < 0)
        return FAILED;
    int r = find(host, &address.sin_addr);
    if (r < 0)
        return fail(host,
                    "is no node of this job ("
                    "/run/berth/hostfile names them)",
                    r);
    address.sin_port = htons(settings.port);
    int fd = reach(&address);
    if (fd < 0)
        return fail(host, "its agent does not answer", fd);
    r = ask(fd, &settings, words);
    explicit_bzero(&settings, sizeof settings);
    if (r == 0)
        r = follow(fd);
    return r < 0 ? fail(host, "the connection to its agent broke", r) : r;
}
