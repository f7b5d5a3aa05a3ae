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

bool lifecycle_tell_news(struct lifecycle *lc, size_t limit, struct mirror_news *ret)
{
    const struct snapshot_source source = { describe, lc };

    if (!planner_tell_news(lc->planner, &source, limit, ret))
        return false;
    struct snapshot *rest = ret->rest;
    rest->now_us = plan_now(lc);
    rest->options = lc->plan_options.schedule;
    rest->score = lc->plan_options.score;
    history_free(rest->history);
    rest->history = history_copy(lc->run_times);
    vec_foreach(&lc->projects, one) {
        const struct project *project = *one;
        snapshot_add_project(rest, &(struct snapshot_project){ project->id, project->org,
                                                               project->name });
    }
    bookings_put(lc, rest);
    return true;
}
