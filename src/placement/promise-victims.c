/* promise-victims.c - whom to stop for a job of more priority, where no promise is touched
 *
 * Of all who may be stopped for it, in one order, as few of the first as let it begin now. Which machine that is turns out by
 * looking at each alone: without whom of those who are there it holds a task, or so many of a gang's.
 */
#include "placement/promise-internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* In the order in which they are stopped: those of the lowest priority, of these those that lose least. */
static int compare_prey(const void *pa, const void *pb)
{
    const struct entry *a = *(const struct entry *const *) pa,
                       *b = *(const struct entry *const *) pb;
    int64_t a_weight = entry_weight(a), b_weight = entry_weight(b);

    if (a->line->priority != b->line->priority)
        return a->line->priority < b->line->priority ? -1 : 1;
    if (a_weight != b_weight)
        return a_weight < b_weight ? -1 : 1;
    return entry_is_before(b, a) ? -1 : entry_is_before(a, b);
}

/* With LAST and all before it in that order stopped, NODE holds so many tasks more. */
struct relief {
    struct entry *last; /* NULL: nobody has to be */
    size_t node;
    uint32_t domain;
    int by;
};

static int compare_reliefs(const void *pa, const void *pb)
{
    const struct relief *a = pa, *b = pb;

    if (a->last != b->last) {
        if (!a->last || !b->last)
            return a->last ? 1 : -1;
        return compare_prey(&a->last, &b->last);
    }
    return a->node < b->node ? -1 : a->node > b->node;
}

struct drop {
    struct schedule *s;
    const struct entry *entry;
    int64_t now_us;
    struct asker asker;
    struct profile_wish wish;
    struct entries there; /* who may be stopped on the machine that is looked at, in order */
    VEC(uint64_t) gone;   /* of them */
    VEC(struct relief) reliefs;
    const struct entry
        *bound; /* a task alone: it begins without more than up to this one; NULL: not known */
    struct entries prey; /* out of the profile, in order */
};

static bool may_be_stopped(const struct drop *x, const struct entry *other)
{
    return other->line->priority < x->entry->line->priority &&
           x->now_us - other->past->started_us >= x->s->options.guaranteed_us;
}

static void find_there(struct drop *x, size_t node)
{
    x->there.len = 0;
    vec_foreach(&x->s->machines[node], tenant) {
        struct entry *other = tenant->entry;
        if (tenant->preemptible && may_be_stopped(x, other) &&
            !(x->bound && compare_prey(&other, &x->bound) > 0))
            vec_push(&x->there, other);
    }
    if (x->there.len > 1)
        qsort(x->there.items, x->there.len, sizeof *x->there.items, compare_prey);
}

/* GPUs of NODE of which nobody has all. */
static unsigned gpus_now(const struct drop *x, size_t node)
{
    const struct room *room = capacity_room(x->s->capacity, node);
    unsigned n = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        n += room->gpu[i] > 0;
    return n;
}

/* The same without those who would be stopped. */
static unsigned gpus_at_most(const struct drop *x, size_t node)
{
    unsigned n = gpus_now(x, node);

    vec_foreach(&x->there, other)
        n += entry_ask(*other)->gpus;
    return n;
}

/* Might room be made on NODE, without a look at each who is there? */
static bool is_prospect(const struct drop *x, size_t node)
{
    const struct prospect *p = prospect_of(x->s, node, x->now_us);

    return p->priority < x->entry->line->priority &&
           !(x->bound && p->priority > x->bound->line->priority) &&
           gpus_now(x, node) + p->gpus >= entry_ask(x->entry)->gpus;
}

static unsigned fits_without(struct drop *x, size_t node)
{
    x->wish.without = x->gone.items;
    x->wish.n_without = x->gone.len;
    unsigned fits = profile_fits(x->s->promises->profile, &x->wish, node, x->now_us);
    x->wish.n_without = 0;
    capacity_worked(x->s->capacity, 1);
    return fits;
}

static void note(struct drop *x, size_t node, struct entry *last, unsigned by)
{
    const uint32_t *domains = x->wish.domains;

    if (by == 0)
        return;
    vec_push(&x->reliefs, ((struct relief){ last, node, domains ? domains[node] : 0, (int) by }));
    if (x->wish.tasks == 1)
        x->bound = last;
}

static void look_at(struct drop *x, size_t node)
{
    unsigned before = 0;

    x->gone.len = 0;
    if (x->wish.tasks > 1)
        note(x, node, NULL, before = fits_without(x, node));
    if (!is_prospect(x, node))
        return;
    find_there(x, node);
    if (x->there.len == 0 || gpus_at_most(x, node) < entry_ask(x->entry)->gpus)
        return;
    for (size_t i = 0; i < x->there.len; i++) {
        struct entry *other = x->there.items[i];
        vec_push(&x->gone, other->id);
        if (i + 1 < x->there.len && x->there.items[i + 1] == other)
            continue;
        unsigned now = fits_without(x, node);
        note(x, node, other, now > before ? now - before : 0);
        before = now > before ? now : before;
        if (before >= x->wish.tasks)
            break;
    }
}

static size_t n_domains(const struct drop *x)
{
    uint32_t most = 0;

    for (size_t i = 0; x->wish.domains && i < x->s->promises->nodes.len; i++)
        most = x->wish.domains[i] > most ? x->wish.domains[i] : most;
    return (size_t) most + 1;
}

/* The last who has to be stopped so that all tasks have room in one domain; reliefs up to his are *RET_N. NULL: nobody is. */
static const struct entry *find_last(struct drop *x, size_t *ret_n)
{
    _cleanup_free_ int64_t *sums = xnew_n(int64_t, n_domains(x));
    const struct entry *last = NULL;
    size_t i = 0;

    if (x->reliefs.len > 1)
        qsort(x->reliefs.items, x->reliefs.len, sizeof *x->reliefs.items, compare_reliefs);
    for (; i < x->reliefs.len && !last; i++) {
        const struct relief *r = &x->reliefs.items[i];
        sums[r->domain] += r->by;
        if (sums[r->domain] >= (int64_t) x->wish.tasks)
            last = r->last;
    }
    while (i < x->reliefs.len && x->reliefs.items[i].last == last)
        i++;
    *ret_n = i;
    return last;
}

/* Who may be stopped up to LAST, on the first N machines that get room by it, is out of the profile. */
static void drop_until(struct drop *x, const struct entry *last, size_t n)
{
    struct entries all = { 0 };

    x->bound = last;
    for (size_t i = 0; i < n; i++) {
        find_there(x, x->reliefs.items[i].node);
        vec_foreach(&x->there, other)
            vec_push(&all, *other);
    }
    if (all.len > 1)
        qsort(all.items, all.len, sizeof *all.items, compare_prey);
    for (size_t i = 0; i < all.len; i++) {
        if (i > 0 && all.items[i] == all.items[i - 1])
            continue;
        promise_drop_running(x->s, all.items[i]);
        vec_push(&x->prey, all.items[i]);
    }
    vec_done(&all);
}

/* As few as will do are out of the profile then, and its machines are found. False: it does not start even without all. */
static bool drop_fewest(struct drop *x)
{
    size_t n = 0, machines = x->s->n_machines;

    for (size_t node = 0; node < machines && node < x->s->promises->nodes.len; node++)
        look_at(x, node);
    const struct entry *last = find_last(x, &n);
    if (!last)
        return false;
    drop_until(x, last, n);
    return promise_earliest(x->s, &x->wish) == x->now_us;
}

static void put_back(struct schedule *s, const struct entry *entry, int64_t now_us)
{
    int64_t until_us = promise_end(entry, entry->past->started_us);

    promise_put_running(s, entry,
                        until_us > now_us ? until_us : now_us + OVERRUN_S * INT64_C(1000000));
}

static bool stands_on_found(const struct promises *p, const struct entry *entry, unsigned tasks)
{
    for (unsigned i = 0; i < entry_tasks(entry); i++)
        for (unsigned k = 0; k < tasks; k++)
            if (p->found[k] == entry->past->places[i].node)
                return true;
    return false;
}

/* Is no more promised there than there is, for as long as ENTRY is there? */
static bool is_kept_on_found(struct drop *x, const struct entry *entry)
{
    struct promises *p = x->s->promises;
    int64_t now_us = x->now_us;
    const struct profile_wish wish = { .passes = x->wish.passes, .userdata = &x->asker };
    const struct profile_span nothing = { .from_us = now_us,
                                          .until_us = promise_end(entry, now_us) };
    bool is_kept = true;

    for (unsigned i = 0; i < entry_tasks(entry) && is_kept; i++)
        is_kept = profile_lets(p->profile, &wish, p->found[i], &nothing);
    return is_kept;
}

/* With it on the machines that were found, who can stay does, the dearest first; the others are RET. */
static void choose_victims(struct drop *x, struct entries *ret)
{
    struct profile *profile = x->s->promises->profile;
    const size_t *found = x->s->promises->found;
    unsigned tasks = entry_tasks(x->entry);
    const struct profile_span span = profile_span_of(x->entry->id, entry_ask(x->entry), x->now_us,
                                                     promise_end(x->entry, x->now_us));

    for (unsigned i = 0; i < tasks; i++)
        profile_put(profile, found[i], &span);
    while (x->prey.len > 0) {
        struct entry *other = x->prey.items[--x->prey.len];
        put_back(x->s, other, x->now_us);
        if (!stands_on_found(x->s->promises, other, tasks) || is_kept_on_found(x, x->entry))
            continue;
        promise_drop_running(x->s, other);
        vec_push(ret, other);
    }
    for (unsigned i = 0; i < tasks; i++)
        if (i == 0 || found[i] != found[i - 1])
            profile_drop(profile, found[i], x->entry->id);
}

/* The machines say whether it fits in all detail, and bookings who may begin there without them. */
static bool take_from(struct schedule *s, const struct entry *entry, struct choice *places,
                      int64_t now_us, struct entries *stopped)
{
    vec_foreach(stopped, victim)
        entry_halt(s, *victim);
    booked_open(s);
    (void) booked_close(s, entry, false, now_us);
    if (promise_take(s, entry, now_us, places))
        return true;
    vec_foreach(stopped, victim)
        entry_resume(s, *victim);
    return false;
}

static void put_promise(struct promises *p, const struct entry *entry,
                        const struct promise *promise)
{
    const struct profile_span span = profile_span_of(entry->id, entry_ask(entry), promise->start_us,
                                                     promise_end(entry, promise->start_us));

    for (unsigned i = 0; i < promise->tasks; i++)
        profile_put(p->profile, promise->nodes[i], &span);
}

bool promise_force(struct schedule *s, const struct entry *entry, struct choice *places,
                   int64_t now_us, unsigned max, struct entries *stopped)
{
    struct promises *p = s->promises;
    struct promise *own = promise_find(p, entry->id);
    struct drop x = { .s = s, .entry = entry, .now_us = now_us };
    bool taken = false;

    if (!own && p->n_kept >= s->options.depth)
        return false;
    if (own)
        promise_clear_spans(p, own);
    x.wish = promise_wish(s, entry, true, now_us, &x.asker);
    x.wish.shares = NULL; /* who has part of the GPU may be stopped as well */
    if (drop_fewest(&x)) {
        choose_victims(&x, stopped);
        taken = stopped->len <= max && take_from(s, entry, places, now_us, stopped);
    }
    for (size_t i = 0; i < stopped->len && !taken; i++)
        put_back(s, stopped->items[i], now_us);
    while (x.prey.len > 0)
        put_back(s, x.prey.items[--x.prey.len], now_us);
    vec_done(&x.prey);
    vec_done(&x.there);
    vec_done(&x.gone);
    vec_done(&x.reliefs);
    if (!taken)
        vec_done(stopped);
    if (taken && own)
        promise_drop(p, own, true);
    else if (own)
        put_promise(p, entry, own);
    return taken;
}
