/* snapshot.c - what placement decides from, as plain data */
#include "lifecycle/internal.h"

static void add_allocations(const struct attempt *attempt, struct snapshot_job *ret)
{
    for (size_t rank = 0; rank < attempt_n_tasks(attempt); rank++)
        vec_push(&ret->allocations, allocation_copy(attempt_task_allocation(attempt, rank)));
}

/* The planner knows of JOB what it was told; here is what it does not keep. */
static void describe(void *userdata, struct snapshot_job *ret)
{
    struct lifecycle *lc = userdata;
    const struct job *job = live_get(lc, &ret->id);
    const struct workload *w = job->w;

    ret->org = job->project->org;
    ret->project = w->project;
    ret->user = plan_user(w);
    ret->name = xstrdup(w->name);
    ret->priority = w->priority;
    ret->spec = workload_wishes_copy(w->spec);
    if (workload_has_live_attempt(w)) {
        ret->started_us = w->attempt->started_us ? w->attempt->started_us : w->attempt->created_us;
        add_allocations(w->attempt, ret);
    } else {
        ret->held = xstrdup(job_hold(lc, job));
    }
}

struct snapshot *lifecycle_snapshot(struct lifecycle *lc)
{
    struct snapshot *s = snapshot_new();
    const struct snapshot_source source = { describe, lc };

    s->now_us = plan_now(lc);
    s->options = lc->plan_options.schedule;
    s->score = lc->plan_options.score;
    history_free(s->history);
    s->history = history_copy(lc->run_times);
    bookings_put(lc, s);
    planner_tell(lc->planner, &source, s);
    return s;
}
