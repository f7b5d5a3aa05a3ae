/* io.c - see io.h */
#include "agent/io.h"

#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int io_read_full(int fd, void *bytes, size_t len)
{
    char *at = bytes;

    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        at += n;
        len -= (size_t) n;
    }
    return 0;
}

int io_write_full(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t) n;
    }
    return 0;
}

int io_send_frame(int fd, enum frame_kind kind, const void *payload, uint32_t len)
{
    char head[FRAME_HEAD_LEN];

    frame_format(kind, len, head);
    int r = io_write_full(fd, head, sizeof head);
    return r < 0 ? r : io_write_full(fd, payload, len);
}

int io_read_file(const char *path, char *ret, size_t max)
{
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (ssize_t n = 1; n > 0 && len < max; len += (size_t) n) {
        n = read(fd, ret + len, max - len);
        if (n < 0) {
            int r = -errno;
            (void) close(fd);
            return r;
        }
    }
    (void) close(fd);
    return (int) len;
}

int io_read_settings(struct agent_settings *ret)
{
    char text[128];
    int len = io_read_file(AGENT_SETTINGS, text, sizeof text);
    int r = len < 0 ? len : agent_settings_parse(text, (size_t) len, ret);

    explicit_bzero(text, sizeof text);
    if (r < 0)
        (void) fprintf(
            stderr,
            "mpi-agent: %s: %s: this runs in the tasks of jobs with `mpi` alone, as the user "
            "of their command\n",
            AGENT_SETTINGS, strerror(-r));
    return r;
}
