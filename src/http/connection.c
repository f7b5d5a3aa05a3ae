/* connection.c - one client: bytes in, requests one at a time, bytes out
 *
 * connection_work() is the only place where progress is made. Whatever happens inside (a handler that
 * answers at once, a generator that sends) only changes state; the loop in there picks it up, so
 * nothing recurses however many requests are pipelined.
 */
#include "http/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_US 2000000

static void on_ready(void *userdata, uint32_t events);
static void on_timer(void *userdata);

void connection_new(struct http_server *server, int fd, bool local)
{
    struct connection *c = xnew(struct connection);

    *c = (struct connection){
        .server = server, .fd = fd, .file = -1, .peer_uid = -1, .deadline_us = INT64_MAX
    };
    if (local) {
        struct ucred peer;
        socklen_t len = sizeof peer;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
            c->peer_uid = peer.uid;
    } else {
        int one = 1;
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    c->next = server->first;
    c->link = &server->first;
    if (c->next)
        c->next->link = &c->next;
    server->first = c;
    server->n_connections++;
    c->watch = loop_watch(server->options.loop, fd, EPOLLIN | EPOLLRDHUP, on_ready, c);
    c->timer = loop_timer(server->options.loop, server->options.head_timeout_us, on_timer, c);
    connection_deadline(c, server->options.head_timeout_us);
}

static void free_later(void *userdata) { free(userdata); }

void connection_close(struct connection *c)
{
    if (c->dead)
        return;
    c->dead = true;
    struct http_request *req = take_ptr(c->req);
    if (req)
        request_orphan(req);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->server->n_connections--;
    watch_free(c->watch);
    watch_free(c->timer);
    safe_close(c->fd);
    safe_close(c->file);
    text_done(&c->in);
    text_done(&c->out);
    loop_defer(c->server->options.loop, free_later, c);
}

/* The timer is left where it is when the deadline moves away: it looks again when it fires. That
 * keeps a busy connection from touching the heap for each request. */
void connection_deadline(struct connection *c, int64_t after_us)
{
    int64_t now = loop_now_us(c->server->options.loop);
    int64_t before = c->deadline_us;

    c->deadline_us = now + after_us;
    if (before == INT64_MAX || c->deadline_us < before)
        timer_set(c->timer, after_us);
}

static void on_timer(void *userdata)
{
    struct connection *c = userdata;
    int64_t left = c->deadline_us - loop_now_us(c->server->options.loop);

    if (c->deadline_us == INT64_MAX)
        return;
    if (left > 0) {
        timer_set(c->timer, left);
        return;
    }
    /* A request that waits for its answer (a commit, a follower without news) waits for us, not for
     * the client: only a stalled client is given up. */
    if (c->req && c->out_at == c->out.len && c->file < 0 &&
        (c->req->body_done || c->req->paused || c->req->mode == BODY_NONE)) {
        connection_deadline(c, c->server->options.progress_timeout_us);
        timer_set(c->timer, c->server->options.progress_timeout_us);
        return;
    }
    connection_close(c);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* Are bytes wanted now? While a request is answered, only the client's leaving matters. */
static bool wants_bytes(const struct connection *c)
{
    const struct http_request *req = c->req;

    if (c->closing)
        return false;
    return !req || (!req->at_end && !req->body_done && req->mode != BODY_NONE && !req->paused);
}

/* 1: read something, 0: nothing there, negative: the end. */
static int fill(struct connection *c)
{
    ssize_t n = recv(c->fd, c->server->received, READ_SIZE, 0);

    if (n > 0) {
        text_add_bytes(&c->in, c->server->received, (size_t) n);
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n < 0 ? -errno : -ECONNRESET;
}

/* An answer to what could not be parsed; there is no request to hand out. */
static void refuse(struct connection *c, int status, const char *reason)
{
    text_addf(&c->out,
              "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
              "Connection: close\r\n\r\n%s\n",
              status, http_status_text(status), server_date(c->server), strlen(reason) + 1, reason);
    c->closing = true;
}

static bool host_is_allowed(struct http_request *req)
{
    const struct http_server_options *o = &req->server->options;
    const char *host = http_header_get(req, "host");
    if (!o->host_allowed || !host)
        return true;

    _cleanup_free_ char *name = xstrdup(host);
    char *colon = strrchr(name, ':');
    if (colon && !strchr(colon, ']'))
        *colon = '\0';
    return o->host_allowed(o->userdata, name);
}

/* One head out of `in`, if it is complete. */
static bool take_request(struct connection *c)
{
    struct http_server *server = c->server;
    const char *reason = "";
    if (!server->spare)
        server->spare = request_new(server);
    ssize_t n = http_parse_request(text_str(&c->in), c->in.len, &server->spare->head, &reason);

    if (n == 0)
        return false;
    if (n < 0) {
        refuse(c,
               n == -E2BIG             ? 431
               : n == -EPROTONOSUPPORT ? 505
                                       : 400,
               n == -E2BIG             ? "the head is too large"
               : n == -EPROTONOSUPPORT ? "only HTTP/1.1 and HTTP/1.0 are spoken"
                                       : reason);
        return true;
    }
    struct http_request *req = c->req = take_ptr(server->spare);
    request_begin(req, c, (size_t) n);
    text_consume(&c->in, (size_t) n);
    connection_deadline(c, c->server->options.progress_timeout_us);
    if (!host_is_allowed(req)) {
        http_respond(req, 421, "text/plain", "this server does not answer for that host\n", 42);
        return true;
    }
    c->server->options.handler(c->server->options.userdata, req);
    return true;
}

/* ---- out ------------------------------------------------------------------------------------- */

static int send_out(struct connection *c)
{
    while (c->out_at < c->out.len) {
        int flags = MSG_NOSIGNAL | (c->file >= 0 ? MSG_MORE : 0);
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        c->out_at += (size_t) n;
        c->burst += (size_t) n;
        connection_deadline(c, c->server->options.progress_timeout_us);
    }
    c->out_at = 0;
    if (c->out.cap > OUT_STEADY)
        text_done(&c->out);
    else
        text_clear(&c->out);
    return 1;
}

static int send_file(struct connection *c)
{
    while (c->file_left > 0) {
        if (c->burst >= BURST_MAX)
            return 0;
        off_t at = c->file_at;
        size_t want = c->file_left < 1 << 20 ? (size_t) c->file_left : 1 << 20;
        ssize_t n = sendfile(c->fd, c->file, &at, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return -EPIPE; /* the file is shorter than it was */
        c->file_at += n;
        c->file_left -= n;
        c->burst += (size_t) n;
        connection_deadline(c, c->server->options.progress_timeout_us);
    }
    c->file = safe_close(c->file);
    return 1;
}

/* 1: all is out, 0: the socket is full or the turn is over, negative: the client is gone. */
static int flush(struct connection *c)
{
    int r = send_out(c);
    return r == 1 && c->file >= 0 ? send_file(c) : r;
}

static void ask_generator(struct http_request *req)
{
    req->in_proceed = true;
    req->sent = false;
    req->generator.proceed(req->generator.userdata, req);
}

/* EPOLLIN stays on while an answer is prepared, until bytes really come: most clients send none
 * then, and two system calls a request are saved. */
static void set_events(struct connection *c)
{
    bool writing = c->out_at < c->out.len || c->file >= 0 || c->burst >= BURST_MAX;

    c->muted = c->muted && !wants_bytes(c);
    watch_set_events(c->watch, EPOLLRDHUP | (writing ? (uint32_t) EPOLLOUT : 0) |
                                   (c->muted ? 0 : (uint32_t) EPOLLIN));
}

/* Tell the client that nothing more comes, then wait for its end: closing with unread bytes would
 * make the kernel send RST and the answer might be lost. */
static void linger(struct connection *c)
{
    c->lingering = true;
    c->closing = false;
    text_clear(&c->in);
    (void) shutdown(c->fd, SHUT_WR);
    connection_deadline(c, LINGER_US);
}

/* The answer is complete and out: back to the next request, or the end. */
static bool finish_request(struct connection *c)
{
    struct http_request *req = c->req;

    if (!req->body_done && !c->closing) {
        req->mode = BODY_DRAIN;
        request_feed(req);
        if (!req->body_done && !c->closing)
            return false;
    }
    c->req = NULL;
    request_free(req);
    if (c->server->draining)
        c->closing = true;
    if (!c->closing)
        connection_deadline(c, c->in.len ? c->server->options.head_timeout_us
                                         : c->server->options.idle_timeout_us);
    return true;
}

static bool takes_body(const struct connection *c)
{
    const struct http_request *req = c->req;
    return req && !req->body_done && req->mode != BODY_NONE && !req->paused &&
           (c->in.len || req->at_end);
}

/* What is to be done once everything so far is out, with a request at hand. */
static bool step_request(struct connection *c)
{
    struct http_request *req = c->req;

    if (req->complete)
        return finish_request(c);
    if (!req->generator.proceed || !req->answered || req->in_proceed || c->burst >= BURST_MAX)
        return false;
    ask_generator(req);
    return !c->dead && (c->req != req || req->sent);
}

/* The same between requests. */
static bool step_idle(struct connection *c)
{
    if (!c->closing)
        return c->in.len && take_request(c);
    linger(c);
    return false;
}

/* One step; false when nothing more can be done now. */
static bool step(struct connection *c)
{
    if (c->lingering) {
        text_clear(&c->in);
        return false;
    }
    if (takes_body(c)) {
        struct http_request *req = c->req;
        size_t before = c->in.len;
        request_feed(req);
        if (c->dead || c->req != req || c->in.len != before || req->body_done)
            return !c->dead;
    }
    int r = c->out.len || c->file >= 0 ? flush(c) : 1;
    if (r < 0)
        connection_close(c);
    if (r <= 0)
        return false;
    return c->req ? step_request(c) : step_idle(c);
}

void connection_work(struct connection *c)
{
    if (c->working || c->dead)
        return;
    c->working = true;
    c->burst = 0;
    while (!c->dead && step(c))
        ;
    c->working = false;
    if (c->dead)
        return;
    if (!c->in.len)
        text_done(&c->in); /* an idle connection holds no buffer */
    if (!c->req && !c->out.len && c->out.cap > OUT_IDLE)
        text_done(&c->out);
    set_events(c);
}

static void on_ready(void *userdata, uint32_t events)
{
    struct connection *c = userdata;

    if ((events & EPOLLIN) && wants_bytes(c)) {
        if (!c->req && !c->in.len && !c->lingering)
            connection_deadline(c, c->server->options.head_timeout_us);
        if (fill(c) < 0) {
            connection_close(c);
            return;
        }
    } else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        connection_close(c);
        return;
    } else if (events & EPOLLIN) {
        c->muted = true;
    }
    connection_work(c);
}

int connection_take(struct connection *c, struct text *ret_in, struct text *ret_out)
{
    int fd = c->fd;

    *ret_in = c->in;
    *ret_out = c->out;
    text_consume(ret_out, c->out_at);
    c->in = c->out = (struct text){ 0 };
    watch_free(c->watch);
    c->watch = NULL;
    c->fd = -1;
    c->req = NULL;
    connection_close(c);
    return fd;
}

void connection_gone(struct connection *c) { connection_close(c); }
