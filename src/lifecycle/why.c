/* why.c - reasons: why a job is not running, and what a submit would do */
#include "lifecycle/internal.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

/* Decide about all that wait, and about W (not queued yet; NULL: nobody). */
static void explain_pass(struct lifecycle *lc, const struct workload *w, const struct id *owner,
                         struct placement_plan *ret)
{
    struct placement_node *nodes = use_snapshot(lc);
    struct placement_request *queue = xnew_n(struct placement_request, lc->queue.len + 1);
    struct placement_snapshot snapshot = {
        .now_us = lc_now(lc),
        .nodes = nodes,
        .n_nodes = lc->nodes.len,
        .queue = queue,
        .n_queue = lc->queue.len,
        .ordered = w == NULL,
    };

    if (lc->queue.len > 0)
        memcpy(queue, lc->queue.items + lc->queue.head, lc->queue.len * sizeof *queue);
    if (w && owner)
        queue[snapshot.n_queue++] =
            (struct placement_request){ .workload = w, .owner = *owner, .held = waits_plan(lc, w) };
    bookings_watch(lc, &snapshot);
    placement_pass(&snapshot, ret);
    free(queue);
    free(nodes);
}

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

/* The whole queue explained. One pass answers for all that ask until something changes, or for a
 * second (waits are counted down in texts). */
static const struct placement_plan *explain_queue(struct lifecycle *lc)
{
    int64_t now_us = lc_boot(lc);

    if (lc->explained.decisions && lc->explained_change == lc->changes &&
        now_us - lc->explained_us < US_PER_S)
        return &lc->explained;
    placement_plan_done(&lc->explained);
    explain_pass(lc, NULL, NULL, &lc->explained);
    lc->explained_change = lc->changes;
    lc->explained_us = now_us;
    return &lc->explained;
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
    bool is_time = rule == PLACEMENT_BACKOFF || rule == PLACEMENT_BEGIN;

    if (is_time || rule == PLACEMENT_PLACED || rule == PLACEMENT_HELD || w->returns == 0 ||
        w->stops < SCHEDULE_DAMPED_STOPS)
        return NULL;
    return xasprintf(
        "%s; no more jobs are stopped for it: %u were, and it came back %u time%s before it "
        "ran for an hour",
        waits, w->stops, w->returns, w->returns == 1 ? "" : "s");
}

static void why_queued(struct lifecycle *lc, const struct workload *w, json_t *json)
{
    const struct placement_plan *plan = explain_queue(lc);
    /* The queue is ordered, and so are the decisions: one for each. */
    size_t position = queue_position(&lc->queue, w);

    json_put(json, "numbers", numbers_of(w->spec));
    if (position >= plan->n_decisions || lc->queue.items[lc->queue.head + position].workload != w)
        return;
    const struct placement_decision *d = &plan->decisions[position];
    enum placement_rule decided = d->rule;
    _cleanup_free_ char *not_yet =
        d->rule == PLACEMENT_PLACED ? why_not_yet(lc, w, &decided) : NULL;
    const struct job *job = live_get(lc, &w->id);
    const char *rule = NULL;
    _cleanup_free_ char *held =
        d->rule == PLACEMENT_HELD && job ? job_hold_why(lc, job, &rule) : NULL;
    json_put_str(json, "rule", held ? rule : placement_rule_name(decided));
    const char *waits = not_yet ? not_yet : held ? held : d->text;
    _cleanup_free_ char *damped = damped_text(w, decided, waits);
    waits = damped ? damped : waits;
    _cleanup_free_ char *preempted = preempt_queued_text(lc, w, waits);
    json_put_str(json, "text", preempted ? preempted : waits);
    json_put_int(json, "position", (int64_t) turn_of(lc, w));
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

static void put_decision(json_t *json, const struct placement_decision *d)
{
    json_put_str(json, "rule", placement_rule_name(d->rule));
    json_put_str(json, "text", d->text);
    json_put_int(json, "position", (int64_t) d->position);
    if (!d->allocations)
        return;
    json_put(json, "allocation", allocation_to_json(d->allocations[0]));
    if (d->n_allocations == 1)
        return;
    json_t *all = json_array();
    for (unsigned i = 0; i < d->n_allocations; i++)
        (void) json_array_append_new(all, allocation_to_json(d->allocations[i]));
    json_put(json, "allocations", all);
}

int lifecycle_plan(struct lifecycle *lc, struct submit *submit, json_t **ret, struct error *err)
{
    const struct project *project = project_get(lc, &submit->project);
    struct placement_plan plan = { 0 };

    int r = project ? admit(lc, submit, project, err)
                    : error_set(err, -ENOENT, "there is no such project");
    if (r >= 0) {
        struct workload w = {
            .id = lc_new_id(lc),
            .project = submit->project,
            .spec = submit->spec,
            .priority = submit->priority,
            .eligible_us = lc_now(lc),
        };
        json_t *json = json_object(), *placement = json_object();
        explain_pass(lc, &w, &project->org, &plan);
        for (size_t i = 0; i < plan.n_decisions; i++)
            if (plan.decisions[i].request == lc->queue.len)
                put_decision(placement, &plan.decisions[i]);
        if (!json_object_get(placement, "allocation"))
            outlook_put(lc, &w, &project->org, placement);
        json_put(json, "spec", workload_spec_to_json(submit->spec));
        json_put(json, "placement", placement);
        *ret = json;
    }
    placement_plan_done(&plan);
    submit_done(submit);
    return r;
}
