/* numa.c - whose the memory and huge pages of each NUMA node are */
#include "placement/numa.h"

#include "base/alloc.h"

#define MIB (INT64_C(1) << 20)

int64_t part_of(int64_t whole, int64_t before, int64_t n, int64_t all)
{
    return whole / all * n + whole % all * (before + n) / all - whole % all * before / all;
}

static struct numa_state *numa_of_id(struct node_state *state, unsigned id)
{
    vec_foreach(&state->numas, numa)
        if (numa->id == id)
            return numa;
    return NULL;
}

/* ---- free ------------------------------------------------------------------------------------------- */

/* Of an allocation that does not say: by its cores, or by the size of its memory nodes. */
static void give_uncounted(struct node_state *state, const struct allocation *a)
{
    for (size_t i = 0; i < state->numas.len; i++)
        state->numas.items[i].memory_free_bytes -= slice_memory_share(state, a, i);
}

static void give_counted(struct node_state *state, const struct allocation *a)
{
    for (size_t i = 0; i < a->n_parts; i++) {
        const struct numa_part *part = &a->parts[i];
        struct numa_state *numa = numa_of_id(state, part->numa);
        if (!numa)
            continue;
        numa->memory_free_bytes -= part->memory_bytes;
        for (int k = 0; k < HUGE_PAGE_MAX; k++) {
            unsigned *is_free = &numa->pages_free.n[k];
            *is_free -= part->huge_pages.n[k] < *is_free ? part->huge_pages.n[k] : *is_free;
        }
    }
}

/* The reserve is kept on each NUMA node in proportion to its memory without huge pages. */
static void keep_reserve(struct node_state *state)
{
    int64_t all = 0, before = 0;

    vec_foreach(&state->numas, numa)
        all += numa->memory_free_bytes / MIB;
    vec_foreach(&state->numas, numa) {
        int64_t here = numa->memory_free_bytes / MIB;
        if (all > 0)
            numa->memory_free_bytes -=
                part_of(state->node->reserved_memory_bytes, before, here, all);
        before += here;
    }
}

void numa_init(struct node_state *state)
{
    vec_foreach(&state->node->numas, numa) {
        struct numa_state item = { .id = numa->id,
                                   .memory_bytes = numa->memory_bytes,
                                   .memory_free_bytes = numa->memory_bytes,
                                   .pages_free = numa->huge_pages };
        if (numa->memory_bytes > 0)
            item.memory_free_bytes -= huge_pages_bytes(&numa->huge_pages);
        vec_push(&state->numas, item);
    }
    keep_reserve(state);
    for (size_t i = 0; i < state->n_grants; i++) {
        const struct allocation *a = state->grants[i].allocation;
        if (a->parts)
            give_counted(state, a);
        else
            give_uncounted(state, a);
    }
}

unsigned numa_pages_free(const struct node_state *state, enum huge_page size)
{
    unsigned n = 0;

    vec_foreach(&state->numas, numa)
        n += numa->pages_free.n[size];
    return n;
}

enum huge_page numa_lacks_pages(const struct node_state *state, const struct shape *shape)
{
    int size = 0;

    while (size < HUGE_PAGE_MAX && (shape->huge_pages.n[size] == 0 ||
                                    numa_pages_free(state, size) >= shape->huge_pages.n[size]))
        size++;
    return size;
}

/* ---- taken ------------------------------------------------------------------------------------------ */

struct taking {
    struct node_state *state;
    unsigned cores[SLICE_NUMAS_MAX]; /* of the task, on each */
    struct numa_part parts[SLICE_NUMAS_MAX];
    size_t n; /* NUMA nodes */
};

static void count_cores(struct taking *t, const struct cpu_set *cpus)
{
    for (size_t i = 0; i < t->n; i++)
        t->parts[i].numa = t->state->numas.items[i].id;
    vec_foreach(&t->state->node->cores, core) {
        if (!cpu_siblings_intersect(&core->cpus, cpus))
            continue;
        for (size_t i = 0; i < t->n; i++)
            t->cores[i] += t->parts[i].numa == core->numa;
    }
}

/* At most BYTES; how many they were. */
static int64_t take_memory_on(struct taking *t, size_t i, int64_t bytes)
{
    struct numa_state *numa = &t->state->numas.items[i];
    int64_t take = bytes < numa->memory_free_bytes ? bytes : numa->memory_free_bytes;

    if (take <= 0)
        return 0;
    numa->memory_free_bytes -= take;
    t->parts[i].memory_bytes += take;
    return take;
}

static void take_memory(struct taking *t, int64_t bytes)
{
    int64_t left = bytes;
    unsigned all = 0, before = 0;

    for (size_t i = 0; i < t->n; i++)
        all += t->cores[i];
    for (size_t i = 0; i < t->n && all > 0; before += t->cores[i++])
        left -= take_memory_on(t, i, part_of(bytes, before, t->cores[i], all));
    for (size_t i = 0; i < t->n; i++)
        left -= t->cores[i] ? take_memory_on(t, i, left) : 0;
    for (size_t i = 0; i < t->n; i++)
        left -= take_memory_on(t, i, left);
}

static unsigned take_pages_on(struct taking *t, size_t i, enum huge_page size, unsigned n)
{
    unsigned *is_free = &t->state->numas.items[i].pages_free.n[size];
    unsigned take = n < *is_free ? n : *is_free;

    *is_free -= take;
    t->parts[i].huge_pages.n[size] += take;
    return take;
}

static void take_pages(struct taking *t, const struct slice *slice, enum huge_page size, unsigned n)
{
    for (size_t i = 0; i < t->n; i++)
        n -= take_pages_on(t, i, size, slice->pages[i].n[size] < n ? slice->pages[i].n[size] : n);
    for (size_t i = 0; i < t->n; i++)
        n -= t->cores[i] ? take_pages_on(t, i, size, n) : 0;
    for (size_t i = 0; i < t->n; i++)
        n -= take_pages_on(t, i, size, n);
}

static bool is_something(const struct numa_part *part)
{
    return part->memory_bytes > 0 || huge_pages_bytes(&part->huge_pages) > 0;
}

void numa_take(struct node_state *state, const struct shape *shape, const struct slice *slice,
               struct allocation *a)
{
    struct taking t = { .state = state,
                        .n = state->numas.len < SLICE_NUMAS_MAX ? state->numas.len
                                                                : SLICE_NUMAS_MAX };

    count_cores(&t, &a->cpus);
    take_memory(&t, shape->memory_bytes);
    for (int size = 0; size < HUGE_PAGE_MAX; size++)
        take_pages(&t, slice, size, shape->huge_pages.n[size]);
    a->parts = xnew_n(struct numa_part, t.n + 1);
    for (size_t i = 0; i < t.n; i++) {
        if (t.cores[i] > 0 || is_something(&t.parts[i]))
            cpu_set_add(&a->mems, t.parts[i].numa);
        if (is_something(&t.parts[i]))
            a->parts[a->n_parts++] = t.parts[i];
    }
}
