/* share.h - weighted fair share: who has had least of what is its part goes first
 *
 * Groups are a tree: orgs below the root, their projects, their users. Each has a weight among its siblings, and what it uses
 * is added up over all below it. What was used counts for half as much after each half-life, so
 *
 *     dU/dt = R - U ln 2 / half-life        R: what runs now
 *
 * is solved exactly from one event to the next. Of two groups that goes first which, where their paths part, has had less by
 * weight; so a whole org goes before another, whatever single projects have had (as Slurm's Fair Tree). What runs counts for
 * an hour ahead, or the first in line would be given all that is free at once.
 *
 * Integers; times are microseconds and never go back (whole seconds count). Amounts are thousandths of a GPU, use is
 * thousandths of a GPU times seconds. Ties go to the group that was added first.
 */
#ifndef PLACEMENT_SHARE_H
#define PLACEMENT_SHARE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SHARE_ROOT = 0,
    SHARE_DEPTH = 3, /* groups on the way from the root to a leaf, at most */
    SHARE_WEIGHT_MAX = 10000,
    SHARE_AHEAD_S = 3600, /* what runs counts for so long ahead */
};

/* A hundred thousand GPUs for a hundred days: who is told of more was told something wrong. */
#define SHARE_USED_MAX INT64_C(1000000000000000)

struct share;

/* HALF_LIFE_US 0: nothing is forgotten. */
struct share *share_new(int64_t half_life_us);
void share_free(struct share *share);
DEFINE_CLEANUP(struct share *, share_free);

/* A group below PARENT, which is less than SHARE_DEPTH below the root; WEIGHT from 1 to SHARE_WEIGHT_MAX. Returns its number:
 * they are given out from 1 on. Jobs belong to groups that have none below them. */
uint32_t share_add(struct share *share, uint32_t parent, unsigned weight);
uint32_t share_len(const struct share *share); /* numbers given out, and the root */
uint32_t share_parent(const struct share *share, uint32_t group);
unsigned share_weight(const struct share *share, uint32_t group);
void share_weigh(struct share *share, uint32_t group, unsigned weight);
/* Is GROUP that one, or below it? */
bool share_is_below(const struct share *share, uint32_t group, uint32_t ancestor);

/* A job of GROUP came (1) or is gone (-1). */
void share_count(struct share *share, uint32_t group, int jobs);
/* GROUP runs so much more (or less, below 0) from now on. */
void share_run(struct share *share, uint32_t group, int64_t milli, int64_t now_us);
int64_t share_runs(const struct share *share, uint32_t group); /* now */ /* now, thousandths */
int64_t share_used(const struct share *share, uint32_t group, int64_t now_us);
/* What it had when that was last added up: as share_set_used() takes it. */
int64_t share_settled(const struct share *share, uint32_t group, int64_t *ret_at_us);
/* It has had so much, as a snapshot says; what is above GROUP is not told. */
void share_set_used(struct share *share, uint32_t group, int64_t used, int64_t now_us);

/* What it had, and will have in an hour, by weight: of siblings the one with the least goes first. */
int64_t share_rank(const struct share *share, uint32_t group, int64_t now_us);

/* GROUP, or what is above it, just below where its path and OTHER's part; the root when they do not. */
uint32_t share_side(const struct share *share, uint32_t group, uint32_t other);
/* How much more GROUP runs than its part, by weight among those siblings that have jobs, of what they all run; below 0: less. */
int64_t share_over(const struct share *share, uint32_t group);

#endif
