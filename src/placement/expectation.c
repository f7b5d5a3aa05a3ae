/* expectation.c - a snapshot, looked at: reasons by a pass of first fit, times by a forecast */
#include "placement/expectation.h"

#include "base/alloc.h"
#include "placement/placement.h"

#include <stdlib.h>

/* Of a pass: a second or so. */
enum { LOOKS_MAX = 10000000 };

struct grants {
    VEC(struct placement_grant) list;
};

/* The snapshot as a pass wants it. */
struct view {
    const struct snapshot *snapshot;
    struct placement_snapshot at;
    struct placement_node *nodes;
    struct grants *grants; /* by machine */
    struct map *by_name;   /* of machines: index + 1 */
    /* Of those that wait. */
    size_t *indexes; /* in the snapshot */
    struct workload *workloads;
    struct placement_request *requests;
    size_t *by_priority; /* those of the queue, by priority and time */
    size_t n;
    struct planner *planner; /* NULL: nothing asks for one */
    /* Where something is booked. */
    bool *is_booked; /* by machine */
    char **words;    /* by booking */
};

/* ---- machines --------------------------------------------------------------------------------------- */

static void add_grants(struct view *v, const struct snapshot_job *job)
{
    unsigned cores =
        job->spec->mpi ? job->spec->cores * job->spec->tasks_per_node : job->spec->cores;

    vec_foreach(&job->allocations, allocation) {
        size_t at = (size_t) (uintptr_t) map_get_str(v->by_name, (*allocation)->node);
        if (at > 0)
            vec_push(&v->grants[at - 1].list,
                     ((struct placement_grant){ *allocation, job->org, cores }));
    }
}

static void see_machines(struct view *v)
{
    const struct snapshot *s = v->snapshot;

    v->nodes = xnew_n(struct placement_node, s->nodes.len + 1);
    v->grants = xnew_n(struct grants, s->nodes.len + 1);
    v->by_name = map_new();
    for (size_t i = 0; i < s->nodes.len; i++)
        (void) map_set_str(v->by_name, s->nodes.items[i].node->name, (void *) (i + 1));
    vec_foreach(&s->jobs, job)
        if (job->started_us)
            add_grants(v, job);
    for (size_t i = 0; i < s->nodes.len; i++)
        v->nodes[i] =
            (struct placement_node){ .node = s->nodes.items[i].node,
                                     .grants = v->grants[i].list.items,
                                     .n_grants = v->grants[i].list.len,
                                     .disk_used_bytes = s->nodes.items[i].disk_used_bytes };
}

/* ---- who waits -------------------------------------------------------------------------------------- */

static bool is_asked(const struct view *v, const struct expectation_question *q, size_t job)
{
    for (size_t i = 0; i < q->n_asked; i++)
        if (id_equal(&q->asked[i], &v->snapshot->jobs.items[job].id))
            return true;
    return q->is_planned && job + 1 == v->snapshot->jobs.len;
}

static void see_queue(struct view *v, const struct expectation_question *q)
{
    const struct snapshot *s = v->snapshot;

    v->indexes = xnew_n(size_t, s->jobs.len + 1);
    for (size_t i = 0; i < s->jobs.len; i++)
        if (!s->jobs.items[i].started_us)
            v->indexes[v->n++] = i;
    v->workloads = xnew_n(struct workload, v->n + 1);
    v->requests = xnew_n(struct placement_request, v->n + 1);
    for (size_t i = 0; i < v->n; i++) {
        const struct snapshot_job *job = &s->jobs.items[v->indexes[i]];
        v->workloads[i] = (struct workload){ .id = job->id,
                                             .project = job->project,
                                             .spec = job->spec,
                                             .priority = job->priority,
                                             .eligible_us = job->eligible_us };
        v->requests[i] = (struct placement_request){ .workload = &v->workloads[i],
                                                     .owner = job->org,
                                                     .held = job->held,
                                                     .is_asked = is_asked(v, q, v->indexes[i]) };
    }
}

/* ---- what is booked --------------------------------------------------------------------------------- */

static const char *booked(void *userdata, const struct placement_request *request, size_t index)
{
    struct view *v = userdata;
    const struct workload *w = request->workload;
    const struct planner_job job = {
        .id = w->id, .org = request->owner, .project = w->project, .spec = w->spec
    };

    if (!v->is_booked[index])
        return NULL;
    const struct id *id =
        planner_obstacle(v->planner, &job, v->nodes[index].node->name, v->snapshot->now_us);
    for (size_t i = 0; id && i < v->snapshot->bookings.len; i++)
        if (id_equal(&v->snapshot->bookings.items[i].id, id))
            return v->words[i];
    return NULL;
}

static void see_bookings(struct view *v)
{
    const struct snapshot *s = v->snapshot;

    if (s->bookings.len == 0)
        return;
    v->is_booked = xnew_n(bool, s->nodes.len + 1);
    v->words = xnew_n(char *, s->bookings.len);
    for (size_t i = 0; i < s->bookings.len; i++) {
        const struct snapshot_booking *booking = &s->bookings.items[i];
        v->words[i] = booking_text(booking->whose, booking->from_us, booking->until_us);
        for (size_t k = 0; k < booking->n_places; k++) {
            size_t at = (size_t) (uintptr_t) map_get_str(v->by_name, booking->places[k].node);
            v->is_booked[at > 0 ? at - 1 : s->nodes.len] = true;
        }
    }
    v->at.booked = booked;
    v->at.booked_userdata = v;
}

static void view_init(struct view *v, const struct snapshot *s,
                      const struct expectation_question *q)
{
    *v = (struct view){ .snapshot = s };
    see_machines(v);
    see_queue(v, q);
    if (s->bookings.len > 0 || (v->n > 0 && v->n <= q->foretold_max))
        v->planner = planner_from_snapshot(s);
    see_bookings(v);
    v->at.now_us = s->now_us;
    v->at.nodes = v->nodes;
    v->at.n_nodes = s->nodes.len;
    v->at.queue = v->requests;
    v->at.n_queue = v->n;
    v->at.looks_max = LOOKS_MAX;
}

static void view_done(struct view *v)
{
    for (size_t i = 0; i < v->snapshot->nodes.len; i++)
        vec_done(&v->grants[i].list);
    for (size_t i = 0; v->words && i < v->snapshot->bookings.len; i++)
        free(v->words[i]);
    planner_free(v->planner);
    map_free(v->by_name);
    free(v->nodes);
    free(v->grants);
    free(v->indexes);
    free(v->workloads);
    free(v->requests);
    free(v->by_priority);
    free(v->is_booked);
    free(v->words);
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* Very many wait for the same reason. */
static const char *keep_text(struct expectation *p, const char *text)
{
    char *kept = map_get_str(p->texts, text);

    if (!kept) {
        kept = xstrdup(text);
        (void) map_set_str(p->texts, text, kept);
    }
    return kept;
}

static void give_reasons(struct expectation *p, struct view *v)
{
    struct placement_plan plan = { 0 };

    placement_pass(&v->at, &plan);
    v->by_priority = xnew_n(size_t, v->n + 1);
    for (size_t i = 0; i < plan.n_decisions; i++) {
        struct placement_decision *d = &plan.decisions[i];
        struct expectation_job *job = &p->jobs.items[d->request];
        v->by_priority[i] = d->request;
        job->rule = d->rule;
        job->text = keep_text(p, d->text);
        job->is_asked = v->requests[d->request].is_asked;
        job->allocations = take_ptr(d->allocations);
        job->n_allocations = d->n_allocations;
        d->n_allocations = 0;
    }
    placement_plan_done(&plan);
}

static void give_turn(struct expectation *p, const struct id *id, bool *has_turn)
{
    const struct expectation_job *job = expectation_find(p, id);

    if (!job || has_turn[job - p->jobs.items])
        return;
    has_turn[job - p->jobs.items] = true;
    vec_push(&p->turns, *id);
}

static void give_turns(struct expectation *p, const struct view *v,
                       const struct expectation_question *q)
{
    _cleanup_free_ bool *has_turn = xnew_n(bool, v->n + 1);
    struct planner_ids order = { 0 };

    if (v->planner && v->n <= q->foretold_max) {
        for (size_t i = 0; i < v->n; i++)
            if (planner_awaits(v->planner, &p->jobs.items[v->by_priority[i]].id) > 0)
                give_turn(p, &p->jobs.items[v->by_priority[i]].id, has_turn);
        planner_order(v->planner, v->snapshot->now_us, v->n, &order);
    }
    vec_foreach(&order, id)
        give_turn(p, id, has_turn);
    for (size_t i = 0; i < v->n; i++)
        give_turn(p, &p->jobs.items[v->by_priority[i]].id, has_turn);
    vec_done(&order);
}

static void foretell(struct expectation *p, const struct view *v,
                     const struct expectation_question *q)
{
    struct forecast forecast;

    forecast_run(v->snapshot, q->ahead, &forecast);
    for (size_t i = 0; i < v->n; i++) {
        /* What no hardware will end, nobody foretells. */
        p->jobs.items[i].is_foretold = !v->requests[i].held;
        p->jobs.items[i].start = forecast.starts[v->indexes[i]];
    }
    forecast_done(&forecast);
}

/* Is RULE one of those that say that hardware is short? */
static bool is_short(enum placement_rule rule)
{
    static const enum placement_rule rules[] = {
        PLACEMENT_NO_CORES, PLACEMENT_NO_MEMORY, PLACEMENT_NO_HUGE_PAGES, PLACEMENT_NO_DISK,
        PLACEMENT_NO_GPU,   PLACEMENT_CORDONED,  PLACEMENT_NOT_ALLOWED,   PLACEMENT_NOT_EMPTY,
        PLACEMENT_NEVER,    PLACEMENT_BOOKED,    PLACEMENT_NO_NUMA,       PLACEMENT_NO_ISLAND,
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rule == rules[i])
            return true;
    return false;
}

static void find_changes(struct expectation_job *job, const struct view *v, size_t at,
                         const struct expectation_question *q)
{
    const struct remedy_question question = {
        .at = &v->at,
        .request = &v->requests[at],
        .flavors = q->flavors,
        .n_flavors = q->n_flavors,
    };

    remedies_find(&question, &job->changes);
}

/* One more than any job of its project has. */
static int first_priority(const struct snapshot *s, const struct snapshot_job *job)
{
    int most = job->priority;

    vec_foreach(&s->jobs, other)
        if (id_equal(&other->project, &job->project) && other->priority > most)
            most = other->priority;
    return most + 1;
}

/* Those of which it starts at once if that one had PRIORITY; *RET_STOPPED: so many are stopped then. */
static bool starts_with(const struct snapshot *s, size_t job, int priority, unsigned *ret_stopped)
{
    const struct forecast_options now = { .passes_max = 1 };
    struct snapshot raised = *s; /* borrows all but the list of jobs */
    struct forecast forecast;

    raised.jobs.items = xmemdup(s->jobs.items, s->jobs.len * sizeof *s->jobs.items);
    raised.jobs.items[job].priority = priority;
    forecast_run(&raised, &now, &forecast);
    bool starts = forecast.starts[job].start_us <= s->now_us;
    *ret_stopped = 0;
    for (size_t i = 0; i < s->jobs.len; i++)
        *ret_stopped += s->jobs.items[i].started_us && forecast.starts[i].stops > 0;
    forecast_done(&forecast);
    free(raised.jobs.items);
    return starts;
}

/* Tried by the scheduler itself: by policy others of its project or user make way, or do not. */
static void try_priority(struct expectation_job *job, const struct view *v, size_t at)
{
    enum { PRIORITY_MAX = 1000 };
    size_t index = v->indexes[at];
    int priority = first_priority(v->snapshot, &v->snapshot->jobs.items[index]);
    unsigned stopped;

    if (priority > PRIORITY_MAX || !starts_with(v->snapshot, index, priority, &stopped))
        return;
    char *text = stopped == 0
                     ? xasprintf("give it priority %d: then it goes first", priority)
                     : xasprintf("give it priority %d: then %u job%s make%s way for it", priority,
                                 stopped, stopped == 1 ? "" : "s", stopped == 1 ? "s" : "");
    json_t *patch = json_object();
    json_put_int(patch, "priority", priority);
    vec_push(&job->changes,
             ((struct remedy){ .kind = REMEDY_PRIORITY, .text = text, .patch = patch }));
}

struct expectation *expectation_new(const struct snapshot *s, const struct expectation_question *q)
{
    struct expectation *p = xnew(struct expectation);
    struct view v;

    view_init(&v, s, q);
    p->at_us = s->now_us;
    p->by_id = map_new();
    p->texts = map_new();
    for (size_t i = 0; i < v.n; i++)
        vec_push(&p->jobs, ((struct expectation_job){ .id = v.workloads[i].id }));
    vec_foreach(&p->jobs, job)
        (void) map_set(p->by_id, &job->id, sizeof job->id, job);
    give_reasons(p, &v);
    give_turns(p, &v, q);
    for (size_t i = 0; i < v.n; i++)
        if (v.requests[i].is_asked && is_short(p->jobs.items[i].rule))
            find_changes(&p->jobs.items[i], &v, i, q);
    for (size_t i = 0; q->ahead && i < v.n && v.n <= q->foretold_max; i++)
        if (v.requests[i].is_asked &&
            (is_short(p->jobs.items[i].rule) || p->jobs.items[i].rule == PLACEMENT_BEHIND))
            try_priority(&p->jobs.items[i], &v, i);
    if (q->ahead && v.n > 0 && v.n <= q->foretold_max)
        foretell(p, &v, q);
    view_done(&v);
    return p;
}

void expectation_free(struct expectation *expectation)
{
    if (!expectation)
        return;
    vec_foreach(&expectation->jobs, job) {
        remedies_done(&job->changes);
        for (unsigned i = 0; i < job->n_allocations; i++)
            allocation_free(job->allocations[i]);
        free(job->allocations);
    }
    vec_done(&expectation->jobs);
    vec_done(&expectation->turns);
    map_free(expectation->by_id);
    map_free_with(expectation->texts, free);
    free(expectation);
}

const struct expectation_job *expectation_find(const struct expectation *expectation,
                                               const struct id *job)
{
    return expectation ? map_get(expectation->by_id, job, sizeof *job) : NULL;
}
