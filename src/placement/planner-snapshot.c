/* planner-snapshot.c - a planner as a snapshot, and one from a snapshot
 *
 * What a planner decides from is who waits, runs, claims and leaves, in the order in which they came; the machines in their places;
 * and what it has learned and promised on the way. Caches are not in a snapshot, and must decide nothing.
 */
#include "placement/planner-snapshot.h"

#include "base/alloc.h"
#include "placement/planner-internal.h"
#include "placement/promise.h"

#include <stdlib.h>
#include <string.h>

/* ---- a planner as a snapshot -------------------------------------------------------------------------- */

static void tell_spots(const struct planner *p, struct snapshot *s)
{
    const void *name;
    size_t len;

    for (size_t pos = 0; map_next(p->host.spots, &pos, &name, &len);)
        vec_push(&s->spots, xstrndup(name, len));
}

static void tell_machines(const struct planner *p, struct snapshot *s)
{
    vec_foreach(&p->host.machines, m) {
        if (!m->node) {
            s->skipped++;
            continue;
        }
        snapshot_add_node(s, m->node, m->disk_used_bytes);
        s->nodes.items[s->nodes.len - 1].skipped = s->skipped;
        s->skipped = 0;
    }
}

/* By number; the caller's. */
static struct id *ids_of_groups(const struct planner *p)
{
    struct id *ids = xnew_n(struct id, share_len(schedule_shares(p->schedule)) + 1);
    const void *id, *value;
    size_t len;

    for (size_t pos = 0; (value = map_next(p->groups, &pos, &id, &len));)
        memcpy(&ids[(uint32_t) (uintptr_t) value], id, sizeof *ids);
    return ids;
}

static struct planner_share name_group(const struct share *share, const struct id *ids,
                                       uint32_t group)
{
    uint32_t parent = share_parent(share, group);
    uint32_t above = parent == SHARE_ROOT ? SHARE_ROOT : share_parent(share, parent);

    return (struct planner_share){ .org = ids[above    ? above
                                              : parent ? parent
                                                       : group],
                                   .project = above    ? ids[parent]
                                              : parent ? ids[group]
                                                       : id_none,
                                   .user = above ? ids[group] : id_none };
}

/* They are numbered in the order in which they came. */
static void tell_groups(const struct planner *p, struct snapshot *s)
{
    const struct share *share = schedule_shares(p->schedule);
    _cleanup_free_ struct id *ids = ids_of_groups(p);
    const void *value;

    for (size_t pos = 0; (value = map_next(p->groups, &pos, NULL, NULL));) {
        uint32_t group = (uint32_t) (uintptr_t) value;
        const struct planner_share whose = name_group(share, ids, group);
        struct snapshot_weight one = { .org = whose.org,
                                       .project = whose.project,
                                       .user = whose.user,
                                       .weight = share_weight(share, group) };
        one.used = share_settled(share, group, &one.at_us);
        vec_push(&s->weights, one);
    }
}

void planner_shares(const struct planner *p, int64_t now_us, struct planner_shares *ret)
{
    const struct share *share = schedule_shares(p->schedule);
    _cleanup_free_ struct id *ids = ids_of_groups(p);
    const void *value;

    for (size_t pos = 0; (value = map_next(p->groups, &pos, NULL, NULL));) {
        uint32_t group = (uint32_t) (uintptr_t) value;
        struct planner_share one = name_group(share, ids, group);
        one.used = share_used(share, group, now_us);
        vec_push(ret, one);
    }
}

/* What a plan gave it; what somebody else said of it stays. */
static void tell_allocations(const struct item *item, struct snapshot_job *job)
{
    if (job->allocations.len > 0 || (item->state != STATE_CLAIMS && item->state != STATE_RUNS))
        return;
    for (unsigned g = 0; g < item->n_places; g++)
        for (unsigned i = 0; i < item->places[g].grant->n; i++)
            vec_push(&job->allocations, allocation_copy(item->places[g].grant->tasks[i]));
}

static void tell_facts(const struct planner *p, const struct item *item, struct snapshot_job *job)
{
    struct schedule_facts facts;

    if (item->held != (job->held != NULL))
        xstr_set(&job->held, item->held ? "it is held" : NULL);
    if (!schedule_tell(p->schedule, item->number, &facts))
        return; /* the schedule has no say */
    job->since_us = facts.since_us;
    job->ran_us = facts.ran_us;
    job->waits_since_us = facts.waits_since_us;
    job->returns = facts.returns;
    job->stopped = facts.stopped;
    job->leaves = item->state == STATE_LEAVES;
    if (item->state == STATE_RUNS)
        job->started_us = facts.started_us;
    if (item->state == STATE_CLAIMS) {
        job->claimed_us = facts.started_us;
        job->claim = item->claim;
    }
    if (item->state == STATE_WAITS || item->state == STATE_CLAIMS)
        job->started_us = 0;
}

struct snapshot_job tell_job(const struct planner *p, const struct snapshot_source *source,
                             const struct item *item)
{
    struct snapshot_job job = { .id = item->id,
                                .org = item->org,
                                .eligible_us = item->eligible_us };

    source->describe(source->userdata, &job);
    tell_facts(p, item, &job);
    tell_allocations(item, &job);
    return job;
}

static void tell_jobs(struct planner *p, const struct snapshot_source *source, struct snapshot *s)
{
    struct item *item;

    changes_number_claims(p);
    map_foreach(p->by_number, pos, item)
        vec_push(&s->jobs, tell_job(p, source, item));
}

static void tell_promises(const struct planner *p, struct snapshot *s)
{
    bool is_settled = promises_settled(p->schedule);

    for (size_t i = 0; i < promises_len(p->schedule); i++) {
        const struct promise_facts facts = promise_at(p->schedule, i);
        const struct item *item = map_get(p->by_number, &facts.id, sizeof facts.id);
        const struct snapshot_promise one = {
            .job = item->id,
            .start_us = facts.start_us,
            .places = xmemdup(facts.nodes, facts.n_nodes * sizeof *facts.nodes),
            .n_places = facts.n_nodes,
            .is_current = is_settled && facts.is_current,
        };
        vec_push(&s->promises, one);
    }
}

void tell_rest(const struct planner *p, struct snapshot *ret)
{
    tell_spots(p, ret);
    tell_groups(p, ret);
    tell_promises(p, ret);
    capacity_remember(p->host.capacity, &ret->memory);
    ret->passed_us = schedule_looked_us(p->schedule);
}

void planner_tell(struct planner *p, const struct snapshot_source *source, struct snapshot *ret)
{
    tell_machines(p, ret);
    tell_jobs(p, source, ret);
    tell_rest(p, ret);
}

/* ---- a planner from a snapshot ------------------------------------------------------------------------ */

struct planner_job planner_job_of(const struct snapshot_job *job)
{
    return (struct planner_job){
        .id = job->id,
        .org = job->org,
        .project = job->project,
        .user = job->user,
        .spec = job->spec,
        .priority = job->priority,
        .since_us = job->since_us,
        .eligible_us = job->eligible_us,
        .ran_us = job->ran_us,
        .waits_since_us = job->waits_since_us,
        .returns = job->returns,
        .stopped = job->stopped,
        .held = job->held != NULL,
    };
}

struct planner_booking planner_booking_of(const struct snapshot_booking *booking)
{
    return (struct planner_booking){
        .id = booking->id,
        .org = booking->org,
        .project = booking->project,
        .from_us = booking->from_us,
        .until_us = booking->until_us,
        .places = booking->places,
        .n_places = booking->n_places,
    };
}

static struct item *find(const struct planner *p, const struct id *id)
{
    return map_get(p->by_id, id->bytes, sizeof id->bytes);
}

static void run(struct planner *planner, const struct snapshot_job *job, int64_t since_us)
{
    size_t n = job->allocations.len;
    _cleanup_free_ struct planner_place *places = xnew_n(struct planner_place, n + 1);
    const struct planner_job one = planner_job_of(job);

    for (size_t i = 0; i < n; i++) {
        const struct allocation *allocation = job->allocations.items[i];
        places[i] = (struct planner_place){ allocation->node, allocation };
    }
    planner_run(planner, &one, places, n, since_us);
}

static void claim(struct planner *p, const struct snapshot_job *job, int64_t now_us)
{
    const struct planner_job one = planner_job_of(job);

    run(p, job, job->claimed_us);
    struct item *item = find(p, &job->id);
    if (item->state != STATE_RUNS) { /* its machines are not there */
        planner_submit(p, &one, now_us);
        return;
    }
    item->state = STATE_CLAIMS;
    item->claim = job->claim;
    vec_push(&p->claims, item);
}

static void leave(struct planner *p, const struct snapshot_job *job, int64_t now_us)
{
    const struct planner_job one = planner_job_of(job);

    planner_submit(p, &one, now_us);
    struct item *item = find(p, &job->id);
    unsigned tasks = item->terms->shape.tasks;
    item->state = STATE_LEAVES;
    schedule_hold(p->schedule, item->number, true);
    item->places = xnew_n(struct group_place, item->terms->shape.groups);
    for (size_t i = 0; i < job->allocations.len; i += tasks) {
        size_t machine;
        if (host_find(&p->host, job->allocations.items[i]->node, &machine))
            item->places[item->n_places++].machine = machine;
    }
    vec_push(&p->leaving, item);
}

void planner_add(struct planner *planner, const struct snapshot_job *job, int64_t now_us)
{
    const struct planner_job one = planner_job_of(job);

    if (job->leaves)
        leave(planner, job, now_us);
    else if (job->started_us)
        run(planner, job, job->started_us);
    else if (job->claim)
        claim(planner, job, now_us);
    else
        planner_submit(planner, &one, now_us);
}

static int compare_claims(const void *pa, const void *pb)
{
    const struct item *a = *(const struct item *const *) pa, *b = *(const struct item *const *) pb;

    if (a->claim != b->claim)
        return a->claim < b->claim ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void add_machines(struct planner *p, const struct snapshot *s)
{
    p->host.is_growing = true;
    vec_foreach(&s->spots, name)
        host_name_spot(&p->host, *name);
    vec_foreach(&s->nodes, node) {
        for (unsigned i = 0; i < node->skipped; i++)
            host_skip(&p->host);
        planner_set_node(p, node->node, node->disk_used_bytes);
    }
    for (unsigned i = 0; i < s->skipped; i++)
        host_skip(&p->host);
    p->host.is_growing = false;
}

static uint32_t group_of(struct planner *p, const struct snapshot_weight *weight)
{
    return planner_group_of(p, &weight->org, id_is_none(&weight->project) ? NULL : &weight->project,
                            &weight->user);
}

/* Does its job wait, and are its machines among those that are known? */
static struct item *who_waits(const struct planner *p, const struct snapshot_promise *one)
{
    struct item *item = find(p, &one->job);
    bool is_known = item && item->state == STATE_WAITS;

    for (unsigned i = 0; i < one->n_places; i++)
        is_known &= one->places[i] < capacity_len(p->host.capacity);
    return is_known ? item : NULL;
}

static void promise(struct planner *p, const struct snapshot_promise *one)
{
    const struct item *item = who_waits(p, one);
    const struct promise_facts facts = { .id = item ? item->number : 0,
                                         .start_us = one->start_us,
                                         .nodes = one->places,
                                         .n_nodes = one->n_places,
                                         .is_current = one->is_current };

    if (item)
        promise_again(p->schedule, &facts);
}

static bool is_remembered(const struct capacity_memory *memory)
{
    return memory->shapes.len > 0 || memory->n_taken > 0 || memory->cpu_milli > 0;
}

struct planner *planner_from_snapshot(const struct snapshot *s)
{
    const struct planner_options options = { s->score, s->options };
    struct planner *p = planner_new(&options);

    vec_foreach(&s->weights, weight)
        share_weigh(schedule_shares(p->schedule), group_of(p, weight), weight->weight);
    add_machines(p, s);
    vec_foreach(&s->bookings, booking) {
        const struct planner_booking one = planner_booking_of(booking);
        if (booking->until_us > s->passed_us) /* the last pass forgot the others */
            planner_book(p, &one);
    }
    vec_foreach(&s->jobs, job)
        planner_add(p, job, s->now_us);
    if (p->claims.len > 1)
        qsort(p->claims.items, p->claims.len, sizeof(struct item *), compare_claims);
    /* Taking places and coming was all done before, and is counted already. */
    vec_foreach(&s->weights, weight)
        share_set_used(schedule_shares(p->schedule), group_of(p, weight), weight->used,
                       weight->at_us);
    if (is_remembered(&s->memory))
        capacity_recall(p->host.capacity, &s->memory);
    vec_foreach(&s->promises, one)
        if (s->options.policy->wait == WAIT_PROMISE)
            promise(p, one);
    if (s->passed_us)
        schedule_look(p->schedule, s->passed_us);
    return p;
}
