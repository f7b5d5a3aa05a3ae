/* column.c - a column is a treap of lines: by place, and a heap by their hashes, which is balanced as hashes are random */
#include "placement/column.h"

#include "base/alloc.h"

#include <stdlib.h>

static bool is_before(const struct line *line, const struct place *place)
{
    const struct place at = place_of(line->first);

    return place_is_before(&at, place);
}

static bool is_above(const struct line *a, const struct line *b)
{
    return a->link.hash > b->link.hash;
}

/* What is before PLACE, and what is not. */
static void split(struct line *line, const struct place *place, struct line **before,
                  struct line **rest)
{
    while (line)
        if (is_before(line, place)) {
            *before = line;
            before = &line->after;
            line = line->after;
        } else {
            *rest = line;
            rest = &line->before;
            line = line->before;
        }
    *before = *rest = NULL;
}

/* All of A is before all of B. */
static void merge(struct line *a, struct line *b, struct line **ret)
{
    while (a && b)
        if (is_above(a, b)) {
            *ret = a;
            ret = &a->after;
            a = a->after;
        } else {
            *ret = b;
            ret = &b->before;
            b = b->before;
        }
    *ret = a ? a : b;
}

/* ---- columns of groups ------------------------------------------------------------------------------- */

static struct columns *columns_of(struct schedule *s, uint32_t group)
{
    static const struct columns none;

    while (s->groups.len <= group)
        vec_push(&s->groups, none);
    return &s->groups.items[group];
}

struct column *column_of(struct schedule *s, const struct line *line)
{
    uint32_t group = s->options.policy->shares ? line->group : SHARE_ROOT;
    uint64_t hash = hash_mix(line->demand->link.hash, group);

    for (struct link *l = table_first(&s->columns, hash); l; l = link_next(l)) {
        struct column *column = link_owner(l, struct column, link);
        if (column->demand == line->demand && column->group == group) {
            column->n_lines++;
            return column;
        }
    }
    struct column *column = xnew(struct column);
    column->demand = line->demand;
    column->group = group;
    column->n_lines = 1;
    table_add(&s->columns, &column->link, hash);
    return column;
}

void column_release(struct schedule *s, struct line *line)
{
    struct column *column = line->column;

    if (--column->n_lines > 0)
        return;
    table_remove(&s->columns, &column->link);
    free(column);
}

void column_add(struct schedule *s, struct line *line)
{
    struct column *column = line->column;
    const struct place place = place_of(line->first);
    struct line **at = &column->top;

    s->n_lines++;
    if (!column->top) {
        struct columns *all = columns_of(s, column->group);
        column->at = all->len;
        vec_push(all, column);
        column->limits = 0;
    }
    column->limits |= line->limits ? UINT64_C(1) << (line->limits - 1) : 0;
    while (*at && is_above(*at, line))
        at = is_before(*at, &place) ? &(*at)->after : &(*at)->before;
    split(*at, &place, &line->before, &line->after);
    *at = line;
}

void column_remove(struct schedule *s, struct line *line)
{
    struct column *column = line->column;
    const struct place place = place_of(line->first);
    struct line **at = &column->top;

    s->n_lines--;
    while (*at != line)
        at = is_before(*at, &place) ? &(*at)->after : &(*at)->before;
    merge(line->before, line->after, at);
    if (column->top)
        return;
    struct columns *all = columns_of(s, column->group);
    struct column *moved = all->items[--all->len];
    all->items[column->at] = moved;
    moved->at = column->at;
}

/* ---- going down ---------------------------------------------------------------------------------------- */

struct line *column_first(const struct column *column)
{
    struct line *line = column->top;

    while (line && line->before)
        line = line->before;
    return line;
}

struct line *column_from(const struct column *column, const struct place *place)
{
    struct line *found = NULL;

    for (struct line *line = column->top; line;)
        if (is_before(line, place)) {
            line = line->after;
        } else {
            found = line;
            line = line->before;
        }
    return found;
}

struct line *column_after(const struct column *column, const struct place *place)
{
    const struct place next = { place->priority, place->since_us, place->number + 1 };

    return column_from(column, place->number == UINT64_MAX ? place : &next);
}
