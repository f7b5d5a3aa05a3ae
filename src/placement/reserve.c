/* reserve.c - when and where a job that does not fit now can start, if those that run keep their word */
#include "placement/entry.h"

#include "base/alloc.h"

#include <stdlib.h>

static int64_t end_of(const struct entry *entry)
{
    return entry->limit_us ? entry->past->started_us + entry->limit_us : INT64_MAX;
}

static int compare_ends(const void *pa, const void *pb)
{
    const struct entry *a = *(const struct entry *const *) pa,
                       *b = *(const struct entry *const *) pb;
    int64_t a_us = end_of(a), b_us = end_of(b);

    if (a_us != b_us)
        return a_us < b_us ? -1 : 1;
    return entry_is_before(a, b) ? -1 : entry_is_before(b, a);
}

/* Places for all tasks in ROOMS, first fit; nothing is left taken. RET: the machines. */
static bool fits(const struct schedule *s, struct room *rooms, size_t n, const struct entry *entry,
                 struct machines *ret)
{
    unsigned found = 0;

    ret->len = 0;
    for (size_t i = 0; i < n && found < entry_tasks(entry); i++) {
        struct room room = rooms[i];
        unsigned before = found;
        if (capacity_is_closed(s->capacity, i))
            continue;
        while (found < entry_tasks(entry) && room_holds(&room, entry_ask(entry))) {
            (void) room_take(&room, entry_ask(entry));
            found++;
        }
        if (found > before)
            vec_push(ret, i);
    }
    return found == entry_tasks(entry);
}

int64_t reserve_for(const struct schedule *s, const struct entry *entry, int64_t now_us,
                    struct machines *ret)
{
    size_t n = capacity_len(s->capacity), n_running = 0;
    _cleanup_free_ struct room *rooms = xnew_n(struct room, n + 1);
    _cleanup_free_ const struct entry **running = xnew_n(const struct entry *, s->running.len + 1);

    for (size_t i = 0; i < n; i++)
        rooms[i] = *capacity_room(s->capacity, i);
    vec_foreach(&s->running, other)
        running[n_running++] = *other;
    qsort(running, n_running, sizeof *running, compare_ends);
    for (size_t i = 0; i < n_running && end_of(running[i]) != INT64_MAX; i++) {
        const struct entry *other = running[i];
        for (unsigned t = 0; t < entry_tasks(other); t++) {
            const struct choice *place = &other->past->places[t];
            room_give(&rooms[place->node], entry_ask(other), place->gpus);
        }
        if (fits(s, rooms, n, entry, ret))
            return end_of(other) > now_us ? end_of(other) : now_us;
    }
    ret->len = 0;
    return INT64_MAX;
}

/* GPUs that a task lacks there; of a task without GPUs: whether it does not fit. */
static unsigned lacks(const struct room *room, const struct ask *ask)
{
    unsigned would_do = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        would_do += room->gpu[i] >= ask->gpu_milli;
    if (ask->gpus == 0)
        return !room_holds(room, ask);
    return would_do < ask->gpus ? ask->gpus - would_do : 0;
}

void reserve_nearest(const struct schedule *s, const struct entry *entry, struct machines *ret)
{
    size_t n = capacity_len(s->capacity);
    _cleanup_free_ bool *is_taken = xnew_n(bool, n + 1);

    for (unsigned t = 0; t < entry_tasks(entry); t++) {
        size_t best = n;
        unsigned least = 0;
        for (size_t i = 0; i < n; i++) {
            if (is_taken[i] || capacity_is_closed(s->capacity, i) ||
                !room_holds(capacity_size(s->capacity, i), entry_ask(entry)))
                continue;
            unsigned lack = lacks(capacity_room(s->capacity, i), entry_ask(entry));
            if (best == n || lack < least) {
                best = i;
                least = lack;
            }
        }
        if (best == n)
            return;
        is_taken[best] = true;
        vec_push(ret, best);
    }
}
