/* event.h - the truth: every change is an event, and rows are the fold of events
 *
 * DESIGN 5b. seq is given by the store's single writer in commit order (0 until then); time never
 * runs backwards from one seq to the next. DATA is the payload of TYPE in format VERSION: a fold
 * accepts every version that was ever written.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"

struct event {
    uint64_t seq;
    struct id id;
    int64_t time_us;
    struct id project;        /* id_none: of the whole cloud */
    const char *subject_kind; /* "job", "project", "key", "secret", "node", "placement"; static */
    struct id subject;
    char *actor;      /* "key:NAME", "system", "user:UID" (unix socket); owned */
    const char *type; /* "job.submitted"; static, from the folder that owns the subject */
    unsigned version;
    json_t *data; /* object, owned; may be NULL */
    char *names;  /* owned: what subject_kind and type point into when they are not static */
};

void event_free(struct event *event);
DEFINE_CLEANUP(struct event *, event_free);

/* The form that the API and the store's exports show. */
json_t *event_to_json(const struct event *event);

#endif
