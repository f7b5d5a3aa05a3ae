/* session-process.c - a process that a session starts in the container, seen from the supervisor */
#include "executor/session.h"

#include "base/alloc.h"
#include "os/copy.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void started(struct session *session)
{
    watch_free(session->report_watch);
    session->report_watch = NULL;
    session->report = safe_close(session->report);
    if (!session->failed)
        session_say(session, json_pack("{s:b}", "started", 1));
}

static void take_terminal(struct session *session, int master)
{
    if (master < 0)
        return;
    session_add_end(session, CHANNEL_IN, fcntl(master, F_DUPFD_CLOEXEC, 3));
    session_add_end(session, CHANNEL_OUT, master);
}

static int take_descriptor(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static void on_report(void *userdata, uint32_t events)
{
    struct session *session = userdata;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct report report = { 0 };
    struct iovec iov = { .iov_base = &report, .iov_len = sizeof report };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };

    (void) events;
    ssize_t n = recvmsg(session->report, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    report.text[sizeof report.text - 1] = '\0';
    if (n == sizeof report && report.kind == REPORT_TTY)
        take_terminal(session, take_descriptor(&msg));
    else if (n == sizeof report && report.kind == REPORT_FAILED)
        session_fail(session, report.code, report.text);
    else
        started(session);
    session_step(session);
}

/* The container's user must be able to open what /dev/stdout names. */
static int make_pipe(const struct supervisor *s, int ours, int ret[static 2])
{
    const json_t *user = json_object_get(s->process, "user");
    uid_t uid = supervisor_uid(s, (uid_t) json_get_int(user, "uid", 0));
    gid_t gid = supervisor_gid(s, (gid_t) json_get_int(user, "gid", 0));

    if (pipe2(ret, O_CLOEXEC) < 0)
        return -errno;
    return fchown(ret[1 - ours], uid, gid) < 0 ? -errno : 0;
}

static int make_pipes(struct session *session, bool with_input, int theirs[static 3])
{
    const struct supervisor *s = session_supervisor(session);
    int r = 0;

    for (unsigned i = 0; i < SESSION_ENDS && r >= 0; i++) {
        int ends[2], ours = i == CHANNEL_IN ? 1 : 0;
        if (i == CHANNEL_IN && !with_input) {
            theirs[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
            continue;
        }
        r = make_pipe(s, ours, ends);
        if (r >= 0) {
            theirs[i] = ends[1 - ours];
            session_add_end(session, i, ends[ours]);
        }
    }
    return r;
}

static char **make_command(const json_t *order)
{
    const json_t *list = json_object_get(order, "command");
    char **command = xnew_n(char *, json_array_size(list) + 1);
    size_t i;
    const json_t *item;

    json_array_foreach(list, i, item)
        command[i] = xstrdup(json_string_value(item));
    return command;
}

static void free_command(char **command)
{
    for (char **p = command; *p; p++)
        free(*p);
    free(command);
}

static int launch(struct session *session, struct entry *entry, struct error *err)
{
    struct supervisor *s = session_supervisor(session);
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "socketpair: %s", strerror(errno));
    entry->report = pair[1];
    int r = enter_container(entry, pair[0], &session->pid, err);
    safe_close(pair[1]);
    if (r < 0) {
        safe_close(pair[0]);
        return r;
    }
    session->report = pair[0];
    session->report_watch = loop_watch(s->loop, pair[0], EPOLLIN, on_report, session);
    return 0;
}

int session_exec(struct session *session, struct supervisor *s, const json_t *order,
                 struct error *err)
{
    char **command = make_command(order);
    struct entry entry = { .s = s,
                           .command = command,
                           .workdir = json_get_str(order, "workdir", NULL),
                           .term = json_get_str(order, "term", NULL),
                           .tty = json_get_bool(order, "tty", false),
                           .rows = (unsigned) json_get_int(order, "rows", 24),
                           .columns = (unsigned) json_get_int(order, "columns", 80),
                           .stdio = { -1, -1, -1 } };
    int r = 0;

    session->tty = entry.tty;
    if (!entry.tty)
        r = make_pipes(session, json_get_bool(order, "stdin", false), entry.stdio);
    if (r < 0)
        r = error_set(err, r, "pipes: %s", strerror(-r));
    else
        r = launch(session, &entry, err);
    for (int i = 0; i < 3; i++)
        safe_close(entry.stdio[i]);
    free_command(command);
    return r;
}

/* ---- copies -------------------------------------------------------------------------------------- */

struct copy {
    const char *path, *name;
    bool in;
};

/* In the container, as its user: what it may not read or write is not copied. */
static int run_copy(void *userdata)
{
    const struct copy *copy = userdata;
    struct copy_count count = { 0 };
    struct error err = { 0 };

    /* A pipe that ends is enough of a word: what is half is removed then. */
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGHUP, SIG_IGN);
    int r = copy->in ? copy_receive(copy->path, copy->name, 0, &count, &err)
                     : copy_send(copy->path, 1, &count, &err);
    if (r < 0)
        (void) dprintf(2, "%s\n", err.text[0] ? err.text : strerror(-r));
    else if (count.skipped)
        (void) dprintf(2, "%lld left out: neither files, directories nor symbolic links\n",
                       (long long) count.skipped);
    return r < 0;
}

int session_copy(struct session *session, struct supervisor *s, const json_t *order,
                 struct error *err)
{
    struct copy copy = { .path = json_get_str(order, "path", ""),
                         .name = json_get_str(order, "name", "."),
                         .in = str_equal(json_get_str(order, "direction", ""), "in") };
    struct entry entry = { .s = s, .stdio = { -1, -1, -1 }, .body = run_copy, .userdata = &copy };

    int r = make_pipes(session, copy.in, entry.stdio);
    if (r < 0)
        r = error_set(err, r, "pipes: %s", strerror(-r));
    else
        r = launch(session, &entry, err);
    for (int i = 0; i < 3; i++)
        safe_close(entry.stdio[i]);
    return r;
}
