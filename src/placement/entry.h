/* entry.h - what the files of the schedule share */
#ifndef PLACEMENT_ENTRY_H
#define PLACEMENT_ENTRY_H

#include "base/map.h"
#include "placement/schedule.h"

/* A job that waits or runs. */
struct entry {
    struct schedule_job job;
    uint64_t number; /* in the order in which they came */
    int64_t since_us;
    int64_t ran_us; /* in all, before it started last */
    int64_t started_us;
    int64_t waits_since_us; /* it came or was stopped then */
    bool runs;
    unsigned level;        /* at the pass */
    struct choice *places; /* while it runs, one a task */
};

struct schedule {
    struct schedule_options options;
    struct capacity *capacity;
    VEC(struct entry *) entries; /* in the policy's order after a pass; owned */
    struct map *by_id;
    uint64_t n_came;
    size_t n_waiting;
};

/* What a job counts for: its GPUs, or 1. */
int64_t entry_weight(const struct entry *entry);
struct claim entry_claim(const struct entry *entry, int64_t now_us);
void entry_start(struct schedule *s, struct entry *entry, int64_t now_us);
void entry_stop(struct schedule *s, struct entry *entry, int64_t now_us);

/* Take a place for each task: true; or nothing. PLACES has room for all. */
bool places_take(struct schedule *s, const struct entry *entry, struct choice *places);

/* victims.c: make room for ENTRY by stopping jobs of less right, at the least cost, and take it. The stopped are
 * appended to STOPPED. False: that is not possible, and nothing was changed. */
struct entries {
    struct entry **items; /* a vec; borrowed */
    size_t len, cap;
};
bool victims_take(struct schedule *s, const struct entry *entry, int64_t now_us,
                  struct choice *places, struct entries *stopped);

/* reserve.c: when ENTRY can start at the latest if nobody else is let in, by declared times; closed on RET: the machines that
 * it needs then. INT64_MAX: that cannot be known, and nothing is on RET. */
struct machines {
    size_t *items; /* a vec */
    size_t len, cap;
};
/* The machines that come nearest to holding ENTRY: those that lack the fewest GPUs of a task. */
void reserve_nearest(const struct schedule *s, const struct entry *entry, struct machines *ret);
int64_t reserve_for(const struct schedule *s, const struct entry *entry, int64_t now_us,
                    struct machines *ret);

#endif
