/* snapshot.c - what placement decides from, as plain data */
#include "lifecycle/internal.h"

static void add_job(const struct lifecycle *lc, struct snapshot *s, const struct job *job)
{
    const struct workload *w = job->w;
    struct snapshot_job one = {
        .id = w->id,
        .org = job->project->org,
        .project = w->project,
        .name = xstrdup(w->name),
        .priority = w->priority,
        .since_us = w->eligible_us,
        .eligible_us = w->eligible_us,
        .ran_us = w->ran_us,
        .waits_since_us = w->attempts > 0 ? w->queued_us : 0,
        .returns = w->returns,
        .stopped = w->stops,
        .spec = workload_wishes_copy(w->spec),
    };

    if (workload_has_live_attempt(w)) {
        one.started_us = w->attempt->started_us ? w->attempt->started_us : w->attempt->created_us;
        for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++)
            vec_push(&one.allocations, allocation_copy(attempt_task_allocation(w->attempt, rank)));
    } else {
        one.held = xstrdup(job_hold(lc, job));
    }
    vec_push(&s->jobs, one);
}

static void add_weight(struct snapshot *s, const struct snapshot_weight *one)
{
    if (one->weight > 1 || one->used > 0)
        vec_push(&s->weights, *one);
}

static void add_weights(const struct lifecycle *lc, struct snapshot *s)
{
    vec_foreach(&lc->orgs, org)
        add_weight(s, &(struct snapshot_weight){
                          .org = (*org)->id,
                          .weight = (*org)->weight,
                          .used = planner_used(lc->planner, &(*org)->id, NULL, s->now_us) });
    vec_foreach(&lc->projects, project)
        add_weight(s,
                   &(struct snapshot_weight){ .org = (*project)->org,
                                              .project = (*project)->id,
                                              .weight = (*project)->weight,
                                              .used = planner_used(lc->planner, &(*project)->org,
                                                                   &(*project)->id, s->now_us) });
}

struct snapshot *lifecycle_snapshot(struct lifecycle *lc)
{
    struct snapshot *s = snapshot_new();
    const struct job *job;

    s->now_us = lc_now(lc);
    s->options = lc->plan_options.schedule;
    s->score = lc->plan_options.score;
    history_free(s->history);
    s->history = history_copy(lc->run_times);
    add_weights(lc, s);
    bookings_put(lc, s);
    vec_foreach(&lc->nodes, use)
        snapshot_add_node(s, use->node, use->disk_used_bytes);
    map_foreach(lc->jobs, pos, job)
        if (job->w->state != WORKLOAD_SUBMITTED && !job->final)
            add_job(lc, s, job);
    return s;
}
