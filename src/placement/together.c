/* together.c - places for many tasks, from the narrowest domain outwards */
#include "placement/together.h"

#include "base/alloc.h"

#include <stdlib.h>

/* What a machine turns out not to hold, though its numbers say so, is left out the next time. */
enum { TRIES = 4 };

struct search {
    struct capacity *c;
    struct locality *locality;
    const struct ask *ask;
    unsigned n;
    struct wish wish;
    const uint32_t *order;
    const int32_t *gains; /* by machine */
    struct stretch all;   /* places that may be used */
    bool is_dry;          /* fill() only counts */
    /* By place: */
    unsigned *most;   /* tasks that a machine was found to hold; UINT_MAX: not known */
    unsigned *counts; /* tasks that it seems to hold */
    unsigned *given;  /* tasks that go there */
    uint64_t *sums;   /* of the counts of all before it */
};

struct child {
    struct stretch range;
    uint64_t sum;
    int32_t gain;
};

static struct stretch within(const struct search *x, struct stretch range)
{
    if (range.first < x->all.first)
        range.first = x->all.first;
    if (range.end > x->all.end)
        range.end = x->all.end;
    return range;
}

static uint64_t sum_of(const struct search *x, struct stretch range)
{
    return range.first < range.end ? x->sums[range.end] - x->sums[range.first] : 0;
}

static void count(struct search *x)
{
    bool is_apart = x->wish.apart && capacity_len(x->c) > 1;

    x->gains = capacity_gains(x->c, x->ask);
    for (size_t at = x->all.first; at < x->all.end; at++) {
        uint32_t node = x->order[at];
        unsigned k = 0;
        if (x->gains[node] != CAPACITY_NO_ROOM)
            k = is_apart ? 1 : room_times(capacity_room(x->c, node), x->ask, x->n);
        if (k == 0 && x->gains[node] != CAPACITY_NO_ROOM)
            k = 1; /* the host knows better than its numbers */
        x->counts[at] = k < x->most[at] ? k : x->most[at];
        x->given[at] = 0;
        x->sums[at + 1] = x->sums[at] + x->counts[at];
    }
}

/* Is A the better domain to hold all WANT of them? */
static bool holds_better(const struct child *a, const struct child *b, uint64_t want)
{
    if ((a->sum >= want) != (b->sum >= want))
        return a->sum >= want;
    return a->sum != b->sum ? a->sum < b->sum : a->gain > b->gain;
}

static struct child child_of(const struct search *x, enum level level, size_t domain)
{
    struct child child = { .range = within(x, locality_range(x->locality, level, domain)) };

    child.sum = sum_of(x, child.range);
    if (level == LEVEL_NODE && child.sum > 0)
        child.gain = x->gains[x->order[child.range.first]];
    return child;
}

/* The largest first; of equals the better by its score, then the one that comes first. */
static int compare_children(const void *pa, const void *pb)
{
    const struct child *a = pa, *b = pb;

    if (a->sum != b->sum)
        return a->sum > b->sum ? -1 : 1;
    if (a->gain != b->gain)
        return a->gain > b->gain ? -1 : 1;
    return a->range.first < b->range.first ? -1 : a->range.first > b->range.first;
}

/* What a domain more of LEVEL counts: one of a wider level more than all narrower ones together. */
static uint64_t crossing(enum level level)
{
    return level < LEVEL_NODE ? UINT64_C(1) << 20 * (LEVEL_LEAF - level) : 0;
}

/* Take WANT places of RANGE; how many sites, blocks and leaves they lie in. */
static uint64_t fill(struct search *x, enum level level, struct stretch range, uint64_t want);

/* Of N children in order, the largest are filled; what is left goes to the one that has least left over. */
static uint64_t fill_children(struct search *x, enum level level, const struct child *children,
                              size_t n, uint64_t want)
{
    uint64_t crossings = 0;

    for (size_t i = 0; want > 0; i++) {
        const struct child *best = &children[i];
        for (size_t k = i + 1; k < n && best->sum >= want && children[k].sum >= want; k++)
            if (holds_better(&children[k], best, want))
                best = &children[k];
        uint64_t share = best->sum < want ? best->sum : want;
        crossings += crossing(level) + fill(x, level, best->range, share);
        want -= share;
    }
    return crossings;
}

static uint64_t fill(struct search *x, enum level level, struct stretch range, uint64_t want)
{
    if (x->is_dry && level == LEVEL_LEAF)
        return 0;
    if (level == LEVEL_NODE) {
        x->given[range.first] = (unsigned) want;
        return 0;
    }
    size_t first = locality_domain_at(x->locality, level + 1, range.first);
    size_t n = locality_domain_at(x->locality, level + 1, range.end - 1) - first + 1;
    _cleanup_free_ struct child *children = xnew_n(struct child, n);
    for (size_t i = 0; i < n; i++)
        children[i] = child_of(x, level + 1, first + i);
    qsort(children, n, sizeof *children, compare_children);
    return fill_children(x, level + 1, children, n, want);
}

/* The domain of LEVEL that holds all, with the fewest blocks and leaves between them; of equals the one that has least left over. */
static bool find_domain(struct search *x, enum level level, struct stretch *ret)
{
    size_t first = locality_domain_at(x->locality, level, x->all.first);
    size_t last = locality_domain_at(x->locality, level, x->all.end - 1);
    bool is_choice = level < LEVEL_LEAF && first < last;
    struct child best = { 0 };
    uint64_t fewest = 0;

    for (size_t d = first; d <= last; d++) {
        struct child child = child_of(x, level, d);
        if (child.sum < x->n)
            continue;
        x->is_dry = true;
        uint64_t crossings = is_choice ? fill(x, level, child.range, x->n) : 0;
        x->is_dry = false;
        if (best.sum > 0 &&
            (crossings > fewest || (crossings == fewest && !holds_better(&child, &best, x->n))))
            continue;
        best = child;
        fewest = crossings;
    }
    *ret = best.range;
    return best.sum > 0;
}

static bool plan(struct search *x)
{
    struct stretch range;

    count(x);
    if (sum_of(x, x->all) < x->n)
        return false;
    for (enum level level = LEVEL_NODE;; level--) {
        if (find_domain(x, level, &range)) {
            (void) fill(x, level, range, x->n);
            return true;
        }
        if (level == x->wish.within)
            return false;
    }
}

/* Take what is planned; false: some of it is not there, and nothing is taken. */
static bool carry_out(struct search *x, struct choice *ret)
{
    unsigned n_taken = 0;

    for (size_t at = x->all.first; at < x->all.end; at++)
        for (unsigned k = 0; k < x->given[at]; k++) {
            if (!capacity_choose_on(x->c, x->ask, x->order[at], &ret[n_taken])) {
                x->most[at] = k;
                break;
            }
            capacity_take(x->c, x->ask, &ret[n_taken++]);
        }
    if (n_taken == x->n)
        return true;
    while (n_taken > 0)
        capacity_give(x->c, x->ask, &ret[--n_taken]);
    return false;
}

static bool take_many(struct capacity *c, const struct ask *ask, unsigned n, struct wish wish,
                      struct choice *ret)
{
    size_t len = capacity_len(c);
    struct search x = { .c = c, .ask = ask, .n = n, .wish = wish };
    _cleanup_free_ unsigned *counts = x.counts = xnew_n(unsigned, len + 1);
    _cleanup_free_ unsigned *given = x.given = xnew_n(unsigned, len + 1);
    _cleanup_free_ unsigned *most = x.most = xnew_n(unsigned, len + 1);
    _cleanup_free_ uint64_t *sums = x.sums = xnew_n(uint64_t, len + 1);

    x.locality = capacity_locality(c);
    x.order = locality_order(x.locality);
    x.all = capacity_limits(c);
    for (size_t i = 0; i < len; i++)
        most[i] = UINT32_MAX;
    for (unsigned i = 0; i < TRIES && plan(&x); i++)
        if (carry_out(&x, ret))
            return true;
    return false;
}

bool together_take(struct capacity *c, const struct ask *ask, unsigned n, struct wish wish,
                   struct choice *ret)
{
    if (capacity_len(c) == 0)
        return false;
    if (n > 1)
        return take_many(c, ask, n, wish, ret);
    if (!capacity_choose(c, ask, ret))
        return false;
    capacity_take(c, ask, ret);
    return true;
}

struct standing {
    size_t at;
    struct choice place;
};

static int compare_standings(const void *pa, const void *pb)
{
    const struct standing *a = pa, *b = pb;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->place.gpus < b->place.gpus ? -1 : a->place.gpus > b->place.gpus;
}

void together_sort(struct capacity *c, struct choice *places, unsigned n)
{
    _cleanup_free_ struct standing *all = xnew_n(struct standing, n + 1);

    for (unsigned i = 0; i < n; i++)
        all[i] = (struct standing){ locality_at(capacity_locality(c), places[i].node), places[i] };
    qsort(all, n, sizeof *all, compare_standings);
    for (unsigned i = 0; i < n; i++)
        places[i] = all[i].place;
}

enum level together_spans(struct capacity *c, const struct choice *places, unsigned n)
{
    struct locality *locality = capacity_locality(c);
    enum level level = LEVEL_NODE;

    for (unsigned i = 1; i < n; i++)
        while (level > LEVEL_ALL &&
               locality_domain_at(locality, level, locality_at(locality, places[0].node)) !=
                   locality_domain_at(locality, level, locality_at(locality, places[i].node)))
            level--;
    return level;
}
