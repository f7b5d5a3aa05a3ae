/* queue.h - a queue replayed in virtual time: jobs come, wait, run, are stopped and run again */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "base/error.h"
#include "placement/placement.h"
#include "sim/pack.h"

enum { QUEUE_GROUPS_MAX = 16, QUEUE_BOOKINGS_MAX = 100 };

struct queue_machines {
    unsigned count, gpus; /* of each */
};

struct queue_options {
    const struct policy *policy;
    const struct score *score;
    struct queue_machines groups[QUEUE_GROUPS_MAX];
    unsigned n_groups;
    const struct pack_file
        *nodes;             /* machines as pack_run() reads them, in place of GROUPS; or NULL */
    unsigned depth;         /* as of schedule_options */
    int64_t backoff_us;     /* the same */
    int64_t from_us, to_us; /* jobs that came then; TO 0: to the end. Microseconds since 1970 */
    int64_t guaranteed_us, restart_us, patience_us, half_life_us; /* as of schedule_options */
    const char *weights;         /* of groups: "physics=3,physics/vision=2"; NULL: all weigh 1 */
    const char *const *bookings; /* texts, as queue-bookings.h has them */
    size_t n_bookings;           /* QUEUE_BOOKINGS_MAX at most */
    int64_t notice_us;           /* as of schedule_options */
    bool preemptible;            /* jobs are, unless the table says no */
    bool
        knows_durations; /* jobs declare exactly as long as they run, unless the table says otherwise */
};

/* What a group's jobs got, with those of groups below it. */
struct queue_group_figures {
    char *path; /* "physics/vision" */
    unsigned weight;
    uint64_t n_jobs;
    int64_t ran_us; /* for itself, times GPUs */
    int64_t wait_mean_us, wait_max_us;
};

/* A booking, and what became of it. */
struct queue_booking {
    char *group;
    uint32_t number; /* of the group */
    size_t nodes;
    unsigned gpus;
    int64_t from_us, until_us;
    int64_t made_us; /* 0: from the beginning */
    bool is_made;
    int64_t begin_us; /* FROM_US, or when it was made, if that was later */
    char *refusal;    /* why it could not be made; NULL: it could */
    int64_t
        honoured_us; /* what it keeps was there from then on; INT64_MAX: it was not, or the replay was over before */
    struct booking_part *parts;
    size_t n_parts;
};
void queue_booking_done(struct queue_booking *booking);

/* Does TEXT say a booking, or weights? -EINVAL: names the flag, the word and what would do. */
int queue_booking_check(const char *text, struct error *err);
int queue_weights_check(const char *weights, struct error *err);

/* Times in microseconds. A wait is all the time a job does not run for itself. */
struct queue_figures {
    uint64_t n_jobs, n_preemptions, n_passes;
    int64_t wait_mean_us, wait_p50_us, wait_p99_us, wait_max_us;
    int64_t turnaround_mean_us;
    int64_t
        wait_ratio_max_thousandths; /* of time waited to time run, of jobs that waited a day or more */
    uint64_t n_cut;                 /* jobs that were ended at the time they had declared */
    uint64_t n_crashes, n_looping; /* crashes, and jobs that crashed */
    uint64_t
        stopped_max; /* so many others were stopped at most for one that had crashed, until it ran for SCHEDULE_STEADY_US */
    struct queue_group_figures *groups; /* as they came */
    size_t n_groups;
    struct queue_booking *bookings; /* as they were told */
    size_t n_bookings;
};
void queue_figures_done(struct queue_figures *figures);

/* JOBS: timestamp ("2017-10-09 07:01:55", UTC), duration (seconds), num_gpus and, if need be, org, project, user, priority, limit
 * (seconds that are declared), preemptible (yes, no), crashes (so often it fails, and comes back), crash_after (seconds that it ran
 * by then, which are lost). Jobs of at most as many GPUs as a machine has run on one; larger ones in equal
 * tasks on several. OUT (FILE may be NULL): line, wait_s, duration_s, gpus, preemptions. */
int queue_run(const struct queue_options *options, const struct pack_file *jobs,
              const struct pack_file *out, struct queue_figures *ret, struct error *err);

#endif
