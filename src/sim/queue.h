/* queue.h - a queue replayed in virtual time: jobs come, wait, run, are stopped and run again */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "base/error.h"
#include "placement/placement.h"
#include "sim/pack.h"

enum { QUEUE_GROUPS_MAX = 16 };

struct queue_machines {
    unsigned count, gpus; /* of each */
};

struct queue_options {
    const struct policy *policy;
    const struct score *score;
    struct queue_machines groups[QUEUE_GROUPS_MAX];
    unsigned n_groups;
    int64_t from_us, to_us; /* jobs that came then; TO 0: to the end. Microseconds since 1970 */
    int64_t guaranteed_us, restart_us, patience_us; /* as of schedule_options */
    bool preemptible;                               /* all jobs are */
    bool knows_durations;                           /* and declare exactly as long as they run */
};

/* Times in microseconds. A wait is all the time a job does not run for itself. */
struct queue_figures {
    uint64_t n_jobs, n_preemptions, n_passes;
    int64_t wait_mean_us, wait_p50_us, wait_p99_us, wait_max_us;
    int64_t turnaround_mean_us;
    int64_t
        wait_ratio_max_thousandths; /* of time waited to time run, of jobs that waited a day or more */
};

/* JOBS: timestamp ("2017-10-09 07:01:55", UTC), duration (seconds), num_gpus. Jobs of at most as many GPUs as a machine has run on
 * one; larger ones in equal tasks on several. OUT (FILE may be NULL): line, start, end, wait_s, preemptions. */
int queue_run(const struct queue_options *options, const struct pack_file *jobs,
              const struct pack_file *out, struct queue_figures *ret, struct error *err);

#endif
