/* client.c - a blocking client with time-outs; one connection that is kept open */
#include "http/http.h"

#include "base/alloc.h"
#include "http/tls.h"
#include "os/fd.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct http_client {
    struct url url;
    int fd;           /* -1: not connected */
    bool fresh;       /* nothing was answered on this connection yet */
    struct text rest; /* came behind the head of a 101 */
};

int http_client_new(const char *url, struct http_client **ret, struct error *err)
{
    _cleanup_(http_client_freep) struct http_client *client = xnew(struct http_client);
    client->fd = -1;
    int r = url_parse(url, &client->url, err);
    if (r < 0)
        return r;
    *ret = take_ptr(client);
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    safe_close(client->fd);
    text_done(&client->rest);
    url_done(&client->url);
    free(client);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int connect_unix(struct http_client *client, struct error *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    const char *path = client->url.unix_path;

    if (strlen(path) >= sizeof addr.sun_path)
        return error_set(err, -ENAMETOOLONG, "socket path %s is too long", path);
    memcpy(addr.sun_path, path, strlen(path) + 1);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *) &addr, sizeof addr) < 0)
        return error_set(err, -errno, "no server answers at %s: %s", path, strerror(errno));
    return 0;
}

static int connect_one(const struct addrinfo *a, unsigned timeout_ms)
{
    _cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return -errno;
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        int n = poll(&p, 1, (int) timeout_ms);
        if (n <= 0)
            return n == 0 ? -ETIMEDOUT : -errno;
        int code = 0;
        socklen_t len = sizeof code;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0 || code)
            return code ? -code : -errno;
    }
    int one = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int r = set_nonblock(fd, false);
    return r < 0 ? r : take_fd(&fd);
}

static int connect_tcp(struct http_client *client, unsigned timeout_ms, struct error *err)
{
    const struct url *u = &client->url;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    _cleanup_free_ char *host =
        *u->host == '[' ? xstrndup(u->host + 1, strlen(u->host) - 2) : xstrdup(u->host);

    int g = getaddrinfo(host, u->port, &hints, &found);
    if (g != 0)
        return error_set(err, -ENOENT, "host %s: %s", u->host, gai_strerror(g));
    int r = -EHOSTUNREACH;
    for (const struct addrinfo *a = found; a && client->fd < 0; a = a->ai_next) {
        r = connect_one(a, timeout_ms);
        client->fd = r < 0 ? -1 : r;
    }
    freeaddrinfo(found);
    if (client->fd < 0)
        return error_set(err, r, "no server answers at http%s://%s:%s: %s", u->tls ? "s" : "",
                         u->host, u->port, strerror(-r));
    if (!u->tls)
        return 0;
    client->fd = tls_begin(take_fd(&client->fd), host, timeout_ms, err);
    return client->fd < 0 ? client->fd : 0;
}

/* Nothing may come between answers, so what is readable then is the end. */
static bool is_over(const struct http_client *client)
{
    struct pollfd p = { .fd = client->fd, .events = POLLIN };
    return poll(&p, 1, 0) != 0;
}

static int ensure_connected(struct http_client *client, unsigned timeout_ms, struct error *err)
{
    if (client->fd >= 0 && is_over(client))
        client->fd = safe_close(client->fd);
    if (client->fd >= 0)
        return 0;
    int r =
        client->url.unix_path ? connect_unix(client, err) : connect_tcp(client, timeout_ms, err);
    if (r < 0)
        client->fd = safe_close(client->fd);
    client->fresh = true;
    return r;
}

/* ---- one exchange ---------------------------------------------------------------------------- */

struct exchange {
    struct http_client *client;
    const struct http_call *call;
    struct http_response *response;
    unsigned timeout_ms;
    struct text in;
    struct http_head head;
    struct http_chunks chunks;
    int64_t left;  /* of the body; -1: until close */
    bool answered; /* a byte of the answer has come */
};

static int wait_for(const struct exchange *x, short events)
{
    struct pollfd p = { .fd = x->client->fd, .events = events };
    int n = poll(&p, 1, x->timeout_ms == UINT_MAX ? -1 : (int) x->timeout_ms);
    if (n < 0)
        return -errno;
    return n == 0 ? -ETIMEDOUT : p.revents;
}

static int send_all(struct exchange *x, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n) {
        ssize_t k = send(x->client->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno == EAGAIN) {
            int r = wait_for(x, POLLOUT | POLLIN);
            if (r < 0 && r != -EINTR)
                return r;
            if (r > 0 && !(r & POLLOUT))
                return -EPIPE; /* it has answered already and does not read the rest */
            continue;
        }
        if (k < 0 && errno != EINTR)
            return -errno;
        p += k < 0 ? 0 : k;
        n -= k < 0 ? 0 : (size_t) k;
    }
    return 0;
}

static int send_streamed(struct exchange *x)
{
    const struct http_call *call = x->call;
    _cleanup_free_ char *buf = xcalloc(1, 65536);
    char size[24];
    int r = 0;

    for (ssize_t n = 1; n > 0 && r >= 0;) {
        n = call->read_body(call->userdata, buf, 65536);
        if (n < 0)
            return (int) n;
        if (call->read_len >= 0) {
            r = send_all(x, buf, (size_t) n);
            continue;
        }
        int k = snprintf(size, sizeof size, "%zx\r\n", (size_t) n);
        r = send_all(x, size, (size_t) k);
        if (r >= 0)
            r = send_all(x, buf, (size_t) n);
        if (r >= 0)
            r = send_all(x, "\r\n", 2);
    }
    return r;
}

/* The header that says how long the body is, if there is one. */
static void add_framing(struct text *head, const struct http_call *call)
{
    if (call->read_body && call->read_len < 0)
        text_add(head, "Transfer-Encoding: chunked\r\n");
    else if (call->read_body || call->body || strcmp(call->method, "GET") != 0)
        text_addf(head, "Content-Length: %lld\r\n",
                  call->read_body ? (long long) call->read_len : (long long) call->body_len);
}

static int send_request(struct exchange *x)
{
    const struct http_call *call = x->call;
    const struct url *u = &x->client->url;
    _cleanup_text_ struct text head = { 0 };

    text_addf(&head, "%s %s HTTP/1.1\r\nHost: %s%s%s\r\n", call->method, call->target, u->host,
              u->port ? ":" : "", u->port ? u->port : "");
    for (const char *const *h = call->headers; h && h[0] && h[1]; h += 2)
        if (!strpbrk(h[1], "\r\n"))
            text_addf(&head, "%s: %s\r\n", h[0], h[1]);
    add_framing(&head, call);
    text_add(&head, "\r\n");
    if (!call->read_body)
        text_add_bytes(&head, call->body, call->body_len);
    int r = send_all(x, head.data, head.len);
    return r >= 0 && call->read_body ? send_streamed(x) : r;
}

/* 1: bytes came, 0: the end of the stream. */
static int receive(struct exchange *x)
{
    for (;;) {
        int r = wait_for(x, POLLIN);
        if (r == -EINTR && x->call->on_body) {
            /* Somebody wants to be heard: let the callback decide. */
            r = x->call->on_body(x->call->userdata, "", 0);
            if (r < 0)
                return r;
            continue;
        }
        if (r == -EINTR)
            continue;
        if (r < 0)
            return r;
        ssize_t n = recv(x->client->fd, text_reserve(&x->in, 65536), 65536, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        x->in.len += (size_t) n;
        x->in.data[x->in.len] = '\0';
        x->answered |= n > 0;
        return n > 0;
    }
}

static int receive_head(struct exchange *x, struct error *err)
{
    for (;;) {
        const char *reason = "";
        ssize_t n = http_parse_response(text_str(&x->in), x->in.len, &x->head, &reason);
        if (n < 0)
            return error_set(err, (int) n, "the server's answer is malformed: %s", reason);
        bool final = x->head.status >= 200 || (x->head.status == 101 && x->call->upgrade);
        if (n > 0 && final) {
            text_clear(&x->response->head);
            text_add_bytes(&x->response->head, x->in.data, (size_t) n);
            x->response->status = x->head.status;
            text_consume(&x->in, (size_t) n);
            return 0;
        }
        if (n > 0) { /* 100 Continue and its like */
            text_consume(&x->in, (size_t) n);
            continue;
        }
        int r = receive(x);
        if (r <= 0)
            return r == 0 ? -ECONNRESET : r;
    }
}

static int take_data(struct exchange *x, const char *bytes, size_t n, struct error *err)
{
    const struct http_call *call = x->call;
    struct http_response *response = x->response;
    size_t limit = call->limit ? call->limit : (size_t) 64 << 20;

    if (!n)
        return 0;
    if (call->on_body && response->status / 100 == 2)
        return call->on_body(call->userdata, bytes, n);
    if (response->body.len + n > limit)
        return error_set(err, -EFBIG, "the server's answer is larger than %zu bytes", limit);
    text_add_bytes(&response->body, bytes, n);
    return 0;
}

/* What `in` holds of the body; 1 at its end. */
static int take_available(struct exchange *x, struct error *err)
{
    size_t at = 0;
    int r = 0;
    bool done = x->left == 0 && !x->head.chunked;

    while (!done && r >= 0 && at < x->in.len) {
        struct http_slice piece = { x->in.data + at, x->in.len - at };
        ssize_t n;
        if (x->head.chunked) {
            n = http_chunks_next(&x->chunks, x->in.data + at, x->in.len - at, &piece, &done);
            if (n < 0)
                return error_set(err, -EBADMSG, "the server's answer is malformed: bad chunk");
        } else {
            if (x->left >= 0 && (int64_t) piece.len > x->left)
                piece.len = (size_t) x->left;
            x->left -= x->left >= 0 ? (int64_t) piece.len : 0;
            done = x->left == 0;
            n = (ssize_t) piece.len;
        }
        at += (size_t) n;
        r = take_data(x, piece.data, piece.len, err);
    }
    text_consume(&x->in, at);
    return r < 0 ? r : done;
}

static int receive_body(struct exchange *x, struct error *err)
{
    bool none =
        x->head.status == 204 || x->head.status == 304 || strcmp(x->call->method, "HEAD") == 0;
    x->left = none ? 0 : x->head.content_length;
    if (none)
        x->head.chunked = false;
    for (;;) {
        int r = take_available(x, err);
        if (r != 0)
            return r < 0 ? r : 0;
        r = receive(x);
        if (r < 0)
            return r;
        if (r == 0)
            return x->left < 0 && !x->head.chunked ? 0 : -ECONNRESET;
    }
}

static int exchange(struct exchange *x, struct error *err)
{
    int r = send_request(x);
    bool cut = r < 0;
    /* A server may answer (and close) before it has read all: look for that answer first. */
    if (r == -EPIPE || r == -ECONNRESET || r >= 0)
        r = receive_head(x, err);
    if (r >= 0 && x->head.status == 101) {
        text_done(&x->client->rest);
        x->client->rest = x->in;
        x->in = (struct text){ 0 };
        return 0;
    }
    if (r >= 0)
        r = receive_body(x, err);
    bool until_close = x->left < 0 && !x->head.chunked;
    if (r < 0 || cut || !x->head.keep_alive || until_close || x->in.len)
        x->client->fd = safe_close(x->client->fd);
    x->client->fresh = false;
    return r;
}

/* R in words: WHY where the exchange said more than its code. */
static int explain(const struct url *u, int r, const struct error *why, struct error *err)
{
    if (why->code)
        return error_set(err, r, "%s", why->text);
    return error_set(err, r, "talking to %s%s%s: %s", u->unix_path ? u->unix_path : u->host,
                     u->port ? ":" : "", u->port ? u->port : "",
                     r == -ECONNRESET ? "the connection was closed" : strerror(-r));
}

int http_client_call(struct http_client *client, const struct http_call *call,
                     struct http_response *ret, struct error *err)
{
    unsigned timeout_ms = call->timeout_ms ? call->timeout_ms : 30000;
    struct error why = { 0 };

    *ret = (struct http_response){ 0 };
    for (;;) {
        int r = ensure_connected(client, timeout_ms == UINT_MAX ? 30000 : timeout_ms, err);
        if (r < 0)
            return r;
        bool reused = !client->fresh;
        struct exchange x = {
            .client = client, .call = call, .response = ret, .timeout_ms = timeout_ms
        };
        r = exchange(&x, &why);
        text_done(&x.in);
        if (r >= 0)
            return 0;
        http_response_done(ret);
        bool again = reused && !x.answered && !call->read_body && (r == -ECONNRESET || r == -EPIPE);
        if (!again)
            return explain(&client->url, r, &why, err);
    }
}

int http_client_take(struct http_client *client, struct text *ret_rest)
{
    *ret_rest = client->rest;
    client->rest = (struct text){ 0 };
    return take_fd(&client->fd);
}

char *http_response_header(const struct http_response *response, const char *name)
{
    struct http_head head;
    const char *reason;

    if (http_parse_response(text_str(&response->head), response->head.len, &head, &reason) <= 0)
        return NULL;
    const struct http_header *h = http_find_header(&head, name);
    return h ? xstrndup(h->value.data, h->value.len) : NULL;
}

void http_response_done(struct http_response *response)
{
    text_done(&response->head);
    text_done(&response->body);
}
