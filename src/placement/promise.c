/* promise.c - promises, on a profile of what is free when */
#include "placement/promise-internal.h"

#include "base/alloc.h"
#include "placement/calendar.h"
#include "placement/locality.h"

#include <stdlib.h>
#include <string.h>

/* ---- promises -------------------------------------------------------------------------------------------- */

struct promise *promise_find(const struct promises *p, uint64_t id)
{
    for (struct link *l = table_first(&p->by_id, hash_mix(0, id)); l; l = link_next(l)) {
        struct promise *promise = link_owner(l, struct promise, link);
        if (promise->id == id)
            return promise;
    }
    return NULL;
}

void promise_clear_spans(struct promises *p, const struct promise *promise)
{
    for (unsigned i = 0; i < promise->tasks; i++)
        if (i == 0 || promise->nodes[i] != promise->nodes[i - 1])
            profile_drop(p->profile, promise->nodes[i], promise->id);
}

void promise_drop(struct promises *p, struct promise *promise, bool is_freed)
{
    struct promise *moved = p->list.items[--p->list.len];

    promise_clear_spans(p, promise);
    p->list.items[promise->at] = moved;
    moved->at = promise->at;
    table_remove(&p->by_id, &promise->link);
    free(promise);
    p->version += is_freed;
}

void promises_forget(struct schedule *s, uint64_t id)
{
    struct promise *promise = s->promises ? promise_find(s->promises, id) : NULL;

    if (promise)
        promise_drop(s->promises, promise, true);
}

void promises_free(struct promises *p)
{
    if (!p)
        return;
    vec_foreach(&p->list, promise)
        free(*promise);
    vec_done(&p->list);
    vec_done(&p->nodes);
    vec_done(&p->kept);
    table_done(&p->by_id);
    profile_free(p->profile);
    vec_done(&p->refused);
    free(p->found);
    free(p->domains);
    free(p);
}

int64_t promise_time(const struct schedule *s, uint64_t id)
{
    const struct promise *promise = s->promises ? promise_find(s->promises, id) : NULL;

    return promise ? promise->start_us : INT64_MAX;
}

int64_t promises_next_us(const struct schedule *s, int64_t now_us)
{
    int64_t next_us = INT64_MAX;

    if (s->promises)
        vec_foreach(&s->promises->list, promise)
            if ((*promise)->start_us > now_us && (*promise)->start_us < next_us)
                next_us = (*promise)->start_us;
    return next_us;
}

/* ---- what the profile knows -------------------------------------------------------------------------------- */

int64_t promise_end(const struct entry *entry, int64_t start_us)
{
    bool is_known = entry->limit_us > 0 && entry->limit_us < INT64_MAX - start_us;

    return is_known ? start_us + entry->limit_us : INT64_MAX;
}

void promise_put_running(struct schedule *s, const struct entry *entry, int64_t until_us)
{
    for (unsigned i = 0; i < entry_tasks(entry); i++) {
        const struct choice *place = &entry->past->places[i];
        struct profile_span span =
            profile_span_of(entry->id, entry_ask(entry), entry->past->started_us, until_us);
        span.gpus = place->gpus;
        profile_put(s->promises->profile, place->node, &span);
    }
}

void promise_drop_running(struct schedule *s, const struct entry *entry)
{
    for (unsigned i = 0; i < entry_tasks(entry); i++)
        profile_drop(s->promises->profile, entry->past->places[i].node, entry->id);
}

static void look_at_nodes(struct schedule *s)
{
    static const struct room none = { 0 };
    struct promises *p = s->promises;

    for (size_t i = 0; i < capacity_len(s->capacity); i++) {
        const struct room *size = capacity_size(s->capacity, i);
        bool closed = capacity_is_closed(s->capacity, i);
        if (i < p->nodes.len && p->nodes.items[i].closed == closed &&
            room_equal(&p->nodes.items[i].size, size))
            continue;
        const struct known known = { *size, closed };
        if (i == p->nodes.len)
            vec_push(&p->nodes, known);
        p->nodes.items[i] = known;
        profile_set_node(p->profile, i, closed ? &none : size);
        p->version++;
    }
}

/* Somebody may run on a machine before a pass has seen it. */
static void look_at_new_nodes(struct schedule *s)
{
    if (s->promises->nodes.len < capacity_len(s->capacity))
        look_at_nodes(s);
}

void promises_start(struct schedule *s, const struct entry *entry)
{
    if (!s->promises)
        return;
    look_at_new_nodes(s);
    int64_t until_us = promise_end(entry, entry->past->started_us);
    promise_put_running(s, entry, until_us);
}

void promises_stop(struct schedule *s, const struct entry *entry)
{
    if (!s->promises)
        return;
    promise_drop_running(s, entry);
    s->promises->version++;
}

/* Who should be gone by now is there for a while yet. */
static void look_at_running(struct schedule *s, int64_t now_us)
{
    vec_foreach(&s->running, entry) {
        if (promise_end(*entry, (*entry)->past->started_us) > now_us)
            continue;
        promise_drop_running(s, *entry);
        promise_put_running(s, *entry, now_us + OVERRUN_S * INT64_C(1000000));
    }
}

/* Bookings have numbers of their own: jobs count from below. */
static uint64_t number_of(const struct booking *booking) { return UINT64_MAX - booking->id; }

static void look_at_bookings(struct schedule *s)
{
    const struct calendar *calendar = schedule_calendar(s);
    struct promises *p = s->promises;

    for (size_t node = 0; calendar && node < p->nodes.len; node++) {
        const struct page *page = calendar_page(calendar, node);
        const struct room *size = &p->nodes.items[node].size;
        profile_drop_passable(p->profile, node);
        for (size_t i = 0; page && i < page->entries.len; i++) {
            const struct booking *b = page->entries.items[i].booking;
            int64_t all = booking_size(size), kept = page->entries.items[i].milli,
                    milli = kept < all ? kept : all;
            const struct profile_span span = {
                .id = number_of(b),
                .from_us = b->from_us,
                .until_us = b->until_us,
                .cpu_milli = (int32_t) (size->cpu_milli * milli / all),
                .memory_mib = (int32_t) (size->memory_mib * milli / all),
                .n_gpus = (uint16_t) (size->n_gpus ? (milli + CAPACITY_GPU - 1) / CAPACITY_GPU : 0),
                .is_passable = true,
                .group = b->group,
            };
            profile_put(p->profile, node, &span);
        }
    }
}

static struct promises *make(struct schedule *s)
{
    struct promises *p = s->promises = xnew(struct promises);

    p->profile = profile_new();
    look_at_nodes(s);
    vec_foreach(&s->running, entry)
        promise_put_running(s, *entry, promise_end(*entry, (*entry)->past->started_us));
    return p;
}

static void drop_kept(struct promises *p)
{
    vec_foreach(&p->kept, node)
        profile_drop(p->profile, *node, p->kept_for);
    p->kept.len = 0;
}

void promises_begin(struct schedule *s, int64_t now_us)
{
    if (!s->promises)
        (void) make(s);
    look_at_nodes(s);
    look_at_running(s, now_us);
    if (s->promises->calendar != booked_version(s)) {
        look_at_bookings(s);
        s->promises->calendar = booked_version(s);
        s->promises->version++;
    }
    drop_kept(s->promises); /* of a pass that was given up */
    s->promises->n_kept = 0;
}

void promises_finish(struct schedule *s)
{
    struct promises *p = s->promises;

    for (size_t i = p->list.len; i-- > 0;)
        if (p->list.items[i]->pass != s->n_passes)
            promise_drop(p, p->list.items[i], true);
    drop_kept(p);
}

void promise_keep_free(struct schedule *s, const struct entry *entry, size_t node, int64_t now_us)
{
    struct promises *p = s->promises;
    const struct room *size = capacity_size(s->capacity, node);
    const struct profile_span all = { .id = entry->id,
                                      .from_us = now_us,
                                      .until_us = INT64_MAX,
                                      .cpu_milli = size->cpu_milli,
                                      .memory_mib = size->memory_mib,
                                      .n_gpus = size->n_gpus };

    profile_put(p->profile, node, &all);
    vec_push(&p->kept, node);
    p->kept_for = entry->id;
}

/* ---- who is next ------------------------------------------------------------------------------------------- */

/* Kept for whoever asks. */
static bool is_for_it(void *userdata, const struct profile_span *span)
{
    const struct asker *asker = userdata;

    return share_is_below(asker->s->share, asker->entry->line->group, span->group);
}

/* Whoever has less priority is promised something else after this one. */
static void forget_lower(struct promises *p, int priority)
{
    for (size_t i = p->list.len; i-- > 0;)
        if (p->list.items[i]->priority < priority)
            promise_drop(p, p->list.items[i], true);
}

static struct promise *keep(struct schedule *s, const struct entry *entry, int64_t start_us)
{
    struct promises *p = s->promises;
    unsigned tasks = entry_tasks(entry);
    struct promise *promise = xcalloc(1, sizeof *promise + tasks * sizeof *promise->nodes);
    struct profile_span span =
        profile_span_of(entry->id, entry_ask(entry), start_us, promise_end(entry, start_us));
    unsigned there = 0;

    promise->id = entry->id;
    promise->start_us = start_us;
    promise->priority = entry->line->priority;
    promise->version = p->version;
    promise->pass = s->n_passes;
    promise->tasks = tasks;
    promise->at = p->list.len;
    for (unsigned i = 0; i < tasks; i++) {
        promise->nodes[i] = p->found[i];
        there = i > 0 && p->found[i] == p->found[i - 1] ? there + 1 : 0;
        span.n_gpus = there % profile_per_gpu(entry_ask(entry)) ? 0 : entry_ask(entry)->gpus;
        profile_put(p->profile, p->found[i], &span);
    }
    vec_push(&p->list, promise);
    table_add(&p->by_id, &promise->link, hash_mix(0, promise->id));
    p->n_kept++;
    return promise;
}

/* GPUs on NODE that nobody has anything of. */
static uint32_t untouched_gpus(const struct schedule *s, size_t node)
{
    const struct room *room = capacity_room(s->capacity, node);
    uint32_t gpus = 0;

    for (unsigned i = 0; i < room->n_gpus && i < CAPACITY_GPUS_MAX; i++)
        gpus |= (uint32_t) (room->gpu[i] == CAPACITY_GPU) << i;
    return gpus;
}

static bool is_alone_with_part(const struct entry *entry)
{
    const struct ask *ask = entry_ask(entry);

    return entry_tasks(entry) == 1 && ask->gpus == 1 && ask->gpu_milli < CAPACITY_GPU;
}

/* A place for a task alone that has its part of a GPU of which it stands in nobody's way, as the profile says. */
static bool choose_part(struct schedule *s, const struct entry *entry, int64_t now_us,
                        struct choice *ret)
{
    struct asker asker;
    const struct profile_wish wish = promise_wish(s, entry, true, now_us, &asker);
    size_t node = s->promises->found[0];
    bool free_does;
    uint32_t may = profile_shared(s->promises->profile, &wish, node, &free_does);

    may |= free_does ? untouched_gpus(s, node) : 0;
    uint32_t before = capacity_bar(s->capacity, node, 0);
    (void) capacity_bar(s->capacity, node, before | ~may);
    bool found = capacity_choose_on(s->capacity, entry_ask(entry), node, ret);
    (void) capacity_bar(s->capacity, node, before);
    return found;
}

/* A place for task I on its machine. Tasks that have parts of GPUs share as few as they were counted for. */
static bool choose(struct schedule *s, const struct entry *entry, unsigned i, unsigned there,
                   struct choice *places)
{
    const struct ask *ask = entry_ask(entry);
    const size_t *nodes = s->promises->found;
    unsigned per_gpu = profile_per_gpu(ask);
    bool is_last = i + 1 == entry_tasks(entry) || nodes[i + 1] != nodes[i];
    uint32_t gpu = 0;

    if (!capacity_choose_on(s->capacity, ask, nodes[i], &places[i]))
        return false;
    if (per_gpu > 1 && there % per_gpu > 0)
        gpu = places[i - 1].gpus;
    else if (per_gpu > 1 && !(is_last && there == 0))
        gpu = untouched_gpus(s, nodes[i]) & -untouched_gpus(s, nodes[i]);
    if (gpu && capacity_room(s->capacity, nodes[i])->gpu[__builtin_ctz(gpu)] >= ask->gpu_milli)
        places[i].gpus = gpu;
    return true;
}

/* The machines say who may run there, and whether their numbers are all there is to it: one that does not hold a task now is
 * left out. */
bool promise_take(struct schedule *s, const struct entry *entry, int64_t now_us,
                  struct choice *places)
{
    const struct ask *ask = entry_ask(entry);
    struct promises *p = s->promises;
    bool is_part = is_alone_with_part(entry);

    for (unsigned i = 0, there = 0; i < entry_tasks(entry); i++) {
        there = i > 0 && p->found[i] == p->found[i - 1] ? there + 1 : 0;
        if (is_part ? choose_part(s, entry, now_us, places) : choose(s, entry, i, there, places)) {
            capacity_take(s->capacity, ask, &places[i]);
            continue;
        }
        vec_push(&p->refused, p->found[i]);
        while (i > 0)
            capacity_give(s->capacity, ask, &places[--i]);
        return false;
    }
    together_sort(s->capacity, places, entry_tasks(entry));
    return true;
}

static enum profile_when may_be_on(void *userdata, size_t node)
{
    const struct asker *asker = userdata;

    if (!capacity_could(asker->s->capacity, node, entry_ask(asker->entry)))
        return PROFILE_NEVER;
    vec_foreach(&asker->s->promises->refused, refused)
        if (*refused == node)
            return PROFILE_LATER;
    return PROFILE_ANY;
}

/* The domains of the level inside which all tasks are to be, by machine; NULL: anywhere. */
static const uint32_t *domains_of(struct schedule *s, const struct entry *entry)
{
    struct locality *locality = capacity_locality(s->capacity);
    enum level level = entry->line->demand->wish.within;
    struct promises *p = s->promises;

    if (level == LEVEL_ALL || entry_tasks(entry) == 1)
        return NULL;
    p->domains = xrealloc(p->domains, (p->nodes.len + 1) * sizeof *p->domains);
    for (size_t i = 0; i < p->nodes.len; i++)
        p->domains[i] = (uint32_t) locality_domain_at(locality, level, locality_at(locality, i));
    return p->domains;
}

static void find_room(struct promises *p, unsigned tasks)
{
    if (p->n_found >= tasks)
        return;
    p->n_found = tasks;
    p->found = xrealloc(p->found, tasks * sizeof *p->found);
}

static uint32_t shares_on(void *userdata, size_t node)
{
    const struct asker *asker = userdata;

    return capacity_shares(asker->s->capacity, node, entry_ask(asker->entry));
}

struct profile_wish promise_wish(struct schedule *s, const struct entry *entry, bool only_now,
                                 int64_t now_us, struct asker *asker)
{
    *asker = (struct asker){ s, entry };
    return (struct profile_wish){ .ask = entry_ask(entry),
                                  .tasks = entry_tasks(entry),
                                  .from_us = now_us,
                                  .only_now = only_now,
                                  .length_us = entry->limit_us ? entry->limit_us : INT64_MAX,
                                  .is_apart =
                                      entry->line->demand->wish.apart && s->promises->nodes.len > 1,
                                  .domains = domains_of(s, entry),
                                  .allows = may_be_on,
                                  .passes = is_for_it,
                                  .shares = is_alone_with_part(entry) ? shares_on : NULL,
                                  .userdata = asker };
}

int64_t promise_earliest(struct schedule *s, const struct profile_wish *wish)
{
    struct promises *p = s->promises;
    uint64_t before = profile_work(p->profile);

    find_room(p, wish->tasks);
    int64_t at_us = profile_earliest(p->profile, wish, p->found);
    capacity_worked(s->capacity, (profile_work(p->profile) - before) / LOOKS);
    return at_us;
}

static int64_t earliest(struct schedule *s, const struct entry *entry, bool only_now,
                        int64_t now_us)
{
    struct asker asker;
    const struct profile_wish wish = promise_wish(s, entry, only_now, now_us, &asker);

    return promise_earliest(s, &wish);
}

static int64_t length_of(const struct entry *entry)
{
    return entry->limit_us ? entry->limit_us : INT64_MAX;
}

/* Did somebody who asks for the same, for no longer, turn out not to be able to begin now? */
static bool is_known_not_now(const struct schedule *s, const struct entry *entry)
{
    const struct demand *demand = entry->line->demand;

    return !s->booked && demand->far_pass == s->n_passes &&
           demand->far_version == s->promises->version && length_of(entry) >= demand->far_length_us;
}

/* What a machine has room for costs only what changed since the last time. */
static bool may_begin_now(struct schedule *s, const struct entry *entry)
{
    struct choice choice;

    return !is_known_not_now(s, entry) && capacity_choose(s->capacity, entry_ask(entry), &choice);
}

static void note_not_now(struct schedule *s, const struct entry *entry)
{
    struct demand *demand = entry->line->demand;

    if (is_known_not_now(s, entry))
        return;
    demand->far_pass = s->n_passes;
    demand->far_version = s->promises->version;
    demand->far_length_us = length_of(entry);
}

static bool promise_moved(int64_t before_us, int64_t at_us)
{
    return before_us != INT64_MAX && at_us != before_us;
}

bool promise_try(struct schedule *s, const struct entry *entry, struct choice *places,
                 int64_t now_us)
{
    struct promises *p = s->promises;
    struct promise *promise = promise_find(p, entry->id);
    bool is_far = p->n_kept >= s->options.depth;

    if (promise && promise->start_us > now_us && promise->version == p->version && !is_far) {
        promise->pass = s->n_passes;
        p->n_kept++;
        return false;
    }
    int64_t before_us = promise ? promise->start_us : INT64_MAX;
    if (promise)
        promise_drop(p, promise, false);
    else if (!is_far)
        forget_lower(p, entry->line->priority);
    int64_t at_us = INT64_MAX;
    p->refused.len = 0;
    bool is_useless = is_far && !may_begin_now(s, entry);
    while (!is_useless && (at_us = earliest(s, entry, is_far, now_us)) == now_us)
        if (promise_take(s, entry, now_us, places)) {
            p->version += promise_moved(before_us, at_us);
            return true;
        }
    /* What was promised before is free for others. */
    p->version += promise_moved(before_us, at_us);
    if (is_far)
        note_not_now(s, entry);
    if (at_us != INT64_MAX && !is_far)
        (void) keep(s, entry, at_us);
    return false;
}

/* ---- as it is kept ------------------------------------------------------------------------------------------ */

size_t promises_len(const struct schedule *s) { return s->promises ? s->promises->list.len : 0; }

bool promises_settled(const struct schedule *s)
{
    const struct promises *p = s->promises;

    if (!p)
        return true;
    size_t n = capacity_len(s->capacity);
    bool is_same = n == p->nodes.len && p->calendar == booked_version(s);

    for (size_t i = 0; is_same && i < n; i++)
        is_same = p->nodes.items[i].closed == capacity_is_closed(s->capacity, i) &&
                  room_equal(&p->nodes.items[i].size, capacity_size(s->capacity, i));
    return is_same;
}

struct promise_facts promise_at(const struct schedule *s, size_t i)
{
    const struct promise *one = s->promises->list.items[i];

    return (struct promise_facts){ .id = one->id,
                                   .start_us = one->start_us,
                                   .nodes = one->nodes,
                                   .n_nodes = one->tasks,
                                   .is_current = one->version == s->promises->version };
}

void promise_again(struct schedule *s, const struct promise_facts *facts)
{
    const struct entry *entry = entry_find(s, facts->id);

    if (!entry || facts->n_nodes != entry_tasks(entry))
        return;
    if (!s->promises) {
        struct promises *p = make(s);
        look_at_bookings(s);
        p->calendar = booked_version(s);
    }
    if (promise_find(s->promises, facts->id))
        return;
    find_room(s->promises, facts->n_nodes);
    memcpy(s->promises->found, facts->nodes, facts->n_nodes * sizeof *facts->nodes);
    struct promise *promise = keep(s, entry, facts->start_us);
    if (!facts->is_current)
        promise->version--;
}
