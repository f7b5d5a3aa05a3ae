/* websocket-client.c - asking for a WebSocket (RFC 6455, section 4.1) */
#include "http/websocket-internal.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define HEADERS_MAX 32

static int check_answer(const struct http_response *response, const char *key,
                        const char *subprotocol, struct error *err)
{
    _cleanup_free_ char *accept = http_response_header(response, "Sec-WebSocket-Accept");
    _cleanup_free_ char *chosen = http_response_header(response, "Sec-WebSocket-Protocol");
    char want[29];

    if (ws_accept_key(key, want) < 0 || !str_equal(accept, want))
        return error_set(err, -EBADMSG, "the server's upgrade is malformed");
    if (!str_equal(chosen, subprotocol))
        return error_set(err, -EBADMSG, "the server does not speak %s", subprotocol);
    return 0;
}

int websocket_connect(struct http_client *client, const struct websocket_call *call,
                      struct websocket_link *ret, struct http_response *response, struct error *err)
{
    _cleanup_text_ struct text key = { 0 };
    uint8_t nonce[16];
    const char *list[HEADERS_MAX + 1] = {
        "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13"
    };
    size_t n = 6;

    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        return error_set(err, -EIO, "no random numbers");
    text_add_base64(&key, nonce, sizeof nonce);
    list[n++] = "Sec-WebSocket-Key";
    list[n++] = key.data;
    list[n++] = "Sec-WebSocket-Protocol";
    list[n++] = call->subprotocol;
    for (const char *const *h = call->headers; h && h[0] && h[1] && n + 2 <= HEADERS_MAX; h += 2) {
        list[n++] = h[0];
        list[n++] = h[1];
    }
    const struct http_call http = {
        .method = "GET", .target = call->target, .headers = list, .upgrade = true
    };
    int r = http_client_call(client, &http, response, err);
    if (r < 0)
        return r;
    if (response->status != 101)
        return error_set(err, -EREMOTEIO, "the server answered %d", response->status);
    ret->fd = http_client_take(client, &ret->rest);
    r = check_answer(response, key.data, call->subprotocol, err);
    if (r < 0) {
        ret->fd = safe_close(ret->fd);
        text_done(&ret->rest);
    }
    return r;
}

struct websocket *websocket_new(struct loop *loop, struct websocket_link *link,
                                const struct websocket_options *options,
                                const struct websocket_events *events)
{
    struct text out = { 0 };
    struct websocket *ws = websocket_make(loop, link->fd, true, &link->rest, &out);

    websocket_begin(ws, options, events);
    return ws;
}
