/* plan.c - what the planner is told of jobs and machines */
#include "lifecycle/internal.h"

#include "base/time.h"

enum { HALF_LIFE_S = 7 * 86400, NOTICE_S = 300 };

struct id plan_user(const struct workload *w)
{
    return id_within(&w->project, w->user ? w->user : "");
}

static struct planner_job describe(const struct lifecycle *lc, const struct job *job)
{
    const struct workload *w = job->w;

    return (struct planner_job){
        .id = w->id,
        .org = job->project->org,
        .project = w->project,
        .user = plan_user(w),
        .spec = w->spec,
        .priority = w->priority,
        .since_us = w->eligible_us,
        .eligible_us = w->eligible_us,
        .ran_us = w->ran_us,
        .waits_since_us = w->attempts > 0 ? w->queued_us : 0,
        .returns = w->returns,
        .stopped = w->stops,
        .held = job_hold(lc, job) != NULL,
    };
}

void plan_submit(struct lifecycle *lc, const struct job *job)
{
    const struct planner_job one = describe(lc, job);

    planner_submit(lc->planner, &one, plan_now(lc));
    lc_want_pass(lc);
}

void plan_adopt(struct lifecycle *lc, const struct job *job)
{
    const struct planner_job one = describe(lc, job);
    const struct attempt *attempt = job->w->attempt;
    size_t n = attempt_n_tasks(attempt);
    _cleanup_free_ struct planner_place *tasks = xnew_n(struct planner_place, n);

    for (size_t rank = 0; rank < n; rank++) {
        const struct node_use *use = use_of(lc, job->w, rank);
        tasks[rank] = (struct planner_place){ use ? use->node->name : NULL,
                                              attempt_task_allocation(attempt, rank) };
    }
    planner_run(lc->planner, &one, tasks, n,
                attempt->started_us ? attempt->started_us : attempt->created_us);
}

void plan_node(struct lifecycle *lc, const struct node_use *use)
{
    lc->changes++;
    planner_set_node(lc->planner, use->node, use->disk_used_bytes);
    bookings_see(lc, use->node->name);
}

int64_t plan_now(struct lifecycle *lc)
{
    int64_t now_us = lc_now(lc);

    return now_us > lc->eligible_floor_us ? now_us : lc->eligible_floor_us;
}

/* All weigh 1 until it is said otherwise. */
void plan_weigh(struct lifecycle *lc)
{
    vec_foreach(&lc->orgs, org)
        if ((*org)->weight > 1)
            planner_weigh(lc->planner, &(*org)->id, NULL, (*org)->weight);
    vec_foreach(&lc->projects, project)
        if ((*project)->weight > 1)
            planner_weigh(lc->planner, &(*project)->org, &(*project)->id, (*project)->weight);
}

struct planner *plan_new(struct lifecycle *lc)
{
    const struct lifecycle_settings *set = &lc->settings;

    lc->plan_options = (struct planner_options){
        .score = &score_yield,
        .schedule = { .policy = set->policy ? set->policy : &policy_fair,
                      .guaranteed_us = set->guaranteed_s * US_PER_S,
                      .patience_us = set->patience_s * US_PER_S,
                      .notice_us =
                          (set->booking_notice_s ? set->booking_notice_s : NOTICE_S) * US_PER_S,
                      .half_life_us =
                          (set->half_life_s ? set->half_life_s : HALF_LIFE_S) * US_PER_S },
    };

    struct planner *planner = planner_new(&lc->plan_options);
    const struct record_sink sink = { lc->sources.record, lc->sources.userdata };
    if (sink.line)
        planner_record(planner, record_new(&sink, &lc->plan_options));
    return planner;
}
