/* apply.c - fold one event into a workload
 *
 * Each fold reads all it needs before it changes anything, so that an event that is refused changes
 * nothing. Trees are copied out of the event: the event goes to the store's thread.
 */
#include "workload/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>

enum { EVENT_VERSION_MAX = 1 };

static const struct workload_transition *find_transition(const struct workload *w,
                                                         enum workload_event type)
{
    enum workload_state from = w ? w->state : WORKLOAD_STATE_INVALID;

    for (size_t i = 0; i < workload_n_transitions; i++) {
        const struct workload_transition *row = &workload_transitions[i];
        if (row->from != from || row->event != type)
            continue;
        bool live = w && workload_has_live_attempt(w);
        bool holds = row->guard == ATTEMPT_ANY || live == (row->guard == ATTEMPT_LIVE);
        return holds ? row : NULL;
    }
    return NULL;
}

static json_t *copy_object(const json_t *data, const char *key)
{
    json_t *tree = json_object_get(data, key);

    return json_is_object(tree) ? json_deep_copy(tree) : NULL;
}

static void replace_object(json_t **tree, const json_t *data, const char *key)
{
    json_t *copy = copy_object(data, key);

    if (!copy)
        return;
    json_decref(*tree);
    *tree = copy;
}

static int fold_submitted(struct workload **w, const struct event *event, struct error *err)
{
    _cleanup_(workload_freep) struct workload *new = xnew(struct workload);

    int r = workload_spec_from_json(json_object_get(event->data, "spec"), &new->spec, err);
    if (r < 0)
        return error_context(err, -EPROTO, "spec");

    if (json_object_get(event->data, "rerun_of") &&
        read_id(event->data, "rerun_of", &new->rerun_of, err) < 0)
        return -EPROTO;
    new->id = event->subject;
    new->project = event->project;
    new->name = xstrdup(json_get_str(event->data, "name", ""));
    new->tags = copy_object(event->data, "tags");
    if (!new->tags)
        new->tags = json_object();
    new->user = xstrdup(event->actor);
    new->priority = (int) json_get_int(event->data, "priority", 0);
    new->created_us = event->time_us;
    new->eligible_us = event->time_us;
    new->exit_code = -1;
    *w = take_ptr(new);
    return 0;
}

static int fold_queued(struct workload **w, const struct event *event, struct error *err)
{
    (*w)->eligible_us = json_get_int(event->data, "eligible_us", event->time_us);
    (*w)->queued_us = event->time_us;
    if ((*w)->attempts > 0 && !workload_is_preempted(*w, (*w)->cause))
        (*w)->returns++;
    (*w)->started_us = 0;
    (*w)->stop_requested = false;
    (*w)->stop_cause = END_NONE;
    (*w)->stop_grace_s = 0;
    return 0;
}

/* Fencing: numbers follow each other and epochs grow. */
static int check_succession(const struct workload *w, const struct event *event, struct error *err)
{
    int64_t number = json_get_int(event->data, "number", 0);
    int64_t epoch = json_get_int(event->data, "epoch", 0);
    unsigned last_epoch = w->attempt ? w->attempt->epoch : 0;

    if (number == (int64_t) w->attempts + 1 && epoch > last_epoch && epoch <= UINT32_MAX)
        return 0;
    return error_set(err, -EPROTO,
                     "attempt %" PRId64 " of epoch %" PRId64 " cannot follow %u of %u", number,
                     epoch, w->attempts, last_epoch);
}

/* NULL: ERR says why. */
static struct attempt *read_attempt(const struct workload *w, const struct event *event,
                                    struct error *err)
{
    _cleanup_(attempt_freep) struct attempt *attempt = xnew(struct attempt);

    if (read_id(event->data, "attempt", &attempt->id, err) < 0 ||
        allocation_from_json(json_object_get(event->data, "allocation"), &attempt->allocation,
                             err) < 0 ||
        attempt_tasks_read(event->data, attempt, err) < 0)
        return NULL;

    attempt->workload = w->id;
    attempt->number = (unsigned) json_get_int(event->data, "number", 0);
    attempt->epoch = (unsigned) json_get_int(event->data, "epoch", 0);
    attempt->state = WORKLOAD_STARTING;
    attempt->created_us = event->time_us;
    attempt->exit_code = -1;
    attempt->record = copy_object(event->data, "record");
    return take_ptr(attempt);
}

static int fold_starting(struct workload **w, const struct event *event, struct error *err)
{
    int r = check_succession(*w, event, err);
    if (r < 0)
        return r;
    struct attempt *attempt = read_attempt(*w, event, err);
    if (!attempt)
        return -EPROTO;

    attempt_free((*w)->attempt);
    (*w)->attempt = attempt;
    (*w)->attempts = attempt->number;
    int64_t stopped = json_get_int(event->data, "stopped", 0);
    (*w)->stops += stopped > 0 ? (unsigned) stopped : 0;
    (*w)->started_us = 0;
    return 0;
}

/* What is known only once the container exists belongs into the record as well. The record may be on
 * its way to the store's thread: a copy is changed. */
static void complete_record(struct attempt *attempt)
{
    static const char *const keys[] = { "image_digest", "git_commit" };
    json_t *record = attempt->record ? json_deep_copy(attempt->record) : json_object();

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_put_str(record, keys[i], json_get_str(attempt->evidence, keys[i], NULL));
    json_decref(attempt->record);
    attempt->record = record;
}

static int fold_running(struct workload **w, const struct event *event, struct error *err)
{
    struct attempt *attempt = (*w)->attempt;
    const json_t *tasks = json_object_get(event->data, "tasks");

    int r = attempt_tasks_check(tasks, attempt, err);
    if (r < 0)
        return r;
    attempt_tasks_merge(tasks, attempt);
    if (attempt->state == WORKLOAD_STARTING)
        attempt->state = WORKLOAD_RUNNING;
    attempt->started_us = json_get_int(event->data, "started_us", event->time_us);
    (*w)->started_us = attempt->started_us;
    replace_object(&attempt->evidence, event->data, "evidence");
    complete_record(attempt);
    return 0;
}

static int read_cause(const struct event *event, enum end_cause *ret, struct error *err)
{
    const char *name = json_get_str(event->data, "cause", "");

    *ret = end_cause_parse(name);
    if (*ret == END_CAUSE_INVALID || *ret == END_NONE)
        return error_set(err, -EPROTO, "'%s' is no cause of an end", name);
    return 0;
}

static int read_tasks_news(const struct event *event, const struct attempt *attempt,
                           int *ret_failed_rank, struct error *err)
{
    int64_t failed_rank = json_get_int(event->data, "failed_rank", -1);

    if (failed_rank >= (int64_t) attempt->n_tasks)
        return error_set(err, -EPROTO, "failed_rank: there is no such task");
    *ret_failed_rank = (int) failed_rank;
    return attempt_tasks_check(json_object_get(event->data, "tasks"), attempt, err);
}

static int fold_stop_requested(struct workload **w, const struct event *event, struct error *err)
{
    enum end_cause cause = END_NONE;
    struct id preempted_for = id_none;

    const json_t *tasks = json_object_get(event->data, "tasks");
    int failed_rank = -1;

    int r = read_cause(event, &cause, err);
    if (r >= 0)
        r = read_tasks_news(event, (*w)->attempt, &failed_rank, err);
    if (r >= 0 && json_object_get(event->data, "for"))
        r = read_id(event->data, "for", &preempted_for, err);
    if (r < 0)
        return r;

    attempt_tasks_merge(tasks, (*w)->attempt);
    if (failed_rank >= 0)
        (*w)->attempt->failed_rank = failed_rank;
    /* The first cause holds, but somebody's wish holds over every other. */
    if (!(*w)->stop_requested || cause == END_STOPPED)
        (*w)->stop_cause = cause;
    /* An event of an older version may lack it. */
    (*w)->stop_grace_s = json_get_int(event->data, "grace_s", (*w)->spec->grace_s);
    if ((*w)->stop_cause == END_PREEMPTED && !(*w)->stop_requested)
        (*w)->preempted_for = preempted_for;
    (*w)->stop_requested = true;
    (*w)->attempt->state = WORKLOAD_STOPPING;
    return 0;
}

static enum workload_state state_of_end(const struct workload *w, enum end_cause cause,
                                        int exit_code)
{
    enum workload_event outcome = workload_outcome(w, cause, exit_code);

    if (workload_is_preempted(w, cause) || outcome == EVENT_STOPPED)
        return WORKLOAD_STOPPED;
    return outcome == EVENT_SUCCEEDED ? WORKLOAD_SUCCEEDED : WORKLOAD_FAILED;
}

static int fold_ended(struct workload **w, const struct event *event, struct error *err)
{
    struct attempt *attempt = (*w)->attempt;
    enum end_cause cause = END_NONE;

    const json_t *tasks = json_object_get(event->data, "tasks");
    int failed_rank = -1;

    int r = read_cause(event, &cause, err);
    if (r >= 0)
        r = read_tasks_news(event, attempt, &failed_rank, err);
    if (r < 0)
        return r;

    attempt_tasks_merge(tasks, attempt);
    if (failed_rank >= 0)
        attempt->failed_rank = failed_rank;
    /* It was to make room when somebody wished it gone: the engine knows the first order only. */
    if (cause == END_PREEMPTED && (*w)->stop_requested && (*w)->stop_cause == END_STOPPED)
        cause = END_STOPPED;
    attempt->cause = cause;
    attempt->exit_code = (int) json_get_int(event->data, "exit_code", -1);
    attempt->ended_us = json_get_int(event->data, "ended_us", event->time_us);
    if (attempt->ended_us <= 0)
        attempt->ended_us = event->time_us;
    if (attempt->started_us == 0)
        attempt->started_us = json_get_int(event->data, "started_us", 0);
    xstr_set(&attempt->reason, json_get_str(event->data, "reason", NULL));
    replace_object(&attempt->artifacts, event->data, "artifacts");
    replace_object(&attempt->usage, event->data, "usage");

    attempt->state = state_of_end(*w, cause, attempt->exit_code);
    int64_t ran_us = attempt->started_us ? attempt->ended_us - attempt->started_us : 0;
    (*w)->ran_us += ran_us > 0 ? ran_us : 0;
    if (ran_us >= WORKLOAD_STEADY_US)
        (*w)->returns = (*w)->stops = 0;
    (*w)->preemptions += workload_is_preempted(*w, cause);
    (*w)->started_us = attempt->started_us;
    (*w)->cause = cause;
    (*w)->exit_code = attempt->exit_code;
    xstr_set(&(*w)->reason, attempt->reason);
    return 0;
}

/* succeeded, failed, stopped */
static int fold_final(struct workload **w, const struct event *event, struct error *err)
{
    struct workload *job = *w;

    if (job->state == WORKLOAD_QUEUED && workload_event_parse(event->type) == EVENT_FAILED) {
        const char *cause = json_get_str(event->data, "cause", NULL);
        job->cause = cause ? end_cause_parse(cause) : END_START_FAILED;
        if (job->cause == END_CAUSE_INVALID)
            job->cause = END_START_FAILED;
        job->exit_code = -1;
        job->ended_us = event->time_us;
        xstr_set(&job->reason, json_get_str(event->data, "reason", NULL));
        return 0;
    }
    if (job->state == WORKLOAD_QUEUED) {
        job->stop_requested = true;
        job->stop_cause = END_STOPPED;
        job->cause = END_STOPPED;
        job->exit_code = -1;
        job->ended_us = event->time_us;
        xstr_set(&job->reason, json_get_str(event->data, "reason", NULL));
        return 0;
    }
    job->ended_us = job->attempt->ended_us;
    return 0;
}

static int fold_pinned(struct workload **w, const struct event *event, struct error *err)
{
    struct sha256 digest;

    if (sha256_parse(json_get_str(event->data, "image_digest", ""), &digest) < 0)
        return error_set(err, -EPROTO, "image_digest is no digest");
    (*w)->spec->image_digest = digest;
    (*w)->spec->image_pinned = true;
    return 0;
}

static int fold_updated(struct workload **w, const struct event *event, struct error *err)
{
    replace_object(&(*w)->tags, event->data, "tags");
    (*w)->priority = (int) json_get_int(event->data, "priority", (*w)->priority);
    return 0;
}

static int fold_deleted(struct workload **w, const struct event *event, struct error *err)
{
    workload_free(take_ptr(*w));
    return 0;
}

int workload_apply(struct workload **w, const struct event *event, struct error *err)
{
    static int (*const folds[WORKLOAD_EVENT_MAX])(struct workload **, const struct event *,
                                                  struct error *) = {
        [EVENT_SUBMITTED] = fold_submitted,
        [EVENT_QUEUED] = fold_queued,
        [EVENT_STARTING] = fold_starting,
        [EVENT_RUNNING] = fold_running,
        [EVENT_STOP_REQUESTED] = fold_stop_requested,
        [EVENT_ENDED] = fold_ended,
        [EVENT_SUCCEEDED] = fold_final,
        [EVENT_FAILED] = fold_final,
        [EVENT_STOPPED] = fold_final,
        [EVENT_PINNED] = fold_pinned,
        [EVENT_UPDATED] = fold_updated,
        [EVENT_DELETED] = fold_deleted,
    };
    enum workload_event type = workload_event_parse(event->type);

    if (type == WORKLOAD_EVENT_INVALID || event->version > EVENT_VERSION_MAX)
        return error_set(err, -EPROTO, "'%s' of version %u is not known here", event->type,
                         event->version);
    if (*w && !id_equal(&(*w)->id, &event->subject))
        return error_set(err, -EPROTO, "the event is of another job");

    const struct workload_transition *row = find_transition(*w, type);
    if (!row)
        return error_set(err, -EPROTO, "%s cannot happen to a job that is %s", event->type,
                         *w ? workload_state_name((*w)->state) : "not there");
    int r = folds[type](w, event, err);
    if (r < 0)
        return error_context(err, r, "%s", event->type);
    if (!*w)
        return 0;

    (*w)->state = row->to;
    (*w)->version++;
    (*w)->updated_us = event->time_us;
    return 0;
}
