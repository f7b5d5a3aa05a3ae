/* schedule.c - a pass over who waits, in the policy's order */
#include "placement/entry.h"

#include "base/alloc.h"

#include <stdlib.h>

/* While somebody waits, levels sink by credit: they are looked at again after so long. */
enum { RELOOK_S = 900 };

int64_t entry_weight(const struct entry *entry)
{
    int64_t gpus = (int64_t) entry->job.ask.gpus * entry->job.tasks;

    return gpus > 0 ? gpus : 1;
}

struct claim entry_claim(const struct entry *entry, int64_t now_us)
{
    int64_t ran_us = entry->ran_us + (entry->runs ? now_us - entry->started_us : 0);

    return (struct claim){ .priority = entry->job.priority,
                           .since_us = entry->since_us,
                           .served_us = ran_us * entry_weight(entry),
                           .credit_us = (now_us - entry->since_us - ran_us) * entry_weight(entry),
                           .preemptible = entry->job.preemptible };
}

struct schedule *schedule_new(const struct schedule_options *options, struct capacity *capacity)
{
    struct schedule *s = xnew(struct schedule);

    s->options = *options;
    /* Who runs for less than its restart costs does nothing else: jobs of nearly equal right would stop each other
     * for ever. */
    if (s->options.guaranteed_us < s->options.restart_us)
        s->options.guaranteed_us = s->options.restart_us;
    s->capacity = capacity;
    s->by_id = map_new();
    return s;
}

static void entry_free(struct entry *entry)
{
    free(entry->places);
    free(entry);
}

void schedule_free(struct schedule *s)
{
    if (!s)
        return;
    vec_foreach(&s->entries, entry)
        entry_free(*entry);
    vec_done(&s->entries);
    map_free(s->by_id);
    capacity_free(s->capacity);
    free(s);
}

size_t schedule_waiting(const struct schedule *s) { return s->n_waiting; }

void schedule_submit(struct schedule *s, const struct schedule_job *job, int64_t now_us)
{
    struct entry *entry = xnew(struct entry);

    entry->job = *job;
    entry->number = s->n_came++;
    entry->since_us = entry->waits_since_us = now_us;
    entry->places = xnew_n(struct choice, job->tasks);
    vec_push(&s->entries, entry);
    (void) map_set(s->by_id, &job->id, sizeof job->id, entry);
    s->n_waiting++;
    capacity_learn(s->capacity, &job->ask);
}

bool places_take(struct schedule *s, const struct entry *entry, struct choice *places)
{
    for (unsigned i = 0; i < entry->job.tasks; i++) {
        if (capacity_choose(s->capacity, &entry->job.ask, &places[i])) {
            capacity_take(s->capacity, &entry->job.ask, &places[i]);
            continue;
        }
        while (i > 0)
            capacity_give(s->capacity, &entry->job.ask, &places[--i]);
        return false;
    }
    return true;
}

void entry_start(struct schedule *s, struct entry *entry, int64_t now_us)
{
    entry->runs = true;
    entry->started_us = now_us;
    s->n_waiting--;
}

void entry_stop(struct schedule *s, struct entry *entry, int64_t now_us)
{
    for (unsigned i = 0; i < entry->job.tasks; i++)
        capacity_give(s->capacity, &entry->job.ask, &entry->places[i]);
    entry->ran_us += now_us - entry->started_us;
    entry->waits_since_us = now_us;
    entry->runs = false;
    s->n_waiting++;
}

void schedule_end(struct schedule *s, uint64_t id, int64_t now_us)
{
    struct entry *entry = map_remove(s->by_id, &id, sizeof id);

    if (!entry)
        return;
    if (entry->runs)
        entry_stop(s, entry, now_us);
    s->n_waiting--;
    for (size_t i = 0; i < s->entries.len; i++)
        if (s->entries.items[i] == entry) {
            vec_remove(&s->entries, i);
            break;
        }
    entry_free(entry);
}

/* ---- a pass ----------------------------------------------------------------------------------------- */

static int compare(const void *pa, const void *pb)
{
    const struct entry *a = *(struct entry *const *) pa, *b = *(struct entry *const *) pb;

    if (a->job.priority != b->job.priority)
        return a->job.priority > b->job.priority ? -1 : 1;
    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void order(struct schedule *s, int64_t now_us)
{
    if (s->options.policy->level)
        vec_foreach(&s->entries, entry) {
            const struct claim claim = entry_claim(*entry, now_us);
            (*entry)->level = s->options.policy->level(&claim);
        }
    qsort(s->entries.items, s->entries.len, sizeof *s->entries.items, compare);
}

struct pass {
    struct schedule *s;
    int64_t now_us;
    struct schedule_acts *acts;
    const struct entry
        *blocked[64]; /* shapes that found no room, of jobs with at least their right */
    size_t n_blocked;
    struct machines reserved;
    int64_t shadow_us; /* they are reserved from then on; 0: they are not */
    bool is_kept;      /* they are kept for somebody from now on */
    bool closed;       /* the reserved machines are */
};

static void act(struct pass *pass, enum schedule_verb verb, const struct entry *entry)
{
    const struct schedule_act one = { verb, entry->job.id,
                                      verb == SCHEDULE_START ? entry->places : NULL };

    vec_push(pass->acts, one);
}

/* Who asks for the same as one that found no room finds none either: it has no more right to stop others. */
static bool is_blocked(const struct pass *pass, const struct entry *entry)
{
    for (size_t i = 0; i < pass->n_blocked; i++) {
        const struct entry *other = pass->blocked[i];
        if (ask_equal(&other->job.ask, &entry->job.ask) && other->job.tasks == entry->job.tasks)
            return true;
    }
    return false;
}

static void close_reserved(struct pass *pass, bool closed)
{
    if (pass->reserved.len == 0 || pass->closed == closed)
        return;
    for (size_t i = 0; i < pass->reserved.len; i++)
        capacity_close(pass->s->capacity, pass->reserved.items[i], closed);
    pass->closed = closed;
}

/* Who may still run when the reservation begins stays off its machines. */
static bool take(struct pass *pass, struct entry *entry)
{
    bool is_short = !pass->is_kept && entry->job.limit_us > 0 &&
                    entry->job.limit_us <= pass->shadow_us - pass->now_us;

    close_reserved(pass, !is_short);
    return places_take(pass->s, entry, entry->places);
}

static bool take_from_others(struct pass *pass, struct entry *entry)
{
    struct entries stopped = { 0 };

    if (!pass->s->options.policy->preempts ||
        !victims_take(pass->s, entry, pass->now_us, entry->places, &stopped))
        return false;
    for (size_t i = 0; i < stopped.len; i++)
        act(pass, SCHEDULE_STOP, stopped.items[i]);
    vec_done(&stopped);
    return true;
}

static void reserve(struct pass *pass, const struct entry *entry)
{
    const struct schedule_options *o = &pass->s->options;

    if (o->policy->wait == WAIT_RESERVE)
        pass->shadow_us = reserve_for(pass->s, entry, pass->now_us, &pass->reserved);
    if (pass->reserved.len > 0 || o->patience_us == 0 ||
        pass->now_us - entry->waits_since_us < o->patience_us)
        return;
    reserve_nearest(pass->s, entry, &pass->reserved);
    pass->is_kept = true;
}

static void block(struct pass *pass, const struct entry *entry)
{
    if (pass->n_blocked < sizeof pass->blocked / sizeof *pass->blocked)
        pass->blocked[pass->n_blocked++] = entry;
    if (pass->reserved.len == 0)
        reserve(pass, entry);
}

/* False: nobody after it may start. */
static bool consider(struct pass *pass, struct entry *entry)
{
    if (is_blocked(pass, entry) && pass->s->options.policy->wait != WAIT_RESERVE)
        return true;
    if (take(pass, entry) || take_from_others(pass, entry)) {
        entry_start(pass->s, entry, pass->now_us);
        act(pass, SCHEDULE_START, entry);
        return true;
    }
    block(pass, entry);
    return pass->s->options.policy->wait != WAIT_BLOCK;
}

void schedule_pass(struct schedule *s, int64_t now_us, struct schedule_acts *ret)
{
    struct pass pass = { .s = s, .now_us = now_us, .acts = ret };

    if (s->n_waiting == 0)
        return;
    order(s, now_us);
    for (size_t i = 0; i < s->entries.len; i++)
        if (!s->entries.items[i]->runs && !consider(&pass, s->entries.items[i]))
            break;
    close_reserved(&pass, false);
    vec_done(&pass.reserved);
}

/* ---- when to look again ----------------------------------------------------------------------------- */

static int64_t sooner(int64_t a_us, int64_t b_us) { return a_us < b_us ? a_us : b_us; }

/* Somebody who runs may be stopped from then on. */
static int64_t running_next_us(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    const struct claim claim = entry_claim(entry, now_us);
    int64_t next_us = INT64_MAX, sure_us = entry->started_us + s->options.guaranteed_us;

    if (!s->options.policy->preempts || !entry->job.preemptible)
        return INT64_MAX;
    if (sure_us > now_us)
        next_us = sure_us;
    int64_t end_us = s->options.policy->next_level_us(&claim);
    if (end_us != INT64_MAX)
        next_us = sooner(next_us, now_us + (end_us - claim.served_us) / entry_weight(entry) + 1);
    return next_us;
}

/* Somebody who waits is no longer passed over. */
static int64_t waiting_next_us(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    int64_t at_us = entry->waits_since_us + s->options.patience_us;

    return s->options.patience_us > 0 && at_us > now_us ? at_us : INT64_MAX;
}

int64_t schedule_next_us(const struct schedule *s, int64_t now_us)
{
    int64_t next_us = INT64_MAX;

    if (s->n_waiting == 0)
        return next_us;
    if (s->options.policy->preempts)
        next_us = now_us + INT64_C(1000000) * RELOOK_S;
    vec_foreach(&s->entries, entry)
        next_us = sooner(next_us, (*entry)->runs ? running_next_us(s, *entry, now_us)
                                                 : waiting_next_us(s, *entry, now_us));
    return next_us;
}
