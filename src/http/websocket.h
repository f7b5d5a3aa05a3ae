/* websocket.h - WebSocket (RFC 6455): frames (pure), and connections of both sides on a loop
 *
 * Strict: what the RFC forbids ends the connection with its close code, nothing is repaired. Memory is
 * bounded both ways: a message has a limit, a connection that is paused reads nothing, and who sends
 * looks at websocket_pending() and waits for `drained`.
 *
 * Part of http/http.h, which is what others include.
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "base/error.h"
#include "base/text.h"
#include "os/loop.h"

#include <stdint.h>
#include <sys/types.h>

struct http_client;
struct http_request;
struct http_response;

/* ---- frames: pure ---------------------------------------------------------------------------- */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum ws_code {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL = 1002,
    WS_NO_CODE = 1005,  /* a close frame without one; never sent */
    WS_ABNORMAL = 1006, /* no close frame came; never sent */
    WS_BAD_TEXT = 1007,
    WS_POLICY = 1008,
    WS_TOO_LARGE = 1009,
    WS_INTERNAL = 1011,
};

#define WS_HEAD_MAX    14
#define WS_CONTROL_MAX 125

/* All-zero but for FROM_CLIENT and LIMIT is the beginning. */
struct ws_parser {
    bool from_client; /* frames must be masked; else they must not be */
    size_t limit;     /* bytes of a message */
    uint8_t head[WS_HEAD_MAX];
    unsigned have, need; /* bytes of the head */
    bool in_payload;
    bool fin;
    enum ws_opcode opcode, message_opcode; /* MESSAGE_OPCODE: of the fragments so far; 0: none */
    uint8_t mask[4];
    uint64_t left, at; /* of the payload */
    bool handed;       /* MESSAGE was given out: begin anew */
    bool closed;
    struct text message, control;
};

/* Bytes are the parser's, until the next call. */
struct ws_message {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY or a control frame; WS_CONTINUATION: none yet */
    const char *bytes;
    size_t len;
    unsigned code;      /* of WS_CLOSE; the reason is BYTES */
    const char *reason; /* static, of an error */
};

/* Consumes up to the end of the first whole message or control frame. Returns bytes consumed (fewer
 * than LEN only when RET is a message), or -EBADMSG (close with WS_PROTOCOL), -EMSGSIZE (WS_TOO_LARGE),
 * -EILSEQ (WS_BAD_TEXT) with RET->reason. Nothing is taken after WS_CLOSE: -EBADMSG. */
ssize_t ws_parse(struct ws_parser *parser, const char *bytes, size_t len, struct ws_message *ret);
void ws_parser_done(struct ws_parser *parser);

/* The head of a whole frame of LEN bytes into HEAD; returns its length. MASK NULL: unmasked. */
unsigned ws_frame_head(enum ws_opcode opcode, uint64_t len, const uint8_t *mask,
                       uint8_t head[static WS_HEAD_MAX]);
/* XOR N bytes that begin at position AT of the payload. */
void ws_mask(char *bytes, size_t n, const uint8_t mask[static 4], uint64_t at);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; -EINVAL when that is not 16 bytes in base64. */
int ws_accept_key(const char *key, char ret[static 29]);

/* ---- connections ------------------------------------------------------------------------------ */

struct websocket;

struct websocket_events {
    /* A whole message; BYTES are valid during the call. */
    void (*message)(void *userdata, const char *bytes, size_t len, bool binary);
    /* Less than half of WEBSOCKET_PENDING is left to be sent. NULL: nobody waits. */
    void (*drained)(void *userdata);
    /* Over, by the peer, an error or time; the socket is gone. REASON is never NULL. Not called after
     * websocket_close(). */
    void (*closed)(void *userdata, unsigned code, const char *reason);
    void *userdata;
};

#define WEBSOCKET_PENDING 262144 /* whoever sends more at once waits for `drained` */

struct websocket_options {
    size_t limit;       /* bytes of a message from the peer; 0: 64 KiB and one */
    int64_t ping_us;    /* a ping after so much silence; 0: 20 s */
    int64_t silence_us; /* closed after so much; 0: 60 s */
};

/* Answer an upgrade request with 101 and take its connection; REQ is gone then. SUBPROTOCOL: the one
 * that was chosen of those offered, or NULL. The request must have passed websocket_check(). NULL: the
 * client has left. */
struct websocket *websocket_accept(struct http_request *req, const char *subprotocol,
                                   const struct websocket_options *options,
                                   const struct websocket_events *events);
/* Is it a correct upgrade request of this host's own pages, or of no page at all? Errors: -EPROTO (no
 * upgrade: 426), -EINVAL (malformed), -EPERM (an Origin other than the Host). */
int websocket_check(const struct http_request *req, struct error *err);
/* Does the client offer subprotocol NAME? With a trailing '.' in NAME, one that begins so: *RET (owned
 * by the caller) is what follows. RET may be NULL. */
bool websocket_offers(const struct http_request *req, const char *name, char **ret);

struct websocket_call {
    const char *target;
    const char *const *headers; /* as in struct http_call */
    const char *subprotocol;
};
/* An upgraded connection without a loop yet; the caller's until websocket_new(). */
struct websocket_link {
    int fd;
    struct text rest; /* came with the answer */
};

/* Ask for an upgrade. RESPONSE is filled when the server answers otherwise (-EREMOTEIO then). Blocks until
 * the answer. CLIENT gives its connection away. */
int websocket_connect(struct http_client *client, const struct websocket_call *call,
                      struct websocket_link *ret, struct http_response *response,
                      struct error *err);
/* The client's side on LOOP; takes LINK. */
struct websocket *websocket_new(struct loop *loop, struct websocket_link *link,
                                const struct websocket_options *options,
                                const struct websocket_events *events);

/* Never fails: what cannot be sent is dropped with the connection. The bytes are copied. */
void websocket_send(struct websocket *ws, const char *bytes, size_t len, bool binary);
size_t websocket_pending(const struct websocket *ws);
/* Between them nothing is read, and no message comes. */
void websocket_pause(struct websocket *ws);
void websocket_resume(struct websocket *ws);
/* Say goodbye once everything is sent; WS is not the caller's any more. REASON: up to 123 bytes. */
void websocket_close(struct websocket *ws, unsigned code, const char *reason);
/* The same, and do not wait: for the end of a program. */
void websocket_free(struct websocket *ws);

#endif
