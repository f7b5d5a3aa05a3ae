/* collect.c - the collector: mark what is kept, forget references, remove files
 *
 * The set of what is kept has 64 bits of each digest: two that are alike only keep what could go.
 */
#include "main/collect.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <string.h>

#define FILE_GRACE  (3600 * US_PER_S) /* at most: from the bytes on the disk to the reference */
#define CLOCK_GRACE (10 * US_PER_S)

/* ---- a set of digests --------------------------------------------------------------------------- */

struct sum_set {
    uint64_t *slots; /* open addressing; 0: free */
    size_t n, size;  /* a power of two */
};

/* KEY is random bits already. */
static size_t slot_of(const struct sum_set *set, uint64_t key)
{
    size_t i = key & (set->size - 1);

    while (set->slots[i] && set->slots[i] != key)
        i = (i + 1) & (set->size - 1);
    return i;
}

static void sum_set_grow(struct sum_set *set)
{
    struct sum_set old = *set;

    set->size = old.size ? old.size * 2 : 1024;
    set->slots = xnew_n(uint64_t, set->size);
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i])
            set->slots[slot_of(set, old.slots[i])] = old.slots[i];
    free(old.slots);
}

static void sum_set_add(struct sum_set *set, uint64_t key)
{
    key += key == 0;
    if (set->n * 2 >= set->size)
        sum_set_grow(set);
    size_t i = slot_of(set, key);
    set->n += !set->slots[i];
    set->slots[i] = key;
}

static bool sum_set_has(const struct sum_set *set, uint64_t key)
{
    key += key == 0;
    return set->size && set->slots[slot_of(set, key)] == key;
}

static void sum_set_done(struct sum_set *set)
{
    free(set->slots);
    *set = (struct sum_set){ 0 };
}

static uint64_t key_of(const struct sha256 *sum)
{
    uint64_t key;
    memcpy(&key, sum->bytes, sizeof key);
    return key;
}

/* What one project keeps says nothing about another one's references. */
static uint64_t key_in(const struct id *project, const struct sha256 *sum)
{
    uint64_t half[2];
    memcpy(half, project->bytes, sizeof half);
    return key_of(sum) ^ (half[0] * 0x9e3779b97f4a7c15u + half[1] * 0xc2b2ae3d27d4eb4fu);
}

/* ---- one run ------------------------------------------------------------------------------------ */

enum phase { MARK_HELD, MARK_MANIFESTS, MARK_ARTIFACTS, FORGET, MARK_REFS, BLOBS, TREES };

struct collector {
    struct collect_options options;
    struct watch *timer;
    bool runs, is_freed;
    enum phase phase;
    struct kept_cursor cursor;
    int64_t refs_before_us, files_before_us, trees_before_us;
    struct sum_set kept;      /* (project, digest): named by something that is kept */
    struct sum_set present;   /* digests that a project references, or keeps */
    struct sum_set manifests; /* digests that may be the name of a tree */
    VEC(struct kept) page;    /* manifests to be read */
    unsigned shard;
    struct collected collected;
    int r;
    struct error err;
};

static void step(struct collector *c);

static void drop(struct collector *c)
{
    vec_done(&c->page);
    sum_set_done(&c->kept);
    sum_set_done(&c->present);
    sum_set_done(&c->manifests);
    watch_free(c->timer);
    free(c);
}

static void end(struct collector *c)
{
    c->runs = false;
    sum_set_done(&c->kept);
    sum_set_done(&c->present);
    sum_set_done(&c->manifests);
    if (c->options.done)
        c->options.done(c->options.userdata, &c->collected, c->r < 0 ? &c->err : NULL);
    if (c->options.every_us)
        timer_set(c->timer, c->options.every_us);
}

/* After each answer: goes on, unless the collector is gone or something could not be read. */
static void go_on(struct collector *c)
{
    if (c->is_freed)
        drop(c);
    else if (c->r < 0)
        end(c);
    else
        step(c);
}

static void next_phase(struct collector *c)
{
    c->phase++;
    c->cursor = (struct kept_cursor){ 0 };
}

/* ---- marking ------------------------------------------------------------------------------------- */

/* Named by PROJECT: its reference stays, and so do the bytes. */
static void mark(struct collector *c, const struct id *project, const struct sha256 *sum)
{
    sum_set_add(&c->kept, key_in(project, sum));
    sum_set_add(&c->present, key_of(sum));
}

/* As a stream: a dataset may have a million files. */
static int mark_manifest(struct collector *c, const struct kept *kept)
{
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e;
    char hex[SHA256_HEX_LEN + 1];

    sum_set_add(&c->manifests, key_of(&kept->sum));
    if (sum_set_has(&c->kept, key_in(&kept->project, &kept->sum)))
        return 0;
    mark(c, &kept->project, &kept->sum);
    int r = manifest_file_open(c->options.blobs, &kept->sum, &file, &c->err);
    if (r >= 0)
        while ((r = manifest_file_next(file, &e, &c->err)) > 0)
            if (!e->link)
                mark(c, &kept->project, &e->sum);
    return r < 0 ? error_context(&c->err, r, "manifest %s", sha256_format(&kept->sum, hex)) : 0;
}

static void mark_work(void *item)
{
    struct collector *c = item;

    for (size_t i = 0; c->r >= 0 && i < c->page.len; i++)
        c->r = mark_manifest(c, &c->page.items[i]);
}

static void mark_worked(void *item)
{
    struct collector *c = item;

    if (c->cursor.end)
        next_phase(c);
    go_on(c);
}

static void page_forgotten(void *userdata, struct event *const *events, size_t n)
{
    struct collector *c = userdata;

    if (c->cursor.end) {
        sum_set_done(&c->kept);
        next_phase(c);
    }
    go_on(c);
}

/* Rows come sorted by project: one operation a project. */
static void forget_page(struct collector *c, const struct kept *items, size_t n)
{
    struct store_batch *batch = store_batch_new();
    VEC(struct sha256) sums = { 0 };

    for (size_t i = 0; i < n; i++) {
        const struct kept *k = &items[i];
        if (k->used_us < c->refs_before_us && !sum_set_has(&c->kept, key_in(&k->project, &k->sum)))
            vec_push(&sums, k->sum);
        if (sums.len && (i + 1 == n || !id_equal(&k->project, &items[i + 1].project))) {
            store_collect_refs(batch, &k->project, sums.items, sums.len, c->refs_before_us);
            c->collected.references += sums.len;
            sums.len = 0;
        }
    }
    vec_done(&sums);
    store_commit(c->options.store, batch, page_forgotten, c);
}

static void on_page(void *userdata, int r, const struct kept *items, size_t n,
                    const struct kept_cursor *next, const struct error *err)
{
    struct collector *c = userdata;

    c->r = r;
    if (r < 0)
        c->err = *err;
    if (r < 0 || c->is_freed) {
        go_on(c);
        return;
    }
    c->cursor = *next;
    if (c->phase == FORGET) {
        forget_page(c, items, n);
        return;
    }
    if (c->phase == MARK_HELD || c->phase == MARK_MANIFESTS) {
        c->page.len = 0;
        for (size_t i = 0; i < n; i++)
            vec_push(&c->page, items[i]);
        pool_submit(c->options.pool, mark_work, mark_worked, c);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (c->phase == MARK_REFS)
            sum_set_add(&c->present, key_of(&items[i].sum));
        else
            mark(c, &items[i].project, &items[i].sum);
    }
    if (c->cursor.end)
        next_phase(c);
    go_on(c);
}

/* ---- removing ------------------------------------------------------------------------------------ */

static bool in_set(const void *set, const struct sha256 *sum)
{
    return sum_set_has(set, key_of(sum));
}

static void sweep_work(void *item)
{
    struct collector *c = item;
    bool trees = c->phase == TREES;
    struct blob_sweep sweep = { .before_us = trees ? c->trees_before_us : c->files_before_us,
                                .keep = in_set,
                                .userdata = trees ? &c->manifests : &c->present };

    if (trees)
        c->r = tree_sweep(c->options.blobs, &sweep, &c->err);
    else
        c->r = blob_sweep(c->options.blobs, c->shard, &sweep, &c->collected.bytes, &c->err);
    if (c->r > 0)
        *(trees ? &c->collected.trees : &c->collected.blobs) += (size_t) c->r;
}

static void sweep_worked(void *item)
{
    struct collector *c = item;

    if (c->r >= 0 && c->phase == TREES && !c->is_freed) {
        end(c);
        return;
    }
    if (++c->shard == BLOB_SHARDS)
        c->phase = TREES;
    go_on(c);
}

static void step(struct collector *c)
{
    static const enum kept_kind kinds[] = { KEPT_HELD, KEPT_MANIFESTS, KEPT_ARTIFACTS, KEPT_REFS,
                                            KEPT_REFS };

    if (c->phase < BLOBS)
        store_list_kept(c->options.store, kinds[c->phase], &c->cursor, on_page, c);
    else
        pool_submit(c->options.pool, sweep_work, sweep_worked, c);
}

/* ---- the collector ------------------------------------------------------------------------------- */

static void manifests_forgotten(void *userdata, struct event *const *events, size_t n)
{
    go_on(userdata);
}

/* With room for time stamps of the filesystem, which are not those of the clock. */
static int64_t earlier(int64_t before_us, int64_t since_us)
{
    return since_us - CLOCK_GRACE < before_us ? since_us - CLOCK_GRACE : before_us;
}

void collector_run(struct collector *c)
{
    int64_t now_us = clock_now_us();
    int64_t file_us = c->options.grace_us < FILE_GRACE ? c->options.grace_us : FILE_GRACE;
    struct collect_tasks tasks = { INT64_MAX, INT64_MAX };

    if (c->runs)
        return;
    c->runs = true;
    c->phase = MARK_HELD;
    c->cursor = (struct kept_cursor){ 0 };
    c->shard = 0;
    c->r = 0;
    c->collected = (struct collected){ 0 };
    c->refs_before_us = now_us - c->options.grace_us;
    c->options.tasks(c->options.userdata, &tasks);
    c->files_before_us = earlier(now_us - file_us, tasks.writing_since_us);
    c->trees_before_us = earlier(now_us - file_us, tasks.live_since_us);
    struct store_batch *batch = store_batch_new();
    store_collect_manifests(batch, c->refs_before_us);
    store_commit(c->options.store, batch, manifests_forgotten, c);
}

static void on_timer(void *userdata) { collector_run(userdata); }

struct collector *collector_new(const struct collect_options *options)
{
    struct collector *c = xnew(struct collector);

    c->options = *options;
    c->timer = loop_timer(options->loop, options->every_us, on_timer, c);
    if (!options->every_us)
        timer_clear(c->timer);
    return c;
}

void collector_free(struct collector *c)
{
    if (!c)
        return;
    if (!c->runs) {
        drop(c);
        return;
    }
    c->is_freed = true;
    watch_free(c->timer);
    c->timer = NULL;
}
