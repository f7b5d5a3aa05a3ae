/* Placement by property: over random requests and departures no core, GPU or byte has two owners,
 * gangs are placed as a whole with each group on a node of its own, and nobody is refused while there is
 * room (counted here a second time, naively). */
#include "placement/placement.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/random.h"
#include "tests/tap.h"

#define MIB (INT64_C(1) << 20)

enum { NODES = 3, TASKS_MAX = 256, QUEUE_MAX = 12 };

struct task {
    struct allocation *allocation;
    unsigned cores;
    struct id owner;
};

static struct node *nodes[NODES];
static struct task tasks[TASKS_MAX];
static size_t n_tasks;

static struct node *make_node(unsigned number)
{
    struct node *node = xnew(struct node);
    unsigned cores = 1 + random_below(12), numas = 1 + random_below(3),
             threads = 1 + random_below(2);

    node->name = xasprintf("n%u", number);
    node->memory_bytes = (64 + random_below(64)) * MIB;
    node->disk_bytes = 500 * MIB;
    node->reserved_cores = random_below(3) == 0;
    for (unsigned i = 0; i < cores; i++) {
        struct core core = { .id = i, .numa = i % numas };
        for (unsigned t = 0; t < threads; t++)
            cpu_siblings_add(&core.cpus, i + t * cores);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < numas; i++)
        vec_push(&node->numas,
                 ((struct numa_node){ .id = i, .memory_bytes = node->memory_bytes / numas }));
    for (unsigned i = random_below(4); i > 0; i--)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("GPU-%u-%u", number, i),
                                             .numa = (int) random_below(numas) }));
    return node;
}

/* What the live tasks take on a node, computed from their allocations alone. */
struct ledger {
    struct cpu_set cpus_taken; /* by those that share with nobody */
    struct placement_pool pools[4];
    size_t n_pools;
    const char *gpus[16];
    size_t n_gpus_taken;
    int64_t memory_taken_bytes, disk_taken_bytes;
    struct placement_grant grants[TASKS_MAX];
    size_t n_grants;
};

static void add_share(struct ledger *ledger, const struct task *task)
{
    for (size_t i = 0; i < ledger->n_pools; i++)
        if (id_equal(&ledger->pools[i].owner, &task->owner)) {
            cpu_set_union(&ledger->pools[i].cpus, &task->allocation->cpus);
            ledger->pools[i].cores_asked += task->cores;
            return;
        }
    ledger->pools[ledger->n_pools++] =
        (struct placement_pool){ task->owner, task->allocation->cpus, task->cores };
}

static void take_stock(const struct node *node, struct ledger *ledger)
{
    *ledger = (struct ledger){ 0 };
    for (size_t i = 0; i < n_tasks; i++) {
        const struct allocation *a = tasks[i].allocation;
        if (!str_equal(a->node, node->name))
            continue;
        ledger->grants[ledger->n_grants++] =
            (struct placement_grant){ a, tasks[i].owner, tasks[i].cores };
        ledger->memory_taken_bytes += a->memory_bytes;
        ledger->disk_taken_bytes += a->disk_bytes;
        for (char **gpu = a->gpus; gpu && *gpu; gpu++)
            ledger->gpus[ledger->n_gpus_taken++] = *gpu;
        if (a->shared) {
            add_share(ledger, &tasks[i]);
        } else {
            ok(!cpu_set_intersects(&ledger->cpus_taken, &a->cpus));
            cpu_set_union(&ledger->cpus_taken, &a->cpus);
        }
    }
}

static unsigned whole_cores(const struct node *node, const struct cpu_set *cpus)
{
    unsigned n = 0;

    vec_foreach(&node->cores, core) {
        if (cpu_siblings_within(&core->cpus, cpus))
            n++;
        else
            ok(!cpu_siblings_intersect(&core->cpus, cpus)); /* siblings are never split */
    }
    return n;
}

static void check_node(const struct node *node)
{
    static struct ledger ledger;
    struct cpu_set all;

    take_stock(node, &ledger);
    all = ledger.cpus_taken;
    for (size_t i = 0; i < ledger.n_pools; i++) {
        ok(!cpu_set_intersects(&all, &ledger.pools[i].cpus));
        cpu_set_union(&all, &ledger.pools[i].cpus);
        ok(ledger.pools[i].cores_asked <=
           PLACEMENT_SHARES_PER_CORE * whole_cores(node, &ledger.pools[i].cpus));
    }
    unsigned reserved = 0;
    vec_foreach(&node->cores, core)
        if (node->reserved_cores && core->id < node->numas.len)
            reserved += cpu_siblings_intersect(&core->cpus, &all);
    ok(reserved == 0);
    ok(ledger.memory_taken_bytes <= node->memory_bytes &&
       ledger.disk_taken_bytes <= node->disk_bytes);
    for (size_t i = 0; i < ledger.n_gpus_taken; i++)
        for (size_t j = 0; j < i; j++)
            ok(!str_equal(ledger.gpus[i], ledger.gpus[j]));
}

/* Naive: could the node hold N exclusive tasks of SPEC now? */
static bool holds(const struct node *node, const struct workload_spec *spec, unsigned n)
{
    static struct ledger ledger;
    unsigned is_free = 0;

    take_stock(node, &ledger);
    struct cpu_set all = ledger.cpus_taken;
    for (size_t i = 0; i < ledger.n_pools; i++)
        cpu_set_union(&all, &ledger.pools[i].cpus);
    vec_foreach(&node->cores, core) {
        bool reserve = node->reserved_cores && core->id < node->numas.len;
        is_free += !reserve && !cpu_siblings_intersect(&core->cpus, &all);
    }
    return is_free >= n * spec->cores &&
           node->gpus.len - ledger.n_gpus_taken >= (size_t) n * spec->gpus &&
           node->memory_bytes - ledger.memory_taken_bytes >= n * spec->memory_bytes &&
           node->disk_bytes - ledger.disk_taken_bytes >= n * spec->disk_bytes;
}

static bool is_feasible(const struct workload_spec *spec)
{
    unsigned found = 0;

    for (unsigned i = 0; i < NODES; i++)
        found += holds(nodes[i], spec, spec->tasks_per_node);
    return found >= spec->nodes;
}

/* The tasks of a group are on one node, and no other group is there. */
static void check_groups(const struct placement_decision *d, const struct workload_spec *spec)
{
    ok(d->n_allocations == spec->nodes * spec->tasks_per_node);
    for (unsigned i = 0; i < d->n_allocations; i++)
        for (unsigned k = 0; k < i; k++)
            ok(str_equal(d->allocations[i]->node, d->allocations[k]->node) ==
               (i / spec->tasks_per_node == k / spec->tasks_per_node));
}

static void leave(size_t i)
{
    allocation_free(tasks[i].allocation);
    tasks[i] = tasks[--n_tasks];
}

static void check_allocation(const struct allocation *a, const struct workload_spec *spec)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (!str_equal(nodes[i]->name, a->node))
            continue;
        unsigned cores = whole_cores(nodes[i], &a->cpus);
        ok(spec->shared ? cores >= spec->cores : cores == spec->cores);
        vec_foreach(&nodes[i]->cores, core)
            if (cpu_siblings_intersect(&core->cpus, &a->cpus))
                ok(cpu_set_has(&a->mems, core->numa));
    }
    unsigned gpus = 0;
    while (a->gpus && a->gpus[gpus])
        gpus++;
    ok(gpus == spec->gpus && a->memory_bytes == spec->memory_bytes);
}

/* One pass over a random queue. */
static void step(void)
{
    struct workload_spec specs[QUEUE_MAX];
    struct workload jobs[QUEUE_MAX] = { 0 };
    struct placement_request queue[QUEUE_MAX];
    bool placed[QUEUE_MAX] = { 0 };
    static struct ledger ledgers[NODES];
    struct placement_node taken[NODES];
    size_t n = 1 + random_below(QUEUE_MAX);

    for (size_t i = 0; i < n; i++) {
        specs[i] = (struct workload_spec){ .cores = 1 + random_below(4),
                                           .memory_bytes = random_below(40) * MIB,
                                           .disk_bytes = random_below(100) * MIB,
                                           .gpus = random_below(5) == 0,
                                           .shared = random_below(4) == 0,
                                           .nodes = 1,
                                           .tasks_per_node = 1 };
        if (random_below(3) == 0) {
            specs[i].nodes = 1 + random_below(NODES);
            specs[i].tasks_per_node = 1 + random_below(3);
        }
        jobs[i].spec = &specs[i];
        jobs[i].priority = (int) random_below(3);
        jobs[i].id.bytes[15] = (uint8_t) i;
        queue[i] = (struct placement_request){ .workload = &jobs[i] };
        queue[i].owner.bytes[0] = (uint8_t) random_below(3);
    }
    for (unsigned i = 0; i < NODES; i++) {
        take_stock(nodes[i], &ledgers[i]);
        taken[i] = (struct placement_node){ .node = nodes[i],
                                            .grants = ledgers[i].grants,
                                            .n_grants = ledgers[i].n_grants };
    }
    struct placement_snapshot snapshot = {
        .nodes = taken,
        .n_nodes = NODES,
        .queue = queue,
        .n_queue = n,
    };
    struct placement_plan plan;
    placement_pass(&snapshot, &plan);
    ok(plan.n_decisions == n);
    for (size_t i = 0; i < plan.n_decisions; i++) {
        struct placement_decision *d = &plan.decisions[i];
        ok((d->rule == PLACEMENT_PLACED) == (d->allocations != NULL));
        if (!d->allocations)
            continue;
        check_groups(d, &specs[d->request]);
        placed[d->request] = true;
        for (unsigned k = 0; k < d->n_allocations; k++) {
            check_allocation(d->allocations[k], &specs[d->request]);
            tasks[n_tasks++] = (struct task){ take_ptr(d->allocations[k]), specs[d->request].cores,
                                              queue[d->request].owner };
        }
    }
    placement_plan_done(&plan);
    for (unsigned i = 0; i < NODES; i++)
        check_node(nodes[i]);
    for (size_t i = 0; i < n; i++)
        ok(placed[i] || !is_feasible(&specs[i]));
}

TEST(nothing_has_two_owners_and_nobody_waits_in_vain)
{
    for (int world = 0; world < 60; world++) {
        for (unsigned i = 0; i < NODES; i++)
            nodes[i] = make_node(i);
        for (int i = 0; i < 60; i++) {
            step();
            for (unsigned gone = random_below(8); gone > 0 && n_tasks > 0; gone--)
                leave(random_below((unsigned) n_tasks));
        }
        while (n_tasks > 0)
            leave(0);
        for (unsigned i = 0; i < NODES; i++)
            node_free(nodes[i]);
    }
}

TAP_MAIN
