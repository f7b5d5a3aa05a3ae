/* running.c - jobs that run: the tasks on each machine, and the times at which their right changes */
#include "placement/ends.h"
#include "placement/promise.h"

#include "base/alloc.h"
#include "base/heap.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- a heap of times --------------------------------------------------------------------------------- */

static bool wakes_before(const void *with, struct entry *const *a, struct entry *const *b)
{
    (void) with;
    if ((*a)->past->wake_us != (*b)->past->wake_us)
        return (*a)->past->wake_us < (*b)->past->wake_us;
    return (*a)->number < (*b)->number;
}

static void wake_put(const void *with, struct entry **items, size_t at, struct entry *entry)
{
    (void) with;
    items[at] = entry;
    entry->past->wake_at = at + 1;
}

HEAP(wake, struct entry *, const void *, wakes_before, wake_put)

void wake_clear(struct schedule *s, struct entry *entry)
{
    size_t at = entry->past ? entry->past->wake_at : 0;

    if (at == 0)
        return;
    entry->past->wake_at = 0;
    struct entry *last = s->wakes.items[--s->wakes.len];
    if (last != entry)
        wake_sift(NULL, s->wakes.items, s->wakes.len, at - 1, last);
}

void wake_set(struct schedule *s, struct entry *entry, int64_t at_us)
{
    wake_clear(s, entry);
    entry->past->wake_us = at_us;
    if (at_us == INT64_MAX)
        return;
    vec_push(&s->wakes, entry);
    wake_up(NULL, s->wakes.items, s->wakes.len - 1, entry);
}

/* ---- what time changes --------------------------------------------------------------------------------- */

/* It may be stopped for others from then on, or for more of them. */
static int64_t next_right_us(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    const struct policy *policy = s->options.policy;
    const struct claim claim = entry_claim(entry, now_us);
    int64_t sure_us = entry->past->started_us + s->options.guaranteed_us;
    int64_t end_us = policy->next_level_us ? policy->next_level_us(&claim) : INT64_MAX;
    int64_t next_us = sure_us > now_us ? sure_us : INT64_MAX;

    if (end_us != INT64_MAX) {
        int64_t weight = entry_weight(entry);
        int64_t level_us = now_us + (end_us - claim.served_us + weight - 1) / weight;
        next_us = level_us < next_us ? level_us : next_us;
    }
    return next_us;
}

void prospect_forget(struct schedule *s, size_t node)
{
    s->machines[node].prospect.is_known = false;
    s->groups_at[node] = UINT64_MAX;
}

/* What is known of the machines it is on no longer holds. */
static void prospects_forget(struct schedule *s, const struct entry *entry)
{
    for (unsigned i = 0; i < entry_tasks(entry); i++)
        prospect_forget(s, entry->past->places[i].node);
}

static void right_look(struct schedule *s, struct entry *entry, int64_t now_us)
{
    if (!s->options.policy->preempts || !entry->line->preemptible)
        return;
    entry->past->level = entry_level(s, entry, now_us);
    wake_set(s, entry, next_right_us(s, entry, now_us));
    prospects_forget(s, entry);
}

void wakes_look(struct schedule *s, int64_t now_us)
{
    while (s->wakes.len > 0 && s->wakes.items[0]->past->wake_us <= now_us) {
        struct entry *entry = s->wakes.items[0];
        if (entry_runs(entry)) {
            right_look(s, entry, now_us);
            continue;
        }
        wake_clear(s, entry);
        entry_join(s, entry);
    }
}

/* ---- the tasks on each machine --------------------------------------------------------------------------- */

static void know_machines(struct schedule *s)
{
    size_t n = capacity_len(s->capacity);

    if (n <= s->n_machines)
        return;
    s->machines = xrealloc(s->machines, n * sizeof *s->machines);
    s->groups_at = xrealloc(s->groups_at, n * sizeof *s->groups_at);
    memset(s->machines + s->n_machines, 0, (n - s->n_machines) * sizeof *s->machines);
    memset(s->groups_at + s->n_machines, 0xff, (n - s->n_machines) * sizeof *s->groups_at);
    s->n_machines = n;
}

static void tenants_add(struct schedule *s, struct entry *entry)
{
    know_machines(s);
    for (unsigned i = 0; i < entry_tasks(entry); i++) {
        const struct choice *place = &entry->past->places[i];
        const struct tenant tenant = { entry, place, entry_milli(entry), entry->line->group,
                                       entry->line->preemptible };
        vec_push(&s->machines[place->node], tenant);
        prospect_forget(s, place->node);
    }
}

static void tenants_remove(struct schedule *s, const struct entry *entry)
{
    for (unsigned i = 0; i < entry_tasks(entry); i++) {
        struct tenants *tenants = &s->machines[entry->past->places[i].node];
        prospect_forget(s, entry->past->places[i].node);
        for (size_t at = tenants->len; at-- > 0;)
            if (tenants->items[at].entry == entry) {
                tenants->items[at] = tenants->items[--tenants->len];
                break;
            }
    }
}

void entry_halt(struct schedule *s, struct entry *entry)
{
    tenants_remove(s, entry);
    for (unsigned i = 0; i < entry_tasks(entry); i++)
        capacity_give(s->capacity, entry_ask(entry), &entry->past->places[i]);
    entry->past->halted = true;
}

void entry_resume(struct schedule *s, struct entry *entry)
{
    for (unsigned i = 0; i < entry_tasks(entry); i++)
        capacity_take(s->capacity, entry_ask(entry), &entry->past->places[i]);
    tenants_add(s, entry);
    entry->past->halted = false;
}

void entry_start(struct schedule *s, struct entry *entry, const struct choice *places,
                 int64_t now_us)
{
    entry_leave(s, entry);
    s->n_waiting--;
    struct past *past = entry_past(entry);
    past->places = xmemdup(places, entry_tasks(entry) * sizeof *places);
    past->started_us = now_us;
    past->at = s->running.len;
    vec_push(&s->running, entry);
    ends_add(s, entry);
    tenants_add(s, entry);
    share_run(s->share, entry->line->group, entry_milli(entry), now_us);
    s->n_starts++;
    promises_start(s, entry);
    right_look(s, entry, now_us);
}

void entry_stop(struct schedule *s, struct entry *entry, int64_t now_us)
{
    struct past *past = entry->past;

    if (!past->halted)
        entry_halt(s, entry);
    past->halted = false;
    share_run(s->share, entry->line->group, -entry_milli(entry), now_us);
    struct entry *moved = s->running.items[--s->running.len];
    s->running.items[past->at] = moved;
    moved->past->at = past->at;
    ends_remove(s, entry);
    wake_clear(s, entry);
    past->ran_us += now_us - past->started_us;
    past->waits_since_us = now_us;
    promises_stop(s, entry);
    free(past->places);
    past->places = NULL;
    s->n_waiting++;
}

/* ---- who fails over and over ----------------------------------------------------------------------------- */

static int64_t backoff_us(const struct schedule *s, unsigned returns)
{
    int64_t wait_us = s->options.backoff_us;

    for (unsigned i = 1; i < returns && wait_us < SCHEDULE_STEADY_US; i++)
        wait_us *= 2;
    return wait_us < SCHEDULE_STEADY_US ? wait_us : SCHEDULE_STEADY_US;
}

void entry_return(struct schedule *s, struct entry *entry, int64_t now_us)
{
    struct past *past = entry->past;

    if (now_us - past->started_us >= SCHEDULE_STEADY_US)
        past->returns = past->stopped = 0;
    past->returns++;
    entry_stop(s, entry, now_us);
    if (s->options.backoff_us > 0)
        wake_set(s, entry, now_us + backoff_us(s, past->returns));
    entry_join(s, entry);
}

unsigned entry_stops_max(const struct entry *entry)
{
    const struct past *past = entry->past;

    if (!past || past->returns == 0)
        return UINT_MAX;
    return past->stopped < SCHEDULE_DAMPED_STOPS ? SCHEDULE_DAMPED_STOPS - past->stopped : 0;
}
