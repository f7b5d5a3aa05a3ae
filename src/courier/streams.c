/* streams.c - what leads into the task from home: streams that home orders and this side opens
 *
 * A stream is a WebSocket home on one side, a connection to the supervisor's socket on the other; a message is
 * a packet, and none is looked at. What one side does not take is not read from the other. Opening one blocks,
 * so threads do it. When the task has ended, what its supervisor said last still goes home.
 */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/pool.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { OPENERS = 4, STREAMS_MAX = 1024, NAME_LEN = 32, PACKETS_A_ROUND = 64 };

#define LOOK_US INT64_C(20000)   /* how often it is seen whether the last words have left */
#define LAST_US INT64_C(5000000) /* and how long they may take */

struct stream {
    struct stream *next, **link;
    struct streams *all;
    char name[NAME_LEN + 1];
    /* of the thread that opens it */
    struct websocket_link home;
    int r;
    /* of the loop */
    struct websocket *ws; /* NULL: not open yet */
    int fd;               /* the supervisor; -1: none, or it has ended */
    struct watch *watch, *timer;
    struct text held; /* a packet that the supervisor did not take yet */
    int64_t until_us; /* of its last words */
};

struct streams {
    struct loop *loop;
    struct courier_options options;
    int dir;
    struct pool *pool; /* NULL before the first */
    struct stream *first;
    unsigned n;
};

struct streams *streams_new(struct loop *loop, const struct courier_options *options, int dir)
{
    struct streams *all = xnew(struct streams);

    *all = (struct streams){ .loop = loop, .options = *options, .dir = dir };
    return all;
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void leave_supervisor(struct stream *s)
{
    watch_free(s->watch);
    s->watch = NULL;
    s->fd = safe_close(s->fd);
}

static void stream_free(struct stream *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->all->n--;
    leave_supervisor(s);
    watch_free(s->timer);
    text_done(&s->held);
    safe_close(s->home.fd);
    text_done(&s->home.rest);
    free(s);
}

static void stream_close(struct stream *s, unsigned code, const char *reason)
{
    websocket_close(s->ws, code, reason);
    stream_free(s);
}

static void on_closed(void *userdata, unsigned code, const char *reason)
{
    (void) code;
    (void) reason;
    stream_free(userdata);
}

/* All that the supervisor said is in the kernel's hands, or will never be. */
static void on_look(void *userdata)
{
    struct stream *s = userdata;

    if (websocket_pending(s->ws) && loop_now_us(s->all->loop) < s->until_us)
        timer_set(s->timer, LOOK_US);
    else
        stream_close(s, WS_NORMAL, "");
}

static void supervisor_gone(struct stream *s)
{
    leave_supervisor(s);
    s->until_us = loop_now_us(s->all->loop) + LAST_US;
    timer_set(s->timer, 0);
}

/* ---- packets --------------------------------------------------------------------------------------- */

static void set_events(struct stream *s)
{
    bool room = websocket_pending(s->ws) <= WEBSOCKET_PENDING;

    if (s->watch)
        watch_set_events(s->watch,
                         (room ? (uint32_t) EPOLLIN : 0) | (s->held.len ? (uint32_t) EPOLLOUT : 0));
}

static void receive(struct stream *s)
{
    static char packet[1 + CHANNEL_PAYLOAD_MAX]; /* the loop's thread; used up before it returns */

    for (int i = 0; i < PACKETS_A_ROUND && websocket_pending(s->ws) <= WEBSOCKET_PENDING; i++) {
        ssize_t n = recv(s->fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0 && errno == ECONNRESET)
            continue; /* what it said before is still there */
        if (n <= 0) {
            supervisor_gone(s);
            return;
        }
        websocket_send(s->ws, packet, (size_t) n, true);
    }
    set_events(s);
}

static void on_supervisor(void *userdata, uint32_t events)
{
    struct stream *s = userdata;

    if ((events & EPOLLOUT) && s->held.len &&
        (send(s->fd, s->held.data, s->held.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
         errno != EAGAIN)) {
        text_clear(&s->held);
        websocket_resume(s->ws);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(s);
    else
        set_events(s);
}

static void on_message(void *userdata, const char *bytes, size_t len, bool binary)
{
    struct stream *s = userdata;

    if (!binary || !len || s->fd < 0)
        return;
    if (send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        text_add_bytes(&s->held, bytes, len);
        websocket_pause(s->ws);
        set_events(s);
    }
}

static void on_drained(void *userdata) { set_events(userdata); }

/* ---- the beginning --------------------------------------------------------------------------------- */

/* The directory's path may be longer than a socket's: go by its descriptor. */
static int connect_supervisor(int dir)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void) snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/sock", dir);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof address) < 0)
        return -errno;
    return take_fd(&fd);
}

static void opened(void *userdata)
{
    struct stream *s = userdata;
    const struct websocket_events events = {
        .message = on_message, .drained = on_drained, .closed = on_closed, .userdata = s
    };

    if (s->r < 0) { /* whoever waits for it at home is told when its time is over */
        stream_free(s);
        return;
    }
    s->ws = websocket_new(s->all->loop, &s->home, NULL, &events);
    s->home = (struct websocket_link){ .fd = -1 };
    s->timer = loop_timer(s->all->loop, 0, on_look, s);
    timer_clear(s->timer);
    s->fd = connect_supervisor(s->all->dir);
    if (s->fd < 0) {
        stream_close(s, WS_INTERNAL, "the task's supervisor does not answer");
        return;
    }
    s->watch = loop_watch(s->all->loop, s->fd, EPOLLIN, on_supervisor, s);
}

static void open_work(void *userdata)
{
    struct stream *s = userdata;
    struct home home = { 0 };
    _cleanup_free_ char *target = xasprintf("streams/%s", s->name);

    s->r = home_open(&s->all->options, &home, NULL);
    if (s->r >= 0)
        s->r = home_stream(&home, target, &s->home, NULL);
    home_close(&home);
}

static bool is_name(const char *name)
{
    size_t n = 0;

    while (name && isxdigit((unsigned char) name[n]))
        n++;
    return n == NAME_LEN && !name[n];
}

void streams_open(struct streams *all, const char *name)
{
    if (!is_name(name) || all->n >= STREAMS_MAX)
        return;
    struct stream *s = xnew(struct stream);
    *s = (struct stream){
        .next = all->first, .link = &all->first, .all = all, .home = { .fd = -1 }, .fd = -1
    };
    memcpy(s->name, name, sizeof s->name);
    if (s->next)
        s->next->link = &s->next;
    all->first = s;
    all->n++;
    if (!all->pool)
        all->pool = pool_new(all->loop, OPENERS);
    pool_submit(all->pool, open_work, opened, s);
}

/* ---- after the task -------------------------------------------------------------------------------- */

static bool has_open(const struct streams *all)
{
    for (const struct stream *s = all->first; s; s = s->next)
        if (s->ws)
            return true;
    return false;
}

void streams_finish(struct streams *all)
{
    int64_t until_us = loop_now_us(all->loop) + LAST_US;

    while (has_open(all) && loop_now_us(all->loop) < until_us)
        loop_once(all->loop, 100);
}
