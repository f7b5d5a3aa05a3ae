/* walk.c - heaps of columns in a heap of groups */
#include "placement/walk.h"

#include "base/alloc.h"
#include "base/heap.h"
#include "placement/column.h"

#include <stdlib.h>

/* One of a column, or somebody alone. */
struct candidate {
    struct place place;
    unsigned level;
    bool passing;
    struct entry *entry;
    struct column *column; /* NULL: alone */
};

struct candidates {
    struct candidate *items; /* a vec; a heap */
    size_t len, cap;
};

struct members {
    uint32_t *items; /* a vec; a heap */
    size_t len, cap;
};

struct walk_group {
    struct candidates heap;
    struct members below; /* groups just below it that may have somebody */
    int64_t rank;         /* among its siblings */
    uint64_t rank_start;  /* starts before that was looked up */
    bool is_made;         /* its columns are in the heap */
    bool is_listed;       /* it is among those below its parent */
    bool is_dropped;
};

/* A group that runs nothing, and who is overdue there. */
struct idle {
    uint32_t group;
    struct candidate first;
};

struct walk {
    struct schedule *s;
    int64_t now_us;
    enum walk_verdict (*look)(void *userdata, const struct line *line);
    void *userdata;
    struct walk_group *groups; /* by number */
    uint32_t n_groups;
    VEC(struct idle) idle; /* the next is the last */
    struct idle last_idle; /* that was given out, if its entry is not NULL */
    struct candidate last; /* that was given out: its column is gone on with, if it has one */
    bool is_stale;         /* ranks may be too large */
};

static bool has_shares(const struct walk *w) { return w->s->options.policy->shares; }

static uint32_t group_of(const struct walk *w, const struct entry *entry)
{
    return has_shares(w) ? entry->line->group : SHARE_ROOT;
}

/* ---- heaps ----------------------------------------------------------------------------------------------- */

static bool goes_first(const void *with, const struct candidate *a, const struct candidate *b)
{
    (void) with;
    if (a->place.priority == b->place.priority && a->level != b->level)
        return a->level < b->level;
    return place_is_before(&a->place, &b->place);
}

HEAP(candidate, struct candidate, const void *, goes_first, HEAP_PUT)

static void push(struct candidates *heap, struct candidate candidate)
{
    vec_push(heap, candidate);
    candidate_up(NULL, heap->items, heap->len - 1, candidate);
}

static struct candidate pop(struct candidates *heap)
{
    const struct candidate first = heap->items[0];

    if (--heap->len > 0)
        candidate_down(NULL, heap->items, heap->len, 0, heap->items[heap->len]);
    return first;
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

/* They are compared with their siblings alone. A start makes the ranks of its group, and of those above it, worse: whoever is first
 * by an older one is put where it belongs before it counts. */

static bool group_goes_first(const struct walk *w, const uint32_t *a, const uint32_t *b)
{
    int64_t a_rank = w->groups[*a].rank, b_rank = w->groups[*b].rank;

    return a_rank != b_rank ? a_rank < b_rank : *a < *b;
}

HEAP(group, uint32_t, const struct walk *, group_goes_first, HEAP_PUT)

static void sink_group(const struct walk *w, struct members *heap, size_t at)
{
    group_down(w, heap->items, heap->len, at, heap->items[at]);
}

static void look_up_rank(struct walk *w, uint32_t group)
{
    w->groups[group].rank = share_rank(w->s->share, group, w->now_us);
    w->groups[group].rank_start = w->s->n_starts;
}

/* GROUP may have somebody: it is listed with those above it. */
static void list_group(struct walk *w, uint32_t group)
{
    while (group != SHARE_ROOT && !w->groups[group].is_listed) {
        uint32_t parent = share_parent(w->s->share, group);
        struct members *heap = &w->groups[parent].below;
        w->groups[group].is_listed = true;
        look_up_rank(w, group);
        vec_push(heap, group);
        group_up(w, heap->items, heap->len - 1, group);
        group = parent;
    }
}

static void unlist_first(struct walk *w, struct members *heap)
{
    w->groups[heap->items[0]].is_listed = false;
    if (--heap->len == 0)
        return;
    heap->items[0] = heap->items[heap->len];
    sink_group(w, heap, 0);
}

static void renew_first(struct walk *w, struct members *heap)
{
    while (w->groups[heap->items[0]].rank_start != w->s->n_starts) {
        look_up_rank(w, heap->items[0]);
        sink_group(w, heap, 0);
    }
}

/* Who was stopped made some better. */
static void renew_all(struct walk *w)
{
    for (uint32_t group = 0; w->is_stale && group < w->n_groups; group++) {
        struct members *heap = &w->groups[group].below;
        vec_foreach(heap, one)
            look_up_rank(w, *one);
        for (size_t i = heap->len / 2; i-- > 0;)
            sink_group(w, heap, i);
    }
    w->is_stale = false;
}

static bool has_somebody(const struct walk *w, uint32_t group)
{
    const struct walk_group *g = &w->groups[group];

    if (g->is_dropped)
        return false;
    return g->heap.len > 0 ||
           (!g->is_made && group < w->s->groups.len && w->s->groups.items[group].len > 0);
}

/* Whose turn it is: those of a group itself, if there are any, and then those of the groups below it. False: nobody's. */
static bool first_group(struct walk *w, uint32_t *ret)
{
    uint32_t group = SHARE_ROOT, parent = SHARE_ROOT;

    while (!has_somebody(w, group)) {
        struct members *below = &w->groups[group].below;
        if (below->len == 0 && group == SHARE_ROOT)
            return false;
        if (below->len == 0) {
            unlist_first(w, &w->groups[parent].below);
            group = parent = SHARE_ROOT;
            continue;
        }
        renew_first(w, below);
        parent = group;
        group = below->items[0];
    }
    *ret = group;
    return true;
}

/* ---- columns --------------------------------------------------------------------------------------------- */

/* From LINE on, the first that is not passed over; NULL: there is none. */
static struct line *first_taken(const struct walk *w, struct column *column, struct line *line)
{
    while (line && w->look) {
        enum walk_verdict verdict = w->look(w->userdata, line);
        if (verdict == WALK_TAKE)
            break;
        if (verdict == WALK_PASS_COLUMN)
            return NULL;
        struct place place =
            verdict == WALK_PASS_PRIORITY ? place_behind(line->priority) : place_of(line->first);
        line = column_after(column, &place);
    }
    return line;
}

static struct candidate candidate_of(const struct walk *w, struct column *column,
                                     const struct line *line)
{
    return (struct candidate){ .place = place_of(line->first),
                               .level = entry_right(w->s, line->first),
                               .entry = line->first,
                               .column = column };
}

/* The columns of GROUP come to those who are alone. */
static void make_heap(struct walk *w, uint32_t group)
{
    static const struct columns none;
    const struct columns *columns = group < w->s->groups.len ? &w->s->groups.items[group] : &none;
    struct candidates *heap = &w->groups[group].heap;

    w->groups[group].is_made = true;
    vec_foreach(columns, column) {
        const struct line *line = first_taken(w, *column, column_first(*column));
        if (line)
            vec_push(heap, candidate_of(w, *column, line));
    }
    for (size_t i = heap->len / 2; i-- > 0;)
        candidate_down(NULL, heap->items, heap->len, i, heap->items[i]);
    capacity_worked(w->s->capacity, (heap->len + columns->len) / 4);
}

static void go_on_in_column(struct walk *w)
{
    struct column *column = w->last.column;

    w->last.column = NULL;
    if (!column || w->groups[column->group].is_dropped)
        return;
    struct line *line = first_taken(w, column, column_after(column, &w->last.place));
    if (!line)
        return;
    push(&w->groups[column->group].heap, candidate_of(w, column, line));
    list_group(w, column->group);
}

/* Is CANDIDATE, of a column, still what the walk comes to? Otherwise the next there is put in its place. */
static bool is_current(struct walk *w, const struct candidate *candidate)
{
    struct column *column = candidate->column;
    struct line *line = first_taken(w, column, column_from(column, &candidate->place));

    if (line && line->first == candidate->entry)
        return true;
    if (line)
        push(&w->groups[column->group].heap, candidate_of(w, column, line));
    return false;
}

/* ---- who is overdue where nothing runs --------------------------------------------------------------------- */

static bool is_idle(const struct walk *w, uint32_t group)
{
    return group != SHARE_ROOT && share_runs(w->s->share, group) == 0;
}

static struct line *first_overdue(const struct walk *w, struct column *column,
                                  const struct place *after)
{
    struct line *line = after ? column_after(column, after) : column_first(column);

    while (line && !entry_is_overdue(w->s, line->first, w->now_us)) {
        const struct place behind = place_behind(line->priority);
        line = column_after(column, &behind);
    }
    return line;
}

static void take_first(struct candidate *best, const struct candidate *other)
{
    if (!best->entry || goes_first(NULL, other, best))
        *best = *other;
}

/* The first of GROUP that is overdue, behind AFTER, which may be NULL. */
static struct candidate find_overdue(const struct walk *w, uint32_t group,
                                     const struct candidate *after)
{
    static const struct columns none;
    const struct columns *columns = group < w->s->groups.len ? &w->s->groups.items[group] : &none;
    struct candidate best = { 0 };

    vec_foreach(columns, column) {
        const struct line *line = first_overdue(w, *column, after ? &after->place : NULL);
        if (!line)
            continue;
        const struct candidate one = candidate_of(w, *column, line);
        take_first(&best, &one);
    }
    vec_foreach(&w->groups[group].heap, one)
        if (!one->column && one->entry->is_ready && entry_is_overdue(w->s, one->entry, w->now_us) &&
            (!after || goes_first(NULL, after, one)))
            take_first(&best, one);
    return best;
}

/* Who waits longest goes first, and is last. */
static int compare_idle(const void *pa, const void *pb)
{
    const struct idle *a = pa, *b = pb;
    int64_t a_us = entry_waits_since(a->first.entry), b_us = entry_waits_since(b->first.entry);

    if (a_us != b_us)
        return a_us > b_us ? -1 : 1;
    return a->group < b->group ? -1 : a->group > b->group;
}

static void sort_idle(struct walk *w)
{
    if (w->idle.len > 1)
        qsort(w->idle.items, w->idle.len, sizeof *w->idle.items, compare_idle);
}

static bool add_idle(struct walk *w, uint32_t group, const struct candidate *after)
{
    const struct idle one = { group, find_overdue(w, group, after) };

    if (!one.first.entry)
        return false;
    vec_push(&w->idle, one);
    return true;
}

static void find_idle(struct walk *w)
{
    const struct schedule *s = w->s;

    if (!has_shares(w) || s->options.patience_us == 0 || s->n_patient == s->n_ready)
        return;
    for (uint32_t group = 0; group < w->n_groups; group++)
        if (is_idle(w, group) && has_somebody(w, group))
            (void) add_idle(w, group, NULL);
    sort_idle(w);
}

static struct entry *next_idle(struct walk *w)
{
    const struct idle last = w->last_idle;

    w->last_idle.first.entry = NULL;
    if (last.first.entry && is_idle(w, last.group) && !w->groups[last.group].is_dropped &&
        add_idle(w, last.group, &last.first))
        sort_idle(w);
    while (w->idle.len > 0) {
        w->last_idle = w->idle.items[--w->idle.len];
        if (is_idle(w, w->last_idle.group) && !w->groups[w->last_idle.group].is_dropped &&
            w->last_idle.first.entry->is_ready)
            return w->last_idle.first.entry;
        w->last_idle.first.entry = NULL;
    }
    return NULL;
}

/* ---- the walk ---------------------------------------------------------------------------------------------- */

static struct candidate alone(struct entry *entry, unsigned level)
{
    return (struct candidate){ .place = place_of(entry), .level = level, .entry = entry };
}

struct walk *walk_new(struct schedule *s, int64_t now_us,
                      enum walk_verdict (*look)(void *userdata, const struct line *line),
                      void *userdata)
{
    struct walk *w = xnew(struct walk);

    *w = (struct walk){ .s = s, .now_us = now_us, .look = look, .userdata = userdata };
    w->n_groups = has_shares(w) ? share_len(s->share) : 1;
    w->groups = xnew_n(struct walk_group, w->n_groups);
    vec_foreach(&s->apart, entry) {
        uint32_t group = group_of(w, *entry);
        vec_push(&w->groups[group].heap, alone(*entry, entry_level(s, *entry, now_us)));
        list_group(w, group);
    }
    for (uint32_t group = 0; group < w->n_groups && group < s->groups.len; group++)
        if (s->groups.items[group].len > 0)
            list_group(w, group);
    find_idle(w);
    capacity_worked(s->capacity, (w->n_groups + s->apart.len) / 4);
    return w;
}

void walk_free(struct walk *w)
{
    if (!w)
        return;
    for (uint32_t group = 0; group < w->n_groups; group++) {
        vec_done(&w->groups[group].heap);
        vec_done(&w->groups[group].below);
    }
    free(w->groups);
    vec_done(&w->idle);
    free(w);
}

/* The next of GROUP; NULL: what was next there no longer waits, or is passed over. */
static struct entry *next_of(struct walk *w, uint32_t group)
{
    struct walk_group *g = &w->groups[group];

    if (!g->is_made)
        make_heap(w, group);
    if (g->heap.len == 0)
        return NULL;
    const struct candidate first = pop(&g->heap);
    capacity_worked(w->s->capacity, 1);
    if (first.column ? !is_current(w, &first) : !first.entry->is_ready)
        return NULL;
    w->last = first;
    return first.entry;
}

struct entry *walk_next(struct walk *w)
{
    struct entry *entry;
    uint32_t group;

    go_on_in_column(w);
    w->last = (struct candidate){ 0 };
    renew_all(w);
    entry = next_idle(w);
    while (!entry && first_group(w, &group))
        entry = next_of(w, group);
    return entry;
}

bool walk_is_passing(const struct walk *w) { return w->last.passing; }

void walk_add(struct walk *w, struct entry *entry, bool passing)
{
    uint32_t group = group_of(w, entry);

    if (group >= w->n_groups)
        return;
    struct candidate one = alone(entry, entry_right(w->s, entry));
    one.passing = passing;
    push(&w->groups[group].heap, one);
    list_group(w, group);
}

void walk_drop(struct walk *w, uint32_t group)
{
    if (group < w->n_groups)
        w->groups[group].is_dropped = true;
}

void walk_renew(struct walk *w) { w->is_stale = true; }
