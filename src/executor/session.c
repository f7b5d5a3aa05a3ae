/* session.c - the channel of a session, and the bytes both ways
 *
 * Bounded both ways: output is read only while the channel takes it, the channel is read only while
 * input is taken. Words for the other side (CHANNEL_CONTROL) are few and queue.
 */
#include "executor/session.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE         8192
#define ROUND         (128 * 1024) /* of one end before the others have their turn */
#define PROCESSES_MAX 32
#define FORWARDS_MAX  512
#define DRAIN_US      200000  /* output that others still hold open after the exit */
#define HANGUP_US     5000000 /* from SIGHUP to SIGKILL */
#define JOB_ENDED     "the job has ended"

struct sessions {
    struct supervisor *s;
    struct session *first;
};

static void on_channel(void *userdata, uint32_t events);
static void on_end(void *userdata, uint32_t events);

struct supervisor *session_supervisor(const struct session *session) { return session->all->s; }

/* ---- life ---------------------------------------------------------------------------------------- */

struct sessions *sessions_new(struct supervisor *s)
{
    struct sessions *all = xnew(struct sessions);

    all->s = s;
    return all;
}

static void drop_end(struct session_end *end)
{
    watch_free(end->watch);
    end->watch = NULL;
    end->fd = safe_close(end->fd);
}

static void drop_channel(struct session *session)
{
    watch_free(session->channel_watch);
    session->channel_watch = NULL;
    session->channel = safe_close(session->channel);
}

static void session_free(struct session *session)
{
    struct session **p = &session->all->first;

    while (*p && *p != session)
        p = &(*p)->next;
    if (*p)
        *p = session->next;
    for (unsigned i = 0; i < SESSION_ENDS; i++)
        drop_end(&session->ends[i]);
    drop_channel(session);
    watch_free(session->report_watch);
    watch_free(session->timer);
    safe_close(session->report);
    text_done(&session->queue);
    text_done(&session->backlog);
    free(session);
}

/* ---- to the other side --------------------------------------------------------------------------- */

static int send_packet(struct session *session, const char *bytes, size_t len)
{
    while (send(session->channel, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        if (errno != EINTR)
            return errno == EAGAIN ? -EAGAIN : -EPIPE;
    return 0;
}

static void queue_packet(struct session *session, const char *bytes, uint32_t len)
{
    text_add_bytes(&session->queue, &len, sizeof len);
    text_add_bytes(&session->queue, bytes, len);
}

static void put_packet(struct session *session, const char *bytes, size_t len)
{
    if (session->channel < 0)
        return;
    if (session->queue.len || send_packet(session, bytes, len) == -EAGAIN)
        queue_packet(session, bytes, (uint32_t) len);
    /* That it has left shows on the channel itself. */
}

static void flush_queue(struct session *session)
{
    while (session->queue.len && session->channel >= 0) {
        uint32_t len;
        memcpy(&len, session->queue.data, sizeof len);
        if (send_packet(session, session->queue.data + sizeof len, len) == -EAGAIN)
            return;
        text_consume(&session->queue, sizeof len + len);
    }
}

void session_say(struct session *session, json_t *json)
{
    _cleanup_text_ struct text t = { 0 };

    text_add_char(&t, CHANNEL_CONTROL);
    text_add_json(&t, json);
    json_decref(json);
    put_packet(session, t.data, t.len);
}

static void say_exit(struct session *session, int code, const char *reason)
{
    json_t *exit = json_object(), *json = json_object();

    json_put_int(exit, "code", code);
    if (reason)
        json_put_str(exit, "reason", reason);
    json_put(json, "exit", exit);
    session_say(session, json);
    session->closing = true;
}

void session_fail(struct session *session, int exit_code, const char *text)
{
    session->failed = true;
    say_exit(session, exit_code, text);
}

/* ---- output -------------------------------------------------------------------------------------- */

static void end_output(struct session *session, unsigned i)
{
    const char packet[] = { (char) i };

    drop_end(&session->ends[i]);
    if (session->half_close)
        put_packet(session, packet, 1);
}

static void pump_output(struct session *session, unsigned i)
{
    char piece[1 + PIECE] = { (char) i };
    int fd = session->ends[i].fd;

    for (size_t total = 0; total < ROUND && !session->queue.len;) {
        ssize_t n = read(fd, piece + 1, PIECE);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* EIO: a terminal that nobody has open */
            end_output(session, i);
            return;
        }
        put_packet(session, piece, 1 + (size_t) n);
        total += (size_t) n;
    }
}

/* ---- input --------------------------------------------------------------------------------------- */

static void end_input(struct session *session)
{
    struct session_end *end = &session->ends[CHANNEL_IN];

    if (session->tty)
        return; /* a terminal has no end of its own */
    if (session->half_close && end->fd >= 0)
        (void) shutdown(end->fd, SHUT_WR);
    drop_end(end);
}

static size_t backlog_len(const struct session *session)
{
    return session->backlog.len - session->backlog_at;
}

static void flush_input(struct session *session)
{
    struct session_end *end = &session->ends[CHANNEL_IN];

    while (backlog_len(session) && end->fd >= 0) {
        ssize_t n =
            write(end->fd, session->backlog.data + session->backlog_at, backlog_len(session));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { /* nobody reads it any more */
            drop_end(end);
            break;
        }
        session->backlog_at += (size_t) n;
    }
    text_clear(&session->backlog);
    session->backlog_at = 0;
    if (session->input_ended)
        end_input(session);
}

void session_resize(struct session *session, const json_t *size)
{
    struct winsize ws = { .ws_row = (unsigned short) json_get_int(size, "rows", 24),
                          .ws_col = (unsigned short) json_get_int(size, "columns", 80) };

    if (session->tty && session->ends[CHANNEL_OUT].fd >= 0)
        (void) ioctl(session->ends[CHANNEL_OUT].fd, TIOCSWINSZ, &ws);
}

static void obey(struct session *session, const char *bytes, size_t len)
{
    _cleanup_json_ json_t *order = NULL;

    if (json_parse(bytes, len, &order, NULL) < 0)
        return;
    const json_t *size = json_object_get(order, "size");
    int signo = (int) json_get_int(order, "signal", 0);
    if (size)
        session_resize(session, size);
    if (signo >= 1 && signo <= 64 && session->pid > 0 && !session->exited)
        (void) kill(-session->pid, signo);
}

static void take_packet(struct session *session, const char *bytes, size_t len)
{
    if (len && bytes[0] == CHANNEL_CONTROL) {
        obey(session, bytes + 1, len - 1);
    } else if (len == 1 && bytes[0] == CHANNEL_IN) {
        session->input_ended = true;
        flush_input(session);
    } else if (len && bytes[0] == CHANNEL_IN && session->ends[CHANNEL_IN].fd >= 0 &&
               !session->input_ended) {
        text_add_bytes(&session->backlog, bytes + 1, len - 1);
        flush_input(session);
    }
}

/* Nobody looks any more: what runs for this session ends, gently first. */
static void hang_up(struct session *session)
{
    drop_channel(session);
    text_clear(&session->queue);
    for (unsigned i = 0; i < SESSION_ENDS; i++)
        drop_end(&session->ends[i]);
    if (session->pid > 0 && !session->exited) {
        (void) kill(-session->pid, SIGHUP);
        (void) kill(-session->pid, SIGCONT);
        timer_set(session->timer, HANGUP_US);
    }
}

static void receive(struct session *session)
{
    static char packet[1 + CHANNEL_PAYLOAD_MAX]; /* one thread; used up before it returns */

    for (int i = 0; i < 16 && session->channel >= 0 && !backlog_len(session); i++) {
        ssize_t n = recv(session->channel, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            hang_up(session);
            return;
        }
        take_packet(session, packet, (size_t) n);
    }
}

/* ---- events -------------------------------------------------------------------------------------- */

static bool output_is_over(const struct session *session)
{
    return session->ends[CHANNEL_OUT].fd < 0 && session->ends[CHANNEL_ERR].fd < 0;
}

/* An end that is not wanted has no watch: its hang-up would be told again and again. */
static void arm(struct session_end *end, uint32_t events)
{
    struct loop *loop = session_supervisor(end->session)->loop;

    if (end->fd < 0)
        return;
    if (!events) {
        watch_free(end->watch);
        end->watch = NULL;
    } else if (end->watch) {
        watch_set_events(end->watch, events);
    } else {
        end->watch = loop_watch(loop, end->fd, events, on_end, end);
    }
}

static void set_events(struct session *session)
{
    bool backlog = backlog_len(session) > 0, queue = session->queue.len > 0;

    /* EPOLLERR alone: nobody reads the input any more. */
    arm(&session->ends[CHANNEL_IN], backlog ? EPOLLOUT : (uint32_t) EPOLLERR);
    arm(&session->ends[CHANNEL_OUT], queue ? 0 : EPOLLIN);
    arm(&session->ends[CHANNEL_ERR], queue ? 0 : EPOLLIN);
    if (session->channel_watch)
        watch_set_events(session->channel_watch,
                         (backlog ? 0 : (uint32_t) EPOLLIN) | (queue ? (uint32_t) EPOLLOUT : 0));
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Has the process ended, and is it known how? One that was killed may have gone with the job: that shows
 * in a moment (sessions_free()). */
static bool process_is_over(const struct session *session)
{
    bool killed = WIFSIGNALED(session->status) && WTERMSIG(session->status) == SIGKILL;

    return session->exited && session->report < 0 && (!killed || session->waited);
}

void session_step(struct session *session)
{
    bool done = session->pid > 0 ? process_is_over(session) : session->half_close;

    if (done && !session->closing && output_is_over(session) && session->channel >= 0) {
        bool both = !session->half_close || session->ends[CHANNEL_IN].fd < 0;
        if (both)
            say_exit(session, exit_code(session->status), NULL);
    }
    bool said = session->channel < 0 || (session->closing && !session->queue.len);
    bool over = session->pid <= 0 || session->exited;
    if (said && over)
        session_free(session);
    else
        set_events(session);
}

static void on_channel(void *userdata, uint32_t events)
{
    struct session *session = userdata;

    if (events & EPOLLOUT)
        flush_queue(session);
    if (events & EPOLLIN)
        receive(session);
    else if (events & (EPOLLHUP | EPOLLERR))
        hang_up(session);
    session_step(session);
}

static void on_end(void *userdata, uint32_t events)
{
    struct session_end *end = userdata;
    struct session *session = end->session;
    unsigned i = (unsigned) (end - session->ends);

    (void) events;
    if (i == CHANNEL_IN && backlog_len(session))
        flush_input(session);
    else if (i == CHANNEL_IN)
        drop_end(end); /* nobody reads it any more */
    else if (!session->queue.len)
        pump_output(session, i);
    session_step(session);
}

/* The exit's output has had its time, or whoever was hung up has had theirs. */
static void on_timer(void *userdata)
{
    struct session *session = userdata;

    if (session->channel < 0 && session->pid > 0 && !session->exited) {
        (void) kill(-session->pid, SIGKILL);
    } else if (session->exited) {
        session->waited = true;
        for (unsigned i = CHANNEL_OUT; i < SESSION_ENDS; i++)
            drop_end(&session->ends[i]);
    }
    session_step(session);
}

void session_add_end(struct session *session, unsigned i, int fd)
{
    struct session_end *end = &session->ends[i];

    (void) set_nonblock(fd, true);
    end->fd = fd;
}

bool sessions_reap(struct sessions *all, pid_t pid, int status)
{
    struct session *session = all->first;

    while (session && session->pid != pid)
        session = session->next;
    if (!session)
        return false;
    session->exited = true;
    session->status = status;
    if (session->channel < 0)
        (void) kill(-pid, SIGKILL); /* what it left behind in its group was hung up too */
    for (unsigned i = CHANNEL_OUT; i < SESSION_ENDS; i++)
        if (session->ends[i].fd >= 0 && !session->queue.len)
            pump_output(session, i);
    timer_set(session->timer, DRAIN_US);
    session_step(session);
    return true;
}

/* ---- ports --------------------------------------------------------------------------------------- */

static int forward(struct session *session, struct supervisor *s, const json_t *order,
                   struct error *err)
{
    unsigned port = (unsigned) json_get_int(order, "port", 0);

    if (port < 1 || port > 65535)
        return error_set(err, -EINVAL, "port: %u is not one", port);
    int fd = network_port_connect(s->own_netns, s->launch->netns, (uint16_t) port);
    if (fd < 0)
        return error_set(err, fd, "nothing listens on port %u in the job: %s", port, strerror(-fd));
    session->half_close = true;
    session_add_end(session, CHANNEL_IN, fcntl(fd, F_DUPFD_CLOEXEC, 3));
    session_add_end(session, CHANNEL_OUT, fd);
    session_say(session, json_pack("{s:b}", "started", 1));
    return 0;
}

/* ---- begin and end ------------------------------------------------------------------------------- */

static unsigned count(const struct sessions *all, bool forwards)
{
    unsigned n = 0;

    for (const struct session *p = all->first; p; p = p->next)
        n += p->half_close == forwards;
    return n;
}

static int start(struct session *session, const json_t *order, struct error *err)
{
    struct sessions *all = session->all;
    struct supervisor *s = all->s;
    bool is_forward = str_equal(json_get_str(order, "op", ""), "forward");
    unsigned max = is_forward ? FORWARDS_MAX : PROCESSES_MAX;

    if (s->ended || s->container.pidfd < 0 || !s->reported_start)
        return error_set(err, -EBUSY, "the job is not running");
    if (count(all, is_forward) > max)
        return error_set(err, -EBUSY,
                         is_forward ? "the job has %u connections already"
                                    : "the job has %u sessions already",
                         max);
    if (is_forward)
        return forward(session, s, order, err);
    return str_equal(json_get_str(order, "op", ""), "copy") ? session_copy(session, s, order, err)
                                                            : session_exec(session, s, order, err);
}

void sessions_begin(struct sessions *all, int fd, const json_t *order)
{
    struct session *session = xnew(struct session);
    struct error err = { 0 };

    *session = (struct session){ .all = all, .next = all->first, .channel = fd, .report = -1 };
    for (unsigned i = 0; i < SESSION_ENDS; i++)
        session->ends[i] = (struct session_end){ .session = session, .fd = -1 };
    all->first = session;
    session->channel_watch = loop_watch(all->s->loop, fd, EPOLLIN, on_channel, session);
    session->timer = loop_timer(all->s->loop, 0, on_timer, session);
    timer_clear(session->timer);
    if (start(session, order, &err) < 0)
        session_fail(session, 125, err.text);
    session_step(session);
}

void sessions_free(struct sessions *all)
{
    if (!all)
        return;
    while (all->first) {
        struct session *session = all->first;
        for (unsigned i = CHANNEL_OUT; i < SESSION_ENDS; i++)
            if (session->ends[i].fd >= 0 && !session->queue.len)
                pump_output(session, i);
        if (!session->closing)
            session_fail(session, session->exited ? exit_code(session->status) : 137, JOB_ENDED);
        session_free(session);
    }
    free(all);
}
