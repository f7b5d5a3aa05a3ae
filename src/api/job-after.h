/* job-after.h - what a job that is submitted waits for, by id from then on */
#ifndef API_JOB_AFTER_H
#define API_JOB_AFTER_H

#include "api/internal.h"

/* Begins the state of its call. */
struct after_search {
    struct workload_spec *spec; /* borrowed */
    char **texts;               /* what was asked for, by position */
    size_t n_texts;
    size_t next;                          /* to be looked up */
    VEC(struct counterpart) counterparts; /* by index, once all are known */
    void (*found)(struct call *call);
};

/* Look up what SPEC waits for, one after the other, and pin it; then FOUND, or CALL is refused. */
void after_search_begin(struct call *call, struct workload_spec *spec,
                        void (*found)(struct call *call));
void after_search_done(struct after_search *s);

#endif
