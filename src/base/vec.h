/* vec.h - typed growable arrays
 *
 *     VEC(struct node *) nodes = { 0 };
 *     vec_push(&nodes, node);
 *     vec_foreach(&nodes, n) use(*n);      n is a pointer to the item
 *     vec_done(&nodes);                    frees the array, not what items point to
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/alloc.h"

#include <stddef.h>
#include <string.h>

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t len;                                                                                \
        size_t cap;                                                                                \
    }

/* Grow so that one more item fits. */
void vec_grow(void **items, size_t *cap, size_t len, size_t item_size);

#define vec_push(v, item)                                                                          \
    do {                                                                                           \
        if ((v)->len == (v)->cap)                                                                  \
            vec_grow((void **) &(v)->items, &(v)->cap, (v)->len, sizeof *(v)->items);              \
        (v)->items[(v)->len++] = (item);                                                           \
    } while (0)

#define vec_foreach(v, it)                                                                         \
    for (typeof(*(v)->items) *it = (v)->items; it < (v)->items + (v)->len; it++)

/* Remove item I, keeping the order. */
#define vec_remove(v, i)                                                                           \
    do {                                                                                           \
        memmove((v)->items + (i), (v)->items + (i) + 1,                                            \
                ((v)->len - 1 - (i)) * sizeof *(v)->items);                                        \
        (v)->len--;                                                                                \
    } while (0)

#define vec_done(v)                                                                                \
    do {                                                                                           \
        free((v)->items);                                                                          \
        (v)->items = NULL;                                                                         \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)

#endif
