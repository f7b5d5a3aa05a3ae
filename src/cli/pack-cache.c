/* pack-cache.c - digests of files that have not changed since they were read
 *
 * A file is the same when its inode, size and times are. Times move in steps of some milliseconds: what
 * was changed just before it was read is read again the next time.
 */
#include "cli/pack.h"

#include "base/alloc.h"
#include "base/map.h"

#include <time.h>

#define STEP_NS INT64_C(50000000)

struct pack_cache {
    struct map *files; /* by path: struct known */
};

struct known {
    struct stat st;
    struct sha256 sum;
};

struct pack_cache *pack_cache_new(void)
{
    struct pack_cache *cache = xnew(struct pack_cache);

    cache->files = map_new();
    return cache;
}

void pack_cache_free(struct pack_cache *cache)
{
    if (!cache)
        return;
    map_free_with(cache->files, free);
    free(cache);
}

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t) t->tv_sec * 1000000000 + t->tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           ns_of(&a->st_mtim) == ns_of(&b->st_mtim) && ns_of(&a->st_ctim) == ns_of(&b->st_ctim);
}

bool pack_cache_find(const struct pack_cache *cache, const char *path, const struct stat *st,
                     struct sha256 *ret)
{
    const struct known *known = cache ? map_get_str(cache->files, path) : NULL;

    if (!known || !is_same(&known->st, st))
        return false;
    *ret = known->sum;
    return true;
}

void pack_cache_put(struct pack_cache *cache, const char *path, const struct stat *before,
                    const struct stat *after, const struct sha256 *sum)
{
    struct timespec now;

    if (!cache || !is_same(before, after))
        return;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    if (ns_of(&now) - ns_of(&after->st_ctim) < STEP_NS)
        return;
    struct known *known = xnew(struct known);
    *known = (struct known){ *after, *sum };
    free(map_set_str(cache->files, path, known));
}
