/* reach.h - a way into a running task, wherever it runs
 *
 * Packets both ways between this server and the supervisor of a task (http/channel.h). On this machine that is
 * its socket. To another machine the server never connects: the task is ordered to open a stream home, a
 * WebSocket whose messages are the packets (docs/design/0014). Of either side not more is taken than the other
 * takes: memory is bounded.
 *
 * reach.c       what both have in common, and this machine's sockets
 * reach-away.c  streams that tasks open
 */
#ifndef API_REACH_H
#define API_REACH_H

#include "api/internal.h"

struct reach;

struct reach_target {
    struct id job, task;
    unsigned epoch;
};

/* Each may close the reach. */
struct reach_events {
    /* Packets are taken: the first time, and again after reach_send() said that no more are. */
    void (*ready)(void *userdata);
    /* One packet; valid during the call. */
    void (*packet)(void *userdata, const char *bytes, size_t len);
    /* It is over, for a reason in words that is never NULL. Not called after reach_close(). */
    void (*closed)(void *userdata, const char *why);
    void *userdata;
};

/* ORDER is the first packet that the supervisor gets. *RET is the caller's until reach_close(). -EBUSY: the task
 * does not answer, or has as many as it may. */
int reach_open(struct api *api, const struct reach_target *target, const json_t *order,
               const struct reach_events *events, struct reach **ret, struct error *err);
/* After `ready`. The packet is taken; false: no other until `ready` comes again. */
bool reach_send(struct reach *reach, const char *bytes, size_t len);
/* Between them no packet comes. */
void reach_pause(struct reach *reach);
void reach_resume(struct reach *reach);
void reach_close(struct reach *reach);
DEFINE_CLEANUP(struct reach *, reach_close);

/* TASK has changed: it may be over, and what led into it with it. */
void reaches_changed(struct api *api, const struct id *task);

/* ---- for the two kinds ----------------------------------------------------------------------------- */

struct reach_ops {
    bool (*send)(struct reach *reach, const char *bytes, size_t len);
    void (*listen)(struct reach *reach); /* `paused` has changed */
    void (*free)(struct reach *reach);
};

/* First member of each kind. */
struct reach {
    const struct reach_ops *ops;
    struct api *api;
    struct reach_target target;
    struct reach_events events;
    bool paused;
    bool in_event; /* its owner is being told something: it is freed when that returns */
    bool closed;   /* by its owner, or its end was told */
};

int reach_open_away(struct api *api, const struct reach_target *target, const json_t *order,
                    const struct reach_events *events, struct reach **ret, struct error *err);
/* Tell the owner. False: it has closed the reach, which is gone. */
bool reach_tell_ready(struct reach *reach);
bool reach_tell_packet(struct reach *reach, const char *bytes, size_t len);
/* The owner is told, once, and the reach is gone. */
void reach_end(struct reach *reach, const char *why);

#endif
