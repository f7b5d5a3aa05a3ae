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
    EXACT_MAX = 8, /* so many tasks on a machine are tried in all combinations; more one by one */
    SET_MAX = 32,  /* and no more than these */
};

/* A task of a job that runs and may be stopped. */
struct prey {
    struct entry *entry;
    const struct choice *place;
    int64_t price;
};

struct search {
    struct schedule *s;
    const struct entry *entry;
    unsigned level;
    int64_t now_us;
    VEC(struct prey) prey; /* on the machine that is looked at */
};

static bool has_less_right(const struct search *x, const struct entry *other)
{
    if (!other->preemptible || x->now_us - other->past->started_us < x->s->options.guaranteed_us)
        return false;
    if (other->line->priority != x->entry->line->priority)
        return other->line->priority < x->entry->line->priority;
    return other->past->level > x->level;
}

/* What is lost when it runs again; of equals the one that had most. */
static int64_t price_of(const struct entry *entry)
{
    enum { LEVELS = 64 };

    return entry_weight(entry) * LEVELS - (int64_t) entry->past->level;
}

/* As they would be looked at if they waited. */
static int compare(const void *pa, const void *pb)
{
    const struct entry *a = ((const struct prey *) pa)->entry,
                       *b = ((const struct prey *) pb)->entry;

    if (a->line->priority != b->line->priority)
        return a->line->priority > b->line->priority ? -1 : 1;
    if (a->past->level != b->past->level)
        return a->past->level < b->past->level ? -1 : 1;
    return entry_is_before(a, b) ? -1 : entry_is_before(b, a);
}

static void find_prey(struct search *x, size_t node)
{
    x->prey.len = 0;
    vec_foreach(&x->s->machines[node], tenant)
        if (has_less_right(x, tenant->entry)) {
            const struct prey prey = { tenant->entry, tenant->place, price_of(tenant->entry) };
            vec_push(&x->prey, prey);
        }
    if (x->prey.len > 1)
        qsort(x->prey.items, x->prey.len, sizeof *x->prey.items, compare);
}

static bool makes_room(const struct search *x, size_t node, uint32_t set)
{
    struct taken without[SET_MAX];
    size_t n = 0;

    for (; set; set &= set - 1) {
        const struct prey *prey = &x->prey.items[__builtin_ctz(set)];
        without[n++] = (struct taken){ entry_ask(prey->entry), prey->place };
    }
    return capacity_holds(x->s->capacity, node, entry_ask(x->entry), without, n);
}

/* Tasks of one job on a machine are paid for once. */
static int64_t price_of_set(const struct search *x, uint32_t set)
{
    const struct prey *prey = x->prey.items;
    int64_t price = 0;

    for (uint32_t rest = set; rest; rest &= rest - 1) {
        unsigned i = (unsigned) __builtin_ctz(rest);
        bool is_paid = false;
        for (uint32_t before = set & ((1u << i) - 1); before; before &= before - 1)
            is_paid |= prey[__builtin_ctz(before)].entry == prey[i].entry;
        price += is_paid ? 0 : prey[i].price;
    }
    return price;
}

/* The cheapest set of few. */
static uint32_t choose_exactly(const struct search *x, size_t node, int64_t below)
{
    uint32_t best = 0;

    for (uint32_t set = 1; set < 1u << x->prey.len; set++) {
        int64_t price = price_of_set(x, set);
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
    const struct prey *prey = x->prey.items;
    size_t n = x->prey.len < SET_MAX ? x->prey.len : SET_MAX;
    uint32_t set = 0, all = n == SET_MAX ? UINT32_MAX : (1u << n) - 1;

    while (set != all && !makes_room(x, node, set)) {
        size_t cheapest = n;
        for (size_t i = 0; i < n; i++)
            if (!(set & 1u << i) && (cheapest == n || prey[i].price < prey[cheapest].price))
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

/* The cheapest jobs that make room for a task, on any machine. */
static bool find_cheapest(struct search *x, struct entries *ret)
{
    int64_t price = INT64_MAX;

    ret->len = 0;
    for (size_t node = 0; node < x->s->n_machines; node++) {
        if (x->s->machines[node].len == 0 || capacity_is_closed(x->s->capacity, node))
            continue;
        find_prey(x, node);
        if (x->prey.len == 0)
            continue;
        uint32_t set =
            x->prey.len <= EXACT_MAX ? choose_exactly(x, node, price) : choose_one_by_one(x, node);
        if (!set || price_of_set(x, set) >= price)
            continue;
        price = price_of_set(x, set);
        ret->len = 0;
        for (; set; set &= set - 1)
            vec_push(ret, x->prey.items[__builtin_ctz(set)].entry);
    }
    return price != INT64_MAX;
}

static void halt_all(struct search *x, const struct entries *victims, struct entries *stopped)
{
    vec_foreach(victims, victim) {
        if ((*victim)->past->halted)
            continue;
        entry_halt(x->s, *victim);
        vec_push(stopped, *victim);
    }
}

static bool take_all(struct search *x, struct choice *places, struct entries *stopped,
                     unsigned *n_taken)
{
    struct capacity *capacity = x->s->capacity;
    const struct ask *ask = entry_ask(x->entry);
    struct entries victims = { 0 };
    bool found = true;

    for (*n_taken = 0; *n_taken < entry_tasks(x->entry); ++*n_taken) {
        struct choice *place = &places[*n_taken];
        found = capacity_choose(capacity, ask, place);
        if (!found && find_cheapest(x, &victims)) {
            halt_all(x, &victims, stopped);
            found = capacity_choose(capacity, ask, place);
        }
        if (!found)
            break;
        capacity_take(capacity, ask, place);
    }
    vec_done(&victims);
    return found;
}

/* As it was before. */
static void undo(struct search *x, struct choice *places, unsigned n_taken, struct entries *stopped)
{
    for (unsigned i = 0; i < n_taken; i++)
        capacity_give(x->s->capacity, entry_ask(x->entry), &places[i]);
    vec_foreach(stopped, victim)
        entry_resume(x->s, *victim);
    vec_done(stopped);
}

bool victims_take(struct schedule *s, const struct entry *entry, int64_t now_us,
                  struct choice *places, struct entries *stopped)
{
    struct search x = { .s = s, .entry = entry, .level = entry_right(s, entry), .now_us = now_us };
    unsigned n_taken = 0;

    bool taken = take_all(&x, places, stopped, &n_taken);
    if (!taken)
        undo(&x, places, n_taken, stopped);
    vec_done(&x.prey);
    return taken;
}
