/* profile.h - what will be free when, if everybody keeps to the time declared
 *
 * Spans lie on machines: of who runs, until the declared end; of who will run (a reservation), from its start; and of what is
 * kept for a group (a booking). The profile answers when so many tasks of a shape have room at the same time for as long as
 * they run, without a span being moved.
 *
 * It counts. A reservation holds a number of GPUs, not which: any set of whole GPUs that is free by number at every moment can be
 * handed out when the time comes, since who runs then has started before. Parts of one GPU that run there count as one; who would
 * begin now may have his part of such a GPU, if there is another one for him at the times when he would be alone on it. A part that is
 * reserved counts as all of a GPU, but for those of one job.
 *
 * Integers, times in microseconds; of equal times the machine that is left fullest, of those the first.
 */
#ifndef PLACEMENT_PROFILE_H
#define PLACEMENT_PROFILE_H

#include "placement/capacity.h"

struct profile;

struct profile *profile_new(void);
void profile_free(struct profile *profile);
DEFINE_CLEANUP(struct profile *, profile_free);

/* Machine NODE has SIZE from now on; spans on it stay. */
void profile_set_node(struct profile *profile, size_t node, const struct room *size);

struct profile_span {
    uint64_t id; /* the caller's: of a job or of a booking, and of no two of them */
    int64_t from_us, until_us;
    int32_t cpu_milli, memory_mib;
    uint16_t n_gpus;  /* of a reservation; 0 where GPUS says which */
    uint32_t gpus;    /* bits, of who runs */
    bool is_part;     /* of these it has a part */
    uint32_t group;   /* whom a booking is for */
    bool is_passable; /* a booking's: it is no obstacle to everybody */
};

/* ASK once, from a time to a time (INT64_MAX: not known). */
struct profile_span profile_span_of(uint64_t id, const struct ask *ask, int64_t from_us,
                                    int64_t until_us);
/* Tasks of ASK that one GPU holds. */
unsigned profile_per_gpu(const struct ask *ask);
void profile_put(struct profile *profile, size_t node, const struct profile_span *span);
/* All passable spans on NODE. */
void profile_drop_passable(struct profile *profile, size_t node);
/* All spans of ID on NODE. */
void profile_drop(struct profile *profile, size_t node, uint64_t id);

enum profile_when {
    PROFILE_NEVER,
    PROFILE_LATER, /* not before something changes there */
    PROFILE_ANY,
};

/* What is looked for: TASKS tasks of one shape for LENGTH_US at a time not before FROM_US. */
struct profile_wish {
    const struct ask *ask;
    unsigned tasks;
    int64_t from_us, length_us; /* LENGTH INT64_MAX: not known */
    bool only_now;              /* later than FROM_US is of no use */
    bool is_apart;              /* each task on a machine of its own */
    const uint32_t *domains;    /* by machine, all tasks in one domain; NULL: anywhere */
    /* When may the machine be one of them, whatever its numbers say? NULL: all may at any time. */
    enum profile_when (*allows)(void *userdata, size_t node);
    const uint64_t *without; /* spans of these are gone */
    size_t n_without;
    /* Bits: GPUs of NODE that others have parts of, of which a task may have its part now. NULL: none. */
    uint32_t (*shares)(void *userdata, size_t node);
    /* Is a passable span no obstacle? NULL: all are. */
    bool (*passes)(void *userdata, const struct profile_span *span);
    void *userdata;
};

/* The earliest time, and on RET, which has room for all tasks, their machines, ascending. INT64_MAX: there is none. */
int64_t profile_earliest(struct profile *profile, const struct profile_wish *wish, size_t *ret);
/* Of which GPUs of NODE that others have parts of a task may have its part from now on; and on RET: would one that is free do? */
uint32_t profile_shared(struct profile *profile, const struct profile_wish *wish, size_t node,
                        bool *ret_free_does);
/* How many of the tasks machine NODE holds from START_US on. */
unsigned profile_fits(struct profile *profile, const struct profile_wish *wish, size_t node,
                      int64_t start_us);
/* Could SPAN be put on NODE without more being promised there at any time than there is? Of WISH only what it passes over
 * counts. */
bool profile_lets(struct profile *profile, const struct profile_wish *wish, size_t node,
                  const struct profile_span *span);

/* Looks at machines, ever. */
uint64_t profile_work(const struct profile *profile);

#endif
