/* recover.c - after a restart: attach what lived, lose what cannot live any more, act once */
#include "lifecycle/internal.h"

#include "base/text.h"
#include "base/time.h"

/* Did the machine of this attempt start anew since? */
static bool node_was_lost(struct lifecycle *lc, const struct workload *w)
{
    if (lc->engine->ops->orders) /* the engine says so itself */
        return false;
    const struct node_use *use = use_of(lc, w);
    const char *boot_id = json_get_str(w->attempt->record, "boot_id", NULL);

    return !use || (boot_id && use->node->boot_id && !str_equal(boot_id, use->node->boot_id));
}

static void recover_attempt(struct lifecycle *lc, struct job *job)
{
    const struct workload *w = job->w;

    map_set(lc->attempts, w->attempt->id.bytes, sizeof w->attempt->id.bytes, job);
    use_take(lc, job);
    act_arm_max_time(lc, job);
    if (node_was_lost(lc, w))
        act_lose(lc, job, END_NODE_LOST, NULL);
}

static void recover_queued(struct lifecycle *lc, struct job *job)
{
    const struct workload *w = job->w;
    int64_t wait_us = w->eligible_us - lc_now(lc);

    queue_insert(lc, job);
    images_want(lc, w, "system");
    if (wait_us <= 0)
        return;
    /* No back-off is longer than an hour, whatever the clock says now. */
    if (wait_us > 3600 * US_PER_S)
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
        !id_equal(&attempt, &job->w->attempt->id) || !job->w->stop_requested)
        return;
    lc->engine->ops->stop(lc->engine, &attempt, job->w->stop_cause, job->w->spec->grace_s);
}

void lifecycle_recover(struct lifecycle *lc)
{
    VEC(struct job *) live = { 0 };
    VEC(struct id) ids = { 0 };
    struct job *job;

    images_recover(lc);
    map_foreach(lc->jobs, pos, job) {
        if (workload_has_live_attempt(job->w))
            recover_attempt(lc, job);
        else if (job->w->state == WORKLOAD_QUEUED)
            recover_queued(lc, job);
    }
    /* What was lost above has no live attempt any more. */
    map_foreach(lc->jobs, pos, job) {
        if (job->final || !workload_has_live_attempt(job->w))
            continue;
        vec_push(&live, job);
        vec_push(&ids, job->w->attempt->id);
    }
    lc->engine->ops->sweep(lc->engine, ids.items, ids.len);
    vec_foreach(&live, one)
        take_up(lc, *one);
    vec_done(&live);
    vec_done(&ids);
    forget(lc);
    lc_want_pass(lc);
}
