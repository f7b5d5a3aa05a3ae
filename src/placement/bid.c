/* bid.c - a heap of bids; of equal ones that of the first place comes first */
#include "placement/bid.h"

#include "base/heap.h"
#include "base/vec.h"

static bool is_cheaper(const void *with, const struct bid *a, const struct bid *b)
{
    (void) with;
    if (a->price != b->price)
        return a->price < b->price;
    return a->at != b->at ? a->at < b->at : a->number > b->number;
}

HEAP(bid, struct bid, const void *, is_cheaper, HEAP_PUT)

struct bid bids_pop(struct bid_heap *heap)
{
    const struct bid first = heap->items[0], last = heap->items[--heap->len];

    if (heap->len > 0)
        bid_down(NULL, heap->items, heap->len, 0, last);
    return first;
}

void bids_push(struct bid_heap *heap, struct bid bid)
{
    vec_push(heap, bid);
    bid_up(NULL, heap->items, heap->len - 1, bid);
}

void bids_order(struct bid_heap *heap)
{
    for (size_t i = heap->len / 2; i-- > 0;)
        bid_down(NULL, heap->items, heap->len, i, heap->items[i]);
}
