/* planner.c - a schedule over machines in all detail
 *
 * The schedule gives what a victim has to another job at once; in the world the victim still needs its grace to end.
 * So who starts where somebody is leaving is a claim until they are gone, and a victim is held until its end was told.
 */
#include "placement/planner-internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int) WITHIN_SITE == LEVEL_SITE && (int) WITHIN_LEAF == LEVEL_LEAF, "one order");

/* Of one planner_pass(), in looks at a machine: some 50 ms. */
enum { PASS_WORK = 100000 };

struct planner *planner_new(const struct planner_options *options)
{
    struct planner *p = xnew(struct planner);
    struct capacity *capacity = capacity_new(options->score);
    struct schedule_options schedule = options->schedule;

    schedule.hold_stopped = true;
    host_init(&p->host, capacity);
    p->schedule = schedule_new(&schedule, capacity);
    schedule_limit(p->schedule, PASS_WORK);
    p->by_id = map_new();
    p->by_number = map_new();
    p->groups = map_new();
    return p;
}

static void forget_places(struct item *item)
{
    free(item->places);
    free(item->allocations);
    item->places = NULL;
    item->allocations = NULL;
    item->n_places = 0;
}

static void item_free(void *userdata)
{
    struct item *item = userdata;

    forget_places(item);
    free(item);
}

static void give_outside(struct planner *p, const struct item *item)
{
    const struct ask ask = host_ask(&item->terms->shape, item->terms->number);

    for (unsigned i = 0; i < item->n_places; i++) {
        const struct choice choice = { .node = item->places[i].machine,
                                       .grant = item->places[i].grant };
        capacity_give(p->host.capacity, &ask, &choice);
    }
}

void planner_free(struct planner *p)
{
    struct item *item;

    if (!p)
        return;
    /* What they have goes back first. */
    map_foreach(p->by_id, pos, item) {
        schedule_end(p->schedule, item->number, 0);
        if (item->state == STATE_OUTSIDE)
            give_outside(p, item);
    }
    host_done(&p->host);
    schedule_free(p->schedule);
    map_free(p->by_number);
    map_free(p->groups);
    map_free_with(p->by_id, item_free);
    vec_done(&p->claims);
    vec_done(&p->leaving);
    vec_done(&p->deferred);
    vec_done(&p->acts);
    bookings_free(p);
    changes_done(&p->changes);
    record_free(p->record);
    free(p);
}

void planner_set_node(struct planner *p, const struct node *node, int64_t disk_used_bytes)
{
    size_t known;
    bool is_new = !host_find(&p->host, node->name, &known);

    record_set_node(p->record, node, disk_used_bytes);
    host_set_node(&p->host, node, disk_used_bytes);
    changes_note_machine(p, node->name);
    if (is_new)
        bookings_look(p, node->name);
}

void planner_record(struct planner *p, struct record *record)
{
    record_free(p->record);
    p->record = record;
}

/* ---- jobs ------------------------------------------------------------------------------------------ */

#define forget_in(list, item)                                                                      \
    for (size_t at_ = (list)->len; at_-- > 0;)                                                     \
        if ((list)->items[at_] == (item))                                                          \
    vec_remove(list, at_)

static struct item *find(const struct planner *p, const struct id *job)
{
    return map_get(p->by_id, job->bytes, sizeof job->bytes);
}

bool planner_knows(const struct planner *p, const struct id *job) { return find(p, job) != NULL; }

static bool is_passed_over(const struct item *item, int64_t now_us)
{
    return item->held || item->state == STATE_LEAVES || item->eligible_us > now_us;
}

static void leave(struct planner *p, const struct id *job, int64_t now_us)
{
    struct item *item = map_remove(p->by_id, job->bytes, sizeof job->bytes);

    if (!item)
        return;
    changes_note_job(p, item);
    (void) map_remove(p->by_number, &item->number, sizeof item->number);
    schedule_end(p->schedule, item->number, now_us);
    if (item->state == STATE_OUTSIDE)
        give_outside(p, item);
    forget_in(&p->claims, item);
    forget_in(&p->leaving, item);
    forget_in(&p->deferred, item);
    terms_unref(&p->host.terms, item->terms);
    item_free(item);
    host_forget_idle(&p->host);
}

static bool is_on_lost(const struct planner *p, const struct item *item)
{
    for (unsigned i = 0; i < item->n_places; i++)
        if (!p->host.machines.items[item->places[i].machine].node)
            return true;
    return false;
}

/* Of machines that are gone nobody claims a place. */
static void withdraw_lost(struct planner *p)
{
    int64_t now_us = schedule_looked_us(p->schedule);

    for (size_t i = p->claims.len; i-- > 0;) {
        struct item *item = p->claims.items[i];
        if (!is_on_lost(p, item))
            continue;
        vec_remove(&p->claims, i);
        schedule_withdraw(p->schedule, item->number, now_us);
        schedule_hold(p->schedule, item->number, item->held);
        forget_places(item);
        item->state = STATE_WAITS;
        changes_note_job(p, item);
    }
}

void planner_drop_node(struct planner *p, const char *name)
{
    record_drop_node(p->record, name);
    changes_note_machine(p, name);
    host_drop_node(&p->host, name);
    bookings_look(p, name);
    withdraw_lost(p);
}

uint32_t planner_group(struct planner *p, uint32_t parent, const struct id *id)
{
    struct share *share = schedule_shares(p->schedule);
    const void *known = map_get(p->groups, id->bytes, sizeof id->bytes);
    unsigned depth = 0;

    if (known)
        return (uint32_t) (uintptr_t) known;
    for (uint32_t above = parent; above != SHARE_ROOT; above = share_parent(share, above))
        depth++;
    /* Orgs have projects, these have users, and these nobody, whatever somebody says who wrote a snapshot. */
    if (depth == SHARE_DEPTH)
        parent = SHARE_ROOT;
    uint32_t group = share_add(share, parent, 1);
    (void) map_set(p->groups, id->bytes, sizeof id->bytes, (void *) (uintptr_t) group);
    return group;
}

uint32_t planner_group_of(struct planner *p, const struct id *org, const struct id *project,
                          const struct id *user)
{
    uint32_t group = planner_group(p, SHARE_ROOT, org);

    if (project)
        group = planner_group(p, group, project);
    return user && !id_is_none(user) ? planner_group(p, group, user) : group;
}

void planner_weigh(struct planner *p, const struct id *org, const struct id *project,
                   unsigned weight)
{
    uint32_t group = planner_group_of(p, org, project, NULL);

    record_weigh(p->record, org, project, weight);
    share_weigh(schedule_shares(p->schedule), group, weight);
}

void planner_set_used(struct planner *p, const struct planner_share *share, int64_t at_us)
{
    uint32_t group =
        planner_group_of(p, &share->org, id_is_none(&share->project) ? NULL : &share->project,
                         &share->user);

    record_used(p->record, share, at_us);
    share_set_used(schedule_shares(p->schedule), group, share->used, at_us);
}

struct schedule_job planner_describe(const struct planner_job *job, const struct terms *terms,
                                     uint32_t group)
{
    const struct workload_spec *spec = job->spec;
    const struct shape *shape = &terms->shape;
    int64_t limit_s = spec->max_time_s ? spec->max_time_s + spec->grace_s : 0;

    return (struct schedule_job){
        .ask = host_ask(shape, terms->number),
        .tasks = shape->groups,
        .group = group,
        .wish = { .within = (uint8_t) shape->rules->within, .apart = true },
        .priority = job->priority,
        .preemptible = spec->preemptible,
        .limit_us = limit_s * 1000000,
        .since_us = job->since_us,
        .ran_us = job->ran_us,
        .waits_since_us = job->waits_since_us,
        .returns = job->returns,
        .stopped = job->stopped,
    };
}

static struct item *add(struct planner *p, const struct planner_job *job, int64_t now_us)
{
    struct terms wanted = { .shape = shape_of(job->spec, &job->org) };
    struct item *item = xnew(struct item);

    leave(p, &job->id, now_us);
    wanted.shape.owner = job->org;
    item->number = ++p->last;
    item->id = job->id;
    item->org = job->org;
    item->terms = terms_take(&p->host.terms, &wanted);
    item->held = job->held;
    item->eligible_us = job->eligible_us;
    (void) map_set(p->by_id, item->id.bytes, sizeof item->id.bytes, item);
    (void) map_set(p->by_number, &item->number, sizeof item->number, item);
    changes_note_job(p, item);
    struct schedule_job one =
        planner_describe(job, item->terms,
                         planner_group_of(p, &job->org, &job->project, &job->user));
    one.id = item->number;
    schedule_submit(p->schedule, &one, now_us);
    return item;
}

void planner_submit(struct planner *p, const struct planner_job *job, int64_t now_us)
{
    struct item *item = add(p, job, now_us);

    record_submit(p->record, job, now_us);
    if (item->eligible_us > now_us)
        vec_push(&p->deferred, item);
    if (is_passed_over(item, now_us))
        schedule_hold(p->schedule, item->number, true);
}

void planner_hold(struct planner *p, const struct id *job, bool held)
{
    struct item *item = find(p, job);

    if (!item || item->held == held)
        return;
    record_hold(p->record, job, held);
    changes_note_job(p, item);
    item->held = held;
    if (item->state != STATE_WAITS)
        return;
    bool is_deferred = false;
    vec_foreach(&p->deferred, other)
        is_deferred |= *other == item;
    schedule_hold(p->schedule, item->number, held || is_deferred);
}

void planner_end(struct planner *p, const struct id *job, int64_t now_us)
{
    if (!planner_knows(p, job))
        return;
    record_gone(p->record, job, now_us);
    leave(p, job, now_us);
}

/* ---- what runs already -------------------------------------------------------------------------------- */

/* All tasks of each group on one machine that is known. */
static bool find_machines(const struct planner *p, const struct item *item,
                          const struct planner_place *tasks, size_t n, size_t *machines)
{
    const struct shape *shape = &item->terms->shape;

    if (n != (size_t) shape->groups * shape->tasks)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t machine;
        if (!host_find(&p->host, tasks[i].node, &machine))
            return false;
        if (i % shape->tasks == 0)
            machines[i / shape->tasks] = machine;
        else if (machines[i / shape->tasks] != machine)
            return false;
    }
    return true;
}

static void adopt(struct planner *p, struct item *item, const struct planner_place *tasks,
                  const size_t *machines, int64_t started_us)
{
    const struct shape *shape = &item->terms->shape;
    _cleanup_free_ struct choice *choices = xnew_n(struct choice, shape->groups);
    _cleanup_free_ const struct allocation **all = xnew_n(const struct allocation *, shape->tasks);

    item->n_places = shape->groups;
    item->places = xnew_n(struct group_place, shape->groups);
    for (unsigned g = 0; g < shape->groups; g++) {
        for (unsigned i = 0; i < shape->tasks; i++)
            all[i] = tasks[g * shape->tasks + i].allocation;
        struct grant *grant = host_grant(&p->host, shape, &item->org, all, shape->tasks);
        choices[g] = (struct choice){ .node = machines[g], .grant = grant };
        item->places[g] = (struct group_place){ machines[g], grant };
    }
    item->state = STATE_RUNS;
    schedule_run(p->schedule, item->number, choices, started_us);
}

/* What it has on machines that are known is not free. */
static void take_outside(struct planner *p, struct item *item, const struct planner_place *tasks,
                         size_t n)
{
    const struct shape *shape = &item->terms->shape;
    const struct ask ask = host_ask(shape, item->terms->number);

    item->state = STATE_OUTSIDE;
    item->places = xnew_n(struct group_place, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct choice choice = { 0 };
        if (!host_find(&p->host, tasks[i].node, &choice.node))
            continue;
        choice.grant = host_grant(&p->host, shape, &item->org, &tasks[i].allocation, 1);
        capacity_take(p->host.capacity, &ask, &choice);
        item->places[item->n_places++] = (struct group_place){ choice.node, choice.grant };
    }
}

void planner_run(struct planner *p, const struct planner_job *job,
                 const struct planner_place *tasks, size_t n, int64_t started_us)
{
    struct item *item = add(p, job, started_us);
    _cleanup_free_ size_t *machines = xnew_n(size_t, item->terms->shape.groups + 1);

    record_run(p->record, job, tasks, n, started_us);
    if (find_machines(p, item, tasks, n, machines)) {
        adopt(p, item, tasks, machines, started_us);
        return;
    }
    schedule_end(p->schedule, item->number, started_us);
    take_outside(p, item, tasks, n);
}

/* ---- a pass ----------------------------------------------------------------------------------------- */

static void wake_deferred(struct planner *p, int64_t now_us)
{
    for (size_t i = p->deferred.len; i-- > 0;) {
        struct item *item = p->deferred.items[i];
        if (item->eligible_us > now_us)
            continue;
        vec_remove(&p->deferred, i);
        if (!item->held && item->state == STATE_WAITS)
            schedule_hold(p->schedule, item->number, false);
    }
}

static void keep_places(struct item *item, const struct choice *choices)
{
    const struct shape *shape = &item->terms->shape;

    forget_places(item);
    item->n_places = shape->groups;
    item->places = xnew_n(struct group_place, shape->groups);
    for (unsigned g = 0; g < shape->groups; g++)
        item->places[g] = (struct group_place){ choices[g].node, choices[g].grant };
}

static const struct item *started_after(const struct planner *p, size_t act)
{
    for (; act < p->acts.len; act++)
        if (p->acts.items[act].verb == SCHEDULE_START)
            return map_get(p->by_number, &p->acts.items[act].id, sizeof p->acts.items[act].id);
    return NULL;
}

static void stop(struct planner *p, struct item *item, size_t act, struct planner_plan *ret)
{
    const struct item *starts = p->acts.items[act].is_vacated ? NULL : started_after(p, act);

    changes_note_job(p, item);
    if (item->state == STATE_CLAIMS) {
        forget_in(&p->claims, item);
        forget_places(item);
        item->state = STATE_WAITS;
        if (!item->held) /* it was nowhere yet */
            schedule_hold(p->schedule, item->number, false);
        return;
    }
    assert(item->state == STATE_RUNS);
    item->state = STATE_LEAVES;
    for (unsigned i = 0; i < item->n_places; i++)
        item->places[i].grant = NULL;
    vec_push(&p->leaving, item);
    vec_push(&ret->stops, ((struct planner_stop){ item->id, starts ? starts->id : item->id }));
}

static void carry_out(struct planner *p, struct planner_plan *ret)
{
    for (size_t i = 0; i < p->acts.len; i++) {
        const struct schedule_act *act = &p->acts.items[i];
        struct item *item = map_get(p->by_number, &act->id, sizeof act->id);
        assert(item);
        if (act->verb == SCHEDULE_STOP) {
            stop(p, item, i, ret);
            continue;
        }
        keep_places(item, act->places);
        changes_note_job(p, item);
        item->state = STATE_CLAIMS;
        vec_push(&p->claims, item);
    }
}

/* Does OTHER still leave a machine on which ITEM is to start? */
static bool is_in_the_way(const struct item *other, const struct item *item)
{
    for (unsigned i = 0; i < other->n_places; i++)
        for (unsigned k = 0; k < item->n_places; k++)
            if (other->places[i].machine == item->places[k].machine)
                return true;
    return false;
}

static bool is_blocked(const struct planner *p, const struct item *item)
{
    vec_foreach(&p->leaving, other)
        if (is_in_the_way(*other, item))
            return true;
    return false;
}

static void start(struct item *item, struct planner_plan *ret)
{
    unsigned tasks = item->terms->shape.tasks, n = 0;

    item->allocations = xnew_n(struct allocation *, item->n_places * tasks);
    for (unsigned g = 0; g < item->n_places; g++)
        for (unsigned i = 0; i < tasks; i++)
            item->allocations[n++] = item->places[g].grant->tasks[i];
    item->state = STATE_RUNS;
    vec_push(&ret->starts, ((struct planner_start){ item->id, item->allocations, n }));
}

static void give_out(struct planner *p, unsigned limit, struct planner_plan *ret)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->claims.len; i++) {
        struct item *item = p->claims.items[i];
        bool waits = is_blocked(p, item);
        if (!waits && (limit == 0 || ret->starts.len < limit)) {
            start(item, ret);
            changes_note_job(p, item);
            continue;
        }
        ret->more |= !waits;
        p->claims.items[kept++] = item;
    }
    p->claims.len = kept;
}

void planner_pass(struct planner *p, int64_t now_us, unsigned limit, struct planner_plan *ret)
{
    *ret = (struct planner_plan){ 0 };
    wake_deferred(p, now_us);
    p->acts.len = 0;
    schedule_pass(p->schedule, now_us, &p->acts);
    carry_out(p, ret);
    give_out(p, limit, ret);
    ret->more |= schedule_is_cut(p->schedule);
    record_pass(p->record, now_us, limit, ret);
    host_forget_idle(&p->host);
}

void planner_plan_done(struct planner_plan *plan)
{
    vec_done(&plan->stops);
    vec_done(&plan->starts);
}

const struct id *planner_keeps_for(const struct planner *p)
{
    uint64_t number;

    if (!schedule_keeps(p->schedule, &number))
        return NULL;
    const struct item *item = map_get(p->by_number, &number, sizeof number);
    return item ? &item->id : NULL;
}

unsigned planner_awaits(const struct planner *p, const struct id *job)
{
    const struct item *item = find(p, job);
    unsigned n = 0;

    if (!item || item->state != STATE_CLAIMS)
        return 0;
    vec_foreach(&p->leaving, other)
        n += is_in_the_way(*other, item);
    return n;
}

void planner_order(struct planner *p, int64_t now_us, size_t limit, struct planner_ids *ret)
{
    struct schedule_ids numbers = { 0 };

    schedule_order(p->schedule, now_us, limit, &numbers);
    vec_foreach(&numbers, number) {
        const struct item *item = map_get(p->by_number, number, sizeof *number);
        vec_push(ret, item->id);
    }
    vec_done(&numbers);
}

int64_t planner_next_us(const struct planner *p, int64_t now_us)
{
    int64_t next_us = schedule_next_us(p->schedule, now_us);

    vec_foreach(&p->deferred, item)
        if ((*item)->eligible_us < next_us)
            next_us = (*item)->eligible_us;
    return next_us;
}
