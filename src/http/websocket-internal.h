/* websocket-internal.h - what websocket*.c share */
#ifndef HTTP_WEBSOCKET_INTERNAL_H
#define HTTP_WEBSOCKET_INTERNAL_H

#include "http/internal.h"

struct websocket {
    struct websocket *next, **link; /* in its server; LINK NULL: a client's */
    unsigned *n_connections;        /* of the server; NULL: a client's */
    struct loop *loop;
    int fd;
    struct watch *watch, *timer;
    struct websocket_options options;
    struct websocket_events events;
    struct ws_parser parser;
    struct text in; /* received before a pause, not parsed yet */
    struct text out;
    size_t out_at;
    int64_t heard_us; /* when bytes came last */
    int64_t moved_us; /* when bytes left last, or began to wait */
    int64_t linger_us;
    bool client, paused, close_sent;
    bool full;       /* the owner waits for `drained` */
    bool released;   /* the owner has let go */
    bool discarding; /* the peer broke the rules: nothing more is understood */
    bool broken;     /* sending failed: the timer ends it */
    bool dead;
};

/* Without watches yet. Takes FD, IN and OUT. */
struct websocket *websocket_make(struct loop *loop, int fd, bool client, struct text *in,
                                 struct text *out);
void websocket_begin(struct websocket *ws, const struct websocket_options *options,
                     const struct websocket_events *events);

#endif
