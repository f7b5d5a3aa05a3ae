/* vec.c - growth of typed arrays */
#include "base/vec.h"

#include <stdint.h>
#include <stdlib.h>

void vec_grow(void **items, size_t *cap, size_t len, size_t item_size)
{
    if (len < *cap)
        return;

    size_t larger = *cap ? *cap * 2 : 8;
    if (larger > SIZE_MAX / item_size)
        abort();
    *items = xrealloc(*items, larger * item_size);
    *cap = larger;
}
