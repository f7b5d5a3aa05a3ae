/* fit.c - one node during a pass: what is free, does a shape fit, which cores and GPUs it gets
 *
 * Cores are given whole, with their SMT siblings. Those of a task with GPUs lie near these (slice.h). Another's
 * lie on as few NUMA nodes as possible: on the one with the fewest free cores that still holds them all (large holes stay for
 * large tasks), else on those with the most free cores. Its memory is of the same ones (numa.h).
 */
#include "placement/numa.h"

#include "base/text.h"
#include "base/texts.h"

#include <assert.h>

struct shape shape_of(const struct workload_spec *spec, const struct id *owner)
{
    /* MPI starts its ranks inside of one task a node. */
    unsigned ranks = spec->mpi && spec->tasks_per_node ? spec->tasks_per_node : 1;
    unsigned groups = spec->nodes ? spec->nodes : 1;
    struct shape shape = {
        .groups = groups,
        .tasks = workload_spec_n_tasks(spec) / groups,
        .cores = spec->cores * ranks,
        .gpus = spec->gpus * ranks,
        .gpu_milli = spec->gpu_milli,
        .gpu_model = spec->gpu_model,
        .devices = spec->devices,
        .memory_bytes = spec->memory_bytes * ranks,
        .disk_bytes = spec->disk_bytes * ranks,
        .shared = spec->shared,
        .numa_strict = spec->numa_strict || spec->network_optimised,
        .network_optimised = spec->network_optimised,
        .splits_islands = spec->splits_islands,
        .huge_pages = spec->huge_pages,
        .rules = &spec->machines,
    };
    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        shape.huge_pages.n[i] *= ranks;
    if (spec->shared || spec->gpus > 0)
        shape.owner = *owner;
    return shape;
}

static bool gpus_equal(const struct shape *a, const struct shape *b)
{
    return a->gpus == b->gpus && a->gpu_milli == b->gpu_milli &&
           a->splits_islands == b->splits_islands && str_equal(a->gpu_model, b->gpu_model) &&
           texts_equal(a->devices, b->devices);
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    return a->groups == b->groups && a->tasks == b->tasks && a->cores == b->cores &&
           a->memory_bytes == b->memory_bytes && a->disk_bytes == b->disk_bytes &&
           a->shared == b->shared && a->numa_strict == b->numa_strict &&
           a->network_optimised == b->network_optimised && gpus_equal(a, b) &&
           huge_pages_equal(&a->huge_pages, &b->huge_pages) && id_equal(&a->owner, &b->owner) &&
           rules_equal(a->rules, b->rules);
}

static struct numa_state *find_numa(struct node_state *state, unsigned id)
{
    vec_foreach(&state->numas, numa)
        if (numa->id == id)
            return numa;
    return NULL;
}

static struct placement_pool *pool_of(struct node_state *state, const struct id *owner)
{
    vec_foreach(&state->pools, pool)
        if (id_equal(&pool->owner, owner))
            return pool;
    vec_push(&state->pools, ((struct placement_pool){ .owner = *owner }));
    return &state->pools.items[state->pools.len - 1];
}

/* A pool is what its tasks were given. */
static void init_pools(struct node_state *state)
{
    for (size_t i = 0; i < state->n_grants; i++) {
        const struct placement_grant *grant = &state->grants[i];
        if (!grant->allocation->shared)
            continue;
        struct placement_pool *pool = pool_of(state, &grant->owner);
        cpu_set_union(&pool->cpus, &grant->allocation->cpus);
        pool->cores_asked += grant->cores_asked;
    }
}

/* The reserve of each NUMA node is its lowest cores; what is taken or in a pool is not free. */
static void init_cores(struct node_state *state)
{
    const struct node *node = state->node;
    struct cpu_set taken = { 0 };

    for (size_t i = 0; i < state->n_grants; i++)
        cpu_set_union(&taken, &state->grants[i].allocation->cpus);
    state->core_free = xnew_n(bool, node->cores.len + 1);
    vec_foreach(&state->numas, numa) {
        unsigned reserved = node->reserved_cores;
        vec_foreach(&node->cores, core) {
            if (core->numa != numa->id)
                continue;
            if (reserved > 0) {
                reserved--;
                continue;
            }
            state->cores_usable++;
            numa->cores_usable++;
            if (cpu_siblings_intersect(&core->cpus, &taken))
                continue;
            state->core_free[core->id] = true;
            state->cores_free++;
            numa->cores_free++;
        }
    }
}

static uint64_t partition_bits(const struct node *node, const struct allocation *a, size_t gpu)
{
    vec_foreach(&node->partitions, partition)
        if (a->in_partition && partition->id == a->partition)
            return partition->gpus;
    return UINT64_C(1) << gpu;
}

static void hold_gpu(struct node_state *state, const struct placement_grant *grant, size_t i)
{
    const struct allocation *a = grant->allocation;
    const struct gpu_hold *before = &state->gpu_holds[i];
    unsigned left = state->gpu_left[i];
    bool splits = a->splits_islands && (!before->is_held || before->splits_islands);

    state->gpu_left[i] -= a->gpu_milli && a->gpu_milli < left ? a->gpu_milli : left;
    state->gpu_holds[i] = (struct gpu_hold){ .is_held = true,
                                             .is_shared = a->gpu_milli > 0,
                                             .splits_islands = splits,
                                             .owner = grant->owner,
                                             .partition = partition_bits(state->node, a, i) };
}

static void init_holds(struct node_state *state)
{
    const struct node *node = state->node;

    state->gpu_holds = xnew_n(struct gpu_hold, node->gpus.len + 1);
    state->gpu_left = xnew_n(unsigned, node->gpus.len + 1);
    for (size_t k = 0; k < node->gpus.len; k++)
        state->gpu_left[k] = node->gpus.items[k].fault ? 0 : CAPACITY_GPU;
    for (size_t i = 0; i < state->n_grants; i++)
        for (char **uuid = state->grants[i].allocation->gpus; uuid && *uuid; uuid++)
            for (size_t k = 0; k < node->gpus.len; k++)
                if (str_equal(*uuid, node->gpus.items[k].uuid))
                    hold_gpu(state, &state->grants[i], k);
}

static void init_gpus(struct node_state *state)
{
    init_holds(state);
    state->gpu_free = xnew_n(bool, state->node->gpus.len + 1);
    for (size_t i = 0; i < state->node->gpus.len; i++) {
        state->gpu_free[i] = !state->node->gpus.items[i].fault && !state->gpu_holds[i].is_held;
        state->gpus_free += state->gpu_free[i];
    }
}

static void init_nics(struct node_state *state)
{
    const struct node *node = state->node;

    state->vfs_free = xnew_n(unsigned, node->nics.len + 1);
    for (size_t k = 0; k < node->nics.len; k++) {
        unsigned taken = 0;
        for (size_t i = 0; i < state->n_grants; i++)
            for (char **nic = state->grants[i].allocation->nics; nic && *nic; nic++)
                taken += str_equal(*nic, node->nics.items[k].name);
        if (taken < node->nics.items[k].vfs)
            state->vfs_free[k] = node->nics.items[k].vfs - taken;
    }
}

/* Which ones others have is not known: count them from the end. */
static void leave_to_others(struct node_state *state)
{
    const struct node *node = state->node;
    unsigned cores = node->others_cores, gpus = node->others_gpus;

    for (size_t i = node->cores.len; i-- > 0 && cores > 0;) {
        if (!state->core_free[i])
            continue;
        struct numa_state *numa = find_numa(state, node->cores.items[i].numa);
        state->core_free[i] = false;
        state->cores_free--;
        if (numa)
            numa->cores_free--;
        cores--;
    }
    for (size_t i = node->gpus.len; i-- > 0 && gpus > 0;) {
        if (!state->gpu_free[i])
            continue;
        state->gpu_free[i] = false;
        state->gpu_left[i] = 0;
        state->gpus_free--;
        gpus--;
    }
    state->memory_free_bytes -= node->others_memory_bytes;
}

/* A reserve may be larger than what there is. */
static int64_t without_reserve(int64_t bytes, int64_t reserved_bytes)
{
    return bytes > reserved_bytes ? bytes - reserved_bytes : 0;
}

/* What no task has been promised, and what no file lies on. */
static void init_disk(struct node_state *state, int64_t used_bytes)
{
    const struct node *node = state->node;
    int64_t taken_bytes = 0;

    for (size_t i = 0; i < state->n_grants; i++)
        taken_bytes += state->grants[i].allocation->disk_bytes;
    state->disk_usable_bytes = without_reserve(node->disk_bytes, node->reserved_disk_bytes);
    state->disk_free_bytes = state->disk_usable_bytes - taken_bytes;
    state->disk_kept_bytes = taken_bytes - used_bytes;
    if (node->disk_free_bytes == 0)
        return;
    int64_t is_free = without_reserve(node->disk_free_bytes, node->reserved_disk_bytes);
    if (is_free - state->disk_kept_bytes < state->disk_free_bytes)
        state->disk_free_bytes = is_free - state->disk_kept_bytes;
}

void node_state_init(struct node_state *state, const struct placement_node *taken)
{
    const struct node *node = taken->node;

    *state =
        (struct node_state){ .node = node, .grants = taken->grants, .n_grants = taken->n_grants };
    numa_init(state);
    init_pools(state);
    init_cores(state);
    init_gpus(state);
    init_nics(state);
    state->memory_usable_bytes =
        without_reserve(node_ordinary_bytes(node), node->reserved_memory_bytes);
    state->memory_free_bytes = state->memory_usable_bytes;
    for (size_t i = 0; i < taken->n_grants; i++)
        state->memory_free_bytes -= taken->grants[i].allocation->memory_bytes;
    leave_to_others(state);
    init_disk(state, taken->disk_used_bytes);
}

void node_state_done(struct node_state *state)
{
    free(state->core_free);
    free(state->gpu_free);
    free(state->gpu_left);
    free(state->gpu_holds);
    free(state->vfs_free);
    vec_done(&state->numas);
    vec_done(&state->pools);
}

bool gpu_would_do(const struct gpu *gpu, const struct shape *shape)
{
    if (!gpu_is_model(gpu, shape->gpu_model))
        return false;
    if (!shape->devices)
        return true;
    for (char *const *device = shape->devices; *device; device++)
        if (gpu_is_device(gpu, *device))
            return true;
    return false;
}

unsigned node_state_gpus(const struct node_state *state, const struct shape *shape, bool all)
{
    unsigned n = 0;

    for (size_t i = 0; i < state->node->gpus.len; i++)
        n += (all ? !state->node->gpus.items[i].fault : slice_has_gpu(state, shape, i)) &&
             gpu_would_do(&state->node->gpus.items[i], shape);
    return n;
}

static unsigned n_candidates(const struct node_state *state, const struct shape *shape)
{
    return (unsigned) __builtin_popcountll(slice_candidates(state, shape));
}

static struct placement_pool *find_pool(const struct node_state *state, const struct id *owner)
{
    vec_foreach(&state->pools, pool)
        if (id_equal(&pool->owner, owner))
            return pool;
    return NULL;
}

static unsigned pool_cores(const struct node_state *state, const struct placement_pool *pool)
{
    unsigned n = 0;

    vec_foreach(&state->node->cores, core)
        n += cpu_siblings_intersect(&core->cpus, &pool->cpus);
    return n;
}

/* Cores that the owner's pool must gain before a task of SHAPE can join it: as many as the task
 * asks for, and shares enough. */
static unsigned pool_growth(const struct node_state *state, const struct shape *shape)
{
    const struct placement_pool *pool = find_pool(state, &shape->owner);
    unsigned have = pool ? pool_cores(state, pool) : 0;
    unsigned asked = (pool ? pool->cores_asked : 0) + shape->cores;
    unsigned need = (asked + PLACEMENT_SHARES_PER_CORE - 1) / PLACEMENT_SHARES_PER_CORE;

    if (need < shape->cores)
        need = shape->cores;
    return need > have ? need - have : 0;
}

static enum placement_rule check_hardware(const struct node_state *state, const struct shape *shape)
{
    struct slice slice;

    if (shape->gpus > 0 && node_state_gpus(state, shape, false) < shape->gpus)
        return PLACEMENT_NO_GPU;
    if (shape->gpus > 0 && n_candidates(state, shape) < shape->gpus)
        return PLACEMENT_NO_ISLAND;
    unsigned cores = shape->shared ? pool_growth(state, shape) : shape->cores;
    if (state->cores_free < cores)
        return PLACEMENT_NO_CORES;
    if (state->memory_free_bytes < shape->memory_bytes)
        return PLACEMENT_NO_MEMORY;
    if (numa_lacks_pages(state, shape) != HUGE_PAGE_MAX)
        return PLACEMENT_NO_HUGE_PAGES;
    if (shape->disk_bytes > 0 && state->disk_free_bytes < shape->disk_bytes)
        return PLACEMENT_NO_DISK;
    if (slice_matters(state, shape) && !slice_choose(state, shape, &slice))
        return PLACEMENT_NO_NUMA;
    return PLACEMENT_PLACED;
}

enum placement_rule node_state_check(const struct node_state *state, const struct shape *shape)
{
    if (!rules_allow(shape->rules, state->node))
        return PLACEMENT_NOT_ALLOWED;
    if (state->node->cordoned || state->node->fault)
        return PLACEMENT_CORDONED;
    if (shape->rules->exclusive && !node_state_is_empty(state))
        return PLACEMENT_NOT_EMPTY;
    enum placement_rule rule = check_hardware(state, shape);
    return rule == PLACEMENT_PLACED && state->booked ? PLACEMENT_BOOKED : rule;
}

/* How many times EACH goes into IS_FREE, at most MAX. */
static unsigned times(int64_t is_free, int64_t each, unsigned max)
{
    if (each <= 0 || (is_free > 0 && is_free / each >= max))
        return max;
    return is_free > 0 ? (unsigned) (is_free / each) : 0;
}

/* Tasks that can share what the owner's pool has and could gain. */
static unsigned pool_room(const struct node_state *state, const struct shape *shape, unsigned max)
{
    const struct placement_pool *pool = find_pool(state, &shape->owner);
    unsigned cores = (pool ? pool_cores(state, pool) : 0) + state->cores_free;
    int64_t shares = (int64_t) cores * PLACEMENT_SHARES_PER_CORE - (pool ? pool->cores_asked : 0);

    return cores < shape->cores ? 0 : times(shares, shape->cores, max);
}

unsigned node_state_room(const struct node_state *state, const struct shape *shape, unsigned max)
{
    if (!rules_allow(shape->rules, state->node) || state->booked)
        return 0;
    if (shape->rules->exclusive)
        max = !node_state_is_empty(state) ? 0 : max < shape->tasks ? max : shape->tasks;
    max =
        shape->shared ? pool_room(state, shape, max) : times(state->cores_free, shape->cores, max);
    if (shape->gpus > 0)
        max = times(slice_parts(state, shape), shape->gpus, max);
    max = times(state->memory_free_bytes, shape->memory_bytes, max);
    max = times(state->disk_free_bytes, shape->disk_bytes, max);
    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        max = times(numa_pages_free(state, i), shape->huge_pages.n[i], max);
    return slice_matters(state, shape) ? slice_room(state, shape, max) : max;
}

/* Is A the better NUMA node to take CORES from? */
static bool numa_is_better(const struct numa_state *a, const struct numa_state *b, unsigned cores)
{
    bool a_holds = a->cores_free >= cores, b_holds = b->cores_free >= cores;

    if (a_holds != b_holds)
        return a_holds;
    if (a->cores_free != b->cores_free)
        return a_holds ? a->cores_free < b->cores_free : a->cores_free > b->cores_free;
    return a->id < b->id;
}

static struct numa_state *best_numa(struct node_state *state, unsigned cores)
{
    struct numa_state *best = NULL;

    vec_foreach(&state->numas, numa) {
        if (numa->cores_free == 0)
            continue;
        if (!best || numa_is_better(numa, best, cores))
            best = numa;
    }
    return best;
}

/* Of the L3 caches of NUMA the one with the fewest free cores that still holds CORES, else the one with the most; *RET_FREE:
 * how many these are. Where nobody knows of caches all are of one. */
static unsigned best_l3(const struct node_state *state, const struct numa_state *numa,
                        unsigned cores, unsigned *ret_free)
{
    unsigned n[CPU_SET_MAX + 1] = { 0 }, best = 0;

    vec_foreach(&state->node->cores, core)
        n[core->l3] += core->numa == numa->id && state->core_free[core->id];
    for (unsigned i = 1; i <= CPU_SET_MAX; i++) {
        bool holds = n[i] >= cores, held = n[best] >= cores;
        if (n[i] > 0 && (holds != held ? holds : holds ? n[i] < n[best] : n[i] > n[best]))
            best = i;
    }
    *ret_free = n[best];
    return best;
}

static void take_cores_of_l3(struct node_state *state, const struct numa_state *numa, unsigned l3,
                             unsigned cores, struct cpu_set *cpus)
{
    vec_foreach(&state->node->cores, core) {
        if (cores == 0)
            break;
        if (core->l3 != l3 || core->numa != numa->id || !state->core_free[core->id])
            continue;
        state->core_free[core->id] = false;
        cores--;
        cpu_set_add_siblings(cpus, &core->cpus);
    }
}

/* CORES of NUMA, or as many as there are, are taken; how many are still wanted. */
static unsigned choose_cores_on(struct node_state *state, struct numa_state *numa, unsigned cores)
{
    unsigned take = cores < numa->cores_free ? cores : numa->cores_free;

    numa->cores_free -= take;
    numa->cores_due += take;
    state->cores_free -= take;
    return cores - take;
}

static void choose_cores(struct node_state *state, unsigned cores)
{
    while (cores > 0) {
        struct numa_state *numa = best_numa(state, cores);
        assert(numa);
        cores = choose_cores_on(state, numa, cores);
    }
}

/* Those that were chosen, of as few L3 caches as have them, go into CPUS. */
static void take_chosen(struct node_state *state, struct cpu_set *cpus)
{
    vec_foreach(&state->numas, numa) {
        while (numa->cores_due > 0) {
            unsigned is_free, l3 = best_l3(state, numa, numa->cores_due, &is_free);
            unsigned take = is_free < numa->cores_due ? is_free : numa->cores_due;
            assert(take > 0);
            take_cores_of_l3(state, numa, l3, take, cpus);
            numa->cores_due -= take;
        }
    }
}

/* Take CORES whole cores into CPUS. */
static void take_cores(struct node_state *state, unsigned cores, struct cpu_set *cpus)
{
    choose_cores(state, cores);
    take_chosen(state, cpus);
}

/* First those that are near the slice's GPUs. */
static void take_cores_of(struct node_state *state, const struct slice *slice, unsigned cores,
                          struct cpu_set *cpus)
{
    for (size_t i = 0; i < state->numas.len && i < SLICE_NUMAS_MAX; i++)
        cores -= slice->cores[i] - choose_cores_on(state, &state->numas.items[i], slice->cores[i]);
    take_cores(state, cores, cpus);
}

/* The NUMA nodes of CPUS are among MEMS from now on. */
static void add_mems(const struct node_state *state, const struct cpu_set *cpus,
                     struct cpu_set *mems)
{
    vec_foreach(&state->node->cores, core)
        if (cpu_siblings_intersect(&core->cpus, cpus))
            cpu_set_add(mems, core->numa);
}

static void take_gpus(struct node_state *state, const struct shape *shape,
                      const struct slice *slice, struct allocation *a)
{
    uint64_t within = slice_partition_of(state, slice);
    size_t n = 0;

    a->gpus = xnew_n(char *, shape->gpus + 1);
    a->devices = xnew_n(char *, shape->gpus + 1);
    a->gpu_milli = shape->gpu_milli;
    a->splits_islands = shape->splits_islands;
    for (size_t i = 0; i < state->node->gpus.len; i++) {
        const struct gpu *gpu = &state->node->gpus.items[i];
        if (!(slice->gpus & UINT64_C(1) << i))
            continue;
        a->devices[n] = xstrdup(gpu->cdi ? gpu->cdi : "");
        a->gpus[n++] = xstrdup(gpu->uuid);
    }
    assert(n == shape->gpus);
    vec_foreach(&state->node->partitions, partition) {
        if (a->in_partition || partition->gpus != within)
            continue;
        a->in_partition = true;
        a->partition = partition->id;
    }
    slice_hold(state, shape, slice);
}

static void take_nics(struct node_state *state, const struct slice *slice, struct allocation *a)
{
    a->nics = xnew_n(char *, NODE_GPUS_MAX + SLICE_NUMAS_MAX + 1);
    if (slice_take_nics(state, slice, a->nics) > 0)
        return;
    free(a->nics);
    a->nics = NULL;
}

static void take_share(struct node_state *state, const struct shape *shape, struct cpu_set *cpus)
{
    unsigned growth = pool_growth(state, shape);
    struct placement_pool *pool = pool_of(state, &shape->owner);

    take_cores(state, growth, &pool->cpus);
    pool->cores_asked += shape->cores;
    *cpus = pool->cpus;
}

struct allocation *node_state_take(struct node_state *state, const struct shape *shape)
{
    struct allocation *a = xnew(struct allocation);
    struct slice slice = { 0 };

    if (shape->gpus > 0 || slice_matters(state, shape)) {
        bool found = slice_choose(state, shape, &slice);
        assert(found);
    }
    state->is_given = true;
    a->node = xstrdup(state->node->name);
    a->shared = shape->shared;
    a->memory_bytes = shape->memory_bytes;
    a->disk_bytes = shape->disk_bytes;
    if (shape->shared)
        take_share(state, shape, &a->cpus);
    else
        take_cores_of(state, &slice, shape->cores, &a->cpus);
    numa_take(state, shape, &slice, a);
    if (shape->gpus > 0)
        take_gpus(state, shape, &slice, a);
    if (shape->network_optimised)
        take_nics(state, &slice, a);
    state->memory_free_bytes -= a->memory_bytes;
    state->disk_free_bytes -= a->disk_bytes;
    return a;
}

/* The free cores of NUMA go in equal parts to those tasks that are there already or, where none is, to all N; the one more that
 * some get goes round from TURN on. */
static void deal_cores(struct node_state *state, struct numa_state *numa,
                       struct allocation *const *tasks, unsigned n, unsigned *turn)
{
    unsigned near = 0, cores = numa->cores_free, dealt = 0;

    for (unsigned i = 0; i < n; i++)
        near += cpu_set_has(&tasks[i]->mems, numa->id);
    for (unsigned i = 0; i < n; i++) {
        struct allocation *task = tasks[(*turn + i) % n];
        if (near > 0 && !cpu_set_has(&task->mems, numa->id))
            continue;
        unsigned share = (unsigned) part_of(cores, dealt++, 1, near ? near : n);
        (void) choose_cores_on(state, numa, share);
        take_chosen(state, &task->cpus);
    }
    *turn += cores % (near ? near : n);
}

void node_state_take_rest(struct node_state *state, const struct shape *shape,
                          struct allocation *const *tasks, unsigned n)
{
    unsigned turn = 0;

    if (n == 0 || !shape->rules->exclusive || shape->shared)
        return;
    vec_foreach(&state->numas, numa)
        deal_cores(state, numa, tasks, n, &turn);
    for (unsigned i = 0; i < n; i++)
        add_mems(state, &tasks[i]->cpus, &tasks[i]->mems);
}
