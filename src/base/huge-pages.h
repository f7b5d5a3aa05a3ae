/* huge-pages.h - huge pages by size */
#ifndef BASE_HUGE_PAGES_H
#define BASE_HUGE_PAGES_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum huge_page { HUGE_PAGE_1G, HUGE_PAGE_2M, HUGE_PAGE_MAX };
enum { HUGE_PAGES_LIMIT = 1 << 26 }; /* of a size: 128 TiB in pages of 2 MiB */

/* How many of each size. */
struct huge_pages {
    unsigned n[HUGE_PAGE_MAX];
};

/* "huge_pages_1g", the field of JSON; "1 GiB", for people. */
const char *huge_page_key(enum huge_page size);
const char *huge_page_name(enum huge_page size);
int64_t huge_page_bytes(enum huge_page size);
int64_t huge_pages_bytes(const struct huge_pages *pages);
bool huge_pages_equal(const struct huge_pages *a, const struct huge_pages *b);
/* Fields of JSON; sizes of which there are none are left out. */
void huge_pages_put(json_t *json, const struct huge_pages *pages);
int huge_pages_read(const json_t *json, struct huge_pages *ret, struct error *err);

#endif
