/* bid.c - a heap of bids; of equal ones that of the first place comes first */
#include "placement/bid.h"

#include "base/vec.h"

static bool is_cheaper(const struct bid *a, const struct bid *b)
{
    if (a->price != b->price)
        return a->price < b->price;
    return a->at != b->at ? a->at < b->at : a->number > b->number;
}

static void sink(struct bid_heap *b, size_t at, struct bid bid)
{
    struct bid *heap = b->items;

    for (size_t child; (child = 2 * at + 1) < b->len; at = child) {
        if (child + 1 < b->len && is_cheaper(&heap[child + 1], &heap[child]))
            child++;
        if (!is_cheaper(&heap[child], &bid))
            break;
        heap[at] = heap[child];
    }
    heap[at] = bid;
}

struct bid bids_pop(struct bid_heap *heap)
{
    const struct bid first = heap->items[0], last = heap->items[--heap->len];

    if (heap->len > 0)
        sink(heap, 0, last);
    return first;
}

void bids_push(struct bid_heap *heap, struct bid bid)
{
    size_t at = heap->len;

    vec_push(heap, bid);
    struct bid *bids = heap->items;
    for (; at > 0 && is_cheaper(&bid, &bids[(at - 1) / 2]); at = (at - 1) / 2)
        bids[at] = bids[(at - 1) / 2];
    bids[at] = bid;
}

void bids_order(struct bid_heap *heap)
{
    for (size_t i = heap->len / 2; i-- > 0;)
        sink(heap, i, heap->items[i]);
}
