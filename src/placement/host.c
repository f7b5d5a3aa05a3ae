/* host.c - which cores, which memory, which GPUs: node states that live as long as the machines
 *
 * A state is made anew from the tasks of its machine when something changed there: that costs as much as looking at
 * its cores once, and there is no second way to count.
 */
#include "placement/host.h"
#include "placement/slice.h"

#include "base/alloc.h"
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>

static void grant_free(struct grant *grant)
{
    for (unsigned i = 0; i < grant->n; i++)
        allocation_free(grant->tasks[i]);
    free(grant->tasks);
    free(grant);
}

/* ---- states ---------------------------------------------------------------------------------------- */

static struct placement_node placement_node_of(const struct host_machine *m)
{
    return (struct placement_node){ .node = m->node,
                                    .grants = m->grants.items,
                                    .n_grants = m->grants.len,
                                    .disk_used_bytes = m->disk_used_bytes };
}

static void forget_state(struct host_machine *m)
{
    if (m->is_fresh)
        node_state_done(&m->state);
    m->is_fresh = false;
}

static struct node_state *fresh_state(struct host *host, size_t i)
{
    struct host_machine *m = &host->machines.items[i];

    if (!m->is_fresh) {
        const struct placement_node taken = placement_node_of(m);
        node_state_init(&m->state, &taken);
        m->is_fresh = true;
    }
    return &m->state;
}

/* ---- rooms ----------------------------------------------------------------------------------------- */

static int32_t mib(int64_t bytes)
{
    bytes = bytes < 0 ? 0 : bytes >> 20;
    return bytes > INT32_MAX ? INT32_MAX : (int32_t) bytes;
}

static void put_gpus(struct room *room, const struct node_state *state, bool all)
{
    for (size_t i = 0; i < state->node->gpus.len && i < CAPACITY_GPUS_MAX; i++) {
        unsigned has = state->node->gpus.items[i].fault ? 0 : CAPACITY_GPU;
        room->gpu[room->n_gpus++] = (uint16_t) (all ? has : state->gpu_left[i]);
    }
}

static struct room room_of(const struct node_state *state)
{
    struct room room = { .cpu_milli = (int32_t) state->cores_free * 1000,
                         .memory_mib = mib(state->memory_free_bytes),
                         .tasks = (uint32_t) state->n_grants };

    put_gpus(&room, state, false);
    return room;
}

static struct room size_of(const struct node_state *state)
{
    struct room room = { .cpu_milli = (int32_t) state->cores_usable * 1000,
                         .memory_mib = mib(state->memory_usable_bytes) };

    put_gpus(&room, state, true);
    return room;
}

struct ask host_ask(const struct shape *shape, uint32_t number)
{
    unsigned gpus = shape->gpus * shape->tasks;

    /* A share of a pool takes no core that is free: only the host knows when the pool must grow. */
    return (struct ask){
        .cpu_milli = shape->shared ? 0 : (int32_t) (shape->cores * shape->tasks * 1000),
        .memory_mib = mib(shape->memory_bytes * shape->tasks),
        .gpus = (uint16_t) (gpus < CAPACITY_GPUS_MAX ? gpus : CAPACITY_GPUS_MAX),
        .gpu_milli = (uint16_t) (gpus && !shape->gpu_milli ? CAPACITY_GPU : shape->gpu_milli),
        .terms = number,
    };
}

/* ---- what a capacity asks ---------------------------------------------------------------------------- */

static bool state_holds(const struct node_state *state, const struct shape *shape)
{
    if (state->node->cordoned || state->node->fault)
        return false;
    if (!shape_is_gang(shape))
        return node_state_check(state, shape) == PLACEMENT_PLACED;
    return node_state_room(state, shape, shape->tasks) >= shape->tasks;
}

static bool is_of(const struct placement_grant *one, const struct taken *without, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct grant *grant = without[i].choice->grant;
        for (unsigned k = 0; k < grant->n; k++)
            if (grant->tasks[k] == one->allocation)
                return true;
    }
    return false;
}

static bool holds_without(const struct host_machine *m, const struct shape *shape,
                          const struct taken *without, size_t n)
{
    _cleanup_free_ struct placement_grant *rest = xnew_n(struct placement_grant, m->grants.len + 1);
    struct placement_node taken = placement_node_of(m);
    struct node_state state;

    taken.grants = rest;
    taken.n_grants = 0;
    vec_foreach(&m->grants, grant)
        if (!is_of(grant, without, n))
            rest[taken.n_grants++] = *grant;
    node_state_init(&state, &taken);
    bool holds = state_holds(&state, shape);
    node_state_done(&state);
    return holds;
}

static struct ask weigh(void *userdata, size_t node, const struct ask *ask)
{
    struct host *host = userdata;
    const struct terms *terms = terms_get(&host->terms, ask->terms);
    struct ask taken = *ask;

    if (terms && terms->shape.rules->exclusive)
        taken.cpu_milli = capacity_size(host->capacity, node)->cpu_milli;
    else if (terms && terms->shape.shared)
        taken.cpu_milli =
            (int32_t) (terms->shape.cores * terms->shape.tasks * 1000 / PLACEMENT_SHARES_PER_CORE);
    return taken;
}

static bool holds(void *userdata, size_t node, const struct ask *ask, const struct taken *without,
                  size_t n)
{
    struct host *host = userdata;
    const struct host_machine *m = &host->machines.items[node];
    const struct terms *terms = terms_get(&host->terms, ask->terms);

    if (!m->node || !terms)
        return false;
    return n > 0 ? holds_without(m, &terms->shape, without, n)
                 : state_holds(fresh_state(host, node), &terms->shape);
}

static bool could(void *userdata, size_t node, const struct ask *ask)
{
    const struct host *host = userdata;
    const struct node *there = host->machines.items[node].node;
    const struct terms *terms = terms_get(&host->terms, ask->terms);

    if (!there || !terms || there->cordoned || there->fault ||
        !rules_allow(terms->shape.rules, there))
        return false;
    unsigned lacking = terms->shape.gpus;
    for (size_t i = 0; i < there->gpus.len && lacking > 0; i++)
        lacking -= gpu_would_do(&there->gpus.items[i], &terms->shape);
    return lacking == 0;
}

/* By position, those that ASK could share. */
static uint32_t may_share(void *userdata, size_t node, const struct ask *ask)
{
    struct host *host = userdata;
    const struct terms *terms = terms_get(&host->terms, ask->terms);

    return terms ? (uint32_t) slice_candidates(fresh_state(host, node), &terms->shape) : 0;
}

static struct grant *grant_new(struct host *host, size_t node, const struct shape *shape)
{
    struct node_state *state = fresh_state(host, node);
    struct grant *grant = xnew(struct grant);

    grant->owner = shape->owner;
    grant->cores_asked = shape->cores;
    grant->tasks = xnew_n(struct allocation *, shape->tasks);
    for (; grant->n < shape->tasks; grant->n++)
        grant->tasks[grant->n] = node_state_take(state, shape);
    node_state_take_rest(state, shape, grant->tasks, grant->n);
    return grant;
}

/* By position, as far as rooms know positions. */
static uint32_t gpus_of(const struct node *node, const struct grant *grant)
{
    uint32_t bits = 0;

    for (unsigned t = 0; t < grant->n; t++)
        for (char **uuid = grant->tasks[t]->gpus; uuid && *uuid; uuid++)
            for (size_t i = 0; i < node->gpus.len && i < CAPACITY_GPUS_MAX; i++)
                if (str_equal(node->gpus.items[i].uuid, *uuid))
                    bits |= 1u << i;
    return bits;
}

static void leave_idle(struct host *host, const struct grant *grant)
{
    for (size_t i = 0; i < host->idle.len; i++)
        if (host->idle.items[i] == grant) {
            vec_remove(&host->idle, i);
            return;
        }
}

static struct room changed(struct host *host, size_t node)
{
    const struct room none = { 0 };

    forget_state(&host->machines.items[node]);
    return host->machines.items[node].node ? room_of(fresh_state(host, node)) : none;
}

static struct room take(void *userdata, const struct ask *ask, struct choice *choice)
{
    struct host *host = userdata;
    struct host_machine *m = &host->machines.items[choice->node];
    const struct terms *terms = terms_get(&host->terms, ask->terms);
    struct grant *grant = choice->grant;
    struct shape shape = terms->shape;

    shape.gpus_wished = choice->gpus;
    if (grant)
        leave_idle(host, grant);
    else
        choice->grant = grant = grant_new(host, choice->node, &shape);
    assert(!grant->is_taken);
    choice->gpus = gpus_of(m->node, grant);
    grant->is_taken = true;
    for (unsigned i = 0; i < grant->n; i++)
        vec_push(&m->grants,
                 ((struct placement_grant){ grant->tasks[i], grant->owner, grant->cores_asked }));
    return changed(host, choice->node);
}

static struct room give(void *userdata, const struct choice *choice)
{
    struct host *host = userdata;
    struct host_machine *m = &host->machines.items[choice->node];
    struct grant *grant = choice->grant;
    size_t kept = 0;

    assert(grant->is_taken);
    for (size_t i = 0; i < m->grants.len; i++) {
        bool is_its = false;
        for (unsigned k = 0; k < grant->n; k++)
            is_its |= grant->tasks[k] == m->grants.items[i].allocation;
        if (!is_its)
            m->grants.items[kept++] = m->grants.items[i];
    }
    m->grants.len = kept;
    grant->is_taken = false;
    vec_push(&host->idle, grant);
    return changed(host, choice->node);
}

/* ---- machines ---------------------------------------------------------------------------------------- */

void host_init(struct host *host, struct capacity *capacity)
{
    *host = (struct host){ .capacity = capacity, .by_name = map_new(), .spots = map_new() };
    terms_table_init(&host->terms);
    capacity_set_host(capacity,
                      &(struct capacity_host){ host, holds, could, may_share, take, give, weigh });
}

void host_forget_idle(struct host *host)
{
    vec_foreach(&host->idle, grant)
        grant_free(*grant);
    host->idle.len = 0;
}

void host_done(struct host *host)
{
    host_forget_idle(host);
    vec_done(&host->idle);
    vec_foreach(&host->machines, m) {
        forget_state(m);
        vec_done(&m->grants);
    }
    vec_done(&host->machines);
    map_free(host->by_name);
    map_free(host->spots);
    terms_table_done(&host->terms);
}

bool host_find(const struct host *host, const char *name, size_t *ret)
{
    const void *at = name ? map_get_str(host->by_name, name) : NULL;

    if (!at)
        return false;
    *ret = (size_t) (uintptr_t) at - 1;
    return true;
}

void host_skip(struct host *host)
{
    vec_push(&host->machines, (struct host_machine){ 0 });
    (void) capacity_add(host->capacity, &(struct room){ 0 });
}

/* A place that nobody has any more, or a new one. */
static size_t place_for(struct host *host)
{
    for (size_t i = 0; i < host->machines.len && !host->is_growing; i++)
        if (!host->machines.items[i].node && host->machines.items[i].grants.len == 0)
            return i;
    host_skip(host);
    return host->machines.len - 1;
}

static uint32_t named_spot(struct host *host, const char *name)
{
    uintptr_t number = (uintptr_t) map_get_str(host->spots, name);

    if (number == 0) {
        number = ++host->n_spots;
        (void) map_set_str(host->spots, name, (void *) number);
    }
    return (uint32_t) number;
}

void host_name_spot(struct host *host, const char *name) { (void) named_spot(host, name); }

/* The number of what NODE stands in; where that is not known one that no other machine has. */
static uint32_t spot_number(struct host *host, const struct node *node, size_t i, enum fabric part)
{
    const char *name = node_stands_within(node, &part);

    if (!name)
        return (UINT32_MAX >> 1) + (uint32_t) i;
    _cleanup_free_ char *key = xasprintf("%d %s", (int) part, name);
    return named_spot(host, key);
}

static void stand(struct host *host, const struct node *node, size_t i)
{
    const struct spot spot = { .site = spot_number(host, node, i, FABRIC_SITE),
                               .block = spot_number(host, node, i, FABRIC_BLOCK),
                               .leaf = spot_number(host, node, i, FABRIC_LEAF) };

    capacity_stand(host->capacity, i, &spot);
}

void host_set_node(struct host *host, const struct node *node, int64_t disk_used_bytes)
{
    size_t i;

    if (!host_find(host, node->name, &i)) {
        i = place_for(host);
        (void) map_set_str(host->by_name, node->name, (void *) (uintptr_t) (i + 1));
    }
    struct host_machine *m = &host->machines.items[i];
    forget_state(m);
    m->node = node;
    m->disk_used_bytes = disk_used_bytes;
    stand(host, node, i);
    const struct node_state *state = fresh_state(host, i);
    const struct room size = size_of(state), free = room_of(state);
    capacity_set(host->capacity, i, &size, &free);
}

void host_drop_node(struct host *host, const char *name)
{
    const struct room none = { 0 };
    size_t i;

    if (!host_find(host, name, &i))
        return;
    (void) map_remove_str(host->by_name, name);
    forget_state(&host->machines.items[i]);
    host->machines.items[i].node = NULL;
    capacity_set(host->capacity, i, &none, &none);
}

struct grant *host_grant(struct host *host, const struct shape *shape, const struct id *owner,
                         const struct allocation *const *tasks, unsigned n)
{
    struct grant *grant = xnew(struct grant);

    grant->owner = *owner;
    grant->cores_asked = shape->cores;
    grant->tasks = xnew_n(struct allocation *, n);
    for (; grant->n < n; grant->n++)
        grant->tasks[grant->n] = allocation_copy(tasks[grant->n]);
    vec_push(&host->idle, grant);
    return grant;
}
