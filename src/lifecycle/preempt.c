/* preempt.c - a job makes room: it is asked for a checkpoint, stopped, and goes on when it is its turn again
 *
 * The order is a stop of cause `preempted`; what makes it another thing than a stop is decided where the
 * attempt ends (workload_is_preempted): the job is queued again in its old place in line, and none of its
 * retries is used up. A restart of the server in between changes nothing: the order is in the job.
 */
#include "lifecycle/internal.h"

#include <errno.h>

void preempt(struct lifecycle *lc, struct job *job, const struct preemption *why, struct commit *c)
{
    const struct workload *w = job->w;
    struct stop_order order = { END_PREEMPTED, why->actor,
                                why->grace_s < 0 ? w->spec->grace_s : why->grace_s, NULL };
    char id[ID_TEXT_LEN + 1];

    /* Of other projects nobody learns anything. */
    if (why->beneficiary && id_equal(&why->beneficiary->project, &w->project)) {
        order.more = json_object();
        json_put_str(order.more, "for", id_format(&why->beneficiary->id, id));
    }
    act_stop(lc, job, &order, c);
}

bool preempt_may(const struct job *job)
{
    return !job->final && !job->ashore && workload_has_live_attempt(job->w) &&
           !job->w->stop_requested;
}

/* Who ends already leaves its place all the same. */
void preempt_planned(struct lifecycle *lc, const struct planner_plan *plan)
{
    vec_foreach(&plan->stops, stop) {
        struct job *job = live_get(lc, &stop->id);
        struct job *other = live_get(lc, &stop->started);
        const struct preemption why = { .actor = "system",
                                        .beneficiary = other && other != job ? other->w : NULL,
                                        .grace_s = -1 };
        if (!job || !preempt_may(job))
            continue;
        if (other && other != job)
            other->n_stopped++;
        preempt(lc, job, &why, commit_new(lc, job));
    }
}

static bool is_on(const struct attempt *attempt, const char *node)
{
    for (size_t rank = 0; rank < attempt_n_tasks(attempt); rank++)
        if (str_equal(attempt_task_allocation(attempt, rank)->node, node))
            return true;
    return false;
}

void preempt_node(struct lifecycle *lc, const char *node, const char *actor)
{
    const struct preemption why = { .actor = actor, .grace_s = -1 };
    VEC(struct job *) found = { 0 };
    struct job *job;

    map_foreach(lc->attempts, pos, job) {
        if (preempt_may(job) && job->w->spec->preemptible && is_on(job->w->attempt, node))
            vec_push(&found, job);
    }
    vec_foreach(&found, one)
        preempt(lc, *one, &why, commit_new(lc, *one));
    vec_done(&found);
}

static int check(const struct job *job, bool force, struct error *err)
{
    const struct workload *w = job->w;

    if (job->final)
        return error_set(err, -EBUSY, "the job has ended: it is %s", workload_state_name(w->state));
    if (w->state == WORKLOAD_QUEUED || w->state == WORKLOAD_SUBMITTED)
        return error_set(err, -EBUSY, "the job is %s: it has nothing that it could give up",
                         workload_state_name(w->state));
    if (!preempt_may(job))
        return error_set(err, -EBUSY, "the job ends already: %s",
                         w->stop_cause == END_PREEMPTED ? "it is being preempted"
                         : w->stop_requested            ? "it is being stopped"
                                                        : "its results are being collected");
    if (!w->spec->preemptible && !force)
        return error_set(err, -EBUSY,
                         "the job is not preemptible: it was submitted without --preemptible, and "
                         "would begin anew; `force` does it all the same");
    return 0;
}

int lifecycle_preempt(struct lifecycle *lc, const struct id *workload,
                      const struct preempt_request *request, lifecycle_done_f done, void *userdata,
                      struct error *err)
{
    struct job *job = live_get(lc, workload);
    struct preemption why = { .actor = request->actor, .grace_s = request->grace_s };

    if (!job)
        return error_set(err, -ENOENT, "there is no such job that has not ended");
    int r = check(job, request->force, err);
    if (r < 0)
        return r;
    struct commit *c = commit_new(lc, job);
    c->done = done;
    c->userdata = userdata;
    preempt(lc, job, &why, c);
    return 0;
}

/* "job big", "another job": of other projects nobody learns anything. Owned by the caller. */
static char *beneficiary_of(const struct lifecycle *lc, const struct workload *w)
{
    const struct job *other =
        id_is_none(&w->preempted_for) ? NULL : live_get(lc, &w->preempted_for);

    return other ? xasprintf(" for job %s", other->w->name) : xstrdup("");
}

char *preempt_stopping_text(const struct lifecycle *lc, const struct workload *w)
{
    _cleanup_free_ char *for_job = beneficiary_of(lc, w);

    return xasprintf("it makes room%s, and goes on from its old place in the queue", for_job);
}

char *preempt_queued_text(const struct lifecycle *lc, const struct workload *w, const char *waits)
{
    if (w->cause != END_PREEMPTED || !waits)
        return NULL;
    _cleanup_free_ char *for_job = beneficiary_of(lc, w);
    return xasprintf("it was preempted%s and goes on when it can: %s", for_job, waits);
}
