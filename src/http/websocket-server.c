/* websocket-server.c - from a request to a WebSocket (RFC 6455, section 4.2) */
#include "http/websocket-internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct http_header *find(const struct http_request *req, const char *name)
{
    return http_find_header(&req->head, name);
}

static unsigned count(const struct http_request *req, const char *name)
{
    unsigned n = 0;

    for (size_t i = 0; i < req->head.n_headers; i++) {
        const struct http_slice *s = &req->head.headers[i].name;
        n += s->len == strlen(name) && strncasecmp(s->data, name, s->len) == 0;
    }
    return n;
}

/* A page may only open a socket to where it came from. What is no browser sends no Origin. */
static int check_origin(const struct http_request *req, struct error *err)
{
    const struct http_header *origin = find(req, "origin"), *host = find(req, "host");
    const char *scheme;

    if (!origin)
        return 0;
    scheme = str_starts(origin->value.data, "http://")    ? "http://"
             : str_starts(origin->value.data, "https://") ? "https://"
                                                          : NULL;
    if (count(req, "origin") == 1 && scheme && host &&
        strcasecmp(origin->value.data + strlen(scheme), host->value.data) == 0)
        return 0;
    return error_set(err, -EPERM, "Origin: '%.80s' is not this server's", origin->value.data);
}

int websocket_check(const struct http_request *req, struct error *err)
{
    const struct http_header *upgrade = find(req, "upgrade"), *key = find(req, "sec-websocket-key"),
                             *version = find(req, "sec-websocket-version");
    char accept[29];

    if (!req->head.upgrade || !upgrade || strcasecmp(upgrade->value.data, "websocket") != 0)
        return error_set(err, -EPROTO, "this address speaks WebSocket: ask for an upgrade");
    if (!version || strcmp(version->value.data, "13") != 0)
        return error_set(err, -EPROTO, "Sec-WebSocket-Version: only 13 is spoken");
    if (!key || count(req, "sec-websocket-key") != 1 || ws_accept_key(key->value.data, accept) < 0)
        return error_set(err, -EINVAL, "Sec-WebSocket-Key: must be 16 bytes in base64");
    if (!req->body_done)
        return error_set(err, -EINVAL, "an upgrade has no body");
    return check_origin(req, err);
}

/* The next word of a list; false at its end. */
static bool next_word(const char **p, const char **ret, size_t *ret_len)
{
    *p += strspn(*p, " \t,");
    *ret = *p;
    *ret_len = strcspn(*p, " \t,");
    *p += *ret_len;
    return *ret_len > 0;
}

static bool is_offer(const char *word, size_t len, const char *name, char **ret)
{
    size_t want = strlen(name);
    bool prefix = name[want - 1] == '.';

    if (len < want || strncmp(word, name, want) != 0 || (!prefix && len != want))
        return false;
    if (ret)
        *ret = xstrndup(word + want, len - want);
    return true;
}

bool websocket_offers(const struct http_request *req, const char *name, char **ret)
{
    static const char header[] = "sec-websocket-protocol";
    const char *word;
    size_t len;

    for (size_t i = 0; i < req->head.n_headers; i++) {
        const struct http_header *h = &req->head.headers[i];
        if (h->name.len != strlen(header) || strncasecmp(h->name.data, header, h->name.len) != 0)
            continue;
        for (const char *p = h->value.data; next_word(&p, &word, &len);)
            if (is_offer(word, len, name, ret))
                return true;
    }
    return false;
}

static void join(struct websocket *ws, struct http_server *server)
{
    ws->next = server->sockets;
    ws->link = &server->sockets;
    if (ws->next)
        ws->next->link = &ws->next;
    server->sockets = ws;
    ws->n_connections = &server->n_connections;
    server->n_connections++;
}

struct websocket *websocket_accept(struct http_request *req, const char *subprotocol,
                                   const struct websocket_options *options,
                                   const struct websocket_events *events)
{
    struct connection *c = req->conn;
    struct http_server *server = req->server;
    const struct http_header *key = find(req, "sec-websocket-key");
    char accept[29] = "";
    struct text in = { 0 }, out = { 0 };

    if (!c || !key || ws_accept_key(key->value.data, accept) < 0) {
        if (c)
            connection_close(c);
        else
            request_free(req);
        return NULL;
    }
    text_addf(&c->out,
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: %s\r\n",
              accept);
    if (subprotocol)
        text_addf(&c->out, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
    text_add(&c->out, "\r\n");
    int fd = connection_take(c, &in, &out);
    request_free(req);
    struct websocket *ws = websocket_make(server->options.loop, fd, false, &in, &out);
    join(ws, server);
    websocket_begin(ws, options, events);
    return ws;
}
