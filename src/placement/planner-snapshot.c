/* planner-snapshot.c - a planner from a snapshot */
#include "placement/planner-snapshot.h"

#include "base/alloc.h"

struct planner_job planner_job_of(const struct snapshot_job *job)
{
    return (struct planner_job){
        .id = job->id,
        .org = job->org,
        .project = job->project,
        .spec = job->spec,
        .priority = job->priority,
        .since_us = job->since_us,
        .eligible_us = job->eligible_us,
        .ran_us = job->ran_us,
        .waits_since_us = job->waits_since_us,
        .returns = job->returns,
        .stopped = job->stopped,
        .held = job->held != NULL,
    };
}

struct planner_booking planner_booking_of(const struct snapshot_booking *booking)
{
    return (struct planner_booking){
        .id = booking->id,
        .org = booking->org,
        .project = booking->project,
        .from_us = booking->from_us,
        .until_us = booking->until_us,
        .places = booking->places,
        .n_places = booking->n_places,
    };
}

static void run(struct planner *planner, const struct snapshot_job *job)
{
    size_t n = job->allocations.len;
    _cleanup_free_ struct planner_place *places = xnew_n(struct planner_place, n + 1);
    const struct planner_job one = planner_job_of(job);

    for (size_t i = 0; i < n; i++) {
        const struct allocation *allocation = job->allocations.items[i];
        places[i] = (struct planner_place){ allocation->node, allocation };
    }
    planner_run(planner, &one, places, n, job->started_us);
}

void planner_add(struct planner *planner, const struct snapshot_job *job, int64_t now_us)
{
    const struct planner_job one = planner_job_of(job);

    if (job->started_us)
        run(planner, job);
    else
        planner_submit(planner, &one, now_us);
}

struct planner *planner_from_snapshot(const struct snapshot *s)
{
    const struct planner_options options = { s->score, s->options };
    struct planner *planner = planner_new(&options);

    vec_foreach(&s->weights, weight) {
        const struct id *project = id_is_none(&weight->project) ? NULL : &weight->project;
        planner_weigh(planner, &weight->org, project, weight->weight);
        planner_set_used(planner, &weight->org, project, weight->used, s->now_us);
    }
    vec_foreach(&s->nodes, node)
        planner_set_node(planner, node->node, node->disk_used_bytes);
    vec_foreach(&s->bookings, booking) {
        const struct planner_booking one = planner_booking_of(booking);
        planner_book(planner, &one);
    }
    vec_foreach(&s->jobs, job)
        planner_add(planner, job, s->now_us);
    return planner;
}
