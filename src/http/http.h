/* http.h - strict HTTP/1.1 (RFC 9110, RFC 9112): parser, server, client, server-sent events
 *
 * One parser for the API, the proxy and the client. What two readers could understand differently is
 * refused, never repaired: both framings at once, differing lengths, folded headers, bare CR or LF,
 * control characters, spaces before a colon.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "os/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- heads: pure ----------------------------------------------------------------------------- */

#define HTTP_HEAD_MAX    32768 /* bytes of a head, complete or not */
#define HTTP_TARGET_MAX  8192
#define HTTP_HEADERS_MAX 100

struct http_slice {
    const char *data; /* not NUL-terminated */
    size_t len;
};

struct http_header {
    struct http_slice name, value; /* value without surrounding white space */
};

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_MAX,
};

/* Slices point into the bytes that were parsed. */
struct http_head {
    enum http_method method;  /* of a request; HTTP_METHOD_MAX: another token */
    struct http_slice target; /* of a request, origin form */
    int status;               /* of a response */
    int minor_version;        /* HTTP/1.x */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    int64_t content_length; /* -1: none given */
    bool chunked;
    bool keep_alive;
    bool expect_continue;
    bool upgrade; /* the connection may change its protocol (RFC 9110, 7.8) */
};

/* Bytes consumed, 0 when more are needed, -EBADMSG with REASON (static) when malformed, -E2BIG when
 * a limit is passed, -EPROTONOSUPPORT for a version other than 1.0 and 1.1. */
ssize_t http_parse_request(const char *bytes, size_t len, struct http_head *ret,
                           const char **ret_reason);
ssize_t http_parse_response(const char *bytes, size_t len, struct http_head *ret,
                            const char **ret_reason);
/* First header of that name (case-insensitive), or NULL. */
const struct http_header *http_find_header(const struct http_head *head, const char *name);

/* Chunked coding, fed piece by piece; trailers are refused. */
struct http_chunks {
    int state;
    uint64_t left;
    unsigned digits;
};
/* Consumes up to LEN bytes; data found is given as a slice of BYTES (one at a time: call again with the
 * rest). Returns bytes consumed or -EBADMSG; *RET_DONE at the end of the body. */
ssize_t http_chunks_next(struct http_chunks *chunks, const char *bytes, size_t len,
                         struct http_slice *ret_data, bool *ret_done);

/* ---- URLs: pure ------------------------------------------------------------------------------ */

/* Decoded into OUT; -EINVAL on a bad escape or %00. PLUS: '+' is a space (queries). */
int url_decode(const char *s, size_t len, bool plus, struct text *out);
/* Everything but unreserved characters (RFC 3986, 2.3) is escaped; with SLASH '/' stays. */
void url_encode(struct text *out, const char *s, bool slash);
/* "http://HOST[:PORT]" or "unix:PATH". */
struct url {
    char *host; /* as for Host; "localhost" for unix */
    char *port;
    char *unix_path; /* NULL: TCP */
    bool tls;        /* https */
};
int url_parse(const char *s, struct url *ret, struct error *err);
void url_done(struct url *url);

const char *http_status_text(int status);

/* ---- server ---------------------------------------------------------------------------------- */

struct http_server;
struct http_request;

/* Called when a head has arrived. The handler answers now or later, exactly once; the request lives
 * until it is answered, also when the client has left meanwhile (then the answer goes nowhere). */
typedef void (*http_handler_f)(void *userdata, struct http_request *req);

struct http_server_options {
    struct loop *loop;
    http_handler_f handler;
    void *userdata;
    /* May a request with this Host be answered? NULL: any. HOST is without the port. */
    bool (*host_allowed)(void *userdata, const char *host);
    unsigned connections_max;    /* 0: 10000 */
    int64_t head_timeout_us;     /* first byte to complete head; 0: 10 s */
    int64_t idle_timeout_us;     /* between requests; 0: 75 s */
    int64_t progress_timeout_us; /* a body or an answer that does not move; 0: 60 s */
};

struct http_server *http_server_new(const struct http_server_options *options);
/* Stops listening and closes every connection; generators are stopped. */
void http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_free);
/* "HOST:PORT", "[::1]:PORT"; port 0 is chosen by the kernel. Returns the port. */
int http_server_listen(struct http_server *server, const char *address, struct error *err);
/* A socket that is there but dead is replaced. */
int http_server_listen_unix(struct http_server *server, const char *path, mode_t mode,
                            struct error *err);
/* No new connections; those that are idle close, the others after their answer. */
void http_server_drain(struct http_server *server);
unsigned http_server_connections(const struct http_server *server);

/* What was asked. Strings live as long as the request. */
enum http_method http_method(const struct http_request *req); /* HEAD reads as GET */
const char *http_path(const struct http_request *req);        /* raw: segments still escaped */
const char *http_query(const struct http_request *req);       /* raw, "" without one */
/* Decoded value of a query parameter, NULL when absent. */
const char *http_query_get(struct http_request *req, const char *name);
/* Decoded name and value of the I-th parameter; -ENOENT past the last, -EINVAL on a bad escape. */
int http_query_at(struct http_request *req, size_t i, const char **ret_name,
                  const char **ret_value);
const char *http_header_get(struct http_request *req, const char *name);
int64_t http_content_length(const struct http_request *req); /* -1: unknown (chunked) */
/* uid of the peer on a unix socket, -1 on TCP. */
int64_t http_peer_uid(const struct http_request *req);
/* Has the client left? */
bool http_is_gone(const struct http_request *req);

/* The body, whole (-E2BIG beyond LIMIT, -ECONNRESET when the client left). BODY is valid until the
 * request is answered. DONE may be called before this returns. */
typedef void (*http_body_f)(void *userdata, struct http_request *req, int r, const char *body,
                            size_t len);
void http_read_body(struct http_request *req, size_t limit, http_body_f done, void *userdata);
/* The body in pieces: DATA is called for each, LEN 0 at the end, R < 0 when it failed. Between
 * http_body_pause() and http_body_resume() nothing is read: bounded memory. */
typedef void (*http_data_f)(void *userdata, struct http_request *req, int r, const char *bytes,
                            size_t len);
void http_stream_body(struct http_request *req, http_data_f data, void *userdata);
void http_body_pause(struct http_request *req);
void http_body_resume(struct http_request *req);

/* Answering. Headers are added before; Date, Content-Length and Connection come by themselves. A
 * body that was not read is drained up to 64 KiB, else the connection closes after the answer. */
void http_add_header(struct http_request *req, const char *name, const char *value);
/* The bytes are copied. TYPE NULL: none. */
void http_respond(struct http_request *req, int status, const char *type, const void *body,
                  size_t len);

/* A body that is produced on demand. PROCEED: send more, now or later, by http_send(); STOP: the
 * client left or the server ends: forget the request. After the last http_send() neither is called. */
struct http_generator {
    void (*proceed)(void *userdata, struct http_request *req);
    void (*stop)(void *userdata, struct http_request *req);
    void *userdata;
};
/* LENGTH -1: chunked (or until close for HTTP/1.0). */
void http_respond_stream(struct http_request *req, int status, const char *type, int64_t length,
                         const struct http_generator *generator);
/* Copies what the socket does not take at once. Call once per proceed (a piece of up to 256 KiB is
 * sensible); with LAST the answer is complete and the request gone. */
void http_send(struct http_request *req, const void *bytes, size_t len, bool last);
/* Give up: the connection closes so that the client sees an incomplete answer. */
void http_abort(struct http_request *req);
/* sendfile of LENGTH bytes at OFFSET; takes FD. */
void http_respond_file(struct http_request *req, int status, const char *type, int fd,
                       int64_t offset, int64_t length);

/* Server-sent events (WHATWG HTML, 9.2): adds to OUT. ID and EVENT may be NULL. */
void sse_format(struct text *out, const char *id, const char *event, const char *data, size_t len);

/* ---- client: blocking, with time-outs; one connection, kept open --------------------------------- */

/* Does FILE hold certificates of authorities (PEM), as SSL_CERT_FILE names them? -EINVAL, and what of open(2). */
int http_authorities_check(const char *file, struct error *err);

struct http_client;

int http_client_new(const char *url, struct http_client **ret, struct error *err);
void http_client_free(struct http_client *client);
DEFINE_CLEANUP(struct http_client *, http_client_free);

struct http_call {
    const char *method;         /* "GET" */
    const char *target;         /* path and query, escaped */
    const char *const *headers; /* name, value, …, NULL */
    const void *body;
    size_t body_len;
    /* Streamed body instead: fills up to N bytes, 0 at the end, negative errno to give up. */
    ssize_t (*read_body)(void *userdata, void *bytes, size_t n);
    int64_t read_len; /* -1: chunked */
    /* Streamed answer instead of collecting it (only for status 200 to 299). Negative: give up
     * with that code. */
    int (*on_body)(void *userdata, const char *bytes, size_t n);
    void *userdata;
    unsigned timeout_ms; /* without progress; 0: 30 s; UINT_MAX: none */
    size_t limit;        /* of a collected body; 0: 64 MiB */
    bool upgrade;        /* 101 is an answer too: take the connection then */
};

struct http_response {
    int status;
    struct text head; /* the raw head; look up by http_response_header() */
    struct text body;
};

/* -ECONNREFUSED, -ENOENT (no socket), -ETIMEDOUT, -EBADMSG …; any status is success. A connection
 * that was kept open and turns out closed before the first byte is opened anew, once. */
int http_client_call(struct http_client *client, const struct http_call *call,
                     struct http_response *ret, struct error *err);
/* After an answer of 101: the connection, blocking, and what came behind the head (both the caller's);
 * CLIENT connects anew when it is used again. */
int http_client_take(struct http_client *client, struct text *ret_rest);
/* Owned by the caller; NULL when absent. */
char *http_response_header(const struct http_response *response, const char *name);
void http_response_done(struct http_response *response);

/* Feeds bytes of an event stream; calls EVENT for each complete event (EVENT's name is "message" when
 * none was given). Lines above LIMIT end with -E2BIG. */
struct sse_reader {
    struct text line, data, event, id;
    size_t limit; /* 0: 1 MiB */
};
typedef int (*sse_event_f)(void *userdata, const char *id, const char *event, const char *data,
                           size_t len);
int sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t len, sse_event_f event,
                    void *userdata);
void sse_reader_done(struct sse_reader *reader);

/* Parts of this header. */
#include "http/channel.h"
#include "http/websocket.h"

#endif
