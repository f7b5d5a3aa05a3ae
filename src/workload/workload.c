/* workload.c - a workload as a value: what is shown of it, and the rules of its end */
#include "workload/internal.h"

#include "base/alloc.h"

void workload_free(struct workload *w)
{
    if (!w)
        return;
    free(w->name);
    free(w->user);
    workload_spec_free(w->spec);
    json_decref(w->tags);
    free(w->reason);
    attempt_free(w->attempt);
    free(w->array_states);
    free(w);
}

bool workload_has_live_attempt(const struct workload *w)
{
    return w->attempt && w->attempt->ended_us == 0;
}

static void put_times(json_t *json, const struct workload *w)
{
    json_put_time(json, "created", w->created_us);
    if (w->state == WORKLOAD_QUEUED && w->attempts > 0)
        json_put_time(json, "eligible", w->eligible_us);
    json_put_time(json, "started", w->started_us);
    json_put_time(json, "ended", w->ended_us);
    json_put_time(json, "updated", w->updated_us);
}

/* Of causes that say it all; NULL: there is none, or only the exit code says what happened. */
static const char *cause_text(enum end_cause cause)
{
    static const char *const texts[END_CAUSE_MAX] = {
        [END_OUT_OF_MEMORY] = "the command needed more memory than the job has",
        [END_DISK_LIMIT] = "the job wrote more than its disk limit",
        [END_MAX_TIME] = "the job ran longer than its max_time",
        [END_STOPPED] = "the job was stopped",
        [END_START_FAILED] = "the container could not be started",
        [END_SUPERVISOR_LOST] = "supervisor lost: it ended without leaving a result",
        [END_NODE_LOST] = "the machine was lost or restarted",
        [END_GANG] = "the other tasks of the job have ended",
        [END_DEPENDENCY] = "what it waited for can never be",
        [END_PREEMPTED] = "it was preempted",
    };

    return cause >= 0 && cause < END_CAUSE_MAX ? texts[cause] : "unknown cause";
}

/* What it reads, and what it made when it succeeded. */
static void put_lineage(json_t *json, const struct workload *w)
{
    json_t *inputs = json_array(), *outputs = json_array(), *made;
    size_t i;

    for (size_t k = 0; k < w->spec->n_datasets; k++)
        (void) json_array_append_new(inputs, dataset_input_json(&w->spec->datasets[k]));
    json_array_foreach(json_object_get(w->attempt ? w->attempt->artifacts : NULL, "outputs"), i,
                       made) {
        if (!json_object_get(made, "version"))
            continue;
        json_t *item = json_object();
        json_put_str(item, "dataset", json_get_str(made, "name", ""));
        json_put_int(item, "version", json_get_int(made, "version", 0));
        json_put_str(item, "manifest", json_get_str(made, "manifest", ""));
        (void) json_array_append_new(outputs, item);
    }
    if (json_array_size(inputs))
        json_put(json, "inputs", json_incref(inputs));
    if (json_array_size(outputs))
        json_put(json, "outputs", json_incref(outputs));
    json_decref(inputs);
    json_decref(outputs);
}

static void put_place(json_t *json, const struct workload *w)
{
    const struct array_place *place = w->spec->array;

    if (!workload_in_array(w))
        return;
    json_t *array = json_object();
    json_put_id(array, "id", &place->id);
    json_put_int(array, "index", place->index);
    json_put_int(array, "count", place->count);
    json_put(json, "array", array);
}

json_t *workload_to_json(const struct workload *w, bool with_spec)
{
    json_t *json = json_object();

    json_put_id(json, "id", &w->id);
    json_put_id(json, "project", &w->project);
    json_put_str(json, "name", w->name);
    if (!id_is_none(&w->rerun_of))
        json_put_id(json, "rerun_of", &w->rerun_of);
    json_put_str(json, "user", w->user);
    json_put_str(json, "state", workload_state_name(w->state));
    json_put_int(json, "priority", w->priority);
    json_put(json, "tags", json_incref(w->tags));
    json_put_int(json, "version", (int64_t) w->version);
    put_times(json, w);
    json_put(json, "stop_requested", json_boolean(w->stop_requested));
    if (w->cause != END_NONE)
        json_put_str(json, "cause", end_cause_name(w->cause));
    if (w->exit_code >= 0)
        json_put_int(json, "exit_code", w->exit_code);
    /* That it was stopped, the state says. */
    if (w->reason || w->cause != END_STOPPED)
        json_put_str(json, "reason", w->reason ? w->reason : cause_text(w->cause));
    json_put_int(json, "attempts", w->attempts);
    if (w->preemptions)
        json_put_int(json, "preemptions", w->preemptions);
    json_put_str(json, "flavor", w->spec->flavor);
    put_place(json, w);
    if (w->attempt && w->attempt->allocation)
        json_put_str(json, "node", w->attempt->allocation->node);
    if (with_spec) {
        put_lineage(json, w);
        json_put(json, "spec", workload_spec_to_json(w->spec));
        if (w->attempt)
            json_put(json, "attempt", attempt_to_json(w->attempt));
    }
    return json;
}

static json_t *states_json(const unsigned *states)
{
    json_t *json = json_object();

    for (int state = 0; states && state < WORKLOAD_STATE_MAX; state++)
        if (states[state])
            json_put_int(json, workload_state_name((enum workload_state) state), states[state]);
    return json;
}

json_t *workload_array_to_json(const struct workload *w, bool with_spec)
{
    const struct array_place *place = w->spec->array;
    _cleanup_free_ char *name = workload_array_name(w), *reason = workload_array_text(w);
    json_t *json = json_object(), *array = json_object();

    json_put_id(json, "id", &w->id);
    json_put_id(json, "project", &w->project);
    json_put_str(json, "name", name);
    json_put_str(json, "user", w->user);
    json_put_str(json, "state",
                 workload_state_name(w->array_states ? array_state(w->array_states) : w->state));
    json_put_int(json, "priority", w->priority);
    json_put(json, "tags", json_incref(w->tags));
    json_put_int(json, "version", (int64_t) w->version);
    json_put_time(json, "created", w->created_us);
    json_put_str(json, "flavor", w->spec->flavor);
    json_put_str(json, "reason", reason);
    json_put_id(array, "id", &place->id);
    json_put_str(array, "indexes", place->indexes);
    json_put_int(array, "count", place->count);
    if (place->limit)
        json_put_int(array, "limit", place->limit);
    json_put(array, "states", states_json(w->array_states));
    json_put(json, "array", array);
    if (with_spec)
        json_put(json, "spec", workload_spec_to_json(w->spec));
    return json;
}

enum { BACKOFF_MAX_S = 3600, DOUBLINGS_MAX = 12 };

static bool is_asked(const struct workload *w, enum end_cause cause)
{
    return w->stop_requested && w->stop_cause == cause;
}

bool workload_is_preempted(const struct workload *w, enum end_cause cause)
{
    bool asked = is_asked(w, END_PREEMPTED);

    if (is_asked(w, END_STOPPED))
        return false;
    if (cause == END_PREEMPTED)
        return asked || w->spec->preemptible;
    /* Whoever was to be stopped and got lost is no worse off. */
    return asked && (cause == END_SUPERVISOR_LOST || cause == END_NODE_LOST);
}

bool workload_may_retry(const struct workload *w, enum end_cause cause, int64_t *ret_backoff_s)
{
    /* A gang stops itself when one of its tasks failed; and who fails while it is asked to make room has
     * failed. */
    bool is_wanted = !w->stop_requested || is_asked(w, END_GANG) || is_asked(w, END_PREEMPTED);
    /* That the machine went before anything ran is nothing that the job could have been spared. */
    bool began = !w->attempt || w->attempt->started_us != 0;
    unsigned tried = w->attempts - w->preemptions;

    if (cause == END_NONE || cause == END_STOPPED || cause == END_MAX_TIME || !is_wanted)
        return false;
    if ((began || cause != END_NODE_LOST) && tried > w->spec->retries_max)
        return false;

    unsigned doublings = tried > 0 ? tried - 1 : 0;
    int64_t backoff =
        w->spec->retry_backoff_s < BACKOFF_MAX_S ? w->spec->retry_backoff_s : BACKOFF_MAX_S;
    backoff <<= doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX;
    *ret_backoff_s = backoff < BACKOFF_MAX_S ? backoff : BACKOFF_MAX_S;
    return true;
}

enum workload_event workload_outcome(const struct workload *w, enum end_cause cause, int exit_code)
{
    if (cause == END_EXITED && exit_code == 0)
        return EVENT_SUCCEEDED;
    if (cause == END_STOPPED || (w->stop_requested && w->stop_cause == END_STOPPED))
        return EVENT_STOPPED;
    return EVENT_FAILED;
}

char *workload_end_text(enum end_cause cause, int exit_code, const char *reason)
{
    _cleanup_free_ char *text = NULL;

    if (cause == END_EXITED)
        text = xasprintf("the command ended with exit code %d", exit_code);
    else if (cause == END_SIGNALED)
        text = xasprintf("the command was killed by signal %d", exit_code - 128);
    else
        text = xstrdup(cause_text(cause) ? cause_text(cause) : "it has not ended");
    /* Where nobody gave a reason, the record of a workload has the cause in words. */
    bool more = reason && *reason && !str_equal(reason, cause_text(cause));
    return more ? xasprintf("%s: %s", text, reason) : take_ptr(text);
}
