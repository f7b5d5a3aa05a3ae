/* request.c - one request: what was asked, its body, and how it is answered */
#include "http/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* ---- life ------------------------------------------------------------------------------------ */

static void rebase_slice(struct http_slice *s, const char *from, const char *to)
{
    s->data = to + (s->data - from);
}

/* The head is copied, then cut into C strings in place: each slice is followed by a byte that
 * belongs to no other (a space, CR or colon). */
static void cut_head(struct http_request *req, const char *from)
{
    char *bytes = req->head_bytes;

    rebase_slice(&req->head.target, from, bytes);
    char *target = bytes + (req->head.target.data - bytes);
    target[req->head.target.len] = '\0';
    req->path = target;
    req->query = strchr(target, '?');
    if (req->query)
        *req->query++ = '\0';
    for (size_t i = 0; i < req->head.n_headers; i++) {
        struct http_header *h = &req->head.headers[i];
        rebase_slice(&h->name, from, bytes);
        rebase_slice(&h->value, from, bytes);
        bytes[h->value.data - bytes + (ptrdiff_t) h->value.len] = '\0';
    }
}

struct http_request *request_new(struct http_server *server)
{
    struct http_request *req = xrealloc(NULL, sizeof *req);

    memset(req, 0, offsetof(struct http_request, head));
    req->server = server;
    return req;
}

void request_begin(struct http_request *req, struct connection *c, size_t len)
{
    const struct http_head *head = &req->head;

    req->conn = c;
    req->peer_uid = c->peer_uid;
    req->head_bytes = xmemdup(c->in.data, len);
    cut_head(req, c->in.data);
    req->body_left = head->content_length > 0 ? head->content_length : 0;
    req->body_done = !head->chunked && req->body_left == 0;
    req->head_only = head->method == HTTP_HEAD;
    req->send_left = -1;
}

void request_free(struct http_request *req)
{
    if (!req)
        return;
    vec_foreach(&req->pairs, p) {
        free(p->name);
        free(p->value);
    }
    vec_done(&req->pairs);
    text_done(&req->body);
    text_done(&req->headers);
    free(req->head_bytes);
    free(req);
}

static void body_failed(struct http_request *req, int r)
{
    enum body_mode mode = req->mode;
    /* What is too large is still on its way: the rest is skipped, or the connection closes. */
    req->mode = r == -E2BIG ? BODY_DRAIN : BODY_NONE;
    req->body_done = r != -E2BIG;
    if (mode == BODY_WHOLE)
        req->on_body(req->body_userdata, req, r, NULL, 0);
    else if (mode == BODY_STREAM)
        req->on_data(req->body_userdata, req, r, NULL, 0);
}

void request_orphan(struct http_request *req)
{
    req->conn = NULL;
    if (req->complete) {
        request_free(req);
    } else if (req->answered && req->generator.stop) {
        req->generator.stop(req->generator.userdata, req);
        request_free(req);
    } else if (!req->body_done) {
        body_failed(req, -ECONNRESET); /* the handler answers, into nothing, now or later */
    }
}

/* ---- what was asked --------------------------------------------------------------------------- */

enum http_method http_method(const struct http_request *req)
{
    return req->head.method == HTTP_HEAD ? HTTP_GET : req->head.method;
}

const char *http_path(const struct http_request *req) { return req->path; }

const char *http_query(const struct http_request *req) { return req->query ? req->query : ""; }

static void parse_query(struct http_request *req)
{
    req->pairs_known = true;
    for (const char *p = http_query(req); *p;) {
        size_t len = strcspn(p, "&");
        size_t name = strcspn(p, "=&");
        size_t value = name < len ? name + 1 : len;
        struct text n = { 0 }, v = { 0 };
        req->pairs_bad |= url_decode(p, name, true, &n) < 0;
        req->pairs_bad |= url_decode(p + value, len - value, true, &v) < 0;
        vec_push(&req->pairs, ((struct query_pair){ text_take(&n), text_take(&v) }));
        p += len + (p[len] == '&');
    }
}

int http_query_at(struct http_request *req, size_t i, const char **ret_name, const char **ret_value)
{
    if (!req->pairs_known)
        parse_query(req);
    if (req->pairs_bad)
        return -EINVAL;
    if (i >= req->pairs.len)
        return -ENOENT;
    *ret_name = req->pairs.items[i].name;
    *ret_value = req->pairs.items[i].value;
    return 0;
}

const char *http_query_get(struct http_request *req, const char *name)
{
    const char *key, *value;
    for (size_t i = 0; http_query_at(req, i, &key, &value) == 0; i++)
        if (str_equal(key, name))
            return value;
    return NULL;
}

const char *http_header_get(struct http_request *req, const char *name)
{
    const struct http_header *h = http_find_header(&req->head, name);
    return h ? h->value.data : NULL;
}

int64_t http_content_length(const struct http_request *req)
{
    return req->head.chunked ? -1 : req->head.content_length < 0 ? 0 : req->head.content_length;
}

int64_t http_peer_uid(const struct http_request *req) { return req->peer_uid; }

bool http_is_gone(const struct http_request *req) { return !req->conn; }

/* ---- body ------------------------------------------------------------------------------------ */

static void body_end(struct http_request *req)
{
    req->body_done = true;
    if (req->mode == BODY_WHOLE)
        req->on_body(req->body_userdata, req, 0, text_str(&req->body), req->body.len);
    else if (req->mode == BODY_STREAM)
        req->on_data(req->body_userdata, req, 0, "", 0);
}

static void body_piece(struct http_request *req, const char *bytes, size_t len)
{
    if (req->mode == BODY_STREAM) {
        req->on_data(req->body_userdata, req, 0, bytes, len);
    } else if (req->mode == BODY_WHOLE) {
        if (req->body.len + len <= req->limit)
            text_add_bytes(&req->body, bytes, len);
        else
            body_failed(req, -E2BIG);
    } else {
        req->drained += len;
        if (req->drained > DRAIN_MAX && req->conn)
            req->conn->closing = true;
    }
}

/* The next piece of data in `in`; consumes what it was coded in. */
static ssize_t next_piece(struct http_request *req, const char *bytes, size_t len,
                          struct http_slice *ret, bool *ret_done)
{
    if (req->head.chunked)
        return http_chunks_next(&req->chunks, bytes, len, ret, ret_done);
    *ret =
        (struct http_slice){ bytes, len < (size_t) req->body_left ? len : (size_t) req->body_left };
    req->body_left -= (int64_t) ret->len;
    *ret_done = req->body_left == 0;
    return (ssize_t) ret->len;
}

void request_feed(struct http_request *req)
{
    struct connection *c = req->conn;
    size_t at = 0;

    while (c && !c->dead && !req->body_done && !req->paused && !c->closing) {
        if (req->at_end)
            body_end(req);
        if (req->at_end || at == c->in.len)
            break;
        struct http_slice piece;
        ssize_t n = next_piece(req, c->in.data + at, c->in.len - at, &piece, &req->at_end);
        if (n < 0) {
            c->closing = true;
            body_failed(req, -EBADMSG);
            break;
        }
        at += (size_t) n;
        if (piece.len)
            body_piece(req, piece.data, piece.len);
        if (c->dead)
            return; /* given up by whom it was handed to; the request may be gone too */
    }
    if (c && !c->dead) {
        text_consume(&c->in, at);
        if (at)
            connection_deadline(c, c->server->options.progress_timeout_us);
    }
}

static void begin_body(struct http_request *req)
{
    struct connection *c = req->conn;

    if (!c) {
        body_failed(req, -ECONNRESET);
        return;
    }
    if (req->body_done) {
        body_end(req);
        return;
    }
    req->continued = true;
    if (req->head.expect_continue && !c->in.len)
        text_add(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    connection_work(c);
}

void http_read_body(struct http_request *req, size_t limit, http_body_f done, void *userdata)
{
    req->mode = BODY_WHOLE;
    req->limit = limit;
    req->on_body = done;
    req->body_userdata = userdata;
    if (!req->body_done && req->head.content_length > (int64_t) limit)
        body_failed(req, -E2BIG);
    else
        begin_body(req);
}

void http_stream_body(struct http_request *req, http_data_f data, void *userdata)
{
    req->mode = BODY_STREAM;
    req->on_data = data;
    req->body_userdata = userdata;
    begin_body(req);
}

void http_body_pause(struct http_request *req) { req->paused = true; }

void http_body_resume(struct http_request *req)
{
    req->paused = false;
    if (req->conn)
        connection_work(req->conn);
}

/* ---- answer ---------------------------------------------------------------------------------- */

/* A value that could break out of its line is dropped whole. */
void http_add_header(struct http_request *req, const char *name, const char *value)
{
    if (!strpbrk(value, "\r\n"))
        text_addf(&req->headers, "%s: %s\r\n", name, value);
}

/* Must the connection end with this answer? Where its end is marked by closing, where the client
 * wants it, and where a body that nobody reads cannot be skipped. */
static bool ends_connection(const struct http_request *req, bool has_body, int64_t length)
{
    bool unmarked = has_body && length < 0 && !req->chunked;
    bool unread = !req->body_done && req->head.expect_continue && !req->continued;
    return !req->head.keep_alive || unmarked || unread;
}

/* These lines are made for every answer: printf would cost as much as the parser. */
static void add_line(struct text *out, const char *name, const char *value)
{
    text_add(out, name);
    text_add(out, value);
    text_add_bytes(out, "\r\n", 2);
}

static void add_number(struct text *out, int64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = (char) ('0' + n % 10);
    while (n /= 10);
    text_add_bytes(out, digits + at, sizeof digits - at);
}

/* LENGTH -1: the end is marked by chunks, or by closing for HTTP/1.0. */
static void add_head(struct http_request *req, int status, const char *type, int64_t length)
{
    struct connection *c = req->conn;
    bool has_body = status >= 200 && status != 204 && status != 304;

    if (req->mode != BODY_NONE)
        req->mode = BODY_DRAIN; /* whoever was reading has answered: it hears no more of the body */
    req->paused = false;
    req->chunked = length < 0 && has_body && req->head.minor_version == 1;
    c->closing = c->closing || c->server->draining || ends_connection(req, has_body, length);
    text_reserve(&c->out, OUT_IDLE - 1);
    text_add(&c->out, "HTTP/1.1 ");
    add_number(&c->out, status);
    add_line(&c->out, " ", http_status_text(status));
    text_add(&c->out, server_date(c->server));
    if (type)
        add_line(&c->out, "Content-Type: ", type);
    if (has_body && length >= 0) {
        text_add(&c->out, "Content-Length: ");
        add_number(&c->out, length);
        text_add(&c->out, "\r\n");
    }
    if (req->chunked)
        text_add(&c->out, "Transfer-Encoding: chunked\r\n");
    if (c->closing)
        text_add(&c->out, "Connection: close\r\n");
    text_add_bytes(&c->out, text_str(&req->headers), req->headers.len);
    text_add(&c->out, "\r\n");
    req->answered = true;
    if (!has_body)
        req->head_only = true;
}

void http_respond(struct http_request *req, int status, const char *type, const void *body,
                  size_t len)
{
    struct connection *c = req->conn;

    if (!c) {
        request_free(req);
        return;
    }
    add_head(req, status, type, (int64_t) len);
    if (!req->head_only)
        text_add_bytes(&c->out, body, len);
    req->complete = true;
    connection_work(c);
}

void http_respond_stream(struct http_request *req, int status, const char *type, int64_t length,
                         const struct http_generator *generator)
{
    struct connection *c = req->conn;

    if (!c) {
        generator->stop(generator->userdata, req);
        request_free(req);
        return;
    }
    add_head(req, status, type, length);
    req->send_left = length;
    req->generator = *generator;
    if (req->head_only) {
        req->complete = true;
        generator->stop(generator->userdata, req);
    }
    connection_work(c);
}

static void add_piece(struct http_request *req, const void *bytes, size_t len, bool last)
{
    struct text *out = &req->conn->out;

    if (req->chunked && len)
        text_addf(out, "%zx\r\n", len);
    text_add_bytes(out, bytes, len);
    if (req->chunked)
        text_add(out, last ? (len ? "\r\n0\r\n\r\n" : "0\r\n\r\n") : (len ? "\r\n" : ""));
}

void http_send(struct http_request *req, const void *bytes, size_t len, bool last)
{
    struct connection *c = req->conn;

    req->in_proceed = false;
    req->sent = true;
    if (req->send_left >= 0) {
        /* The length was promised: too much would be read as the next answer. */
        if ((int64_t) len > req->send_left || (last && (int64_t) len < req->send_left)) {
            http_abort(req);
            return;
        }
        req->send_left -= (int64_t) len;
    }
    add_piece(req, bytes, len, last);
    req->complete = last;
    connection_work(c);
}

void http_abort(struct http_request *req)
{
    struct connection *c = req->conn;

    if (!c) {
        request_free(req);
        return;
    }
    req->generator.stop = NULL;
    req->complete = true; /* freed with the connection */
    connection_gone(c);
}

void http_respond_file(struct http_request *req, int status, const char *type, int fd,
                       int64_t offset, int64_t length)
{
    struct connection *c = req->conn;

    if (!c) {
        safe_close(fd);
        request_free(req);
        return;
    }
    add_head(req, status, type, length);
    if (req->head_only || length == 0) {
        safe_close(fd);
    } else {
        c->file = fd;
        c->file_at = offset;
        c->file_left = length;
    }
    req->complete = true;
    connection_work(c);
}
