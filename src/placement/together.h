/* together.h - places for many tasks at once, near each other
 *
 * Tasks are put within the narrowest domain (locality.h) that holds all of them; of several such, the one in which they lie in the
 * fewest blocks and leaves, then the one that has the least room left over. Where none holds all, they are spread over as few as can be: the largest first, and the rest where least is
 * left over. Of machines that hold equally many the score decides.
 */
#ifndef PLACEMENT_TOGETHER_H
#define PLACEMENT_TOGETHER_H

#include "placement/capacity.h"

/* What many tasks wish for. All zero: near each other as far as that can be. */
struct wish {
    uint8_t within; /* enum level: all inside one domain of it, or not at all */
    bool apart;     /* each on a machine of its own, if there is more than one machine */
};

static inline bool wish_equal(struct wish a, struct wish b)
{
    return a.within == b.within && a.apart == b.apart;
}

/* Places for N tasks of ASK, all or none. They are taken, and on RET in the order of the machines' spots, so that
 * neighbours in rank are neighbours in the fabric. */
bool together_take(struct capacity *capacity, const struct ask *ask, unsigned n, struct wish wish,
                   struct choice *ret);
/* Put places in that order. */
void together_sort(struct capacity *capacity, struct choice *places, unsigned n);
/* The narrowest level of which one domain has all N places. */
enum level together_spans(struct capacity *capacity, const struct choice *places, unsigned n);

#endif
