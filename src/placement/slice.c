/* slice.c - legal slices of a machine, and of these the one that breaks the least */
#include "placement/numa.h"

#include "base/alloc.h"
#include "base/text.h"

#include <limits.h>

enum { LEVELS = 3 };

#define MIB (INT64_C(1) << 20)

static uint64_t bit(size_t i) { return UINT64_C(1) << i; }

static unsigned count_of(uint64_t bits) { return (unsigned) __builtin_popcountll(bits); }

/* ---- whose ------------------------------------------------------------------------------------------ */

/* Would GPU I, given to SHAPE's owner, be joined to one of another org? */
static bool is_joined_to_others(const struct node_state *state, const struct shape *shape, size_t i)
{
    const struct node *node = state->node;
    const struct gpu *gpu = &node->gpus.items[i];

    for (size_t k = 0; k < node->gpus.len; k++) {
        const struct gpu *other = &node->gpus.items[k];
        const struct gpu_hold *hold = &state->gpu_holds[k];
        if (!hold->is_held || id_equal(&hold->owner, &shape->owner))
            continue;
        if (k == i)
            return true;
        if (gpu->iommu_group && str_equal(gpu->iommu_group, other->iommu_group))
            return true;
        if (node->partitions.len == 0 && gpu->island > 0 && gpu->island == other->island &&
            !(hold->splits_islands && shape->splits_islands))
            return true;
    }
    return false;
}

bool slice_has_gpu(const struct node_state *state, const struct shape *shape, size_t i)
{
    const struct gpu_hold *hold = &state->gpu_holds[i];

    if (!shape->gpu_milli)
        return state->gpu_free[i];
    return state->gpu_left[i] >= shape->gpu_milli &&
           (!hold->is_held || (hold->is_shared && id_equal(&hold->owner, &shape->owner)));
}

uint64_t slice_candidates(const struct node_state *state, const struct shape *shape)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < state->node->gpus.len; i++)
        if (slice_has_gpu(state, shape, i) && gpu_would_do(&state->node->gpus.items[i], shape) &&
            !is_joined_to_others(state, shape, i))
            bits |= bit(i);
    return bits;
}

unsigned slice_parts(const struct node_state *state, const struct shape *shape)
{
    uint64_t bits = slice_candidates(state, shape);
    unsigned n = 0;

    for (uint64_t rest = shape->gpu_milli ? bits : 0; rest; rest &= rest - 1)
        n += state->gpu_left[__builtin_ctzll(rest)] / shape->gpu_milli;
    return shape->gpu_milli ? n : count_of(bits);
}

/* A partition may be used if it overlaps none that is, or lies in one of the same org. */
static bool partition_is_legal(const struct node_state *state, const struct shape *shape,
                               uint64_t gpus)
{
    for (size_t i = 0; i < state->node->gpus.len; i++) {
        const struct gpu_hold *hold = &state->gpu_holds[i];
        if (!hold->is_held || !(hold->partition & gpus))
            continue;
        if (!id_equal(&hold->owner, &shape->owner) || (gpus & ~hold->partition))
            return false;
    }
    return true;
}

/* ---- near what -------------------------------------------------------------------------------------- */

/* Position of the GPU's NUMA node, -1: not known. */
static int numa_of(const struct node_state *state, size_t gpu)
{
    int id = state->node->gpus.items[gpu].numa;

    if (state->numas.len == 1)
        return 0;
    for (size_t i = 0; i < state->numas.len && i < SLICE_NUMAS_MAX; i++)
        if (id >= 0 && state->numas.items[i].id == (unsigned) id)
            return (int) i;
    return -1;
}

/* N virtual functions, or a NIC that all use together, on NUMA node I. */
static bool has_nics(const struct node_state *state, size_t i, unsigned n)
{
    unsigned vfs = 0;

    for (size_t k = 0; k < state->node->nics.len; k++) {
        const struct nic *nic = &state->node->nics.items[k];
        if (!nic->rdma || nic->numa < 0 || (unsigned) nic->numa != state->numas.items[i].id)
            continue;
        if (nic->vfs == 0)
            return true;
        vfs += state->vfs_free[k];
    }
    return vfs >= n;
}

/* What is wanted of a NUMA node. */
struct portion {
    unsigned cores;
    int64_t memory_bytes;
    struct huge_pages pages;
};

static bool numa_holds(const struct node_state *state, const struct shape *shape, size_t i,
                       const struct portion *want)
{
    const struct numa_state *numa = &state->numas.items[i];
    unsigned cores = want->cores;
    int64_t memory_bytes = want->memory_bytes;

    for (int size = 0; size < HUGE_PAGE_MAX; size++)
        if (numa->pages_free.n[size] < want->pages.n[size])
            return false;
    return numa->cores_free >= cores && (numa->memory_bytes == 0 || shape->memory_bytes == 0 ||
                                         numa->memory_free_bytes >= memory_bytes);
}

struct spread {
    const struct node_state *state;
    const struct shape *shape;
    bool numbers_too;                /* each NUMA node must have the cores and memory as well */
    unsigned limit;                  /* of NUMA nodes */
    unsigned gpus[SLICE_NUMAS_MAX];  /* to choose from */
    unsigned taken[SLICE_NUMAS_MAX]; /* as it is being tried */
    unsigned best[SLICE_NUMAS_MAX];
    unsigned best_used, best_left;
    bool found;
};

/* The share of cores, memory and huge pages that N GPUs on one NUMA node bring along after BEFORE of them on others. */
static struct portion portion_of(const struct shape *shape, unsigned before, unsigned n)
{
    struct portion p = { .cores = (unsigned) part_of(shape->cores, before, n, shape->gpus) };
    int64_t cores_before = part_of(shape->cores, 0, before, shape->gpus);

    if (shape->cores)
        p.memory_bytes = part_of(shape->memory_bytes, cores_before, p.cores, shape->cores);
    for (int size = 0; size < HUGE_PAGE_MAX; size++)
        p.pages.n[size] = (unsigned) part_of(shape->huge_pages.n[size], before, n, shape->gpus);
    return p;
}

static void put_portions(const struct shape *shape, const unsigned *gpus, size_t n,
                         struct slice *ret)
{
    unsigned before = 0;

    for (size_t i = 0; i < n; before += gpus[i++]) {
        const struct portion p = portion_of(shape, before, gpus[i]);
        ret->cores[i] = p.cores;
        ret->pages[i] = p.pages;
    }
}

static bool spread_fits(const struct spread *s)
{
    size_t n = s->state->numas.len < SLICE_NUMAS_MAX ? s->state->numas.len : SLICE_NUMAS_MAX;
    unsigned before = 0;

    for (size_t i = 0; i < n; before += s->taken[i++]) {
        if (!s->taken[i])
            continue;
        const struct portion want = portion_of(s->shape, before, s->taken[i]);
        if (s->numbers_too && !numa_holds(s->state, s->shape, i, &want))
            return false;
        if (s->shape->network_optimised && !has_nics(s->state, i, s->taken[i]))
            return false;
    }
    return true;
}

/* Try all ways to take LEFT GPUs from NUMA node I on: the fewest nodes, and of these those with the fewest GPUs. */
static void spread_from(struct spread *s, size_t i, unsigned left, unsigned used, unsigned over)
{
    if (s->found && (used > s->best_used || (used == s->best_used && over >= s->best_left)))
        return;
    if (left == 0) {
        if (!spread_fits(s))
            return;
        memcpy(s->best, s->taken, sizeof s->best);
        s->best_used = used;
        s->best_left = over;
        s->found = true;
        return;
    }
    while (i < s->state->numas.len && i < SLICE_NUMAS_MAX && !s->gpus[i])
        i++;
    if (i >= s->state->numas.len || i >= SLICE_NUMAS_MAX || used == s->limit)
        return;
    for (unsigned n = left < s->gpus[i] ? left : s->gpus[i]; n > 0; n--) {
        s->taken[i] = n;
        spread_from(s, i + 1, left - n, used + 1, over + s->gpus[i] - n);
    }
    s->taken[i] = 0;
    spread_from(s, i + 1, left, used, over);
}

/* On how few NUMA nodes the machine has as many GPUs as SHAPE wants, whoever has them. */
static unsigned fewest_numas(const struct node_state *state, const struct shape *shape)
{
    unsigned gpus[SLICE_NUMAS_MAX] = { 0 }, n = 0, have = 0;

    for (size_t i = 0; i < state->node->gpus.len; i++) {
        int numa = numa_of(state, i);
        if (numa >= 0 && gpu_would_do(&state->node->gpus.items[i], shape))
            gpus[numa]++;
    }
    while (have < shape->gpus) {
        unsigned *most = gpus;
        for (size_t i = 1; i < SLICE_NUMAS_MAX; i++)
            most = gpus[i] > *most ? &gpus[i] : most;
        if (*most == 0)
            return SLICE_NUMAS_MAX;
        have += *most;
        *most = 0;
        n++;
    }
    return n;
}

/* ---- which -------------------------------------------------------------------------------------------- */

static size_t first_step(const char *pcie) { return pcie ? strcspn(pcie, "/") : 0; }

/* Do A and B belong together at LEVEL: island, host bridge, PCIe switch? */
static bool are_together(const struct gpu *a, const struct gpu *b, unsigned level)
{
    size_t len = first_step(a->pcie);

    if (level == 0)
        return a->island == b->island;
    if (!a->pcie || !b->pcie)
        return a->pcie == b->pcie;
    if (level == 1)
        return len == first_step(b->pcie) && strncmp(a->pcie, b->pcie, len) == 0;
    return str_equal(a->pcie, b->pcie);
}

static uint64_t together_with(const struct node *node, uint64_t bits, size_t i, unsigned level)
{
    uint64_t group = 0;

    for (uint64_t rest = bits; rest; rest &= rest - 1) {
        size_t k = (size_t) __builtin_ctzll(rest);
        if (are_together(&node->gpus.items[i], &node->gpus.items[k], level))
            group |= bit(k);
    }
    return group;
}

/* Of the groups of BITS the smallest that has N, else the largest. */
static uint64_t best_group(const struct node *node, uint64_t bits, unsigned n, unsigned level)
{
    uint64_t best = 0;

    for (uint64_t rest = bits; rest;) {
        uint64_t group = together_with(node, bits, (size_t) __builtin_ctzll(rest), level);
        unsigned has = count_of(group), had = count_of(best);
        rest &= ~group;
        if (!best || (has >= n && (had < n || has < had)) || (has < n && had < n && has > had))
            best = group;
    }
    return best;
}

/* N of BITS, as near to each other as may be. */
static uint64_t pick(const struct node *node, uint64_t bits, unsigned n, unsigned level)
{
    uint64_t picked = 0;

    while (n > 0) {
        uint64_t group = level < LEVELS ? best_group(node, bits, n, level) : bits & -bits;
        unsigned take = count_of(group) < n ? count_of(group) : n;
        uint64_t got = level < LEVELS ? pick(node, group, take, level + 1) : group;
        picked |= got;
        bits &= ~got;
        n -= take;
    }
    return picked;
}

/* ---- put together ------------------------------------------------------------------------------------- */

static bool find_spread(struct spread *s)
{
    s->numbers_too = true;
    spread_from(s, 0, s->shape->gpus, 0, 0);
    if (s->found || s->shape->numa_strict)
        return s->found;
    s->numbers_too = false;
    spread_from(s, 0, s->shape->gpus, 0, 0);
    return s->found;
}

/* As many GPUs as SHAPE wants, of BITS. */
static bool choose_of(const struct node_state *state, const struct shape *shape, uint64_t bits,
                      struct slice *ret)
{
    size_t n = state->numas.len < SLICE_NUMAS_MAX ? state->numas.len : SLICE_NUMAS_MAX;
    struct spread s = { .state = state, .shape = shape, .limit = SLICE_NUMAS_MAX };
    uint64_t on[SLICE_NUMAS_MAX] = { 0 };

    for (uint64_t rest = bits; rest; rest &= rest - 1) {
        int numa = numa_of(state, (size_t) __builtin_ctzll(rest));
        if (numa < 0)
            continue;
        s.gpus[numa]++;
        on[numa] |= rest & -rest;
    }
    if (shape->numa_strict)
        s.limit = fewest_numas(state, shape);
    ret->gpus = 0;
    memset(ret->cores, 0, sizeof ret->cores);
    memset(ret->pages, 0, sizeof ret->pages);
    if (find_spread(&s)) {
        for (size_t i = 0; i < n; i++)
            ret->gpus |= pick(state->node, on[i], s.best[i], 0);
        put_portions(shape, s.best, n, ret);
        return true;
    }
    if (shape->numa_strict || count_of(bits) < shape->gpus)
        return false;
    ret->gpus = pick(state->node, bits, shape->gpus, 0);
    return true;
}

/* Partitions of the table that are whole and larger, and would be so no more with GPUS taken. */
static unsigned broken_by(const struct node_state *state, uint64_t gpus)
{
    uint64_t is_free = 0;
    unsigned n = 0;

    for (size_t i = 0; i < state->node->gpus.len; i++)
        is_free |= state->gpu_free[i] ? bit(i) : 0;
    vec_foreach(&state->node->partitions, partition)
        n += (partition->gpus & ~is_free) == 0 && (partition->gpus & gpus) &&
             (partition->gpus & ~gpus);
    return n;
}

static bool choose_partition(const struct node_state *state, const struct shape *shape,
                             uint64_t candidates, struct slice *ret)
{
    struct slice here = { 0 };
    unsigned size = 0, broken = 0;

    ret->partition = NULL;
    vec_foreach(&state->node->partitions, partition) {
        unsigned n = count_of(partition->gpus), breaks = broken_by(state, partition->gpus);
        if (n < shape->gpus || (ret->partition && (n > size || (n == size && breaks >= broken))) ||
            !partition_is_legal(state, shape, partition->gpus) ||
            !choose_of(state, shape, candidates & partition->gpus, &here))
            continue;
        *ret = here;
        ret->partition = partition;
        size = n;
        broken = breaks;
    }
    return ret->partition;
}

/* Could NUMA node I hold all of SHAPE if it were empty? */
static bool numa_could_hold(const struct node_state *state, const struct shape *shape, size_t i)
{
    const struct numa_state *numa = &state->numas.items[i];

    for (int size = 0; size < HUGE_PAGE_MAX; size++)
        if (state->node->numas.items[i].huge_pages.n[size] < shape->huge_pages.n[size])
            return false;
    return numa->cores_usable >= shape->cores && numa->memory_bytes >= shape->memory_bytes;
}

/* Cores, memory and huge pages of one NUMA node; more than any has is spread. */
static bool choose_cores(const struct node_state *state, const struct shape *shape,
                         struct slice *ret)
{
    const struct portion all = { shape->cores, shape->memory_bytes, shape->huge_pages };
    bool is_too_large = !shape->network_optimised;
    int best = -1;

    *ret = (struct slice){ 0 };
    for (size_t i = 0; i < state->numas.len && i < SLICE_NUMAS_MAX; i++) {
        const struct numa_state *numa = &state->numas.items[i];
        if (numa_could_hold(state, shape, i))
            is_too_large = false;
        if (!numa_holds(state, shape, i, &all) ||
            (shape->network_optimised && !has_nics(state, i, 1)))
            continue;
        if (best < 0 || numa->cores_free < state->numas.items[best].cores_free)
            best = (int) i;
    }
    if (best >= 0) {
        ret->cores[best] = shape->cores;
        ret->pages[best] = shape->huge_pages;
    }
    return best >= 0 || is_too_large;
}

bool slice_matters(const struct node_state *state, const struct shape *shape)
{
    return !shape->shared &&
           (shape->numa_strict || (shape->gpus > 0 && state->node->partitions.len > 0));
}

static bool choose_gpus(const struct node_state *state, const struct shape *shape,
                        uint64_t candidates, struct slice *ret)
{
    ret->partition = NULL;
    return state->node->partitions.len > 0 ? choose_partition(state, shape, candidates, ret)
                                           : choose_of(state, shape, candidates, ret);
}

/* Those of BITS that have the least left. */
static uint64_t fullest(const struct node_state *state, uint64_t bits)
{
    unsigned least = UINT_MAX;
    uint64_t found = 0;

    for (uint64_t rest = bits; rest; rest &= rest - 1) {
        unsigned left = state->gpu_left[__builtin_ctzll(rest)];
        found = (left < least ? 0 : found) | (left <= least ? rest & -rest : 0);
        least = left < least ? left : least;
    }
    return found;
}

/* One that is wished for, else the one that has the least left. */
static bool choose_part(const struct node_state *state, const struct shape *shape,
                        uint64_t candidates, struct slice *ret)
{
    uint64_t wished = candidates & shape->gpus_wished;

    if (wished && choose_gpus(state, shape, wished, ret))
        return true;
    for (uint64_t rest = candidates, some; rest; rest &= ~some) {
        some = fullest(state, rest);
        if (choose_gpus(state, shape, some, ret))
            return true;
    }
    return false;
}

bool slice_choose(const struct node_state *state, const struct shape *shape, struct slice *ret)
{
    if (shape->gpus == 0)
        return choose_cores(state, shape, ret);
    uint64_t candidates = slice_candidates(state, shape);
    return shape->gpu_milli ? choose_part(state, shape, candidates, ret)
                            : choose_gpus(state, shape, candidates, ret);
}

/* Where a task of a partition's owner is within one that is in use, it is in that. */
uint64_t slice_partition_of(const struct node_state *state, const struct slice *slice)
{
    uint64_t within = slice->partition ? slice->partition->gpus : 0;

    for (size_t i = 0; i < state->node->gpus.len && within; i++) {
        const struct gpu_hold *hold = &state->gpu_holds[i];
        if (hold->is_held && (hold->partition & within) &&
            count_of(hold->partition) > count_of(within))
            within = hold->partition;
    }
    return within;
}

void slice_hold(struct node_state *state, const struct shape *shape, const struct slice *slice)
{
    uint64_t partition = slice_partition_of(state, slice);

    for (uint64_t rest = slice->gpus; rest; rest &= rest - 1) {
        size_t i = (size_t) __builtin_ctzll(rest);
        const struct gpu_hold *before = &state->gpu_holds[i];
        bool splits = shape->splits_islands && (!before->is_held || before->splits_islands);
        state->gpus_free -= state->gpu_free[i];
        state->gpu_free[i] = false;
        state->gpu_left[i] -= shape->gpu_milli ? shape->gpu_milli : state->gpu_left[i];
        state->gpu_holds[i] = (struct gpu_hold){ .is_held = true,
                                                 .is_shared = shape->gpu_milli > 0,
                                                 .splits_islands = splits,
                                                 .owner = shape->owner,
                                                 .partition = partition ? partition : bit(i) };
    }
}

/* The NIC on NUMA node I with a virtual function to give, that of GPU's switch if it can be. -1: none. */
static int nic_near(const struct node_state *state, unsigned numa, const struct gpu *gpu)
{
    int best = -1;

    for (size_t k = 0; k < state->node->nics.len; k++) {
        const struct nic *nic = &state->node->nics.items[k];
        if (!nic->rdma || nic->numa != (int) numa || state->vfs_free[k] == 0)
            continue;
        bool is_at_switch = gpu && gpu->pcie && str_equal(gpu->pcie, nic->pcie);
        if (best < 0 || is_at_switch)
            best = (int) k;
        if (is_at_switch)
            break;
    }
    return best;
}

unsigned slice_take_nics(struct node_state *state, const struct slice *slice, char **ret)
{
    unsigned n = 0;

    for (uint64_t rest = slice->gpus; rest; rest &= rest - 1) {
        size_t i = (size_t) __builtin_ctzll(rest);
        int numa = numa_of(state, i);
        int nic = numa < 0
                      ? -1
                      : nic_near(state, state->numas.items[numa].id, &state->node->gpus.items[i]);
        if (nic < 0)
            continue;
        state->vfs_free[nic]--;
        ret[n++] = xstrdup(state->node->nics.items[nic].name);
    }
    for (size_t i = 0; slice->gpus == 0 && i < state->numas.len && i < SLICE_NUMAS_MAX; i++) {
        int nic = slice->cores[i] ? nic_near(state, state->numas.items[i].id, NULL) : -1;
        if (nic < 0)
            continue;
        state->vfs_free[nic]--;
        ret[n++] = xstrdup(state->node->nics.items[nic].name);
    }
    return n;
}

unsigned slice_room(const struct node_state *state, const struct shape *shape, unsigned max)
{
    struct node_state trial = *state;
    size_t n_gpus = state->node->gpus.len, n_numas = state->numas.len;
    struct slice slice;
    unsigned n = 0;

    trial.gpu_free = xmemdup(state->gpu_free, n_gpus * sizeof *state->gpu_free);
    trial.gpu_left = xmemdup(state->gpu_left, n_gpus * sizeof *state->gpu_left);
    trial.gpu_holds = xmemdup(state->gpu_holds, n_gpus * sizeof *state->gpu_holds);
    trial.vfs_free = xmemdup(state->vfs_free, state->node->nics.len * sizeof *state->vfs_free);
    trial.numas.items = xmemdup(state->numas.items, n_numas * sizeof *state->numas.items);
    for (; n < max && slice_choose(&trial, shape, &slice); n++) {
        char *nics[NODE_GPUS_MAX + SLICE_NUMAS_MAX];
        unsigned before = 0;
        slice_hold(&trial, shape, &slice);
        for (unsigned i = shape->network_optimised ? slice_take_nics(&trial, &slice, nics) : 0;
             i > 0;)
            free(nics[--i]);
        for (size_t i = 0; i < n_numas && i < SLICE_NUMAS_MAX && shape->cores; i++) {
            struct numa_state *numa = &trial.numas.items[i];
            numa->cores_free -=
                slice.cores[i] < numa->cores_free ? slice.cores[i] : numa->cores_free;
            numa->memory_free_bytes -=
                part_of(shape->memory_bytes, before, slice.cores[i], shape->cores);
            before += slice.cores[i];
            for (int size = 0; size < HUGE_PAGE_MAX; size++) {
                unsigned *is_free = &numa->pages_free.n[size], want = slice.pages[i].n[size];
                *is_free -= want < *is_free ? want : *is_free;
            }
        }
    }
    free(trial.gpu_free);
    free(trial.gpu_left);
    free(trial.gpu_holds);
    free(trial.vfs_free);
    free(trial.numas.items);
    return n;
}

/* The most of BITS that are on one NUMA node, or with ANYWHERE all of them. */
static unsigned most_of(const struct node_state *state, uint64_t bits, bool anywhere)
{
    unsigned gpus[SLICE_NUMAS_MAX] = { 0 }, most = 0;

    if (anywhere)
        return count_of(bits);
    for (uint64_t rest = bits; rest; rest &= rest - 1) {
        int numa = numa_of(state, (size_t) __builtin_ctzll(rest));
        if (numa >= 0 && ++gpus[numa] > most)
            most = gpus[numa];
    }
    return most;
}

unsigned slice_most_together(const struct node_state *state, const struct shape *shape)
{
    uint64_t candidates = slice_candidates(state, shape);
    bool is_parted = state->node->partitions.len > 0, anywhere = is_parted && !shape->numa_strict;
    unsigned most = is_parted ? 0 : most_of(state, candidates, anywhere);

    vec_foreach(&state->node->partitions, partition) {
        unsigned n = most_of(state, candidates & partition->gpus, anywhere);
        if (partition_is_legal(state, shape, partition->gpus) && n > most)
            most = n;
    }
    return most;
}

unsigned slice_kept_partitions(const struct node_state *state, const struct shape *shape)
{
    unsigned n = 0;

    vec_foreach(&state->node->partitions, partition)
        n += count_of(partition->gpus) >= shape->gpus &&
             !partition_is_legal(state, shape, partition->gpus);
    return n;
}

bool slice_splitting_helps(const struct node_state *state, const struct shape *shape)
{
    struct node_state trial = *state;
    struct shape splits = *shape;
    size_t n = state->node->gpus.len;

    splits.splits_islands = true;
    trial.gpu_holds = xmemdup(state->gpu_holds, n * sizeof *state->gpu_holds);
    for (size_t i = 0; i < n; i++)
        trial.gpu_holds[i].splits_islands = true;
    bool helps = count_of(slice_candidates(&trial, &splits)) >= shape->gpus;
    free(trial.gpu_holds);
    return helps;
}

int64_t slice_memory_share(const struct node_state *state, const struct allocation *a, size_t i)
{
    unsigned cores[SLICE_NUMAS_MAX] = { 0 }, all = 0, before = 0;
    int64_t bytes = 0, bytes_here = 0;
    bool by_cores = true;

    for (size_t k = 0; k < state->numas.len && k < SLICE_NUMAS_MAX; k++) {
        const struct numa_state *numa = &state->numas.items[k];
        vec_foreach(&state->node->cores, core)
            cores[k] += core->numa == numa->id && cpu_siblings_intersect(&core->cpus, &a->cpus);
        all += cores[k];
        before += k < i ? cores[k] : 0;
        if (!cpu_set_has(&a->mems, numa->id))
            continue;
        by_cores &= cores[k] > 0;
        bytes += numa->memory_bytes;
        bytes_here += k == i ? numa->memory_bytes : 0;
    }
    if (by_cores && all > 0)
        return part_of(a->memory_bytes, before, cores[i], all);
    return bytes >= MIB ? a->memory_bytes / MIB * (bytes_here / MIB) / (bytes / MIB) * MIB : 0;
}
