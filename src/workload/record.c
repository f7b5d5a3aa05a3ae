/* record.c - a workload as a row: every field, there and back */
#include "workload/internal.h"

#include "base/alloc.h"

#include <errno.h>

/* What the API shows, and what it has no business to show. */
json_t *workload_to_record(const struct workload *w)
{
    json_t *json = workload_to_json(w, true);

    json_put_time(json, "eligible", w->eligible_us);
    json_put_time(json, "queued", w->queued_us);
    if (w->ran_us)
        json_put_int(json, "ran_us", w->ran_us);
    if (w->returns)
        json_put_int(json, "returns", w->returns);
    if (w->stops)
        json_put_int(json, "stops", w->stops);
    if (!id_is_none(&w->preempted_for))
        json_put_id(json, "preempted_for", &w->preempted_for);
    if (w->stop_cause != END_NONE) {
        json_put_str(json, "stop_cause", end_cause_name(w->stop_cause));
        json_put_int(json, "stop_grace_s", w->stop_grace_s);
    }
    return json;
}

static int read_times(struct workload *w, const json_t *json, struct error *err)
{
    int r = read_time(json, "created", &w->created_us, err);
    if (r >= 0)
        r = read_time(json, "eligible", &w->eligible_us, err);
    if (r >= 0)
        r = read_time(json, "queued", &w->queued_us, err);
    if (r >= 0)
        r = read_time(json, "started", &w->started_us, err);
    if (r >= 0)
        r = read_time(json, "ended", &w->ended_us, err);
    if (r >= 0)
        r = read_time(json, "updated", &w->updated_us, err);
    return r;
}

static int read_cause(const json_t *json, const char *key, enum end_cause *ret, struct error *err)
{
    const char *name = json_get_str(json, key, NULL);

    *ret = name ? end_cause_parse(name) : END_NONE;
    return *ret == END_CAUSE_INVALID ? error_set(err, -EINVAL, "%s: '%s' is unknown", key, name)
                                     : 0;
}

static int read_parts(struct workload *w, const json_t *json, struct error *err)
{
    int r = workload_spec_from_json(json_object_get(json, "spec"), &w->spec, err);
    const json_t *attempt = json_object_get(json, "attempt");

    if (r >= 0 && attempt)
        r = attempt_from_json(attempt, &w->attempt, err);
    return r;
}

int workload_from_record(const json_t *json, struct workload **ret, struct error *err)
{
    _cleanup_(workload_freep) struct workload *w = xnew(struct workload);
    const json_t *tags = json_object_get(json, "tags");

    w->state = workload_state_parse(json_get_str(json, "state", ""));
    if (w->state == WORKLOAD_STATE_INVALID)
        return error_set(err, -EINVAL, "state: is unknown");
    w->name = xstrdup(json_get_str(json, "name", ""));
    w->user = xstrdup(json_get_str(json, "user", NULL));
    w->tags = json_is_object(tags) ? json_deep_copy(tags) : json_object();
    w->priority = (int) json_get_int(json, "priority", 0);
    w->version = (uint64_t) json_get_int(json, "version", 0);
    w->stop_requested = json_get_bool(json, "stop_requested", false);
    w->exit_code = (int) json_get_int(json, "exit_code", -1);
    w->reason = xstrdup(json_get_str(json, "reason", NULL));
    w->attempts = (unsigned) json_get_int(json, "attempts", 0);
    w->preemptions = (unsigned) json_get_int(json, "preemptions", 0);
    w->ran_us = json_get_int(json, "ran_us", 0);
    w->returns = (unsigned) json_get_int(json, "returns", 0);
    w->stops = (unsigned) json_get_int(json, "stops", 0);

    int r = read_id(json, "id", &w->id, err);
    if (r >= 0 && json_object_get(json, "rerun_of"))
        r = read_id(json, "rerun_of", &w->rerun_of, err);
    if (r >= 0 && json_object_get(json, "preempted_for"))
        r = read_id(json, "preempted_for", &w->preempted_for, err);
    if (r >= 0)
        r = read_id(json, "project", &w->project, err);
    if (r >= 0)
        r = read_times(w, json, err);
    if (r >= 0)
        r = read_cause(json, "stop_cause", &w->stop_cause, err);
    if (r >= 0)
        r = read_cause(json, "cause", &w->cause, err);
    if (r >= 0)
        r = read_parts(w, json, err);
    if (r < 0)
        return r;
    /* A record of an older version lacks it. */
    if (w->stop_requested)
        w->stop_grace_s = json_get_int(json, "stop_grace_s", w->spec->grace_s);
    *ret = take_ptr(w);
    return 0;
}
