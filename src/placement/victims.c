/* victims.c - whom to stop so that a job can start, at the least cost
 *
 * Stopping the worst jobs wherever they are frees parts of many machines and room on none. So a place is looked for
 * by its price: of every machine the cheapest set of jobs of less right that makes room for one task, of the machines
 * the cheapest; and so on until all tasks have room.
 */
#include "placement/entry.h"

#include "base/alloc.h"

#include <stdlib.h>

enum {
    EXACT_MAX = 8
}; /* so many jobs on a machine are tried in all combinations; more one by one */

/* A task of a job that runs. */
struct tenant {
    struct entry *entry;
    const struct choice *place;
    int64_t price;
};

struct tenants {
    struct tenant *items; /* a vec */
    size_t len, cap;
};

struct search {
    struct schedule *s;
    const struct entry *entry;
    int64_t now_us;
    struct tenants *machines; /* by machine: whom ENTRY may stop there */
    size_t n;
};

static bool has_less_right(const struct search *x, const struct entry *other)
{
    const struct entry *entry = x->entry;

    if (!other->runs || !other->job.preemptible ||
        x->now_us - other->started_us < x->s->options.guaranteed_us)
        return false;
    if (other->job.priority != entry->job.priority)
        return other->job.priority < entry->job.priority;
    return other->level > entry->level;
}

/* What is lost when it runs again; of equals the one that had most. */
static int64_t price_of(const struct entry *entry)
{
    enum { LEVELS = 64 };

    return entry_weight(entry) * LEVELS - (int64_t) entry->level;
}

static void find_tenants(struct search *x)
{
    x->n = capacity_len(x->s->capacity);
    x->machines = xnew_n(struct tenants, x->n + 1);
    vec_foreach(&x->s->entries, entry) {
        if (!has_less_right(x, *entry))
            continue;
        for (unsigned i = 0; i < (*entry)->job.tasks; i++) {
            const struct choice *place = &(*entry)->places[i];
            const struct tenant tenant = { *entry, place, price_of(*entry) };
            vec_push(&x->machines[place->node], tenant);
        }
    }
}

static void search_done(struct search *x)
{
    for (size_t i = 0; i < x->n; i++)
        vec_done(&x->machines[i]);
    free(x->machines);
}

static bool makes_room(const struct search *x, size_t node, uint32_t set)
{
    const struct tenants *t = &x->machines[node];
    struct taken without[32];
    size_t n = 0;

    for (; set; set &= set - 1) {
        const struct tenant *tenant = &t->items[__builtin_ctz(set)];
        without[n++] = (struct taken){ &tenant->entry->job.ask, tenant->place };
    }
    return capacity_holds(x->s->capacity, node, &x->entry->job.ask, without, n);
}

/* Tasks of one job on a machine are paid for once. */
static int64_t price_of_set(const struct tenants *t, uint32_t set)
{
    int64_t price = 0;

    for (uint32_t rest = set; rest; rest &= rest - 1) {
        const struct tenant *tenant = &t->items[__builtin_ctz(rest)];
        bool is_paid = false;
        for (uint32_t before = set & ((rest & -rest) - 1); before; before &= before - 1)
            is_paid |= t->items[__builtin_ctz(before)].entry == tenant->entry;
        price += is_paid ? 0 : tenant->price;
    }
    return price;
}

/* The cheapest set of few. */
static uint32_t choose_exactly(const struct search *x, size_t node, int64_t below)
{
    const struct tenants *t = &x->machines[node];
    uint32_t best = 0;

    for (uint32_t set = 1; set < 1u << t->len; set++) {
        int64_t price = price_of_set(t, set);
        if (price < below && makes_room(x, node, set)) {
            below = price;
            best = set;
        }
    }
    return best;
}

/* Of many: the cheapest one after the other until there is room; then without those that turned out needless. */
static uint32_t choose_one_by_one(const struct search *x, size_t node)
{
    const struct tenants *t = &x->machines[node];
    size_t n = t->len < 32 ? t->len : 32;
    uint32_t set = 0, all = n == 32 ? UINT32_MAX : (1u << n) - 1;

    while (set != all && !makes_room(x, node, set)) {
        size_t cheapest = n;
        for (size_t i = 0; i < n; i++)
            if (!(set & 1u << i) && (cheapest == n || t->items[i].price < t->items[cheapest].price))
                cheapest = i;
        set |= 1u << cheapest;
    }
    if (!makes_room(x, node, set))
        return 0;
    for (size_t i = n; i-- > 0;)
        if (set & 1u << i && makes_room(x, node, set & ~(1u << i)))
            set &= ~(1u << i);
    return set;
}

static bool find_cheapest(const struct search *x, size_t *ret_node, uint32_t *ret_set)
{
    int64_t price = INT64_MAX;

    for (size_t node = 0; node < x->n; node++) {
        const struct tenants *t = &x->machines[node];
        if (t->len == 0 || capacity_is_closed(x->s->capacity, node))
            continue;
        uint32_t set =
            t->len <= EXACT_MAX ? choose_exactly(x, node, price) : choose_one_by_one(x, node);
        if (!set || price_of_set(t, set) >= price)
            continue;
        price = price_of_set(t, set);
        *ret_node = node;
        *ret_set = set;
    }
    return price != INT64_MAX;
}

/* Their tasks are gone everywhere. */
static void forget(struct search *x, const struct entry *entry)
{
    for (unsigned i = 0; i < entry->job.tasks; i++) {
        struct tenants *t = &x->machines[entry->places[i].node];
        for (size_t at = t->len; at-- > 0;)
            if (t->items[at].entry == entry)
                vec_remove(t, at);
    }
}

static void stop_set(struct search *x, size_t node, uint32_t set, struct entries *stopped)
{
    struct entry *victims[32];
    size_t n = 0;

    for (; set; set &= set - 1)
        victims[n++] = x->machines[node].items[__builtin_ctz(set)].entry;
    for (size_t i = 0; i < n; i++) {
        if (!victims[i]->runs)
            continue;
        forget(x, victims[i]);
        for (unsigned t = 0; t < victims[i]->job.tasks; t++)
            capacity_give(x->s->capacity, &victims[i]->job.ask, &victims[i]->places[t]);
        victims[i]->runs = false;
        vec_push(stopped, victims[i]);
    }
}

static bool take_all(struct search *x, struct choice *places, struct entries *stopped,
                     unsigned *n_taken)
{
    struct capacity *capacity = x->s->capacity;
    const struct ask *ask = &x->entry->job.ask;

    for (*n_taken = 0; *n_taken < x->entry->job.tasks; ++*n_taken) {
        struct choice *place = &places[*n_taken];
        size_t node = 0;
        uint32_t set = 0;
        if (!capacity_choose(capacity, ask, place)) {
            if (!find_cheapest(x, &node, &set))
                return false;
            stop_set(x, node, set, stopped);
            if (!capacity_choose(capacity, ask, place))
                return false;
        }
        capacity_take(capacity, ask, place);
    }
    return true;
}

/* As it was before. */
static void undo(struct search *x, const struct choice *places, unsigned n_taken,
                 struct entries *stopped)
{
    for (unsigned i = 0; i < n_taken; i++)
        capacity_give(x->s->capacity, &x->entry->job.ask, &places[i]);
    for (size_t i = 0; i < stopped->len; i++) {
        struct entry *victim = stopped->items[i];
        for (unsigned t = 0; t < victim->job.tasks; t++)
            capacity_take(x->s->capacity, &victim->job.ask, &victim->places[t]);
        victim->runs = true;
    }
    vec_done(stopped);
}

bool victims_take(struct schedule *s, const struct entry *entry, int64_t now_us,
                  struct choice *places, struct entries *stopped)
{
    struct search x = { .s = s, .entry = entry, .now_us = now_us };
    unsigned n_taken = 0;

    find_tenants(&x);
    bool taken = take_all(&x, places, stopped, &n_taken);
    if (!taken)
        undo(&x, places, n_taken, stopped);
    search_done(&x);
    for (size_t i = 0; taken && i < stopped->len; i++) {
        struct entry *victim = stopped->items[i];
        victim->ran_us += now_us - victim->started_us;
        victim->waits_since_us = now_us;
        s->n_waiting++;
    }
    return taken;
}
