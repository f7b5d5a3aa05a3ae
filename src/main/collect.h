/* collect.h - the collector: references, blobs and trees that nobody needs any more are removed
 *
 * docs/design/0006. Now and then, in slices: pages of the store, one directory of blobs at a time on the
 * pool. Nothing is removed when what is kept could not be read to the end.
 */
#ifndef MAIN_COLLECT_H
#define MAIN_COLLECT_H

#include "base/cleanup.h"
#include "blob/blob.h"
#include "os/loop.h"
#include "os/pool.h"
#include "store/store.h"

struct collected {
    size_t references, blobs, trees;
    int64_t bytes;
};

/* Of the tasks that live; INT64_MAX: none. */
struct collect_tasks {
    int64_t live_since_us;    /* the oldest has been there: its trees are in use */
    int64_t writing_since_us; /* blobs may have been written that the store does not know yet */
};

struct collect_options {
    struct loop *loop;
    struct pool *pool;
    struct store *store;
    struct blob_store *blobs;
    int64_t every_us; /* from one end to the next start; 0: only when asked */
    int64_t grace_us; /* what was sent or asked for later than this ago stays */
    void (*tasks)(void *userdata, struct collect_tasks *ret);
    /* The end of a run; ERR is NULL unless it was given up. */
    void (*done)(void *userdata, const struct collected *collected, const struct error *err);
    void *userdata;
};

struct collector;

struct collector *collector_new(const struct collect_options *options);
/* Before the pool and the store are closed: what is under way there still ends. */
void collector_free(struct collector *c);
DEFINE_CLEANUP(struct collector *, collector_free);
/* Begin now, unless it runs. */
void collector_run(struct collector *c);

#endif
