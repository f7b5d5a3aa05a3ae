/* bid.h - a heap of what room for a task costs on each machine, the cheapest first */
#ifndef PLACEMENT_BID_H
#define PLACEMENT_BID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What room for a task costs on a machine, at least. */
struct bid {
    int64_t price;
    size_t at;       /* the machine's place among those that may be chosen */
    uint32_t number; /* of the bids for that place; only the last one counts */
    bool is_exact;
};

struct bid_heap {
    struct bid *items; /* a vec */
    size_t len, cap;
};

/* Bids that were put at its end, in any order, make a heap. */
void bids_order(struct bid_heap *heap);
void bids_push(struct bid_heap *heap, struct bid bid);
/* The cheapest; there must be one. */
struct bid bids_pop(struct bid_heap *heap);

#endif
