/* heap.h - binary heaps in arrays
 *
 *     HEAP(soonest, struct timer, const struct clock *, is_before, HEAP_PUT)
 *
 * defines soonest_up() and soonest_down(). is_before(with, a, b) compares two items by pointers, and is a total order; PUT stores an
 * item at its place, for heaps whose items know where they are. WITH is handed to both.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>

#define HEAP_PUT(with, items, at, item) ((void) (with), (void) ((items)[at] = (item)))

/* _up: ITEM, for which there is place AT at the end, rises to where it belongs. _down: ITEM stands AT in the heap of N, and sinks to
 * where it belongs; so does each of the first half, from the last to the first, to make a heap of items in any order. _sift: either. */
#define HEAP(name, type, with_type, is_before, PUT)                                                \
    __attribute__((unused)) static void name##_up(with_type with, type *items, size_t at,          \
                                                  type item)                                       \
    {                                                                                              \
        for (; at > 0 && is_before(with, &item, &items[(at - 1) / 2]); at = (at - 1) / 2)          \
            PUT(with, items, at, items[(at - 1) / 2]);                                             \
        PUT(with, items, at, item);                                                                \
    }                                                                                              \
    __attribute__((unused)) static void name##_down(with_type with, type *items, size_t n,         \
                                                    size_t at, type item)                          \
    {                                                                                              \
        for (size_t child; (child = 2 * at + 1) < n; at = child) {                                 \
            if (child + 1 < n && is_before(with, &items[child + 1], &items[child]))                \
                child++;                                                                           \
            if (!is_before(with, &items[child], &item))                                            \
                break;                                                                             \
            PUT(with, items, at, items[child]);                                                    \
        }                                                                                          \
        PUT(with, items, at, item);                                                                \
    }                                                                                              \
    __attribute__((unused)) static void name##_sift(with_type with, type *items, size_t n,         \
                                                    size_t at, type item)                          \
    {                                                                                              \
        if (at > 0 && is_before(with, &item, &items[(at - 1) / 2]))                                \
            name##_up(with, items, at, item);                                                      \
        else                                                                                       \
            name##_down(with, items, n, at, item);                                                 \
    }

#endif
