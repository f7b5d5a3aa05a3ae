/* column.h - lines of equal right but for priority and time, in the order in which a pass comes to them
 *
 * A *column* holds the lines of one demand in which somebody waits (where groups go by shares, of one demand and group): those of
 * higher priority first, of these that whose first came before. It is kept from pass to pass, a line more, one less, or one whose
 * first is another costs a logarithm. A pass goes down a column by places, not by lines: those change while it does.
 */
#ifndef PLACEMENT_COLUMN_H
#define PLACEMENT_COLUMN_H

#include "placement/entry.h"

/* Where somebody stands in a column. */
struct place {
    int priority;
    int64_t since_us;
    uint64_t number;
};

static inline struct place place_of(const struct entry *entry)
{
    return (struct place){ entry->line->priority, entry->since_us, entry->number };
}
/* Behind all of PRIORITY. */
static inline struct place place_behind(int priority)
{
    return (struct place){ priority, INT64_MAX, UINT64_MAX };
}
static inline bool place_is_before(const struct place *a, const struct place *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->since_us != b->since_us ? a->since_us < b->since_us : a->number < b->number;
}

/* The column of LINE, made if there is none; and LINE, in which nobody waits, is of it no longer. */
struct column *column_of(struct schedule *s, const struct line *line);
void column_release(struct schedule *s, struct line *line);
/* LINE's first is in it, and is the first no longer. */
void column_add(struct schedule *s, struct line *line);
void column_remove(struct schedule *s, struct line *line);
/* The first line of COLUMN; that at PLACE or the next behind it; the next behind it. NULL: there is none. */
struct line *column_first(const struct column *column);
struct line *column_from(const struct column *column, const struct place *place);
struct line *column_after(const struct column *column, const struct place *place);

#endif
