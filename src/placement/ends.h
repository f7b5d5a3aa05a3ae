/* ends.h - who runs, in the order in which they say that they end */
#ifndef PLACEMENT_ENDS_H
#define PLACEMENT_ENDS_H

#include "placement/entry.h"

/* When ENTRY, which runs, says that it is gone; INT64_MAX: it does not say. */
int64_t end_of(const struct entry *entry);

/* ENTRY runs, and no longer. Its declared time and its start stay as they are in between. */
void ends_add(struct schedule *s, struct entry *entry);
void ends_remove(struct schedule *s, struct entry *entry);

/* Those who run and say when they are gone, in that order, of equals who came first; nobody starts or stops meanwhile.
 * { S } begins. */
struct ends_walk {
    const struct schedule *s;
    VEC(size_t) next; /* a heap of places among the ends */
    bool has_begun;
};

/* NULL: there are no more. */
const struct entry *ends_next(struct ends_walk *w);
void ends_walk_done(struct ends_walk *w);

#endif
