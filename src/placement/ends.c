/* ends.c - who runs, in the order in which they say that they end
 *
 * A heap that is kept while jobs start and stop. Who looks ahead goes over it from the first on, with a heap of the places that
 * may be next: that costs what is looked at, not how many run.
 */
#include "placement/ends.h"

#include "base/heap.h"

#include <stdlib.h>

int64_t end_of(const struct entry *entry)
{
    return entry->limit_us ? entry->past->started_us + entry->limit_us : INT64_MAX;
}

static bool goes_before(const struct end *a, const struct end *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    return entry_is_before(a->entry, b->entry);
}

static bool ends_before(const void *with, const struct end *a, const struct end *b)
{
    (void) with;
    return goes_before(a, b);
}

static void put(const void *with, struct end *items, size_t at, struct end end)
{
    (void) with;
    items[at] = end;
    end.entry->past->end_at = at + 1;
}

HEAP(end, struct end, const void *, ends_before, put)

void ends_add(struct schedule *s, struct entry *entry)
{
    const struct end end = { end_of(entry), entry };

    if (end.at_us == INT64_MAX)
        return;
    vec_push(&s->ends, end);
    end_up(NULL, s->ends.items, s->ends.len - 1, end);
}

void ends_remove(struct schedule *s, struct entry *entry)
{
    size_t at = entry->past->end_at;

    if (at == 0)
        return;
    entry->past->end_at = 0;
    const struct end last = s->ends.items[--s->ends.len];
    if (last.entry != entry)
        end_sift(NULL, s->ends.items, s->ends.len, at - 1, last);
}

/* ---- one after the other ----------------------------------------------------------------------------------- */

/* Places among the ends. */
static bool place_goes_before(const struct end *ends, const size_t *a, const size_t *b)
{
    return goes_before(&ends[*a], &ends[*b]);
}

HEAP(next, size_t, const struct end *, place_goes_before, HEAP_PUT)

/* The place AT may be next. */
static void may_be_next(struct ends_walk *w, size_t at)
{
    if (at >= w->s->ends.len)
        return;
    vec_push(&w->next, at);
    next_up(w->s->ends.items, w->next.items, w->next.len - 1, at);
}

static size_t pop(struct ends_walk *w)
{
    size_t *next = w->next.items, first = next[0], n = --w->next.len;

    if (n > 0)
        next_down(w->s->ends.items, next, n, 0, next[n]);
    return first;
}

const struct entry *ends_next(struct ends_walk *w)
{
    if (!w->has_begun)
        may_be_next(w, 0);
    w->has_begun = true;
    if (w->next.len == 0)
        return NULL;
    size_t at = pop(w);
    may_be_next(w, 2 * at + 1);
    may_be_next(w, 2 * at + 2);
    return w->s->ends.items[at].entry;
}

void ends_walk_done(struct ends_walk *w) { vec_done(&w->next); }
