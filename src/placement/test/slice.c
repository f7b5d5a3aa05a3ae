/* Slices by property: over random hardware, random requests of several orgs, departures, failures and cordons the eight invariants
 * of a partitioned machine hold. They are counted here from what tasks were given alone, naively.
 *
 *   I1 a core, a GPU, a huge page, a byte of memory or disk and a virtual function has one owner at most; a GPU may be shared by
 *      tasks of one org that each took a part, and their parts are no more than a whole
 *   I2 no NVLink joins GPUs of two orgs, but by an override that both took, or through a partition
 *   I3 the cores, memory and GPUs of a NUMA-strict task are on the same NUMA nodes, in proportion, and these are as few as can be
 *   I4 SMT siblings are never split, and the cores of a task on a NUMA node are of as few L3 caches as had them free
 *   I5 the reserve of each NUMA node is kept
 *   I6 GPUs of an IOMMU group belong to one org
 *   I7 GPUs of a task lie in one partition of the table, and partitions of two orgs do not overlap
 *   I8 free, used, reserved and faulty add up to all there is: cores, GPUs; memory and huge pages of each NUMA node to the byte
 */
#include "placement/slice.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <errno.h>

#define GIB (INT64_C(1) << 30)

enum { TASKS_MAX = 64, ORGS = 3 };

static bool one_in(unsigned n) { return random_below(n) == 0; }

struct task {
    struct placement_grant grant;
    struct workload_spec spec;
};

static struct node *node;
static struct task tasks[TASKS_MAX];
static size_t n_tasks;

/* ---- hardware ----------------------------------------------------------------------------------------- */

static void add_numas(void)
{
    static const unsigned odd[] = { 3, 1, 7, 5 };
    unsigned numas = 1u << random_below(3), cores = 1 + random_below(12),
             threads = 1 + random_below(2), each = random_below(6);
    bool is_odd = one_in(2);

    node->reserved_cores = random_below(2);
    node->reserved_memory_bytes = random_below(3) * GIB;
    for (unsigned i = 0; i < numas; i++) {
        unsigned id = is_odd ? odd[i] : i;
        vec_push(&node->numas,
                 ((struct numa_node){ .id = id,
                                      .memory_bytes = (8 + random_below(24)) * GIB,
                                      .huge_pages = { { random_below(6), random_below(512) } } }));
        node->memory_bytes += node->numas.items[i].memory_bytes;
        for (unsigned k = 0; k < cores; k++) {
            struct core core = { .id = i * cores + k, .numa = id, .socket = i / 2 };
            core.l3 = each ? i * cores + k / each + 1 : 0;
            for (unsigned t = 0; t < threads; t++)
                cpu_siblings_add(&core.cpus, i * cores + k + t * numas * cores);
            vec_push(&node->cores, core);
        }
    }
}

static void add_gpus(void)
{
    unsigned n = random_below(17), island = random_below(4), group = random_below(4);
    size_t numas = node->numas.len;

    for (unsigned i = 0; i < n; i++) {
        unsigned numa = (unsigned) (i * numas / n);
        struct gpu gpu = {
            .uuid = xasprintf("GPU-%u", i),
            .model = xstrdup(one_in(8) ? "T4" : "H100"),
            .numa = one_in(20) ? -1 : (int) node->numas.items[numa].id,
            .module = i + 1,
            /* none, pairs, fours, all */
            .island = island == 0   ? 0
                      : island == 3 ? 1
                                    : 1 + i / (2 * island),
            .pcie = one_in(6) ? NULL : xasprintf("r%u/s%u", numa, i / 2),
            .iommu_group = group == 0 ? xasprintf("%u", i / 2) : NULL,
            .fault = one_in(15) ? xstrdup("it fell off the bus") : NULL,
        };
        vec_push(&node->gpus, gpu);
    }
}

/* Halves, quarters and single ones, as on an HGX board; or sets at random, which overlap in any way. */
static void add_partitions(void)
{
    uint64_t all = (UINT64_C(1) << node->gpus.len) - 1;
    unsigned id = 0;

    if (node->gpus.len == 0 || !one_in(3))
        return;
    if (one_in(2)) {
        for (unsigned k = 0; k < 8; k++)
            vec_push(&node->partitions,
                     ((struct gpu_partition){ k, 1 | (random_below(1u << 16) & all) }));
        return;
    }
    for (size_t size = node->gpus.len; size > 0; size /= 2)
        for (size_t at = 0; at + size <= node->gpus.len; at += size)
            vec_push(&node->partitions,
                     ((struct gpu_partition){ id++, ((UINT64_C(1) << size) - 1) << at }));
}

static void add_nics(void)
{
    for (unsigned i = random_below(5); i > 0; i--) {
        size_t numa = random_below((unsigned) node->numas.len);
        struct nic nic = { .name = xasprintf("mlx5_%u", i),
                           .numa = (int) node->numas.items[numa].id,
                           .vfs = random_below(4),
                           .rdma = !one_in(5) };
        vec_push(&node->nics, nic);
    }
}

static void make_node(void)
{
    node = xnew(struct node);
    node->name = xstrdup("n1");
    node->disk_bytes = 1000 * GIB;
    node->reserved_disk_bytes = random_below(2) * 100 * GIB;
    add_numas();
    add_gpus();
    add_partitions();
    add_nics();
}

/* ---- invariants ---------------------------------------------------------------------------------------- */

static size_t gpu_at(const char *uuid)
{
    size_t i = 0;

    while (!str_equal(node->gpus.items[i].uuid, uuid))
        i++;
    return i;
}

static uint64_t gpus_of(const struct task *task)
{
    uint64_t bits = 0;

    for (char **gpu = task->grant.allocation->gpus; gpu && *gpu; gpu++)
        bits |= UINT64_C(1) << gpu_at(*gpu);
    return bits;
}

static uint64_t partition_of(const struct task *task)
{
    vec_foreach(&node->partitions, partition)
        if (task->grant.allocation->in_partition &&
            partition->id == task->grant.allocation->partition)
            return partition->gpus;
    return 0;
}

static bool are_of_one_org(const struct task *a, const struct task *b)
{
    return id_equal(&a->grant.owner, &b->grant.owner);
}

/* I2, I6: may GPU I be A's and GPU K be B's? */
static void check_joined(const struct task *a, const struct task *b, size_t i, size_t k)
{
    const struct gpu *one = &node->gpus.items[i], *other = &node->gpus.items[k];
    bool override = a->spec.splits_islands && b->spec.splits_islands;

    ok(!one->iommu_group || !str_equal(one->iommu_group, other->iommu_group));
    if (node->partitions.len == 0 && !override)
        ok(one->island == 0 || one->island != other->island);
}

static void check_pair(const struct task *a, const struct task *b)
{
    uint64_t gpus_a = gpus_of(a), gpus_b = gpus_of(b);

    ok(!cpu_set_intersects(&a->grant.allocation->cpus, &b->grant.allocation->cpus)); /* I1 */
    if (are_of_one_org(a, b)) {
        ok(!(gpus_a & gpus_b) || (a->spec.gpu_milli && b->spec.gpu_milli));
        return;
    }
    ok(!(gpus_a & gpus_b));
    ok(!(partition_of(a) & partition_of(b))); /* I7 */
    for (size_t i = 0; i < node->gpus.len; i++)
        for (size_t k = 0; k < node->gpus.len; k++)
            if ((gpus_a >> i & 1) && (gpus_b >> k & 1))
                check_joined(a, b, i, k);
}

static unsigned cores_on(const struct task *task, const struct numa_node *numa)
{
    unsigned n = 0;

    vec_foreach(&node->cores, core)
        n += (!numa || core->numa == numa->id) &&
             cpu_siblings_intersect(&core->cpus, &task->grant.allocation->cpus);
    return n;
}

static unsigned gpus_on(const struct task *task, const struct numa_node *numa)
{
    uint64_t bits = gpus_of(task);
    unsigned n = 0;

    for (size_t i = 0; i < node->gpus.len; i++)
        n +=
            (bits >> i & 1) && (node->gpus.items[i].numa == (int) numa->id || node->numas.len == 1);
    return n;
}

/* The fewest NUMA nodes that have as many GPUs of the model as the task wanted: most first. */
static unsigned fewest(const struct task *task)
{
    unsigned has[8] = { 0 }, n = 0, have = 0;

    for (size_t i = 0; i < node->numas.len; i++)
        vec_foreach(&node->gpus, gpu)
            has[i] += gpu_is_model(gpu, task->spec.gpu_model) &&
                      (gpu->numa == (int) node->numas.items[i].id || node->numas.len == 1);
    while (have < task->spec.gpus) {
        unsigned best = 0;
        for (unsigned i = 1; i < 8; i++)
            best = has[i] > has[best] ? i : best;
        have += has[best];
        has[best] = 0;
        n++;
    }
    return n;
}

/* What the task has there beside cores. */
static struct numa_part part_on(const struct task *task, const struct numa_node *numa)
{
    const struct allocation *a = task->grant.allocation;
    struct numa_part sum = { .numa = numa->id };

    for (size_t i = 0; i < a->n_parts; i++) {
        if (a->parts[i].numa != numa->id)
            continue;
        sum.memory_bytes += a->parts[i].memory_bytes;
        for (int size = 0; size < HUGE_PAGE_MAX; size++)
            sum.huge_pages.n[size] += a->parts[i].huge_pages.n[size];
    }
    return sum;
}

/* I3 */
static void check_near(const struct task *task)
{
    const struct allocation *a = task->grant.allocation;
    unsigned used = 0;

    if (!task->spec.numa_strict || task->spec.gpus == 0)
        return;
    vec_foreach(&node->numas, numa) {
        unsigned gpus = gpus_on(task, numa), cores = cores_on(task, numa);
        unsigned share = task->spec.cores * gpus / task->spec.gpus;
        const struct numa_part part = part_on(task, numa);
        used += gpus > 0;
        ok(task->spec.machines.exclusive ? cores >= share
           : gpus > 0                    ? cores >= share && cores <= share + 1
                                         : cores == 0);
        for (int size = 0; size < HUGE_PAGE_MAX; size++) {
            unsigned pages = task->spec.huge_pages.n[size] * gpus / task->spec.gpus;
            ok(part.huge_pages.n[size] >= pages && part.huge_pages.n[size] <= pages + (gpus > 0));
        }
        if (task->spec.machines.exclusive)
            continue;
        int64_t memory = task->spec.memory_bytes / task->spec.cores * cores;
        ok(part.memory_bytes >= memory - 4096 && part.memory_bytes <= memory + 4096);
        ok(cpu_set_has(&a->mems, numa->id) ==
           (cores > 0 || part.memory_bytes > 0 || huge_pages_bytes(&part.huge_pages) > 0));
    }
    ok(used == fewest(task));
}

/* A NIC for RDMA on each NUMA node of the GPUs. */
static void check_nics(const struct task *task)
{
    vec_foreach(&node->numas, numa) {
        bool has = false;
        vec_foreach(&node->nics, nic)
            has |= nic->rdma && nic->numa == (int) numa->id;
        ok(!task->spec.network_optimised || has || gpus_on(task, numa) == 0);
    }
}

/* It has all that it asked for, wherever. */
static void check_whole(const struct task *task)
{
    const struct allocation *a = task->grant.allocation;
    int64_t memory = 0;
    struct huge_pages pages = { 0 };

    vec_foreach(&node->numas, numa) {
        const struct numa_part part = part_on(task, numa);
        memory += part.memory_bytes;
        for (int size = 0; size < HUGE_PAGE_MAX; size++)
            pages.n[size] += part.huge_pages.n[size];
    }
    ok(memory == task->spec.memory_bytes && memory == a->memory_bytes);
    ok(huge_pages_equal(&pages, &task->spec.huge_pages));
    ok(a->disk_bytes == task->spec.disk_bytes);
}

static void check_task(const struct task *task)
{
    uint64_t gpus = gpus_of(task);

    ok(task->spec.machines.exclusive ? cores_on(task, NULL) >= task->spec.cores
                                     : cores_on(task, NULL) == task->spec.cores);
    check_whole(task);
    ok((unsigned) __builtin_popcountll(gpus) == task->spec.gpus);
    const struct cpu_set *cpus = &task->grant.allocation->cpus;
    vec_foreach(&node->cores, core) /* I4 */
        ok(cpu_siblings_within(&core->cpus, cpus) || !cpu_siblings_intersect(&core->cpus, cpus));
    if (node->partitions.len > 0 && gpus) /* I7 */
        ok(task->grant.allocation->in_partition && (gpus & ~partition_of(task)) == 0);
    check_near(task);
    check_nics(task);
}

/* I1 of virtual functions. */
static void check_vfs(void)
{
    vec_foreach(&node->nics, nic) {
        unsigned given = 0;
        for (size_t i = 0; i < n_tasks; i++)
            for (char **name = tasks[i].grant.allocation->nics; name && *name; name++)
                given += str_equal(*name, nic->name);
        ok(given <= nic->vfs);
    }
}

/* I5, and I8 of cores: what the state says is free is what nobody has. */
static void check_cores(const struct node_state *state)
{
    for (size_t i = 0; i < node->numas.len; i++) {
        const struct numa_node *numa = &node->numas.items[i];
        unsigned all = 0, used = 0, reserve = 0;
        vec_foreach(&node->cores, core)
            all += core->numa == numa->id;
        reserve = node->reserved_cores < all ? node->reserved_cores : all;
        for (size_t k = 0; k < n_tasks; k++)
            used += cores_on(&tasks[k], numa);
        ok(state->numas.items[i].cores_free + used + reserve == all);
    }
}

/* I8 of memory and I1, I8 of huge pages, to the byte: free, tasks', the host's. Returns the host's memory there. */
static int64_t check_memory(const struct numa_state *state, const struct numa_node *numa)
{
    int64_t memory = state->memory_free_bytes;
    struct huge_pages pages = state->pages_free;

    ok(memory >= 0);
    for (size_t k = 0; k < n_tasks; k++) {
        const struct numa_part part = part_on(&tasks[k], numa);
        memory += part.memory_bytes;
        for (int size = 0; size < HUGE_PAGE_MAX; size++)
            pages.n[size] += part.huge_pages.n[size];
    }
    ok(huge_pages_equal(&pages, &numa->huge_pages));
    int64_t reserve = numa->memory_bytes - huge_pages_bytes(&numa->huge_pages) - memory;
    ok(reserve >= 0 && (reserve == 0) == (node->reserved_memory_bytes == 0));
    return reserve;
}

/* What the state says of the whole machine is the sum of its parts. */
static void check_sums(const struct node_state *state)
{
    int64_t reserve = 0, is_free = 0, disk = state->disk_free_bytes;

    for (size_t i = 0; i < node->numas.len; i++) {
        reserve += check_memory(&state->numas.items[i], &node->numas.items[i]);
        is_free += state->numas.items[i].memory_free_bytes;
    }
    ok(reserve == node->reserved_memory_bytes); /* I5 */
    ok(is_free == state->memory_free_bytes);
    for (size_t k = 0; k < n_tasks; k++)
        disk += tasks[k].grant.allocation->disk_bytes;
    ok(state->disk_free_bytes >= 0 && disk + node->reserved_disk_bytes == node->disk_bytes);
}

/* What tasks have of GPU I, in thousandths. */
static unsigned milli_of(size_t i)
{
    unsigned milli = 0;

    for (size_t k = 0; k < n_tasks; k++) {
        unsigned part = tasks[k].grant.allocation->gpu_milli;
        ok(part == tasks[k].spec.gpu_milli);
        milli += gpus_of(&tasks[k]) >> i & 1 ? part ? part : CAPACITY_GPU : 0;
    }
    return milli;
}

/* I1 and I8 of GPUs. */
static void check_gpus(const struct node_state *state)
{
    unsigned is_free = 0, used = 0, faulty = 0;

    for (size_t i = 0; i < node->gpus.len; i++)
        is_free += state->gpu_free[i];
    for (size_t i = 0; i < node->gpus.len; i++) {
        unsigned milli = milli_of(i);
        bool is_faulty = node->gpus.items[i].fault;
        ok(milli <= CAPACITY_GPU);
        ok(state->gpu_left[i] == (is_faulty ? 0 : CAPACITY_GPU - milli));
        used += milli > 0;
        faulty += !milli && is_faulty;
    }
    ok(is_free == state->gpus_free && is_free + used + faulty == node->gpus.len);
}

static void state_of_tasks(struct placement_grant *grants, struct node_state *ret)
{
    for (size_t i = 0; i < n_tasks; i++)
        grants[i] = tasks[i].grant;
    struct placement_node taken = { .node = node, .grants = grants, .n_grants = n_tasks };
    node_state_init(ret, &taken);
}

static void check_all(void)
{
    struct placement_grant grants[TASKS_MAX];
    struct node_state state;

    for (size_t i = 0; i < n_tasks; i++) {
        check_task(&tasks[i]);
        for (size_t k = 0; k < i; k++)
            check_pair(&tasks[i], &tasks[k]);
    }
    check_vfs();
    state_of_tasks(grants, &state);
    check_cores(&state);
    check_sums(&state);
    check_gpus(&state);
    node_state_done(&state);
}

/* ---- what happens ----------------------------------------------------------------------------------------- */

static struct workload_spec random_spec(void)
{
    static const unsigned parts[] = { 1, 250, 333, 500, 999 };
    static char model[] = "H100";
    unsigned gpus = one_in(4)   ? 0
                    : one_in(2) ? 1
                    : one_in(3) ? random_below(9)
                                : 1u << random_below(4);

    return (struct workload_spec){
        .cores = 1 + random_below(gpus ? 2 * gpus : 6),
        .memory_bytes = random_below(8) * GIB + random_below(3) * 4095,
        .disk_bytes = random_below(200) * GIB,
        .huge_pages = { { one_in(3) ? random_below(4) : 0, one_in(4) ? random_below(300) : 0 } },
        .gpus = gpus,
        .gpu_milli = gpus == 1 && one_in(2) ? parts[random_below(5)] : 0,
        .gpu_model = one_in(3) ? model : NULL,
        .numa_strict = one_in(2),
        .network_optimised = one_in(6),
        .splits_islands = one_in(4),
        .nodes = 1,
        .tasks_per_node = one_in(4) ? 1 + random_below(4) : 1,
        .machines = { .exclusive = one_in(12) },
    };
}

static void leave(size_t i)
{
    allocation_free((struct allocation *) (uintptr_t) tasks[i].grant.allocation);
    tasks[i] = tasks[--n_tasks];
}

/* Has another org a GPU of the island of GPU I? Both took flavors that split islands, then. */
static bool is_split(size_t i, const struct id *owner)
{
    for (size_t k = 0; k < n_tasks; k++)
        for (size_t j = 0; j < node->gpus.len; j++)
            if ((gpus_of(&tasks[k]) >> j & 1) && !id_equal(&tasks[k].grant.owner, owner) &&
                node->gpus.items[i].island == node->gpus.items[j].island)
                return true;
    return false;
}

/* Is there a GPU that some of SPEC's owner share, with enough left for it? */
static bool may_join(const struct workload_spec *spec, const struct id *owner)
{
    for (size_t i = 0; i < node->gpus.len; i++) {
        const struct gpu *gpu = &node->gpus.items[i];
        bool is_theirs = false;
        for (size_t k = 0; k < n_tasks; k++)
            is_theirs |= (gpus_of(&tasks[k]) >> i & 1) && tasks[k].spec.gpu_milli &&
                         id_equal(&tasks[k].grant.owner, owner);
        if (is_theirs && !gpu->fault && gpu_is_model(gpu, spec->gpu_model) &&
            milli_of(i) + spec->gpu_milli <= CAPACITY_GPU && !is_split(i, owner))
            return true;
    }
    return false;
}

/* Of how few L3 caches N cores of NUMA could be, by what was free: the largest first. */
static unsigned fewest_l3(const struct node_state *state, unsigned numa, unsigned n)
{
    unsigned has[64] = { 0 }, used = 0;

    vec_foreach(&node->cores, core)
        has[core->l3] += core->numa == numa && state->core_free[core->id];
    for (unsigned most; n > 0; n -= most < n ? most : n, used++) {
        size_t at = 0;
        for (size_t i = 1; i < 64; i++)
            at = has[i] > has[at] ? i : at;
        most = has[at];
        has[at] = 0;
    }
    return used;
}

static unsigned l3_of(const struct allocation *a, unsigned numa)
{
    bool has[64] = { 0 };
    unsigned n = 0;

    vec_foreach(&node->cores, core)
        has[core->l3] |= core->numa == numa && cpu_siblings_intersect(&core->cpus, &a->cpus);
    for (size_t i = 0; i < 64; i++)
        n += has[i];
    return n;
}

/* BEFORE: what was free when TASK came. */
static void check_l3(const struct node_state *before, const struct task *task)
{
    vec_foreach(&node->numas, numa)
        ok(l3_of(task->grant.allocation, numa->id) ==
           fewest_l3(before, numa->id, cores_on(task, numa)));
}

/* All tasks of one that comes. */
static void take(struct node_state *state, const struct shape *shape,
                 const struct workload_spec *spec)
{
    struct placement_grant grants[TASKS_MAX];
    struct allocation *all[TASKS_MAX];
    struct node_state before;

    state_of_tasks(grants, &before);
    for (unsigned i = 0; i < shape->tasks; i++)
        all[i] = node_state_take(state, shape);
    node_state_take_rest(state, shape, all, shape->tasks);
    for (unsigned i = 0; i < shape->tasks; i++)
        tasks[n_tasks++] = (struct task){ { all[i], shape->owner, spec->cores }, *spec };
    for (unsigned i = 0; i < shape->tasks; i++)
        for (char **gpu = all[i]->gpus; gpu && *gpu; gpu++)
            ok(!node->gpus.items[gpu_at(*gpu)].fault);
    if (shape->tasks == 1 && !spec->machines.exclusive)
        check_l3(&before, &tasks[n_tasks - 1]);
    node_state_done(&before);
}

/* A refusal that numbers do not explain must be for a reason: with no rules and nobody else there is none. */
static void arrive(void)
{
    struct placement_grant grants[TASKS_MAX];
    struct workload_spec spec = random_spec();
    struct id owner = { .bytes = { (uint8_t) (1 + random_below(ORGS)) } };
    struct shape shape = shape_of(&spec, &owner);
    struct node_state state;

    spec.numa_strict = shape.numa_strict;
    state_of_tasks(grants, &state);
    enum placement_rule rule = node_state_check(&state, &shape);
    ok((node_state_room(&state, &shape, 1) == 1 || node->cordoned) ==
       (rule == PLACEMENT_PLACED || node->cordoned));
    ok(!node->cordoned || rule != PLACEMENT_PLACED);
    if (spec.gpu_milli && !spec.machines.exclusive && !node->cordoned && may_join(&spec, &owner))
        ok(rule != PLACEMENT_NO_GPU && rule != PLACEMENT_NO_ISLAND);
    if (rule == PLACEMENT_PLACED && n_tasks + shape.tasks <= TASKS_MAX &&
        node_state_room(&state, &shape, shape.tasks) == shape.tasks)
        take(&state, &shape, &spec);
    if (rule == PLACEMENT_NO_NUMA && !shape.numa_strict)
        ok(node->partitions.len > 0);
    node_state_done(&state);
}

static void happen(void)
{
    if (node->gpus.len > 0 && one_in(12)) {
        struct gpu *gpu = &node->gpus.items[random_below((unsigned) node->gpus.len)];
        xstr_set(&gpu->fault, gpu->fault ? NULL : "it fell off the bus");
    }
    if (one_in(10))
        node->cordoned = !node->cordoned;
    arrive();
    if (n_tasks > 0 && one_in(3))
        leave(random_below((unsigned) n_tasks));
}

TEST(the_eight_invariants_hold)
{
    seed = 88172645463325252U;
    for (int world = 0; world < 400; world++) {
        make_node();
        for (int i = 0; i < 40; i++) {
            happen();
            check_all();
        }
        while (n_tasks > 0)
            leave(0);
        node_free(node);
    }
}

/* ---- by hand ---------------------------------------------------------------------------------------------- */

/* Two NUMA nodes with 4 GPUs each on 2 switches. */
static void make_hgx(bool has_islands)
{
    node = xnew(struct node);
    node->name = xstrdup("n1");
    node->memory_bytes = 64 * GIB;
    for (unsigned i = 0; i < 2; i++)
        vec_push(&node->numas, ((struct numa_node){ .id = i, .memory_bytes = 32 * GIB }));
    for (unsigned i = 0; i < 32; i++) {
        struct core core = { .id = i, .numa = i / 16 };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < 8; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("GPU-%u", i),
                                             .model = xstrdup("H100"),
                                             .numa = (int) i / 4,
                                             .module = i + 1,
                                             .island = has_islands,
                                             .pcie = xasprintf("r%u/s%u", i / 4, i / 2) }));
}

static enum placement_rule ask(unsigned gpus, uint8_t org, bool strict, uint64_t *ret)
{
    struct placement_grant grants[TASKS_MAX];
    struct workload_spec spec = {
        .cores = gpus * 4, .gpus = gpus, .numa_strict = strict, .nodes = 1, .tasks_per_node = 1
    };
    struct id owner = { .bytes = { org } };
    struct shape shape = shape_of(&spec, &owner);
    struct node_state state;

    state_of_tasks(grants, &state);
    enum placement_rule rule = node_state_check(&state, &shape);
    if (rule == PLACEMENT_PLACED) {
        tasks[n_tasks++] =
            (struct task){ { node_state_take(&state, &shape), owner, spec.cores }, spec };
        *ret = gpus_of(&tasks[n_tasks - 1]);
    }
    node_state_done(&state);
    return rule;
}

static void empty(void)
{
    while (n_tasks > 0)
        leave(0);
    node_free(node);
}

TEST(small_ones_leave_large_holes)
{
    uint64_t got = 0;

    make_hgx(false);
    ok(ask(1, 1, true, &got) == PLACEMENT_PLACED && got == 1);
    ok(ask(2, 1, true, &got) == PLACEMENT_PLACED && got == 0xc);
    ok(ask(1, 1, true, &got) == PLACEMENT_PLACED && got == 2);
    ok(ask(4, 1, true, &got) == PLACEMENT_PLACED && got == 0xf0);
    empty();
}

/* Four L3 caches of 8 cores on each of two NUMA nodes, as on an EPYC. */
TEST(cores_that_share_a_cache_stay_together)
{
    static const struct {
        unsigned cores;
        const char *cpus;
    } steps[] = { { 3, "0-2" },   { 8, "8-15" },   { 5, "3-7" },   { 12, "16-27" }, { 4, "28-31" },
                  { 6, "32-37" }, { 10, "38-47" }, { 2, "48-49" }, { 14, "50-63" } };

    node = xnew(struct node);
    node->name = xstrdup("n1");
    for (unsigned i = 0; i < 2; i++)
        vec_push(&node->numas, ((struct numa_node){ .id = i }));
    for (unsigned i = 0; i < 64; i++) {
        struct core core = { .id = i, .numa = i / 32, .l3 = 1 + i / 8 };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct placement_grant grants[TASKS_MAX];
        struct workload_spec spec = { .cores = steps[i].cores, .nodes = 1, .tasks_per_node = 1 };
        struct shape shape = shape_of(&spec, &id_none);
        struct node_state state;
        state_of_tasks(grants, &state);
        struct allocation *a = node_state_take(&state, &shape);
        tasks[n_tasks++] = (struct task){ { a, id_none, spec.cores }, spec };
        node_state_done(&state);
        _cleanup_free_ char *cpus = cpu_set_format(&a->cpus);
        is_str(cpus, steps[i].cpus);
    }
    empty();
}

TEST(an_island_is_one_orgs)
{
    uint64_t got = 0;

    make_hgx(true);
    ok(ask(2, 1, false, &got) == PLACEMENT_PLACED);
    ok(ask(1, 2, false, &got) == PLACEMENT_NO_ISLAND);
    ok(ask(1, 1, false, &got) == PLACEMENT_PLACED);
    empty();
}

/* Two tasks with a machine to themselves have the cores near their own GPUs. */
TEST(cores_that_are_left_go_to_who_is_near)
{
    struct workload_spec spec = {
        .cores = 2, .gpus = 4, .nodes = 1, .tasks_per_node = 2, .machines = { .exclusive = true }
    };
    struct id owner = { .bytes = { 1 } };
    struct shape shape = shape_of(&spec, &owner);
    struct placement_grant grants[TASKS_MAX];
    struct node_state state;

    make_hgx(true);
    state_of_tasks(grants, &state);
    take(&state, &shape, &spec);
    node_state_done(&state);
    _cleanup_free_ char *first = cpu_set_format(&tasks[0].grant.allocation->cpus);
    _cleanup_free_ char *second = cpu_set_format(&tasks[1].grant.allocation->cpus);
    is_str(first, "0-15");
    is_str(second, "16-31");
    empty();
}

/* What keeps SPEC of org ORG, in words. */
static void is_refused(const struct workload_spec *spec, uint8_t org, const char *says)
{
    struct id owner = { .bytes = { org } };
    struct shape shape = shape_of(spec, &owner);
    struct placement_grant grants[TASKS_MAX];
    struct node_state state;
    char text[232];

    state_of_tasks(grants, &state);
    ok(explain_refusal(&state, 1, &shape, text, sizeof text) != PLACEMENT_PLACED);
    is_str(text, says);
    node_state_done(&state);
}

TEST(a_refusal_says_whose_islands_and_partitions_are)
{
    struct workload_spec spec = { .cores = 2, .gpus = 2, .nodes = 1, .tasks_per_node = 1 };
    uint64_t got = 0;

    make_hgx(true);
    ok(ask(2, 1, false, &got) == PLACEMENT_PLACED);
    is_refused(&spec, 2,
               "needs 2 GPUs; 6 are free on node n1, but 6 of them are joined by NVLink or an "
               "IOMMU group to GPUs of another org; the operator may allow it: splits_islands of "
               "flavors");
    vec_foreach(&node->gpus, gpu)
        gpu->iommu_group = xstrdup("1");
    is_refused(&spec, 2,
               "needs 2 GPUs; 6 are free on node n1, but 6 of them are joined by NVLink or an "
               "IOMMU group to GPUs of another org");
    empty();

    make_hgx(true);
    node_set_partitions(node, "1=1-4 2=5-8 3=1,2");
    ok(ask(2, 1, false, &got) == PLACEMENT_PLACED && got == 3);
    ok(ask(4, 2, false, &got) == PLACEMENT_PLACED && got == 0xf0);
    is_refused(&spec, 2,
               "needs 2 GPUs in one partition: 2 are free, at most 0 together; 2 partitions of so "
               "many overlap one in use");
    spec.numa_strict = true;
    is_refused(&spec, 2,
               "needs 2 GPUs on one NUMA node: 2 are free, at most 0 together; 2 partitions of so "
               "many overlap one in use");
    is_refused(&spec, 3,
               "needs 2 GPUs on one NUMA node: 2 are free, at most 0 together; 3 partitions of so "
               "many overlap one in use");
    empty();
}

TEST(a_refusal_says_where_nics_are)
{
    struct workload_spec spec = {
        .cores = 2, .gpus = 2, .network_optimised = true, .nodes = 1, .tasks_per_node = 1
    };
    const struct id owner = { .bytes = { 1 } };
    struct placement_grant grants[TASKS_MAX];
    struct shape shape = shape_of(&spec, &owner);
    struct node_state state;
    struct error why;
    char text[232];

    make_hgx(false);
    const struct node *all[] = { node };
    ok(placement_can_ever_fit(all, 1, &spec, &why) == -EDOM);
    is_str(why.text,
           "no node can ever hold the job: it needs 2 GPUs and a NIC for RDMA on the same "
           "NUMA node; of node n1 NUMA node 0 has none, 1 has none");
    vec_push(&node->nics,
             ((struct nic){ .name = xstrdup("mlx5_0"), .numa = 1, .vfs = 3, .rdma = true }));
    ok(placement_can_ever_fit(all, 1, &spec, &why) == 0);
    state_of_tasks(grants, &state);
    tasks[n_tasks++] =
        (struct task){ { node_state_take(&state, &shape), owner, spec.cores }, spec };
    ok(explain_refusal(&state, 1, &shape, text, sizeof text) == PLACEMENT_NO_NUMA);
    is_str(text,
           "needs 2 GPUs and a NIC for RDMA on the same NUMA node; of node n1 NUMA node 0 has "
           "none, 1 has 1 with 1 of 3 virtual functions free");
    node_state_done(&state);
    empty();
}

TEST(a_refusal_says_how_many_huge_pages_are_free)
{
    struct workload_spec spec = {
        .cores = 2, .huge_pages = { { 0, 6 } }, .nodes = 1, .tasks_per_node = 1
    };
    struct shape shape = shape_of(&spec, &id_none);
    struct placement_grant grants[TASKS_MAX];
    struct node_state state;
    char text[232];

    make_hgx(false);
    for (unsigned i = 0; i < 2; i++)
        node->numas.items[i].huge_pages.n[HUGE_PAGE_2M] = 5;
    const struct node *all[] = { node };
    struct error why;
    state_of_tasks(grants, &state);
    tasks[n_tasks++] =
        (struct task){ { node_state_take(&state, &shape), id_none, spec.cores }, spec };
    ok(explain_refusal(&state, 1, &shape, text, sizeof text) == PLACEMENT_NO_HUGE_PAGES);
    is_str(text, "needs 6 huge pages of 2 MiB; 4 of 10 are free on node n1");
    node_state_done(&state);
    spec.huge_pages.n[HUGE_PAGE_2M] = 11;
    ok(placement_can_ever_fit(all, 1, &spec, &why) == -EDOM);
    is_str(why.text,
           "no node can ever hold the job: it needs 11 huge pages of 2 MiB; node n1 has 10");
    empty();
}

TEST(a_refusal_says_how_many_are_together)
{
    struct workload_spec spec = {
        .cores = 4, .gpus = 4, .numa_strict = true, .nodes = 1, .tasks_per_node = 1
    };
    struct shape shape = shape_of(&spec, &id_none);
    struct placement_grant grants[TASKS_MAX];
    struct node_state states[2];
    char text[232];
    uint64_t got;

    make_hgx(false);
    ok(ask(4, 1, true, &got) == PLACEMENT_PLACED && ask(1, 1, true, &got) == PLACEMENT_PLACED);
    leave(0);
    ok(ask(1, 1, false, &got) == PLACEMENT_PLACED);
    for (unsigned i = 0; i < 2; i++)
        state_of_tasks(grants, &states[i]);
    states[0].gpu_free[0] = states[1].gpu_free[0] = false;
    ok(explain_refusal(states, 2, &shape, text, sizeof text) == PLACEMENT_NO_NUMA);
    is_str(text, "needs 4 GPUs on one NUMA node: 10 are free, at most 3 together");
    node_state_done(&states[0]);
    node_state_done(&states[1]);
    empty();
}

TAP_MAIN
