/* huge-pages.c - huge pages by size: their names in JSON, and how much memory they are */
#include "base/huge-pages.h"

#include <errno.h>
#include <inttypes.h>

static const struct {
    const char *key;  /* of JSON */
    const char *name; /* for people */
    int64_t bytes;
} sizes[HUGE_PAGE_MAX] = {
    [HUGE_PAGE_1G] = { "huge_pages_1g", "1 GiB", INT64_C(1) << 30 },
    [HUGE_PAGE_2M] = { "huge_pages_2m", "2 MiB", INT64_C(1) << 21 },
};

const char *huge_page_key(enum huge_page size) { return sizes[size].key; }

const char *huge_page_name(enum huge_page size) { return sizes[size].name; }

int64_t huge_page_bytes(enum huge_page size) { return sizes[size].bytes; }

int64_t huge_pages_bytes(const struct huge_pages *pages)
{
    int64_t bytes = 0;

    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        bytes += pages->n[i] * sizes[i].bytes;
    return bytes;
}

void huge_pages_put(json_t *json, const struct huge_pages *pages)
{
    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        if (pages->n[i] > 0)
            json_put_int(json, sizes[i].key, pages->n[i]);
}

int huge_pages_read(const json_t *json, struct huge_pages *ret, struct error *err)
{
    for (int i = 0; i < HUGE_PAGE_MAX; i++) {
        int64_t n = json_get_int(json, sizes[i].key, 0);
        if (n < 0 || n > HUGE_PAGES_LIMIT)
            return error_set(err, -EINVAL, "%s is %" PRId64 "; it must be 0 to %d pages of %s",
                             sizes[i].key, n, HUGE_PAGES_LIMIT, sizes[i].name);
        ret->n[i] = (unsigned) n;
    }
    return 0;
}

bool huge_pages_equal(const struct huge_pages *a, const struct huge_pages *b)
{
    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        if (a->n[i] != b->n[i])
            return false;
    return true;
}
