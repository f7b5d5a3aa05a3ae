/* child.c - its request in a memory file, its output on the loop */
#include "engine/child.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECE = 65536, LINE_MAX_BYTES = 8 << 20 };

struct child {
    struct child_options options;
    struct process process;
    int out;
    struct watch *watch;
    struct text lines;
};

void child_free(struct child *child)
{
    if (!child)
        return;
    watch_free(child->watch);
    safe_close(child->out);
    process_kill(&child->process);
    text_done(&child->lines);
    free(child);
}

/* false: the child is gone. */
static bool take_lines(struct child *child)
{
    const struct child_options options = child->options;

    for (;;) {
        _cleanup_json_ json_t *line = NULL;
        char *end = child->lines.len ? memchr(child->lines.data, '\n', child->lines.len) : NULL;
        if (!end)
            return true;
        size_t len = (size_t) (end - child->lines.data);
        int r = json_parse(child->lines.data, len, &line, NULL);
        text_consume(&child->lines, len + 1);
        if (r >= 0 && !options.line(options.userdata, line))
            return false;
    }
}

static void on_output(void *userdata, uint32_t events)
{
    struct child *child = userdata;
    ssize_t n = read(child->out, text_reserve(&child->lines, PIECE), PIECE);

    (void) events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    child->lines.len += n > 0 ? (size_t) n : 0;
    if (!take_lines(child))
        return;
    if (n > 0 && child->lines.len < LINE_MAX_BYTES)
        return;
    watch_free(child->watch);
    child->watch = NULL;
    child->options.end(child->options.userdata);
}

static int start_process(struct child *child, int out, struct error *err)
{
    const char *argv[] = { "/proc/self/exe", child->options.role, NULL };
    _cleanup_close_ int request = memfd_create("request", MFD_CLOEXEC);
    const char *text = child->options.request;
    const struct process_options options = {
        .argv = argv, .stdin_fd = request, .stdout_fd = out, .stderr_fd = -1
    };

    int r = request < 0 ? -errno : write_full(request, text, strlen(text));
    if (r < 0)
        return error_set(err, r, "starting berth %s: %s", child->options.role, strerror(-r));
    return process_start(&options, &child->process, err);
}

int child_start(const struct child_options *options, struct child **ret, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(err, -errno, "starting berth %s: %s", options->role, strerror(errno));
    struct child *child = xnew(struct child);
    child->options = *options;
    child->process.pidfd = -1;
    child->out = ends[0];
    int r = start_process(child, ends[1], err);
    safe_close(ends[1]);
    child->options.request = NULL;
    if (r < 0) {
        child_free(child);
        return r;
    }
    (void) set_nonblock(child->out, true);
    child->watch = loop_watch(options->loop, child->out, EPOLLIN, on_output, child);
    *ret = child;
    return 0;
}
