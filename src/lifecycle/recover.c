/* recover.c - after a restart: attach what lived, lose what cannot live any more, act once */
#include "lifecycle/internal.h"

#include "base/text.h"
#include "base/time.h"

/* Did the machine of this task start anew since? */
static bool node_was_lost(struct lifecycle *lc, const struct workload *w, size_t rank)
{
    if (lc->engine->ops->orders) /* the engine says so itself */
        return false;
    const struct node_use *use = use_of(lc, w, rank);
    const char *boot_id = attempt_task_boot_id(w->attempt, rank);

    return !use || (boot_id && use->node->boot_id && !str_equal(boot_id, use->node->boot_id));
}

static void recover_attempt(struct lifecycle *lc, struct job *job)
{
    const struct workload *w = job->w;

    live_begin_attempt(lc, job);
    use_take(lc, job);
    plan_adopt(lc, job);
    act_arm_max_time(lc, job);
    for (size_t rank = 0; job->gang && rank < job->gang->n; rank++)
        job->gang->tasks[rank].is_lost = node_was_lost(lc, w, rank);
    if (!job->gang && node_was_lost(lc, w, 0))
        act_lose(lc, job, END_NODE_LOST, NULL);
}

static void recover_queued(struct lifecycle *lc, struct job *job)
{
    const struct workload *w = job->w;
    int64_t wait_us = w->eligible_us - lc_now(lc);

    waits_join(lc, job);
    queue_insert(lc, job);
    images_want(lc, w, "system");
    if (wait_us <= 0)
        return;
    /* No back-off is longer than an hour, whatever the clock says now. */
    if (w->attempts > 0 && wait_us > 3600 * US_PER_S)
        wait_us = 3600 * US_PER_S;
    struct timer timer = {
        .due_us = lc_boot(lc) + wait_us,
        .kind = TIMER_ELIGIBLE,
        .workload = w->id,
        .eligible_us = w->eligible_us,
    };
    timer_add(lc, &timer);
}

/* Attach JOB; a stop that was asked for is asked for again. */
static void take_up(struct lifecycle *lc, struct job *job)
{
    struct id attempt = job->w->attempt->id;

    act_attach(lc, job);
    if (job->final || !workload_has_live_attempt(job->w) ||
        !id_equal(&attempt, &job->w->attempt->id))
        return;
    if (job->w->stop_requested)
        act_stop_tasks(lc, job, job->w->stop_grace_s);
    if (job->gang)
        gang_lose(lc, job);
}

static void recover_jobs(struct lifecycle *lc)
{
    struct job *job;

    map_foreach(lc->jobs, pos, job) {
        if (workload_has_live_attempt(job->w))
            recover_attempt(lc, job);
        else if (job->w->state == WORKLOAD_QUEUED)
            recover_queued(lc, job);
    }
}

void lifecycle_recover(struct lifecycle *lc)
{
    VEC(struct job *) live = { 0 };
    VEC(struct id) ids = { 0 };
    struct job *job;

    images_recover(lc);
    arrays_recover(lc);
    machines_show(lc);
    recover_jobs(lc);
    /* What was lost above has no live attempt any more. */
    map_foreach(lc->jobs, pos, job) {
        if (job->final || !workload_has_live_attempt(job->w))
            continue;
        vec_push(&live, job);
        for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
            vec_push(&ids, *attempt_task_id(job->w->attempt, rank));
    }
    lc->engine->ops->sweep(lc->engine, ids.items, ids.len);
    vec_foreach(&live, one)
        take_up(lc, *one);
    vec_done(&live);
    vec_done(&ids);
    arrays_start(lc);
    vec_done(&lc->outcomes);
    bookings_fire(lc);
    forget(lc);
    run_times_recall(lc);
    lc_want_pass(lc);
}
