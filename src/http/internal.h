/* internal.h - what server.c, connection.c and request.c share
 *
 * A connection owns the socket and the bytes; a request owns what was asked and how it is answered.
 * A request outlives its connection when the client leaves before the answer: `conn` is NULL then.
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include "base/vec.h"
#include "http/http.h"

#define READ_SIZE  65536
#define DRAIN_MAX  65536   /* of a body that nobody read; beyond that the connection closes */
#define OUT_STEADY 65536   /* an output buffer larger than this is released once sent */
#define OUT_IDLE   512     /* the same between requests */
#define BURST_MAX  1048576 /* bytes sent before the other connections have their turn */

struct http_server {
    struct http_server_options options;
    struct listener {
        struct http_server *server;
        int fd;
        bool local; /* a unix socket: the peer's uid is known */
        char *path;
        struct watch *watch;
    } * listeners[16];
    unsigned n_listeners;
    struct connection *first; /* all of them */
    unsigned n_connections;
    struct http_request *spare; /* for the next head */
    struct websocket *sockets;  /* connections that were upgraded; n_connections counts them */
    struct watch *pause;        /* after the process ran out of descriptors */
    bool draining;
    char date[64]; /* "Date: …\r\n" of second date_s */
    int64_t date_s;
    char received[READ_SIZE]; /* by recv(), for any connection: none holds more than it got */
};

enum body_mode { BODY_NONE, BODY_WHOLE, BODY_STREAM, BODY_DRAIN };

struct connection {
    struct http_server *server;
    struct connection *next, **link;
    int fd;
    struct watch *watch;
    struct watch *timer;
    int64_t deadline_us; /* INT64_MAX: none; the timer fires no later */
    int64_t peer_uid;
    struct text in;  /* received, not yet consumed */
    struct text out; /* to be sent, from out_at on */
    size_t out_at;
    int file; /* sendfile after `out`; -1: none */
    int64_t file_at, file_left;
    struct http_request *req; /* under way, NULL between requests */
    size_t burst;             /* bytes sent in this turn */
    bool closing;             /* after `out` is sent */
    bool muted;               /* EPOLLIN is off: bytes came that are not wanted yet */
    bool lingering;           /* sent and shut down; waits for the client's end */
    bool working; /* inside connection_work(): what comes in meanwhile is picked up there */
    bool dead;
};

struct query_pair {
    char *name, *value;
};

struct http_request {
    struct connection *conn; /* NULL: the client left */
    struct http_server *server;
    char *head_bytes; /* what the head's slices point into, cut into C strings */
    char *path, *query;
    VEC(struct query_pair) pairs;
    bool pairs_bad, pairs_known;
    int64_t peer_uid;
    /* body of the request */
    enum body_mode mode;
    bool at_end;    /* all of the body has arrived */
    bool body_done; /* and was handed over, or nobody wants it */
    bool paused;
    bool continued;    /* the body is coming, whatever was expected */
    int64_t body_left; /* of Content-Length */
    struct http_chunks chunks;
    size_t drained;
    size_t limit;
    struct text body;
    http_body_f on_body;
    http_data_f on_data;
    void *body_userdata;
    /* answer */
    struct text headers; /* added ones */
    bool answered;       /* the head is out */
    bool complete;       /* the whole answer is */
    bool chunked, head_only;
    bool in_proceed, sent;
    int64_t send_left; /* of a stream with a length; -1: unknown */
    struct http_generator generator;
    struct http_head head; /* last: large, and set by the parser as far as it is used */
};

/* connection.c */
void connection_new(struct http_server *server, int fd, bool local);
void connection_close(struct connection *c);
/* Do all that can be done now: parse, read the body, send, ask the generator. */
void connection_work(struct connection *c);
void connection_deadline(struct connection *c, int64_t after_us);
void connection_gone(struct connection *c); /* close on behalf of a request */

/* Give the socket away; what has come in and is to go out too. */
int connection_take(struct connection *c, struct text *ret_in, struct text *ret_out);

/* websocket.c */
void websockets_end(struct http_server *server);

/* request.c */
struct http_request *request_new(struct http_server *server);
/* Its head has been parsed: LEN bytes of what C received. */
void request_begin(struct http_request *req, struct connection *c, size_t len);
void request_free(struct http_request *req);
bool request_has_body(const struct http_request *req);
/* Give the request what has arrived of its body. */
void request_feed(struct http_request *req);
/* Its connection is closing. */
void request_orphan(struct http_request *req);

/* server.c */
const char *server_date(struct http_server *server);

#endif
