/* policy.h - who goes first, and who may be stopped for whom: a family of policies
 *
 *   fifo   in order of priority and time; who does not fit holds back all after it
 *   skip   the same order; who does not fit is passed over, and may starve
 *   easy   the same; the first that does not fit has a reservation that nobody who is let in delays (Lifka, "The
 *          ANL/IBM SP scheduling system", JSSPP'95). Goes by declared times
 *   conservative  the same; all that wait, to a depth, have a reservation that nobody who comes later delays, but of higher
 *          priority
 *   las    least attained service (Gu et al., "Tiresias", NSDI'19) in levels, with credit for time waited; stops
 *          preemptible jobs of a higher level. Needs no durations
 *   fair   whose group has had least of its part, by weight and with decay (share.h); within a group priority and time. Reserves
 *          as easy does. Stops preemptible jobs of groups that run more than their part for those that run less
 */
#ifndef PLACEMENT_POLICY_H
#define PLACEMENT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* What a policy knows of a job. Times are microseconds. */
struct claim {
    int priority; /* higher goes first, whatever the level */
    int64_t since_us;
    int64_t served_us; /* GPU-microseconds it has had; of a job without GPUs: microseconds */
    int64_t credit_us; /* the same, of what it would have had while it waited */
    bool preemptible;
};

enum policy_wait {
    WAIT_SKIP,    /* who does not fit is passed over */
    WAIT_BLOCK,   /* and everybody after it waits */
    WAIT_RESERVE, /* and nobody after it may delay it */
    WAIT_PROMISE, /* so it is for all that wait, to a depth */
};

struct policy {
    const char *name;
    enum policy_wait wait;
    bool preempts; /* jobs of lower priority, or of the same and a higher level */
    /* Groups go by what they have had by weight, before all else; who runs more than its part may be stopped. */
    bool shares;
    /* Lower levels go first; NULL: all are equal. */
    unsigned (*level)(const struct claim *claim);
    /* Served microseconds at which a claim's next level begins; INT64_MAX: never. */
    int64_t (*next_level_us)(const struct claim *claim);
};

extern const struct policy policy_fifo, policy_skip, policy_easy, policy_las, policy_fair,
    policy_conservative;
extern const struct policy *const policies[]; /* ends with NULL */
/* NULL: there is none of that name. */
const struct policy *policy_find(const char *name);

/* Of las: the first level ends at an hour of one GPU, each further one at twice that. A tenth of what a job would have had
 * while it waited is credited, so none waits for more than ten times as long as it ran, whoever comes after it. */
#define LAS_FIRST_US (INT64_C(3600) * 1000000)
#define LAS_CREDIT   10
#define LAS_LEVELS   24u

#endif
