/* why.c - reasons: why a job is not running, and what a submit would do */
#include "lifecycle/internal.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

static json_t *numbers_of(const struct workload_spec *spec)
{
    json_t *json = json_object();

    json_put_int(json, "cores", spec->cores);
    json_put_int(json, "memory", spec->memory_bytes);
    json_put_int(json, "disk", spec->disk_bytes);
    json_put_milli(json, "gpus", workload_spec_gpu_milli(spec));
    if (spec->gpu_model)
        json_put_str(json, "gpu_model", spec->gpu_model);
    if (workload_spec_n_tasks(spec) > 1)
        json_put_int(json, "tasks", workload_spec_n_tasks(spec));
    return json;
}

static void put_since(json_t *json, int64_t us)
{
    char text[TIME_TEXT_LEN + 1];

    if (us)
        json_put_str(json, "since", time_format(us, text));
}

/* W would fit, and waits nevertheless. *RET_RULE: why; owned by the caller. */
static char *why_not_yet(struct lifecycle *lc, const struct workload *w,
                         enum placement_rule *ret_rule)
{
    unsigned n = planner_awaits(lc->planner, &w->id);
    const struct id *first = planner_keeps_for(lc->planner);
    const struct job *job = first ? live_get(lc, first) : NULL;

    if (n > 0)
        return xasprintf(
            "it has its place, and starts when %u job%s that %s stopped for it %s gone", n,
            n == 1 ? "" : "s", n == 1 ? "is" : "are", n == 1 ? "is" : "are");
    if (lc->pass_wanted || !first || id_equal(first, &w->id))
        return xstrdup("it starts with the next pass");
    *ret_rule = PLACEMENT_RESERVED;
    if (job && id_equal(&job->w->project, &w->project))
        return xasprintf("what is free is kept for %s, which goes first", job->w->name);
    return xstrdup("what is free is kept for a job of another project, which goes first");
}

/* It waits for hardware, and fails too often for others to make room; NULL: it is not so. Owned by the caller. */
static char *damped_text(const struct workload *w, enum placement_rule rule, const char *waits)
{
    bool is_time = rule == PLACEMENT_BACKOFF || rule == PLACEMENT_BEGIN || rule == PLACEMENT_BEHIND;

    if (is_time || rule == PLACEMENT_PLACED || rule == PLACEMENT_HELD || w->returns == 0 ||
        w->stops < SCHEDULE_DAMPED_STOPS)
        return NULL;
    return xasprintf(
        "%s; no more jobs are stopped for it: %u were, and it came back %u time%s before it "
        "ran for an hour",
        waits, w->stops, w->returns, w->returns == 1 ? "" : "s");
}

/* What W waits for at the moment, by what was seen of it last; owned by the caller. */
static char *reason_of(struct lifecycle *lc, const struct workload *w, enum placement_rule *ret,
                       const char **ret_name)
{
    const struct expectation_job *seen = expectation_find(lc->expectation, &w->id);
    const struct job *job = live_get(lc, &w->id);
    char *text = placement_time_text(w, lc_now(lc));

    *ret = w->attempts ? PLACEMENT_BACKOFF : PLACEMENT_BEGIN;
    *ret_name = placement_rule_name(*ret);
    if (text)
        return text;
    *ret = PLACEMENT_HELD;
    text = job ? job_hold_why(lc, job, ret_name) : NULL;
    if (text)
        return text;
    *ret = PLACEMENT_BEHIND;
    if (!seen || seen->rule == PLACEMENT_BACKOFF || seen->rule == PLACEMENT_BEGIN ||
        seen->rule == PLACEMENT_HELD)
        text = xstrdup("it has just come into the queue, and is looked at next");
    else {
        *ret = seen->rule;
        text = *ret == PLACEMENT_PLACED ? why_not_yet(lc, w, ret) : NULL;
        if (!text)
            text = xstrdup(seen->text);
    }
    *ret_name = placement_rule_name(*ret);
    return text;
}

static void why_queued(struct lifecycle *lc, const struct workload *w, json_t *json)
{
    enum placement_rule rule;
    const char *name;
    _cleanup_free_ char *reason = reason_of(lc, w, &rule, &name);
    _cleanup_free_ char *damped = damped_text(w, rule, reason);
    const char *waits = damped ? damped : reason;
    _cleanup_free_ char *preempted = preempt_queued_text(lc, w, waits);
    char time[TIME_TEXT_LEN + 1];

    json_put(json, "numbers", numbers_of(w->spec));
    json_put_str(json, "rule", name);
    json_put_str(json, "text", preempted ? preempted : waits);
    json_put_int(json, "position", (int64_t) turn_of(lc, w));
    if (expectation_find(lc->expectation, &w->id))
        json_put_str(json, "as_of", time_format(lc->expectation->at_us, time));
}

static void put_text(json_t *json, const char *rule, const char *text)
{
    json_put_str(json, "rule", rule);
    json_put_str(json, "text", text);
}

/* "node n1, CPUs 0-3", "4 tasks on nodes n1, n2"; owned by the caller. */
static char *place_text(const struct attempt *attempt)
{
    _cleanup_free_ char *cpus = cpu_set_format(&attempt->allocation->cpus);
    struct text nodes = { 0 };
    const char *last = NULL;

    if (!attempt->n_tasks)
        return xasprintf("node %s, CPUs %s", attempt->allocation->node, cpus);
    for (size_t rank = 0; rank < attempt->n_tasks; rank++) {
        const char *node = attempt->tasks[rank].allocation->node;
        if (!str_equal(node, last))
            text_addf(&nodes, "%s%s", last ? ", " : "", node);
        last = node;
    }
    char *text = xasprintf("nodes %s with %zu tasks", text_str(&nodes), attempt->n_tasks);
    text_done(&nodes);
    return text;
}

/* Where it is: "it runs on node n1, CPUs 0-3". */
static void why_placed(const struct workload *w, const char *waits, json_t *json)
{
    bool runs = w->state == WORKLOAD_RUNNING;
    _cleanup_free_ char *place = place_text(w->attempt);
    _cleanup_free_ char *text =
        xasprintf("%s %s%s%s", runs ? "it runs on" : "it begins on", place, runs ? "" : ": ",
                  runs    ? ""
                  : waits ? waits
                          : "its container is being made");

    json_put(json, "numbers", numbers_of(w->spec));
    put_text(json, workload_state_name(w->state), text);
}

static void why_stopping(const struct lifecycle *lc, const struct workload *w, json_t *json)
{
    _cleanup_free_ char *preempted =
        w->stop_cause == END_PREEMPTED ? preempt_stopping_text(lc, w) : NULL;
    int failed = w->attempt ? w->attempt->failed_rank : -1;
    _cleanup_free_ char *rank =
        failed >= 0 ? xasprintf("rank %d failed, which ends the others", failed) : NULL;
    _cleanup_free_ char *grace =
        w->stop_grace_s > 0
            ? xasprintf("it has %lld s from SIGTERM to end by itself", (long long) w->stop_grace_s)
            : xstrdup("it is killed at once");
    _cleanup_free_ char *text =
        xasprintf("%s: %s",
                  preempted                       ? preempted
                  : w->stop_cause == END_MAX_TIME ? "it ran longer than its max_time"
                  : w->stop_cause != END_GANG     ? "somebody stopped it"
                  : rank                          ? rank
                                                  : "only services are left",
                  grace);
    put_text(json, end_cause_name(w->stop_cause), text);
}

static void why_ended(const struct workload *w, json_t *json)
{
    _cleanup_free_ char *text = workload_end_text(w->cause, w->exit_code, w->reason);
    put_text(json, end_cause_name(w->cause), text);
}

json_t *lifecycle_why(struct lifecycle *lc, const struct workload *w)
{
    const struct job *job = live_get(lc, &w->id);
    json_t *json = json_object();

    json_put_str(json, "state", workload_state_name(w->state));
    put_since(json, w->updated_us);
    switch ((int) w->state) {
    case WORKLOAD_QUEUED:
        why_queued(lc, w, json);
        break;
    case WORKLOAD_STARTING:
    case WORKLOAD_RUNNING:
        why_placed(w, job ? job->waits : NULL, json);
        break;
    case WORKLOAD_STOPPING:
        why_stopping(lc, w, json);
        break;
    case WORKLOAD_SUBMITTED:
        put_text(json, "submitted", "it is being queued");
        break;
    default:
        why_ended(w, json);
    }
    return json;
}

static void put_allocations(json_t *json, const struct expectation_job *job)
{
    if (!job->allocations)
        return;
    json_put(json, "allocation", allocation_to_json(job->allocations[0]));
    if (job->n_allocations == 1)
        return;
    json_t *all = json_array();
    for (unsigned i = 0; i < job->n_allocations; i++)
        (void) json_array_append_new(all, allocation_to_json(job->allocations[i]));
    json_put(json, "allocations", all);
}

json_t *lifecycle_planned(struct lifecycle *lc, const struct snapshot_job *job,
                          const struct expectation *expectation)
{
    const struct expectation_job *seen = expectation_find(expectation, &job->id);
    const struct workload w = { .id = job->id,
                                .project = job->project,
                                .spec = job->spec,
                                .priority = job->priority,
                                .eligible_us = job->eligible_us };
    json_t *json = json_object();

    put_text(json, placement_rule_name(seen->rule), seen->text);
    json_put_int(json, "position", (int64_t) turn_of(lc, &w));
    put_allocations(json, seen);
    if (!seen->allocations)
        outlook_put(lc, &w, seen, json);
    return json;
}

int lifecycle_plan(struct lifecycle *lc, struct submit *submit, struct snapshot_job *ret,
                   json_t **ret_spec, struct error *err)
{
    const struct project *project = project_get(lc, &submit->project);

    if (!project) {
        submit_done(submit);
        return error_set(err, -ENOENT, "there is no such project");
    }
    int r = admit(lc, submit, project, err);
    if (r >= 0) {
        const struct workload w = { .project = submit->project, .spec = submit->spec };
        *ret = (struct snapshot_job){ .id = lc_new_id(lc),
                                      .org = project->org,
                                      .project = submit->project,
                                      .user = id_within(&submit->project, submit->actor),
                                      .priority = submit->priority,
                                      .since_us = plan_now(lc),
                                      .eligible_us = plan_now(lc),
                                      .held = xstrdup(waits_plan(lc, &w)),
                                      .spec = workload_wishes_copy(submit->spec) };
        *ret_spec = workload_spec_to_json(submit->spec);
    }
    submit_done(submit);
    return r;
}
