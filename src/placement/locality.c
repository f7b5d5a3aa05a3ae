/* locality.c - machines in the order of their spots */
#include "placement/locality.h"

#include "base/alloc.h"
#include "base/vec.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

struct standing {
    struct spot spot;
    uint32_t node;
};

struct locality {
    VEC(struct spot) spots; /* by machine */
    struct standing *sorted;
    uint32_t *order, *at;        /* machine by place, place by machine */
    size_t *starts[LEVEL_MAX];   /* by domain, and the end of the last */
    uint32_t *within[LEVEL_MAX]; /* domain by place */
    size_t n_domains[LEVEL_MAX];
    bool is_sorted;
};

const char *level_name(enum level level)
{
    static const char *const names[] = { "all", "site", "block", "leaf", "node" };

    return level < LEVEL_MAX ? names[level] : NULL;
}

struct locality *locality_new(void) { return xnew(struct locality); }

static void forget_order(struct locality *l)
{
    free(l->sorted);
    free(l->order);
    free(l->at);
    for (unsigned i = 0; i < LEVEL_MAX; i++) {
        free(l->starts[i]);
        free(l->within[i]);
    }
}

void locality_free(struct locality *l)
{
    if (!l)
        return;
    forget_order(l);
    vec_done(&l->spots);
    free(l);
}

void locality_grow(struct locality *l, size_t n)
{
    while (l->spots.len < n) {
        vec_push(&l->spots, (struct spot){ 0 });
        l->is_sorted = false;
    }
}

void locality_stand(struct locality *l, size_t node, const struct spot *spot)
{
    struct spot *at = &l->spots.items[node];

    assert(node < l->spots.len);
    if (at->site == spot->site && at->block == spot->block && at->leaf == spot->leaf)
        return;
    *at = *spot;
    l->is_sorted = false;
}

static int compare_numbers(uint32_t a, uint32_t b) { return a < b ? -1 : a > b; }

/* The widest level at which they stand apart; LEVEL_MAX: it is the same machine. */
static enum level parts_at(const struct standing *a, const struct standing *b)
{
    if (a->spot.site != b->spot.site)
        return LEVEL_SITE;
    if (a->spot.block != b->spot.block)
        return LEVEL_BLOCK;
    if (a->spot.leaf != b->spot.leaf)
        return LEVEL_LEAF;
    return a->node != b->node ? LEVEL_NODE : LEVEL_MAX;
}

static int compare_standings(const void *pa, const void *pb)
{
    const struct standing *a = pa, *b = pb;

    if (a->spot.site != b->spot.site)
        return compare_numbers(a->spot.site, b->spot.site);
    if (a->spot.block != b->spot.block)
        return compare_numbers(a->spot.block, b->spot.block);
    if (a->spot.leaf != b->spot.leaf)
        return compare_numbers(a->spot.leaf, b->spot.leaf);
    return compare_numbers(a->node, b->node);
}

static void find_domains(struct locality *l, enum level level)
{
    size_t n = l->spots.len, domains = 0;

    l->starts[level] = xnew_n(size_t, n + 1);
    l->within[level] = xnew_n(uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || parts_at(&l->sorted[i - 1], &l->sorted[i]) <= level)
            l->starts[level][domains++] = i;
        l->within[level][i] = (uint32_t) domains - 1;
    }
    l->starts[level][domains] = n;
    l->n_domains[level] = domains;
}

static void sort(struct locality *l)
{
    size_t n = l->spots.len;

    if (l->is_sorted)
        return;
    forget_order(l);
    l->sorted = xnew_n(struct standing, n + 1);
    l->order = xnew_n(uint32_t, n + 1);
    l->at = xnew_n(uint32_t, n + 1);
    for (size_t i = 0; i < n; i++)
        l->sorted[i] = (struct standing){ l->spots.items[i], (uint32_t) i };
    qsort(l->sorted, n, sizeof *l->sorted, compare_standings);
    for (size_t i = 0; i < n; i++) {
        l->order[i] = l->sorted[i].node;
        l->at[l->order[i]] = (uint32_t) i;
    }
    for (enum level level = LEVEL_ALL; level < LEVEL_MAX; level++)
        find_domains(l, level);
    l->is_sorted = true;
}

const uint32_t *locality_order(struct locality *l)
{
    sort(l);
    return l->order;
}

size_t locality_domains(struct locality *l, enum level level)
{
    sort(l);
    return l->n_domains[level];
}

struct stretch locality_range(struct locality *l, enum level level, size_t domain)
{
    sort(l);
    assert(domain < l->n_domains[level]);
    return (struct stretch){ l->starts[level][domain], l->starts[level][domain + 1] };
}

size_t locality_domain_at(struct locality *l, enum level level, size_t at)
{
    sort(l);
    assert(at < l->spots.len);
    return l->within[level][at];
}

size_t locality_at(struct locality *l, size_t node)
{
    sort(l);
    assert(node < l->spots.len);
    return l->at[node];
}
