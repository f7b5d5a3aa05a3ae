/* victims.c - whom to stop so that a job can start, at the least cost
 *
 * Stopping the worst jobs wherever they are frees parts of many machines and room on none. So a place is looked for
 * by its price: of every machine the cheapest set of jobs of less right that makes room for one task, of the machines
 * the cheapest; and so on until all tasks have room.
 */
#include "placement/entry.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* So many tasks on a machine are tried in all combinations; more one by one. */
enum { EXACT_MAX = 8 };

/* A task of a job that runs and may be stopped. */
struct prey {
    struct entry *entry;
    const struct choice *place;
    int64_t price;
    bool is_chosen;
};

struct search {
    struct schedule *s;
    const struct entry *entry;
    unsigned level;
    int64_t now_us;
    unsigned max;           /* jobs may be stopped */
    VEC(struct prey) prey;  /* on the machine that is looked at */
    VEC(struct taken) gone; /* of them */
    int64_t price;          /* of all who are stopped */
    int64_t below;          /* that is too much */
    struct entries *stopped;
};

/* How much more than its part OTHER's group runs, where its path and ENTRY's part, without OTHER, all that is stopped already
 * and N further PREY. */
static int64_t surplus(const struct search *x, const struct entry *other, const struct prey *prey,
                       size_t n)
{
    const struct share *share = x->s->share;
    uint32_t side = share_side(share, other->line->group, x->entry->line->group);
    int64_t over = share_over(share, side) - entry_milli(other);

    vec_foreach(x->stopped, stopped)
        if (share_is_below(share, (*stopped)->line->group, side))
            over -= entry_milli(*stopped);
    for (size_t i = 0; i < n; i++) {
        if (prey[i].entry == other)
            return 0;
        if (share_is_below(share, prey[i].entry->line->group, side))
            over -= entry_milli(prey[i].entry);
    }
    return over;
}

/* Does OTHER's group run more than its part, also without OTHER, and ENTRY's no more than its own with it? */
static bool has_too_much(const struct search *x, const struct entry *other)
{
    uint32_t side = share_side(x->s->share, x->entry->line->group, other->line->group);

    return surplus(x, other, NULL, 0) >= 0 &&
           share_over(x->s->share, side) + entry_milli(x->entry) <= 0;
}

static bool may_be_stopped(const struct search *x, const struct entry *entry)
{
    return entry->line->preemptible &&
           x->now_us - entry->past->started_us >= x->s->options.guaranteed_us;
}

static bool has_less_right(const struct search *x, const struct entry *other)
{
    if (!may_be_stopped(x, other))
        return false;
    if (x->s->options.policy->shares && other->line->group != x->entry->line->group)
        return has_too_much(x, other);
    if (other->line->priority != x->entry->line->priority)
        return other->line->priority < x->entry->line->priority;
    return other->past->level > x->level;
}

/* What is lost when it runs again; of equals the one that had most, of these the one of the lowest priority. */
static int64_t price_of(const struct entry *entry)
{
    enum { LEVELS = 64, PRIORITIES = 4096, HIGHEST = 1000 };
    int priority = entry->line->priority;

    priority = priority > HIGHEST ? HIGHEST : priority < -HIGHEST ? -HIGHEST : priority;
    return (entry_weight(entry) * LEVELS - (int64_t) entry->past->level) * PRIORITIES + priority;
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

/* Of other groups' jobs no more than those have too much: who came first stays. */
static void keep_parts(struct search *x)
{
    struct prey *items = x->prey.items, *end = items + x->prey.len;
    size_t n = 0;

    for (size_t i = x->prey.len; i-- > 0;)
        if (items[i].entry->line->group == x->entry->line->group ||
            surplus(x, items[i].entry, end - n, n) >= 0) {
            const struct prey kept = items[i];
            end[-(ptrdiff_t) ++n] = kept;
        }
    memmove(items, end - n, n * sizeof *items);
    x->prey.len = n;
}

static void find_prey(struct search *x, size_t node)
{
    x->prey.len = 0;
    vec_foreach(&x->s->machines[node], tenant)
        if (has_less_right(x, tenant->entry)) {
            const struct prey prey = { tenant->entry, tenant->place, price_of(tenant->entry),
                                       false };
            vec_push(&x->prey, prey);
        }
    if (x->prey.len > 1)
        qsort(x->prey.items, x->prey.len, sizeof *x->prey.items, compare);
    if (x->s->options.policy->shares && x->prey.len > 0)
        keep_parts(x);
}

/* Do those make room who are chosen? */
static bool makes_room(struct search *x, size_t node)
{
    x->gone.len = 0;
    vec_foreach(&x->prey, prey)
        if (prey->is_chosen)
            vec_push(&x->gone, ((struct taken){ entry_ask(prey->entry), prey->place }));
    return capacity_holds(x->s->capacity, node, entry_ask(x->entry), x->gone.items, x->gone.len);
}

static void choose_set(struct search *x, uint32_t set)
{
    for (size_t i = 0; i < x->prey.len; i++)
        x->prey.items[i].is_chosen = set & 1u << i;
}

/* Tasks of one job on a machine are paid for once. */
static int64_t price_of_chosen(const struct search *x)
{
    const struct prey *prey = x->prey.items;
    int64_t price = 0;

    for (size_t i = 0; i < x->prey.len; i++) {
        bool is_paid = !prey[i].is_chosen;
        for (size_t k = 0; k < i && !is_paid; k++)
            is_paid = prey[k].is_chosen && prey[k].entry == prey[i].entry;
        price += is_paid ? 0 : prey[i].price;
    }
    return price;
}

/* The cheapest set of few; false: none costs less than BELOW. */
static bool choose_exactly(struct search *x, size_t node, int64_t below)
{
    const struct prey *prey = x->prey.items;
    uint32_t best = 0, same[EXACT_MAX] = { 0 }, all = (1u << x->prey.len) - 1;
    int64_t prices[1u << EXACT_MAX];

    for (size_t i = 0; i < x->prey.len; i++)
        for (size_t k = 0; k < x->prey.len; k++)
            same[i] |= (uint32_t) (prey[k].entry == prey[i].entry) << k;
    prices[0] = 0;
    for (uint32_t set = 1; set <= all; set++) {
        unsigned i = (unsigned) __builtin_ctz(set);
        uint32_t rest = set & (set - 1);
        prices[set] = prices[rest] + (rest & same[i] ? 0 : prey[i].price);
        if (prices[set] >= below)
            continue;
        choose_set(x, set);
        if (makes_room(x, node)) {
            below = prices[set];
            best = set;
        }
    }
    choose_set(x, best);
    return best;
}

struct bid {
    int64_t price;
    size_t at;
};

static int compare_bids(const void *pa, const void *pb)
{
    const struct bid *a = pa, *b = pb;

    if (a->price != b->price)
        return a->price < b->price ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Of many: as many of the cheapest as make room; then without those that turn out needless, the dearest first. All of them do. */
static void choose_one_by_one(struct search *x, size_t node)
{
    struct prey *prey = x->prey.items;
    size_t n = x->prey.len, few = 0, many = n;
    _cleanup_free_ struct bid *bids = xnew_n(struct bid, n);

    for (size_t i = 0; i < n; i++)
        bids[i] = (struct bid){ prey[i].price, i };
    qsort(bids, n, sizeof *bids, compare_bids);
    while (many - few > 1) {
        size_t middle = (few + many) / 2;
        for (size_t i = 0; i < n; i++)
            prey[bids[i].at].is_chosen = i < middle;
        *(makes_room(x, node) ? &many : &few) = middle;
    }
    for (size_t i = 0; i < n; i++)
        prey[bids[i].at].is_chosen = i < many;
    for (size_t i = many; i-- > 0;) {
        prey[bids[i].at].is_chosen = false;
        if (!makes_room(x, node))
            prey[bids[i].at].is_chosen = true;
    }
}

/* Choose the prey on NODE that makes room for a task; false: none does for less than BELOW. */
static bool choose_prey(struct search *x, size_t node, int64_t below)
{
    find_prey(x, node);
    if (x->prey.len == 0)
        return false;
    vec_foreach(&x->prey, prey)
        prey->is_chosen = true;
    if (!makes_room(x, node))
        return false;
    if (x->prey.len <= EXACT_MAX)
        return choose_exactly(x, node, below);
    choose_one_by_one(x, node);
    return price_of_chosen(x) < below;
}

static void look_at(const struct search *x, struct tenants *tenants)
{
    struct prospect p = {
        .is_known = true, .priority = INT_MAX, .price = INT64_MAX, .per_gpu = INT64_MAX
    };

    vec_foreach(tenants, tenant) {
        const struct entry *entry = tenant->entry;
        if (!may_be_stopped(x, entry))
            continue;
        int64_t price = price_of(entry), per_gpu = price / entry_weight(entry);
        p.priority = entry->line->priority < p.priority ? entry->line->priority : p.priority;
        p.level = entry->past->level > p.level ? entry->past->level : p.level;
        p.price = price < p.price ? price : p.price;
        p.per_gpu = per_gpu < p.per_gpu ? per_gpu : p.per_gpu;
        p.gpus += entry_ask(entry)->gpus;
    }
    tenants->prospect = p;
}

static bool has_prospect(const struct search *x, size_t node)
{
    struct tenants *tenants = &x->s->machines[node];
    const struct prospect *p = &tenants->prospect;
    int priority = x->entry->line->priority;

    if (!p->is_known)
        look_at(x, tenants);
    if (p->price == INT64_MAX)
        return false;
    return x->s->options.policy->shares || p->priority < priority ||
           (p->priority == priority && p->level > x->level);
}

static unsigned gpus_that_do(const struct search *x, size_t node)
{
    const struct room *room = capacity_room(x->s->capacity, node);
    unsigned n = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        n += room->gpu[i] >= entry_ask(x->entry)->gpu_milli;
    return n;
}

/* May somebody on NODE be stopped, and make room for less than PRICE? */
static bool is_prospect(const struct search *x, size_t node, int64_t price)
{
    const struct prospect *p = &x->s->machines[node].prospect;

    if (!has_prospect(x, node) || p->price >= price)
        return false;
    unsigned wants = entry_ask(x->entry)->gpus, do_now = wants ? gpus_that_do(x, node) : 0;
    unsigned lacking = wants > do_now ? wants - do_now : 0;
    return p->gpus >= lacking && p->per_gpu * lacking < price;
}

/* The machine at place AT of those that may be chosen: in the order of their numbers, in a domain in that of their spots. */
static size_t machine_at(const struct search *x, const struct stretch *limits, size_t at)
{
    const struct capacity *capacity = x->s->capacity;

    return limits->end - limits->first == capacity_len(capacity)
               ? at
               : locality_order(capacity_locality(capacity))[at];
}

static bool is_apart(const struct search *x)
{
    return x->entry->line->demand->wish.apart && capacity_len(x->s->capacity) > 1;
}

/* Are there GPUs for all tasks of a gang, at most? */
static bool may_suffice(const struct search *x)
{
    const struct schedule *s = x->s;
    const struct stretch limits = capacity_limits(s->capacity);
    unsigned wants = entry_ask(x->entry)->gpus, tasks = entry_tasks(x->entry), found = 0;

    if (wants == 0 || entry_ask(x->entry)->gpu_milli < CAPACITY_GPU)
        return true;
    for (size_t at = limits.first; at < limits.end && found < tasks; at++) {
        size_t node = machine_at(x, &limits, at);
        if (capacity_is_closed(s->capacity, node))
            continue;
        bool is_known = node < s->n_machines && has_prospect(x, node);
        unsigned stopped = is_known ? s->machines[node].prospect.gpus : 0;
        unsigned here = (gpus_that_do(x, node) + stopped) / wants;
        found += is_apart(x) && here > 1 ? 1 : here;
    }
    return found >= tasks;
}

/* The cheapest jobs that make room for a task, on any machine that may be chosen. */
static bool find_cheapest(struct search *x, struct entries *ret)
{
    const struct stretch limits = capacity_limits(x->s->capacity);
    int64_t price = INT64_MAX;

    ret->len = 0;
    for (size_t at = limits.first; at < limits.end; at++) {
        size_t node = machine_at(x, &limits, at);
        if (node >= x->s->n_machines || x->s->machines[node].len == 0 ||
            !is_prospect(x, node, price) || capacity_is_closed(x->s->capacity, node) ||
            !choose_prey(x, node, price))
            continue;
        price = price_of_chosen(x);
        ret->len = 0;
        vec_foreach(&x->prey, prey)
            if (prey->is_chosen)
                vec_push(ret, prey->entry);
    }
    return price != INT64_MAX;
}

static void halt_all(struct search *x, const struct entries *victims)
{
    vec_foreach(victims, victim) {
        if ((*victim)->past->halted)
            continue;
        x->price += price_of(*victim);
        entry_halt(x->s, *victim);
        vec_push(x->stopped, *victim);
    }
}

/* Take a place for each task, the next one where it is cheapest. False: that is not possible, or not for less than BELOW. */
static bool take_all(struct search *x, unsigned *n_taken)
{
    struct capacity *capacity = x->s->capacity;
    const struct ask *ask = entry_ask(x->entry);
    struct choice *places = x->s->places;
    struct entries victims = { 0 };
    bool found = true;

    for (*n_taken = 0; *n_taken < entry_tasks(x->entry); ++*n_taken) {
        struct choice *place = &places[*n_taken];
        found = capacity_choose(capacity, ask, place);
        if (!found && find_cheapest(x, &victims)) {
            halt_all(x, &victims);
            found = x->stopped->len <= x->max && x->price < x->below &&
                    capacity_choose(capacity, ask, place);
        }
        if (!found)
            break;
        capacity_take(capacity, ask, place);
        if (is_apart(x))
            capacity_close(capacity, place->node, true);
    }
    for (unsigned i = 0; is_apart(x) && i < *n_taken; i++)
        capacity_close(capacity, places[i].node, false);
    vec_done(&victims);
    return found;
}

/* As it was before. */
static void undo(struct search *x, unsigned n_taken)
{
    for (unsigned i = 0; i < n_taken; i++)
        capacity_give(x->s->capacity, entry_ask(x->entry), &x->s->places[i]);
    vec_foreach(x->stopped, victim)
        entry_resume(x->s, *victim);
    vec_done(x->stopped);
}

/* Take places on machines that may be chosen; what that costs is on X. False: nothing was changed. */
static bool take_for_less(struct search *x, int64_t below)
{
    unsigned n_taken = 0;

    x->price = 0;
    x->below = below;
    if (entry_tasks(x->entry) > 1 && !may_suffice(x))
        return false;
    if (take_all(x, &n_taken))
        return true;
    undo(x, n_taken);
    return false;
}

/* The same in one domain of LEVEL, the cheapest: each is tried. */
static bool take_in_domain(struct search *x, enum level level)
{
    struct capacity *capacity = x->s->capacity;
    size_t n = locality_domains(capacity_locality(capacity), level), best = n;
    int64_t price = INT64_MAX;

    for (size_t domain = 0; domain < n; domain++) {
        capacity_limit(capacity, level, domain);
        if (!take_for_less(x, price))
            continue;
        undo(x, entry_tasks(x->entry));
        price = x->price;
        best = domain;
    }
    if (best < n)
        capacity_limit(capacity, level, best);
    bool taken = best < n && take_for_less(x, INT64_MAX);
    capacity_limit(capacity, LEVEL_ALL, 0);
    return taken;
}

/* Does any group above it run less than its part, with ENTRY too? One that is alone with its part is looked at as well: there
 * priority decides. */
static bool may_have_more(const struct schedule *s, const struct entry *entry)
{
    for (uint32_t g = entry->line->group; g != SHARE_ROOT; g = share_parent(s->share, g))
        if (share_over(s->share, g) + entry_milli(entry) <= 0)
            return true;
    return entry->line->priority > 0 || entry->line->group == SHARE_ROOT;
}

bool victims_take(struct schedule *s, const struct entry *entry, int64_t now_us, unsigned max,
                  struct entries *stopped)
{
    struct search x = { .s = s,
                        .entry = entry,
                        .level = entry_right(s, entry),
                        .now_us = now_us,
                        .max = max,
                        .stopped = stopped };
    enum level level = entry->line->demand->wish.within;

    if (s->options.policy->shares && !may_have_more(s, entry))
        return false;
    bool taken = entry_tasks(entry) > 1 && level != LEVEL_ALL ? take_in_domain(&x, level)
                                                              : take_for_less(&x, INT64_MAX);
    if (taken)
        together_sort(s->capacity, s->places, entry_tasks(entry));
    vec_done(&x.prey);
    vec_done(&x.gone);
    return taken;
}
