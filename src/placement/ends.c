/* ends.c - who runs, in the order in which they say that they end
 *
 * A heap that is kept while jobs start and stop. Who looks ahead goes over it from the first on, with a heap of the places that
 * may be next: that costs what is looked at, not how many run.
 */
#include "placement/ends.h"

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

static void put(struct schedule *s, size_t at, struct end end)
{
    s->ends.items[at] = end;
    end.entry->past->end_at = at + 1;
}

static void sift(struct schedule *s, size_t at, struct end end)
{
    const struct end *items = s->ends.items;
    size_t n = s->ends.len;

    for (; at > 0 && goes_before(&end, &items[(at - 1) / 2]); at = (at - 1) / 2)
        put(s, at, items[(at - 1) / 2]);
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && goes_before(&items[child + 1], &items[child]))
            child++;
        if (!goes_before(&items[child], &end))
            break;
        put(s, at, items[child]);
    }
    put(s, at, end);
}

void ends_add(struct schedule *s, struct entry *entry)
{
    const struct end end = { end_of(entry), entry };

    if (end.at_us == INT64_MAX)
        return;
    vec_push(&s->ends, end);
    sift(s, s->ends.len - 1, end);
}

void ends_remove(struct schedule *s, struct entry *entry)
{
    size_t at = entry->past->end_at;

    if (at == 0)
        return;
    entry->past->end_at = 0;
    const struct end last = s->ends.items[--s->ends.len];
    if (last.entry != entry)
        sift(s, at - 1, last);
}

/* ---- one after the other ----------------------------------------------------------------------------------- */

/* The place AT may be next. */
static void may_be_next(struct ends_walk *w, size_t at)
{
    const struct end *ends = w->s->ends.items;
    size_t i = w->next.len;

    if (at >= w->s->ends.len)
        return;
    vec_push(&w->next, at);
    for (; i > 0 && goes_before(&ends[at], &ends[w->next.items[(i - 1) / 2]]); i = (i - 1) / 2)
        w->next.items[i] = w->next.items[(i - 1) / 2];
    w->next.items[i] = at;
}

static size_t pop(struct ends_walk *w)
{
    const struct end *ends = w->s->ends.items;
    size_t *next = w->next.items, first = next[0], last = next[--w->next.len], n = w->next.len;
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && goes_before(&ends[next[child + 1]], &ends[next[child]]))
            child++;
        if (!goes_before(&ends[next[child]], &ends[last]))
            break;
        next[i] = next[child];
    }
    next[i] = last;
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
