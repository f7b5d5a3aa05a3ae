/* victims.c - whom to stop so that a job can start, at the least cost
 *
 * Stopping the worst jobs wherever they are frees parts of many machines and room on none. So a place is looked for
 * by its price: of every machine the cheapest set of jobs of less right that makes room for one task, of the machines
 * the cheapest; and so on until all tasks have room.
 */
#include "placement/bid.h"
#include "placement/entry.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* So many tasks on a machine are tried in all combinations; more one by one. */
enum { EXACT_MAX = 8, SETS_MAX = 1 << EXACT_MAX, ANSWER_MAX = 16 };

/* To look for prey on a machine costs as much as so many looks at one. */
enum { LOOKS = 2 };

/* A task of a job that runs and may be stopped. */
struct prey {
    struct entry *entry;
    const struct choice *place;
    int64_t price;
    bool is_chosen;
};

/* What those on a machine have who may be stopped for somebody of a group, as was found out in this pass
 * since the last start, had it asked for nothing. For others of it that come later there are no more. */
struct memo_at {
    uint16_t prey;  /* 0: there are none; 1 and their GPUs; UINT16_MAX: not known */
    uint16_t total; /* with GPUs that are free */
};

struct memo {
    uint64_t pass, start;
    uint32_t group; /* the root where groups do not count */
    int priority;
    unsigned level;
    struct memo_at *machines;
    size_t n;
};

/* Which of the prey on a machine was chosen; it holds until something changes there. */
struct answer {
    const struct choice *prey[ANSWER_MAX];
    size_t n;
    uint32_t set; /* 0: none makes room */
};

/* Of all machines, kept from one task of a gang to the next. */
struct bids {
    struct bid_heap heap;
    uint32_t *numbers;     /* by place in LIMITS: the last bid's */
    VEC(size_t) looked_at; /* places whose price goes by who is stopped so far */
    VEC(struct answer) answers;
    uint32_t *answered; /* by place in LIMITS: index + 1 of its answer; 0: there is none */
    bool *has_changed;  /* by group: is what it has too much less since somebody was stopped? */
    struct stretch limits;
    bool is_made;
};

struct search {
    struct schedule *s;
    const struct entry *entry;
    unsigned level;
    int64_t now_us;
    uint64_t groups;        /* bits: of which somebody may be stopped for it, its own among them */
    uint64_t others;        /* those of which somebody may have too much */
    int64_t *of_all;        /* by group: what it has too much; -1: nothing */
    int64_t *surpluses;     /* the same, where ENTRY may have it */
    int64_t most;           /* the largest of them */
    unsigned max;           /* jobs may be stopped */
    VEC(struct prey) prey;  /* on the machine that is looked at */
    VEC(struct taken) gone; /* of them */
    int64_t prices[SETS_MAX]; /* of sets of them */
    unsigned frees[SETS_MAX]; /* GPUs that a set has */
    uint32_t sets[SETS_MAX];  /* that might do, and */
    size_t n_sets;
    uint64_t work; /* questions whether there would be room */
    bool is_kept;  /* the machine that is looked at is kept from it while they are there */
    size_t kept;   /* the machine on which room is made, if it is; SIZE_MAX: it is not */
    struct bids bids;
    int64_t price; /* of all who are stopped */
    int64_t below; /* that is too much */
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
    if (x->surpluses[other->line->group] < entry_milli(other))
        return false; /* it gets no more by stopping others */
    return x->stopped->len == 0 || surplus(x, other, NULL, 0) >= 0;
}

static uint64_t bit_of(uint32_t group) { return UINT64_C(1) << group % 64; }

/* The groups of which has_too_much() may be true, before anybody is stopped. */
static void find_who_has_too_much(struct search *x)
{
    const struct share *share = x->s->share;
    uint32_t own = x->entry->line->group, n = share_len(share);

    x->surpluses = xnew_n(int64_t, n);
    x->of_all = xnew_n(int64_t, n);
    for (uint32_t group = 0; group < n; group++) {
        int64_t over = share_over(share, share_side(share, own, group));
        x->surpluses[group] = x->of_all[group] = -1;
        if (share_runs(share, group) == 0 || over > 0)
            continue;
        x->of_all[group] = share_over(share, share_side(share, group, own));
        if (over + entry_milli(x->entry) > 0)
            continue;
        x->surpluses[group] = x->of_all[group];
        if (x->surpluses[group] >= 0)
            x->others |= bit_of(group);
        if (x->surpluses[group] > x->most)
            x->most = x->surpluses[group];
    }
    x->groups = x->others | bit_of(own);
}

static bool may_be_stopped(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    return entry->line->preemptible && now_us - entry->past->started_us >= s->options.guaranteed_us;
}

static bool has_less_right(const struct search *x, const struct entry *other)
{
    if (!may_be_stopped(x->s, other, x->now_us))
        return false;
    if (x->s->options.policy->shares && other->line->group != x->entry->line->group)
        return has_too_much(x, other);
    if (other->line->priority != x->entry->line->priority)
        return other->line->priority < x->entry->line->priority;
    return other->past->level > x->level;
}

/* False without a closer look. */
static bool may_have_less_right(const struct search *x, const struct tenant *tenant)
{
    if (!tenant->preemptible || !x->s->options.policy->shares ||
        tenant->group == x->entry->line->group)
        return tenant->preemptible;
    return x->surpluses[tenant->group] >= tenant->milli;
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

/* Do all who have less right than ENTRY have less right than whom the memo was made for? */
static bool memo_covers(const struct memo *m, const struct schedule *s, uint32_t group,
                        const struct search *x)
{
    int priority = x->entry->line->priority;

    if (m->pass != s->n_passes || m->start != s->n_starts || m->n != s->n_machines ||
        m->group != group)
        return false;
    if (s->options.policy->shares)
        return m->priority >= priority;
    return m->priority == priority && m->level <= x->level;
}

static void memo_open(struct search *x)
{
    struct schedule *s = x->s;
    uint32_t group = s->options.policy->shares ? x->entry->line->group : SHARE_ROOT;
    struct memo *m = s->memo;

    if (m && memo_covers(m, s, group, x))
        return;
    if (!m)
        m = s->memo = xnew(struct memo);
    m->machines = xrealloc(m->machines, (s->n_machines + 1) * sizeof *m->machines);
    memset(m->machines, 0xff, s->n_machines * sizeof *m->machines);
    m->pass = s->n_passes;
    m->start = s->n_starts;
    m->n = s->n_machines;
    m->group = group;
    m->priority = x->entry->line->priority;
    m->level = x->level;
}

void victims_done(struct schedule *s)
{
    if (s->memo)
        free(s->memo->machines);
    free(s->memo);
}

static void find_prey(struct search *x, size_t node)
{
    x->work += LOOKS;
    x->prey.len = 0;
    vec_foreach(&x->s->machines[node], tenant)
        if (may_have_less_right(x, tenant) && has_less_right(x, tenant->entry)) {
            const struct prey prey = { tenant->entry, tenant->place, price_of(tenant->entry),
                                       false };
            vec_push(&x->prey, prey);
        }
    if (x->prey.len > 1)
        qsort(x->prey.items, x->prey.len, sizeof *x->prey.items, compare);
    if (x->s->options.policy->shares && x->prey.len > 0)
        keep_parts(x);
}

static unsigned whole_gpus(const struct search *x, size_t node)
{
    const struct room *room = capacity_room(x->s->capacity, node);
    unsigned n = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        n += room->gpu[i] == CAPACITY_GPU;
    return n;
}

/* What would be there if nothing was asked for. */
static uint16_t memo_of(struct search *x, size_t node)
{
    struct memo_at *known = &x->s->memo->machines[node];
    int64_t *surpluses = x->surpluses;
    unsigned gpus = 0;

    if (known->prey != UINT16_MAX || x->stopped->len > 0)
        return known->prey;
    x->surpluses = x->of_all;
    find_prey(x, node);
    x->surpluses = surpluses;
    vec_foreach(&x->prey, prey)
        gpus += entry_ask(prey->entry)->gpus;
    if (gpus < UINT16_MAX / 2) {
        known->prey = (uint16_t) (x->prey.len == 0 ? 0 : gpus + 1);
        known->total = (uint16_t) (gpus + whole_gpus(x, node));
    }
    return known->prey;
}

/* Do those make room who are chosen? */
static bool makes_room(struct search *x, size_t node)
{
    x->gone.len = 0;
    x->work++;
    vec_foreach(&x->prey, prey)
        if (prey->is_chosen)
            vec_push(&x->gone, ((struct taken){ entry_ask(prey->entry), prey->place }));
    return capacity_holds(x->s->capacity, node, entry_ask(x->entry), x->gone.items, x->gone.len) &&
           (!x->is_kept ||
            booked_lets(x->s, x->entry, node, x->gone.items, x->gone.len, x->now_us));
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

static unsigned gpus_that_do(const struct search *x, size_t node)
{
    const struct room *room = capacity_room(x->s->capacity, node);
    unsigned n = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        n += room->gpu[i] >= entry_ask(x->entry)->gpu_milli;
    return n;
}

/* GPUs on NODE that a task needs beside those that would do now. */
static unsigned gpus_lacking(const struct search *x, size_t node)
{
    unsigned wants = entry_ask(x->entry)->gpus, do_now = wants ? gpus_that_do(x, node) : 0;

    return wants > do_now ? wants - do_now : 0;
}

static bool set_makes_room(struct search *x, size_t node, uint32_t set)
{
    choose_set(x, set);
    return makes_room(x, node);
}

static uint32_t set_of_all(const struct search *x) { return (1u << x->prey.len) - 1; }

/* The sets that cost less than BELOW and have as many GPUs as are LACKING. */
static void list_sets(struct search *x, unsigned lacking, int64_t below)
{
    const struct prey *prey = x->prey.items;
    uint32_t same[EXACT_MAX] = { 0 };

    for (size_t i = 0; i < x->prey.len; i++)
        for (size_t k = 0; k < x->prey.len; k++)
            same[i] |= (uint32_t) (prey[k].entry == prey[i].entry) << k;
    x->n_sets = 0;
    for (uint32_t set = 1; set <= set_of_all(x); set++) {
        unsigned i = (unsigned) __builtin_ctz(set);
        uint32_t rest = set & (set - 1);
        x->prices[set] = x->prices[rest] + (rest & same[i] ? 0 : prey[i].price);
        x->frees[set] = x->frees[rest] + entry_ask(prey[i].entry)->gpus;
        if (x->prices[set] < below && x->frees[set] >= lacking)
            x->sets[x->n_sets++] = set;
    }
}

/* Those without whom all others make no room. */
static uint32_t find_needed(struct search *x, size_t node, unsigned lacking)
{
    uint32_t all = set_of_all(x), needed = 0;

    for (uint32_t rest = all; rest; rest &= rest - 1) {
        uint32_t one = rest & -rest, others = all & ~one;
        if (others == 0 || x->frees[others] < lacking || !set_makes_room(x, node, others))
            needed |= one;
    }
    return needed;
}

/* Of the sets that have NEEDED, and are not REFUSED nor part of it, the cheapest, of equals the first; the others of them stay. 0:
 * there is none. */
static uint32_t next_set(struct search *x, uint32_t needed, uint32_t refused)
{
    uint32_t best = 0;
    size_t n = 0;

    for (size_t i = 0; i < x->n_sets; i++) {
        uint32_t set = x->sets[i];
        if ((set & needed) != needed || set == refused ||
            (!x->is_kept && (set | refused) == refused))
            continue;
        x->sets[n++] = set;
        if (best == 0 || x->prices[set] < x->prices[best])
            best = set;
    }
    x->n_sets = n;
    return best;
}

/* The cheapest set of few; false: none costs less than BELOW. Asked is as little as can be, since a host's answers are dear: in the
 * order of prices, and of no set that is part of one that makes no room. (With bookings it is asked of each.) */
static bool choose_exactly(struct search *x, size_t node, int64_t below)
{
    unsigned lacking = gpus_lacking(x, node);
    uint32_t needed = 0, all = set_of_all(x), set;

    list_sets(x, lacking, below);
    if (x->n_sets == 0 || !set_makes_room(x, node, all))
        return false;
    if (x->n_sets > x->prey.len && !x->is_kept)
        needed = find_needed(x, node, lacking);
    set = next_set(x, needed, 0);
    while (set != 0 && set != all && !set_makes_room(x, node, set))
        set = next_set(x, needed, set);
    choose_set(x, set);
    return set != 0;
}

/* Of the prey. */
struct cost {
    int64_t price;
    size_t at;
};

static int compare_costs(const void *pa, const void *pb)
{
    const struct cost *a = pa, *b = pb;

    if (a->price != b->price)
        return a->price < b->price ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Of many: as many of the cheapest as make room; then without those that turn out needless, the dearest first. All of them do. */
static void choose_one_by_one(struct search *x, size_t node)
{
    struct prey *prey = x->prey.items;
    size_t n = x->prey.len, few = 0, many = n;
    _cleanup_free_ struct cost *costs = xnew_n(struct cost, n);

    for (size_t i = 0; i < n; i++)
        costs[i] = (struct cost){ prey[i].price, i };
    qsort(costs, n, sizeof *costs, compare_costs);
    while (many - few > 1) {
        size_t middle = (few + many) / 2;
        for (size_t i = 0; i < n; i++)
            prey[costs[i].at].is_chosen = i < middle;
        *(makes_room(x, node) ? &many : &few) = middle;
    }
    for (size_t i = 0; i < n; i++)
        prey[costs[i].at].is_chosen = i < many;
    for (size_t i = many; i-- > 0;) {
        prey[costs[i].at].is_chosen = false;
        if (!makes_room(x, node))
            prey[costs[i].at].is_chosen = true;
    }
}

static bool find_any_prey(struct search *x, size_t node)
{
    if (memo_of(x, node) <= gpus_lacking(x, node))
        return false;
    find_prey(x, node);
    return x->prey.len > 0;
}

/* Choose of the prey on NODE, which was found, what makes room for a task; false: none does for less than BELOW. */
static bool choose_of_prey(struct search *x, size_t node, int64_t below)
{
    if (x->prey.len <= EXACT_MAX)
        return choose_exactly(x, node, below);
    vec_foreach(&x->prey, prey)
        prey->is_chosen = true;
    if (!makes_room(x, node))
        return false;
    choose_one_by_one(x, node);
    return price_of_chosen(x) < below;
}

static bool choose_prey(struct search *x, size_t node, int64_t below)
{
    return find_any_prey(x, node) && choose_of_prey(x, node, below);
}

const struct prospect *prospect_of(struct schedule *s, size_t node, int64_t now_us)
{
    struct tenants *tenants = &s->machines[node];
    if (tenants->prospect.is_known)
        return &tenants->prospect;
    struct prospect p = { .is_known = true,
                          .priority = INT_MAX,
                          .price = INT64_MAX,
                          .per_gpu = INT64_MAX,
                          .milli = INT64_MAX };

    vec_foreach(tenants, tenant) {
        const struct entry *entry = tenant->entry;
        if (!may_be_stopped(s, entry, now_us))
            continue;
        int64_t price = price_of(entry), per_gpu = price / entry_weight(entry);
        p.priority = entry->line->priority < p.priority ? entry->line->priority : p.priority;
        p.level = entry->past->level > p.level ? entry->past->level : p.level;
        p.price = price < p.price ? price : p.price;
        p.per_gpu = per_gpu < p.per_gpu ? per_gpu : p.per_gpu;
        p.milli = entry_milli(entry) < p.milli ? entry_milli(entry) : p.milli;
        p.gpus += entry_ask(entry)->gpus;
        p.groups |= bit_of(entry->line->group);
    }
    tenants->prospect = p;
    s->groups_at[node] = p.groups;
    return &tenants->prospect;
}

/* May somebody on NODE be stopped at all, as far as priority and level say? */
static bool may_yield(const struct search *x, size_t node)
{
    const struct prospect *p = prospect_of(x->s, node, x->now_us);
    int priority = x->entry->line->priority;

    if (p->price == INT64_MAX)
        return false;
    return x->s->options.policy->shares || p->priority < priority ||
           (p->priority == priority && p->level > x->level);
}

/* And as far as groups say? */
static bool has_prospect(const struct search *x, size_t node)
{
    const struct prospect *p = &x->s->machines[node].prospect;
    int priority = x->entry->line->priority;

    if (!may_yield(x, node))
        return false;
    if (!x->s->options.policy->shares || (p->groups & x->others && p->milli <= x->most))
        return true;
    return p->groups & bit_of(x->entry->line->group) &&
           (p->priority < priority || (p->priority == priority && p->level > x->level));
}

/* By what was found out for others of the group. */
static bool is_known_not(const struct search *x, size_t node)
{
    const struct memo_at *known = &x->s->memo->machines[node];
    const struct ask *ask = entry_ask(x->entry);

    return known->prey == 0 || (ask->gpu_milli == CAPACITY_GPU && known->total < ask->gpus);
}

/* What room for a task on NODE costs at least; INT64_MAX: there can be none. */
static int64_t least_price(const struct search *x, size_t node)
{
    const struct schedule *s = x->s;

    if (node >= s->n_machines || is_known_not(x, node) || !(s->groups_at[node] & x->groups) ||
        !has_prospect(x, node))
        return INT64_MAX;
    const struct prospect *p = &x->s->machines[node].prospect;
    unsigned lacking = gpus_lacking(x, node);
    if (p->gpus < lacking)
        return INT64_MAX;
    return p->per_gpu * lacking > p->price ? p->per_gpu * lacking : p->price;
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
        bool is_known = node < s->n_machines && may_yield(x, node);
        unsigned stopped = is_known ? s->machines[node].prospect.gpus : 0;
        unsigned here = (gpus_that_do(x, node) + stopped) / wants;
        found += is_apart(x) && here > 1 ? 1 : here;
    }
    return found >= tasks;
}

static void name_chosen(const struct search *x, struct entries *ret)
{
    ret->len = 0;
    vec_foreach(&x->prey, prey)
        if (prey->is_chosen)
            vec_push(ret, prey->entry);
}

/* Cheaper ones on machines that a booking keeps from it, but not without them. */
static void find_on_kept(struct search *x, int64_t price, struct entries *ret)
{
    const size_t *nodes;
    size_t n = booked_closed(x->s, &nodes);

    x->is_kept = true;
    for (size_t i = 0; i < n; i++) {
        if (least_price(x, nodes[i]) >= price || !choose_prey(x, nodes[i], price))
            continue;
        price = price_of_chosen(x);
        x->kept = nodes[i];
        name_chosen(x, ret);
    }
    x->is_kept = false;
}

/* The cheapest jobs that make room for a task, on any machine that may be chosen. */
static bool find_cheapest(struct search *x, struct entries *ret)
{
    const struct stretch limits = capacity_limits(x->s->capacity);
    bool is_all = limits.end - limits.first == capacity_len(x->s->capacity);
    int64_t price = INT64_MAX;

    for (size_t at = limits.first; at < limits.end; at++) {
        size_t node = is_all ? at : machine_at(x, &limits, at);
        if (least_price(x, node) >= price || capacity_is_closed(x->s->capacity, node) ||
            !choose_prey(x, node, price))
            continue;
        price = price_of_chosen(x);
        name_chosen(x, ret);
    }
    x->kept = SIZE_MAX;
    find_on_kept(x, price, ret);
    return price != INT64_MAX || x->kept != SIZE_MAX;
}

/* ---- the same for a gang ------------------------------------------------------------------------------ */

/* What was found out for one task holds for the next, but on machines on which something changed; where groups go by shares, who
 * has less right goes by who is stopped already. */

/* The machine at place AT, whatever was known of it. */
static void bids_renew(struct search *x, size_t at)
{
    struct bids *b = &x->bids;
    uint32_t number = ++b->numbers[at - b->limits.first];
    int64_t price = least_price(x, machine_at(x, &b->limits, at));

    if (price != INT64_MAX)
        bids_push(&b->heap, (struct bid){ price, at, number, false });
}

static void bids_make(struct search *x)
{
    struct bids *b = &x->bids;

    b->limits = capacity_limits(x->s->capacity);
    b->numbers = xrealloc(b->numbers, (b->limits.end - b->limits.first + 1) * sizeof *b->numbers);
    free(b->answered);
    b->answered = xnew_n(uint32_t, b->limits.end - b->limits.first + 1);
    b->heap.len = b->looked_at.len = b->answers.len = 0;
    for (size_t at = b->limits.first; at < b->limits.end; at++) {
        int64_t price = least_price(x, machine_at(x, &b->limits, at));
        b->numbers[at - b->limits.first] = 0;
        if (price != INT64_MAX)
            vec_push(&b->heap, ((struct bid){ price, at, 0, false }));
    }
    bids_order(&b->heap);
    b->is_made = true;
}

/* Something changed on NODE. */
static void bids_change(struct search *x, size_t node)
{
    struct bids *b = &x->bids;
    const struct capacity *capacity = x->s->capacity;
    bool is_all = b->limits.end - b->limits.first == capacity_len(capacity);
    size_t at = is_all ? node : locality_at(capacity_locality(capacity), node);

    if (!b->is_made || at < b->limits.first || at >= b->limits.end)
        return;
    b->answered[at - b->limits.first] = 0;
    bids_renew(x, at);
}

/* The groups of which surplus() is another without VICTIMS. */
static void find_changed_groups(struct search *x, const struct entries *victims)
{
    const struct share *share = x->s->share;
    uint32_t own = x->entry->line->group, n = share_len(share);

    if (!x->bids.has_changed)
        x->bids.has_changed = xnew_n(bool, n);
    for (uint32_t group = 0; group < n; group++) {
        bool *has_changed = &x->bids.has_changed[group];
        uint32_t side = share_side(share, group, own);
        *has_changed = false;
        for (size_t i = 0; i < victims->len && !*has_changed; i++)
            *has_changed = share_is_below(share, victims->items[i]->line->group, side);
    }
}

static bool has_changed_tenant(const struct search *x, size_t node)
{
    vec_foreach(&x->s->machines[node], tenant)
        if (tenant->preemptible && x->bids.has_changed[tenant->group])
            return true;
    return false;
}

/* VICTIMS were stopped. */
static void bids_change_rights(struct search *x, const struct entries *victims)
{
    struct bids *b = &x->bids;
    size_t kept = 0;

    if (b->looked_at.len == 0)
        return;
    find_changed_groups(x, victims);
    vec_foreach(&b->looked_at, at)
        if (has_changed_tenant(x, machine_at(x, &b->limits, *at)))
            bids_renew(x, *at);
        else
            b->looked_at.items[kept++] = *at;
    b->looked_at.len = kept;
}

/* Choose what was chosen of more prey: nobody makes room if those did not, and the cheapest of few stay that while they are
 * there. False: that is not known. */
static bool recall(struct search *x, const struct answer *answer)
{
    uint32_t there = 0;
    size_t i = 0;

    vec_foreach(&x->prey, prey) {
        for (; i < answer->n && answer->prey[i] != prey->place; i++)
            ;
        if (i == answer->n)
            return false;
        prey->is_chosen = answer->set & 1u << i;
        there |= 1u << i++;
    }
    return answer->set == 0 || x->prey.len == answer->n ||
           (answer->n <= EXACT_MAX && (answer->set & ~there) == 0);
}

static void remember(struct search *x, size_t at, bool would_do)
{
    struct answer answer = { .n = x->prey.len };
    uint32_t *answered = &x->bids.answered[at - x->bids.limits.first];

    for (size_t i = 0; i < answer.n; i++) {
        answer.prey[i] = x->prey.items[i].place;
        answer.set |= (uint32_t) (would_do && x->prey.items[i].is_chosen) << i;
    }
    if (*answered == 0) {
        vec_push(&x->bids.answers, answer);
        *answered = (uint32_t) x->bids.answers.len;
    } else {
        x->bids.answers.items[*answered - 1] = answer;
    }
}

/* choose_prey() on the machine at place AT, whatever it costs; what was asked there already is not asked again. */
static bool choose_prey_at(struct search *x, size_t at)
{
    size_t node = machine_at(x, &x->bids.limits, at);
    uint32_t answered = x->bids.answered[at - x->bids.limits.first];

    if (!find_any_prey(x, node))
        return false;
    if (x->prey.len > ANSWER_MAX)
        return choose_of_prey(x, node, INT64_MAX);
    if (answered > 0 && recall(x, &x->bids.answers.items[answered - 1]))
        return x->bids.answers.items[answered - 1].set != 0;
    bool would_do = choose_of_prey(x, node, INT64_MAX);
    remember(x, at, would_do);
    return would_do;
}

/* As find_cheapest() does. */
static bool find_next_cheapest(struct search *x, struct entries *ret)
{
    struct bids *b = &x->bids;

    if (!b->is_made)
        bids_make(x);
    while (b->heap.len > 0) {
        struct bid bid = bids_pop(&b->heap);
        size_t node = machine_at(x, &b->limits, bid.at);
        if (bid.number != b->numbers[bid.at - b->limits.first] ||
            capacity_is_closed(x->s->capacity, node))
            continue;
        bool would_do = choose_prey_at(x, bid.at);
        if (bid.is_exact) {
            name_chosen(x, ret);
            bids_renew(x, bid.at);
            return true;
        }
        if (x->s->options.policy->shares)
            vec_push(&b->looked_at, bid.at);
        if (would_do)
            bids_push(&b->heap, (struct bid){ price_of_chosen(x), bid.at, bid.number, true });
    }
    return false;
}

static void halt_all(struct search *x, const struct entries *victims)
{
    vec_foreach(victims, victim) {
        if ((*victim)->past->halted)
            continue;
        x->price += price_of(*victim);
        entry_halt(x->s, *victim);
        vec_push(x->stopped, *victim);
        for (unsigned i = 0; x->bids.is_made && i < entry_tasks(*victim); i++)
            bids_change(x, (*victim)->past->places[i].node);
    }
    bids_change_rights(x, victims);
}

static bool find_victims(struct search *x, struct entries *ret)
{
    return entry_tasks(x->entry) > 1 ? find_next_cheapest(x, ret) : find_cheapest(x, ret);
}

/* A place where the victims were. */
static bool choose_freed(struct search *x, struct choice *ret)
{
    if (entry_tasks(x->entry) > 1 || x->kept == SIZE_MAX)
        return capacity_choose(x->s->capacity, entry_ask(x->entry), ret);
    booked_admit(x->s, x->entry, x->kept, x->now_us);
    return capacity_choose_on(x->s->capacity, entry_ask(x->entry), x->kept, ret);
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
        if (!found && find_victims(x, &victims)) {
            halt_all(x, &victims);
            found = x->stopped->len <= x->max && x->price < x->below && choose_freed(x, place);
        }
        if (!found)
            break;
        capacity_take(capacity, ask, place);
        if (is_apart(x))
            capacity_close(capacity, place->node, true);
        bids_change(x, place->node);
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
    x->bids.is_made = false;
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
                        .groups = UINT64_MAX,
                        .max = max,
                        .stopped = stopped };
    enum level level = entry->line->demand->wish.within;

    if (s->options.policy->shares && !may_have_more(s, entry))
        return false;
    if (s->options.policy->shares)
        find_who_has_too_much(&x);
    memo_open(&x);
    bool taken = entry_tasks(entry) > 1 && level != LEVEL_ALL ? take_in_domain(&x, level)
                                                              : take_for_less(&x, INT64_MAX);
    if (taken)
        together_sort(s->capacity, s->places, entry_tasks(entry));
    capacity_worked(s->capacity, x.work);
    vec_done(&x.prey);
    vec_done(&x.gone);
    vec_done(&x.bids.heap);
    vec_done(&x.bids.looked_at);
    vec_done(&x.bids.answers);
    free(x.bids.numbers);
    free(x.bids.answered);
    free(x.bids.has_changed);
    free(x.surpluses);
    free(x.of_all);
    return taken;
}
