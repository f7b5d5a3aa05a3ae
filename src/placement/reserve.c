/* reserve.c - when and where a job that does not fit now can start
 *
 * Numbers find machines; whether they hold a task in all detail is asked of those alone that were found, and what does not is
 * left out.
 */
#include "placement/ends.h"

#include "base/alloc.h"

#include <stdlib.h>

/* Whom machines are looked for. */
struct look {
    const struct schedule *s;
    struct capacity *capacity;
    struct locality *locality;
    const struct entry *entry;
    const struct ask *ask;
    unsigned tasks;
    enum level level; /* all of them in one domain of it */
    bool is_apart;    /* each on a machine of its own */
};

static struct look look_of(const struct schedule *s, const struct entry *entry)
{
    const struct wish *wish = &entry->line->demand->wish;

    return (struct look){ .s = s,
                          .capacity = s->capacity,
                          .locality = capacity_locality(s->capacity),
                          .entry = entry,
                          .ask = entry_ask(entry),
                          .tasks = entry_tasks(entry),
                          .level = entry_tasks(entry) > 1 ? wish->within : LEVEL_ALL,
                          .is_apart = wish->apart && capacity_len(s->capacity) > 1 };
}

static size_t domain_of(const struct look *x, size_t node)
{
    return x->level == LEVEL_ALL
               ? 0
               : locality_domain_at(x->locality, x->level, locality_at(x->locality, node));
}

static bool could_be(const struct look *x, size_t node)
{
    return !capacity_is_closed(x->capacity, node) && capacity_could(x->capacity, node, x->ask);
}

static unsigned times(const struct look *x, const struct room *room)
{
    return room_times(room, x->ask, x->is_apart ? 1 : x->tasks);
}

/* Does NODE hold a task when those are gone who say that they are by then? */
static bool holds_by(const struct look *x, size_t node, int64_t until_us)
{
    static const struct tenants nobody;
    const struct tenants *there = node < x->s->n_machines ? &x->s->machines[node] : &nobody;
    _cleanup_free_ struct taken *gone = xnew_n(struct taken, there->len + 1);
    size_t n = 0;

    vec_foreach(there, tenant)
        if (end_of(tenant->entry) <= until_us)
            gone[n++] = (struct taken){ entry_ask(tenant->entry), tenant->place };
    return capacity_holds(x->capacity, node, x->ask, gone, n);
}

/* ---- by declared times ----------------------------------------------------------------------------------- */

/* What will be free, as those who run end. */
struct outlook {
    struct look look;
    struct room *rooms; /* by machine */
    unsigned *counts;   /* tasks that it holds */
    uint64_t *sums;     /* of them, by domain */
};

static void set_count(struct outlook *x, size_t node, unsigned count)
{
    uint64_t *sum = &x->sums[domain_of(&x->look, node)];

    *sum = *sum - x->counts[node] + count;
    x->counts[node] = count;
}

static void look_again(struct outlook *x, size_t node)
{
    set_count(x, node, could_be(&x->look, node) ? times(&x->look, &x->rooms[node]) : 0);
}

/* The first machines of DOMAIN that hold all tasks at AT; false: they do not. */
static bool choose_then(struct outlook *x, size_t domain, int64_t at_us, struct machines *ret)
{
    const struct look *look = &x->look;
    const uint32_t *order = locality_order(look->locality);
    const struct stretch range = locality_range(look->locality, look->level, domain);
    unsigned found = 0;

    ret->len = 0;
    for (size_t i = range.first; i < range.end && found < look->tasks; i++) {
        size_t node = look->level == LEVEL_ALL ? i : order[i];
        if (x->counts[node] > 0 && !holds_by(look, node, at_us))
            set_count(x, node, 0);
        if (x->counts[node] == 0)
            continue;
        found += x->counts[node];
        vec_push(ret, node);
    }
    return found >= look->tasks;
}

static bool fits_after(struct outlook *x, const struct entry *other, struct machines *ret)
{
    const struct choice *places = other->past->places;
    unsigned n = entry_tasks(other);

    for (unsigned i = 0; i < n; i++) {
        room_give(&x->rooms[places[i].node], entry_ask(other), places[i].gpus);
        look_again(x, places[i].node);
    }
    for (unsigned i = 0; i < n; i++) {
        size_t domain = domain_of(&x->look, places[i].node);
        if (x->sums[domain] >= x->look.tasks && choose_then(x, domain, end_of(other), ret))
            return true;
    }
    return false;
}

int64_t reserve_for(const struct schedule *s, const struct entry *entry, int64_t now_us,
                    struct machines *ret)
{
    struct outlook x = { .look = look_of(s, entry) };
    size_t n = capacity_len(s->capacity);
    _cleanup_(ends_walk_done) struct ends_walk ends = { .s = s };
    const struct entry *other;
    _cleanup_free_ struct room *rooms = x.rooms = xnew_n(struct room, n + 1);
    _cleanup_free_ unsigned *counts = x.counts = xnew_n(unsigned, n + 1);
    _cleanup_free_ uint64_t *sums = x.sums =
        xnew_n(uint64_t, locality_domains(x.look.locality, x.look.level) + 1);

    for (size_t i = 0; i < n; i++) {
        rooms[i] = *capacity_room(s->capacity, i);
        look_again(&x, i);
    }
    while ((other = ends_next(&ends)))
        if (fits_after(&x, other, ret))
            return end_of(other) > now_us ? end_of(other) : now_us;
    ret->len = 0;
    return INT64_MAX;
}

bool reserve_could(const struct schedule *s, const struct entry *entry)
{
    const struct look x = look_of(s, entry);
    _cleanup_free_ uint64_t *sums = xnew_n(uint64_t, locality_domains(x.locality, x.level) + 1);

    for (size_t node = 0; node < capacity_len(x.capacity); node++) {
        uint64_t *sum = &sums[domain_of(&x, node)];
        *sum += could_be(&x, node) ? times(&x, capacity_size(x.capacity, node)) : 0;
        if (*sum >= x.tasks)
            return true;
    }
    return false;
}

/* ---- those that lack least -------------------------------------------------------------------------------- */

/* A machine holds COUNT tasks more when LACK GPUs have become free there for each. */
struct offer {
    size_t domain, node;
    unsigned lack, count;
    bool is_first; /* it holds no other */
};

struct offers {
    struct offer *items; /* a vec */
    size_t len, cap;
};

static int compare_offers(const void *pa, const void *pb)
{
    const struct offer *a = pa, *b = pb;

    if (a->domain != b->domain)
        return a->domain < b->domain ? -1 : 1;
    if (a->lack != b->lack)
        return a->lack < b->lack ? -1 : 1;
    if (a->is_first != b->is_first)
        return a->is_first ? 1 : -1;
    return a->node < b->node ? -1 : a->node > b->node;
}

/* GPUs that one task more lacks beside N that ROOM holds; of a task without GPUs 1. */
static unsigned lacks(const struct room *room, const struct ask *ask, unsigned n)
{
    unsigned would_do = 0, needs = (n + 1) * ask->gpus;

    for (unsigned i = 0; i < room->n_gpus; i++)
        would_do += room->gpu[i] >= ask->gpu_milli;
    return would_do < needs ? needs - would_do : 1;
}

static void offer(const struct look *x, size_t node, struct offers *ret)
{
    const struct room *room = capacity_room(x->capacity, node);
    unsigned most = times(x, capacity_size(x->capacity, node)), now = 0;
    unsigned each = x->ask->gpus ? x->ask->gpus : 1;
    size_t domain = domain_of(x, node);

    if (capacity_holds(x->capacity, node, x->ask, NULL, 0))
        now = times(x, room) > 0 ? times(x, room) : 1;
    if (now > 0)
        vec_push(ret, ((struct offer){ domain, node, 0, now, true }));
    if (now >= most)
        return;
    /* One more makes use of what is free in part. */
    unsigned next = lacks(room, x->ask, now), n = next < each ? 1 : most - now;
    vec_push(ret, ((struct offer){ domain, node, next, n, now == 0 }));
    if (now + n < most)
        vec_push(ret, ((struct offer){ domain, node, each, most - now - n, false }));
}

/* The cheapest of N offers of one domain for all tasks: their number, and on RET what they lack; 0: they are too few. */
static size_t cheapest(const struct offer *offers, size_t n, unsigned tasks, uint64_t *ret_lack)
{
    size_t used = 0;

    *ret_lack = 0;
    while (tasks > 0 && used < n) {
        unsigned count = offers[used].count < tasks ? offers[used].count : tasks;
        *ret_lack += (uint64_t) offers[used++].lack * count;
        tasks -= count;
    }
    return tasks > 0 ? 0 : used;
}

/* Machines in the domain that lacks least; RET stays empty if none would do. */
static void choose_nearest(const struct look *x, const struct offers *offers, struct machines *ret)
{
    uint64_t least = UINT64_MAX, lack;

    for (size_t from = 0, end; from < offers->len; from = end) {
        for (end = from; end < offers->len; end++)
            if (offers->items[end].domain != offers->items[from].domain)
                break;
        size_t used = cheapest(offers->items + from, end - from, x->tasks, &lack);
        if (used == 0 || lack >= least)
            continue;
        least = lack;
        ret->len = 0;
        for (size_t i = from; i < from + used; i++)
            if (offers->items[i].is_first)
                vec_push(ret, offers->items[i].node);
    }
}

/* Those of MACHINES that would not do even if all were gone are marked; how many there are. */
static size_t mark_those_that_cannot(const struct look *x, const struct machines *machines,
                                     bool *cannot)
{
    size_t n = 0;

    vec_foreach(machines, node)
        if (!could_be(x, *node) || !holds_by(x, *node, INT64_MAX)) {
            cannot[*node] = true;
            n++;
        }
    return n;
}

void reserve_nearest(const struct schedule *s, const struct entry *entry, struct machines *ret)
{
    const struct look x = look_of(s, entry);
    size_t n = capacity_len(s->capacity);
    _cleanup_free_ bool *cannot = xnew_n(bool, n + 1);
    struct offers offers = { 0 };

    do {
        offers.len = ret->len = 0;
        for (size_t node = 0; node < n; node++)
            if (!cannot[node] && could_be(&x, node))
                offer(&x, node, &offers);
        if (offers.len > 0)
            qsort(offers.items, offers.len, sizeof *offers.items, compare_offers);
        choose_nearest(&x, &offers, ret);
    } while (mark_those_that_cannot(&x, ret, cannot) > 0);
    vec_done(&offers);
}
