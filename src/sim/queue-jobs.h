/* queue-jobs.h - the table of jobs that are replayed */
#ifndef SIM_QUEUE_JOBS_H
#define SIM_QUEUE_JOBS_H

#include "sim/queue-groups.h"
#include "sim/queue.h"

struct queue_job {
    size_t line;
    int64_t came_us, duration_us;
    int64_t limit_us; /* declared; 0: not. No job runs longer than it declares */
    unsigned gpus;
    unsigned tasks; /* equal ones, as few as will do */
    unsigned crashes;
    int64_t crash_after_us; /* since it started */
    int priority;
    bool preemptible;
    uint32_t group; /* 0: nobody's */
};

struct queue_jobs {
    VEC(struct queue_job) list; /* as they come */
    struct queue_groups groups;
    size_t n_cut; /* that would run longer than they declare */
};

/* How many machines there are of so many GPUs. */
struct queue_sizes {
    unsigned machines[CAPACITY_GPUS_MAX + 1];
};

void queue_jobs_done(struct queue_jobs *jobs);
int queue_jobs_read(const struct queue_options *options, const struct queue_sizes *sizes,
                    const struct pack_file *file, struct queue_jobs *ret, struct error *err);

#endif
