/* websocket.c - a WebSocket connection on a loop, of either side
 *
 * It owns itself: it is freed when the connection ends, whoever ends it. Silence is answered by pings,
 * and by the end when those are not answered; whoever is paused on purpose is only expected to take
 * what is sent (TCP_USER_TIMEOUT and `stall` see to that).
 */
#include "http/websocket-internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define PIECE      15360     /* received at once */
#define STEADY     65536     /* an output buffer larger than this is released once sent */
#define ROUND      (1 << 20) /* bytes read before the others have their turn */
#define LINGER_US  2000000   /* for the peer's close frame */
#define PONGS_MAX  4096      /* bytes that wait: more pings are not answered */
#define CLOSE_TEXT 123

static void on_ready(void *userdata, uint32_t events);
static void on_timer(void *userdata);

static int64_t now_us(const struct websocket *ws) { return loop_now_us(ws->loop); }

struct websocket *websocket_make(struct loop *loop, int fd, bool client, struct text *in,
                                 struct text *out)
{
    struct websocket *ws = xnew(struct websocket);
    unsigned stall_ms = 60000;
    int one = 1;

    *ws = (struct websocket){ .loop = loop,
                              .fd = fd,
                              .client = client,
                              .in = *in,
                              .out = *out,
                              .parser = { .from_client = !client } };
    *in = *out = (struct text){ 0 };
    (void) set_nonblock(fd, true);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof stall_ms);
    return ws;
}

static void fill_in(const struct websocket_options *options, struct websocket *ws)
{
    if (options)
        ws->options = *options;
    if (!ws->options.limit)
        ws->options.limit = 65537;
    if (!ws->options.ping_us)
        ws->options.ping_us = 20000000;
    if (!ws->options.silence_us)
        ws->options.silence_us = 60000000;
    ws->parser.limit = ws->options.limit;
}

static void free_later(void *userdata) { free(userdata); }

static void destroy(struct websocket *ws)
{
    if (ws->dead)
        return;
    ws->dead = true;
    if (ws->link) {
        *ws->link = ws->next;
        if (ws->next)
            ws->next->link = ws->link;
    }
    if (ws->n_connections)
        --*ws->n_connections;
    watch_free(ws->watch);
    watch_free(ws->timer);
    ws->fd = safe_close(ws->fd);
    text_done(&ws->in);
    text_done(&ws->out);
    ws_parser_done(&ws->parser);
    loop_defer(ws->loop, free_later, ws);
}

/* The end, told to the owner unless it said goodbye itself. */
static void finish(struct websocket *ws, unsigned code, const char *reason)
{
    bool owned = !ws->released && !ws->dead;

    ws->released = true;
    _cleanup_free_ char *words = xstrdup(reason);
    destroy(ws);
    if (owned && ws->events.closed)
        ws->events.closed(ws->events.userdata, code, words);
}

/* ---- out ----------------------------------------------------------------------------------------- */

size_t websocket_pending(const struct websocket *ws) { return ws->out.len - ws->out_at; }

static void set_events(struct websocket *ws)
{
    bool reading = !ws->paused || ws->close_sent;

    if (!ws->dead)
        watch_set_events(ws->watch, EPOLLRDHUP | (reading ? (uint32_t) EPOLLIN : 0) |
                                        (websocket_pending(ws) ? (uint32_t) EPOLLOUT : 0));
}

/* 0, or a negative errno when the connection is broken. */
static int flush(struct websocket *ws)
{
    while (ws->out_at < ws->out.len) {
        ssize_t n = send(ws->fd, ws->out.data + ws->out_at, ws->out.len - ws->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        ws->out_at += (size_t) n;
        ws->moved_us = now_us(ws);
    }
    ws->out_at = 0;
    if (ws->out.cap > STEADY)
        text_done(&ws->out);
    else
        text_clear(&ws->out);
    return 0;
}

static void add_frame(struct websocket *ws, enum ws_opcode opcode, const char *bytes, size_t len)
{
    uint8_t head[WS_HEAD_MAX], mask[4];

    if (ws->client && getrandom(mask, sizeof mask, 0) != sizeof mask)
        abort();
    if (ws->out_at > WEBSOCKET_PENDING) {
        text_consume(&ws->out, ws->out_at);
        ws->out_at = 0;
    }
    if (!websocket_pending(ws))
        ws->moved_us = now_us(ws);
    text_add_bytes(&ws->out, head, ws_frame_head(opcode, len, ws->client ? mask : NULL, head));
    text_add_bytes(&ws->out, bytes, len);
    if (ws->client)
        ws_mask(ws->out.data + ws->out.len - len, len, mask, 0);
}

/* A failure shows in on_ready(), not inside of the caller. */
static void push(struct websocket *ws)
{
    if (flush(ws) < 0) {
        text_clear(&ws->out);
        ws->out_at = 0;
        ws->broken = true;
        timer_set(ws->timer, 0);
    }
    set_events(ws);
}

void websocket_send(struct websocket *ws, const char *bytes, size_t len, bool binary)
{
    if (ws->dead || ws->close_sent || ws->broken)
        return;
    add_frame(ws, binary ? WS_BINARY : WS_TEXT, bytes, len);
    if (websocket_pending(ws) > WEBSOCKET_PENDING)
        ws->full = true;
    push(ws);
}

static void send_close(struct websocket *ws, unsigned code, const char *reason)
{
    char payload[2 + CLOSE_TEXT];
    size_t n = strnlen(reason, CLOSE_TEXT);

    if (ws->close_sent)
        return;
    payload[0] = (char) (code >> 8);
    payload[1] = (char) code;
    memcpy(payload + 2, reason, n);
    if (code == WS_NO_CODE)
        add_frame(ws, WS_CLOSE, "", 0);
    else
        add_frame(ws, WS_CLOSE, payload, 2 + n);
    ws->close_sent = true;
    push(ws);
}

void websocket_close(struct websocket *ws, unsigned code, const char *reason)
{
    if (ws->dead || ws->released)
        return;
    ws->released = true;
    send_close(ws, code, reason);
    timer_set(ws->timer, LINGER_US);
    ws->linger_us = now_us(ws) + LINGER_US;
}

void websocket_begin(struct websocket *ws, const struct websocket_options *options,
                     const struct websocket_events *events)
{
    fill_in(options, ws);
    ws->events = *events;
    ws->heard_us = ws->moved_us = now_us(ws);
    ws->watch = loop_watch(ws->loop, ws->fd, EPOLLIN | EPOLLRDHUP, on_ready, ws);
    ws->timer = loop_timer(ws->loop, ws->in.len ? 0 : ws->options.ping_us, on_timer, ws);
    push(ws); /* the head of the answer */
}

void websocket_free(struct websocket *ws)
{
    if (!ws || ws->dead)
        return;
    ws->released = true;
    send_close(ws, WS_GOING_AWAY, "");
    destroy(ws);
}

/* ---- in ------------------------------------------------------------------------------------------ */

void websocket_pause(struct websocket *ws)
{
    ws->paused = true;
    set_events(ws);
}

void websocket_resume(struct websocket *ws)
{
    if (!ws->paused || ws->dead)
        return;
    ws->paused = false;
    ws->heard_us = now_us(ws);
    if (ws->in.len)
        timer_set(ws->timer, 0); /* what came before the pause */
    set_events(ws);
}

static unsigned code_of(ssize_t r)
{
    return r == -EMSGSIZE ? WS_TOO_LARGE : r == -EILSEQ ? WS_BAD_TEXT : WS_PROTOCOL;
}

/* The peer has closed: answer with its own code, then the end. */
static void on_close_frame(struct websocket *ws, const struct ws_message *m)
{
    _cleanup_free_ char *reason = xstrndup(m->bytes, m->len);

    send_close(ws, m->code, "");
    finish(ws, m->code, reason);
}

static void take_message(struct websocket *ws, const struct ws_message *m)
{
    switch (m->opcode) {
    case WS_TEXT:
    case WS_BINARY:
        if (!ws->released)
            ws->events.message(ws->events.userdata, m->bytes, m->len, m->opcode == WS_BINARY);
        return;
    case WS_PING:
        if (!ws->close_sent && websocket_pending(ws) < WEBSOCKET_PENDING + PONGS_MAX) {
            add_frame(ws, WS_PONG, m->bytes, m->len);
            push(ws);
        }
        return;
    case WS_CLOSE:
        on_close_frame(ws, m);
        return;
    case WS_PONG:
    case WS_CONTINUATION:
        return;
    }
}

/* The peer broke the rules: it is told by which code, and its end is waited for, because closing with
 * unread bytes would make the kernel take the close frame back. */
static void give_up(struct websocket *ws, unsigned code, const char *reason)
{
    bool owned = !ws->released;

    send_close(ws, code, reason);
    ws->discarding = ws->released = true;
    ws->linger_us = now_us(ws) + LINGER_US;
    timer_set(ws->timer, LINGER_US);
    if (owned && ws->events.closed)
        ws->events.closed(ws->events.userdata, code, reason);
}

/* Messages out of BYTES; what a pause leaves goes to `in`. */
static void take_bytes(struct websocket *ws, const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len && !ws->dead && !ws->discarding && (!ws->paused || ws->released)) {
        struct ws_message m;
        ssize_t n = ws_parse(&ws->parser, bytes + at, len - at, &m);
        if (n < 0) {
            give_up(ws, code_of(n), m.reason);
            return;
        }
        at += (size_t) n;
        take_message(ws, &m);
    }
    if (!ws->dead && !ws->discarding && at < len)
        text_add_bytes(&ws->in, bytes + at, len - at);
}

static void take_held(struct websocket *ws)
{
    _cleanup_text_ struct text held = ws->in;

    ws->in = (struct text){ 0 };
    take_bytes(ws, text_str(&held), held.len);
}

static void receive(struct websocket *ws)
{
    char piece[PIECE];

    for (size_t total = 0; total < ROUND && !ws->dead && (!ws->paused || ws->released);) {
        ssize_t n = recv(ws->fd, piece, sizeof piece, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            finish(ws, WS_ABNORMAL, n < 0 ? strerror(errno) : "the connection was cut");
            return;
        }
        ws->heard_us = now_us(ws);
        total += (size_t) n;
        take_bytes(ws, piece, (size_t) n);
        if ((size_t) n < sizeof piece)
            return;
    }
}

static void tell_drained(struct websocket *ws)
{
    if (!ws->full || websocket_pending(ws) > WEBSOCKET_PENDING / 2)
        return;
    ws->full = false;
    if (!ws->released && ws->events.drained)
        ws->events.drained(ws->events.userdata);
}

static void on_ready(void *userdata, uint32_t events)
{
    struct websocket *ws = userdata;

    if ((events & EPOLLOUT) && flush(ws) < 0) {
        finish(ws, WS_ABNORMAL, "the connection was cut");
        return;
    }
    tell_drained(ws);
    if (!ws->dead && (events & EPOLLIN))
        receive(ws);
    /* A peer that has left is noticed also while nobody reads. */
    if (!ws->dead && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) && !(events & EPOLLIN))
        finish(ws, WS_ABNORMAL, "the connection was cut");
    set_events(ws);
}

/* ---- time ---------------------------------------------------------------------------------------- */

static void look_at_silence(struct websocket *ws)
{
    int64_t now = now_us(ws), quiet = now - ws->heard_us, stuck = now - ws->moved_us;

    if (websocket_pending(ws) && stuck >= ws->options.silence_us) {
        finish(ws, WS_ABNORMAL, "the other side takes nothing");
        return;
    }
    if (!ws->paused && quiet >= ws->options.silence_us) {
        send_close(ws, WS_POLICY, "no answer to pings");
        finish(ws, WS_ABNORMAL, "the other side is silent");
        return;
    }
    if (quiet >= ws->options.ping_us && !websocket_pending(ws)) {
        add_frame(ws, WS_PING, "", 0);
        push(ws);
    }
    timer_set(ws->timer, ws->options.ping_us);
}

static void on_timer(void *userdata)
{
    struct websocket *ws = userdata;

    if (ws->dead)
        return;
    if (ws->broken || (ws->linger_us && now_us(ws) >= ws->linger_us)) {
        finish(ws, WS_ABNORMAL, "the connection was cut");
        return;
    }
    if (ws->in.len && !ws->paused)
        take_held(ws);
    if (!ws->dead && !ws->linger_us)
        look_at_silence(ws);
    if (!ws->dead && ws->linger_us)
        timer_set(ws->timer, LINGER_US);
    set_events(ws);
}

void websockets_end(struct http_server *server)
{
    while (server->sockets) {
        struct websocket *ws = server->sockets;
        send_close(ws, WS_GOING_AWAY, "the server is stopping");
        finish(ws, WS_GOING_AWAY, "the server is stopping");
        loop_undefer(ws->loop, free_later, ws); /* there is no next round */
        free(ws);
    }
}
