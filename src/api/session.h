/* session.h - sessions inside of running jobs: a WebSocket on one side, a supervisor on the other
 *
 * sessions.c       the endpoints: who may, which job, what was asked
 * session-relay.c  messages between the two
 * session-words.c  commands, as they go on record
 * tickets.c        for pages, which cannot send a key
 */
#ifndef API_SESSION_H
#define API_SESSION_H

#include "api/internal.h"
#include "os/clock.h"

/* ---- tickets ------------------------------------------------------------------------------------- */

/* Who has shown it is who asked for it. */
struct ticket {
    struct sha256 sum; /* of its text: the text itself is not kept */
    struct id job;
    char actor[80];
    enum key_role role;
    struct id key_project;
    int64_t expires_us; /* boot clock */
};

/* The ticket that REQ offers, taken: it opens nothing more. False: it offers none that is valid. */
bool tickets_take(struct api *api, const struct http_request *req, struct ticket *ret);
void tickets_free(struct tickets *tickets);

/* ---- relay --------------------------------------------------------------------------------------- */

/* What for. */
struct session_purpose {
    const char *op;                   /* the supervisor's word for it */
    const struct declare_type *first; /* type of the first message; NULL: ORDER goes at once */
    json_t *order;                    /* for the supervisor; taken */
    bool connection;                  /* one of many: only its beginning goes on record, */
    bool recorded;                    /* if it does */
};

/* Give the call's request away to a session with the running attempt of W. */
void session_relay(struct call *call, const struct workload *w,
                   const struct session_purpose *purpose);
/* How many sessions of ACTOR are open. */
size_t sessions_of(const struct api *api, const char *actor);
/* Those of JOB as an array. */
json_t *sessions_in(const struct api *api, const struct id *job);

/* ---- words --------------------------------------------------------------------------------------- */

/* A command (a line or words) as it goes on record: the values of what is called a secret, a token, a
 * password or a key are left out. The caller owns it. */
json_t *session_words(const json_t *command);

#endif
