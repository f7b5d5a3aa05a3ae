/* session.h - a session inside of a running job: a WebSocket, our own descriptors, signals, on one loop */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/internal.h"
#include "os/loop.h"

/* Callbacks run on the loop; each may be NULL. */
struct session_io {
    /* A message of channel CHANNEL_OUT or CHANNEL_ERR; LEN 0: that stream has ended. Negative: give up. */
    int (*output)(void *userdata, enum channel channel, const char *bytes, size_t len);
    /* The command runs, the connection stands. */
    void (*started)(void *userdata);
    /* It is over: session_ended() says how. */
    void (*ended)(void *userdata);
    void *userdata;
};

struct session;

/* Upgrade TARGET and send FIRST (borrowed, NULL: none) on the control channel. */
int session_open(struct cli *cli, struct loop *loop, const char *target, const json_t *first,
                 const struct session_io *io, struct session **ret, struct error *err);
/* The same over a connection that was upgraded before; takes LINK. */
struct session *session_new(struct loop *loop, struct websocket_link *link, const json_t *first,
                            const struct session_io *io);
void session_free(struct session *s);
DEFINE_CLEANUP(struct session *, session_free);
/* Read FD and send what it gives as input, then its end. FD stays the caller's. */
void session_feed(struct session *s, int fd);
/* On the control channel; takes JSON. */
void session_order(struct session *s, json_t *json);
/* Bytes of input, LEN 0: its end. Look at session_is_full() before. */
void session_input(struct session *s, const char *bytes, size_t len);
bool session_is_full(const struct session *s);
/* Between them no output comes. */
void session_pause(struct session *s);
void session_resume(struct session *s);
/* Has it ended? Then *RET_CODE is the command's exit code, or a negative errno with ERR. */
bool session_ended(const struct session *s, int *ret_code, struct error *err);

#endif
