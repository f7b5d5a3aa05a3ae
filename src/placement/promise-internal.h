/* promise-internal.h - what the files of promises share */
#ifndef PLACEMENT_PROMISE_INTERNAL_H
#define PLACEMENT_PROMISE_INTERNAL_H

#include "placement/profile.h"
#include "placement/promise.h"

enum {
    OVERRUN_S = 60, /* who stays longer than declared is taken to be gone so much later */
    LOOKS = 8,      /* looks at machines of the profile that count for one of the capacity */
};

struct promise {
    struct link link;
    uint64_t id;
    int64_t start_us;
    int priority;
    uint64_t version; /* of the profile when it was made */
    uint64_t pass;    /* that looked at it last */
    size_t at;        /* in the list */
    unsigned tasks;
    size_t nodes[]; /* one a task, ascending */
};

/* A machine as the profile has it. */
struct known {
    struct room size;
    bool closed;
};

struct promises {
    struct profile *profile;
    VEC(struct known) nodes;
    struct table by_id;
    VEC(struct promise *) list; /* owned */
    uint64_t version;           /* goes up when something is free that was not */
    uint64_t calendar;          /* that is in the profile */
    unsigned n_kept;            /* in this pass */
    uint32_t *domains;          /* by machine, of the job that is looked at */
    struct machines refused;    /* which do not hold it now, whatever their numbers say */
    struct machines kept;       /* free, in this pass, */
    uint64_t kept_for;          /* for that job */
    size_t *found;              /* machines of the job that is looked at */
    size_t n_found;
};

/* NULL: it is promised nothing. */
struct promise *promise_find(const struct promises *promises, uint64_t id);
/* Its spans are no longer in the profile; and it is gone, which may leave room for others. */
void promise_clear_spans(struct promises *promises, const struct promise *promise);
void promise_drop(struct promises *promises, struct promise *promise, bool is_freed);
/* When ENTRY, which starts then, is gone; INT64_MAX: that is not known. */
int64_t promise_end(const struct entry *entry, int64_t start_us);
/* ENTRY runs, in the profile, until then; and no longer. */
void promise_put_running(struct schedule *s, const struct entry *entry, int64_t until_us);
void promise_drop_running(struct schedule *s, const struct entry *entry);

/* Who asks the profile. */
struct asker {
    const struct schedule *s;
    const struct entry *entry;
};
/* What ENTRY looks for; ASKER is borrowed by it, as are the schedule's promises. */
struct profile_wish promise_wish(struct schedule *s, const struct entry *entry, bool only_now,
                                 int64_t now_us, struct asker *asker);
/* The earliest time, and its machines among the promises' FOUND; INT64_MAX: there is none. */
int64_t promise_earliest(struct schedule *s, const struct profile_wish *wish);
/* Take places on the machines that were found; false: they do not hold it, and nothing was taken. */
bool promise_take(struct schedule *s, const struct entry *entry, int64_t now_us,
                  struct choice *places);

#endif
