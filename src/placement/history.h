/* history.h - how long jobs of a project ran, to say how long those that declare nothing will
 *
 * Of each project the last runs count. What a job still has before it is the median of what was left of those that ran at
 * least as long as it has. Who declares how long it may run says more than it will: of one that does, what counts is which part of
 * what they had declared others ran.
 */
#ifndef PLACEMENT_HISTORY_H
#define PLACEMENT_HISTORY_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

enum {
    HISTORY_RUNS = 64,      /* of a project */
    HISTORY_ENOUGH = 5,     /* runs that were as long or longer; of fewer nothing is concluded */
    HISTORY_PROJECTS = 1024 /* the one that was heard of least recently goes */
};

#define HISTORY_RUN_MAX_US (INT64_C(100) * 366 * 86400 * 1000000)

struct history;

struct history *history_new(void);
void history_free(struct history *history);
DEFINE_CLEANUP(struct history *, history_free);

struct history *history_copy(const struct history *history);

/* A job of PROJECT ran to its own end, or to that which it had declared: LIMIT_US, 0: it had declared none. */
void history_note(struct history *history, const struct id *project, int64_t ran_us,
                  int64_t limit_us);
/* What a job that ran for RAN_US so far, and declared LIMIT_US, has before it; -1: that is not known. */
int64_t history_left_us(const struct history *history, const struct id *project, int64_t ran_us,
                        int64_t limit_us);

json_t *history_to_json(const struct history *history);
int history_from_json(const json_t *json, struct history **ret, struct error *err);

#endif
