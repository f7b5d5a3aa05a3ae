/* The collector on every store: what is needed stays, whatever happens while it runs; the rest goes. */
#include "main/collect.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROJECTS = 2, CONTENTS = 24, HOLDERS = 12, FILES = 6, STEPS = 1500 };
#define GRACE_US (20 * US_PER_MS)

struct held {
    struct id id; /* of the holder: a version, or a job with a list of artifacts */
    unsigned project;
    struct manifest *manifest; /* NULL: nothing */
    struct sha256 name;
    bool is_list, has_tree;
};

static struct {
    char *dir;
    struct loop *loop;
    struct pool *pool;
    struct store *store;
    struct blob_store *blobs;
    struct collector *collector;
    struct held held[HOLDERS];
    unsigned waiting, runs;
    size_t missing;
    struct collected total;
    uint64_t random;
} w;

static const struct id projects[PROJECTS] = { { { 1 } }, { { 2 } } };

static unsigned pick(unsigned n)
{
    w.random = w.random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned) (w.random >> 33) % n;
}

static void settle(void)
{
    while (w.waiting)
        loop_once(w.loop, 1000);
}

static void committed(void *userdata, struct event *const *events, size_t n) { w.waiting--; }

static void commit(struct store_batch *batch)
{
    w.waiting++;
    store_commit(w.store, batch, committed, NULL);
    settle();
}

static void on_missing(void *userdata, int r, const struct sha256 *missing, size_t n,
                       const struct error *err)
{
    ok(r == 0);
    w.missing = n;
    w.waiting--;
}

static size_t missing(unsigned project, const struct manifest *m)
{
    struct sha256 sums[FILES];

    for (size_t i = 0; i < m->n; i++)
        sums[i] = m->entries[i].sum;
    w.waiting++;
    store_missing_blobs(w.store, &projects[project], sums, m->n, on_missing, NULL);
    settle();
    return w.missing;
}

static void no_tasks(void *userdata, struct collect_tasks *ret) {}

static void on_done(void *userdata, const struct collected *c, const struct error *err)
{
    ok(!err);
    if (err)
        printf("# %s\n", err->text);
    w.total.references += c->references;
    w.total.blobs += c->blobs;
    w.total.trees += c->trees;
    w.runs--;
}

/* What was used before it is old when it begins. */
static void begin_run(void)
{
    if (w.runs)
        return;
    (void) poll(NULL, 0, 2 * GRACE_US / US_PER_MS);
    w.runs++;
    collector_run(w.collector);
}

static void end_run(void)
{
    while (w.runs)
        loop_once(w.loop, 1000);
}

static struct sha256 write_blob(const void *bytes, size_t n)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    struct sha256 sum = sha256_of(bytes, n);

    if (pick(2)) {
        ok(blob_put(w.blobs, bytes, n, &sum, NULL) == 0);
        return sum;
    }
    ok(blob_writer_new(w.blobs, &writer, NULL) == 0);
    ok(blob_writer_add(writer, bytes, n, NULL) == 0);
    ok(blob_writer_end(writer, NULL, false, &sum, NULL, NULL) == 0);
    return sum;
}

static char *content(unsigned c) { return xasprintf("content %u", c); }

static void upload(unsigned project, unsigned c)
{
    _cleanup_free_ char *text = content(c);
    struct sha256 sum = write_blob(text, strlen(text));
    struct store_batch *batch = store_batch_new();

    store_put_blob_refs(batch, &projects[project], &sum, 1, clock_now_us());
    commit(batch);
}

/* One of a few, so that they come again. */
static struct manifest *random_manifest(void)
{
    struct manifest *m = manifest_new();
    uint64_t seed = pick(20), random = w.random;

    w.random = seed;
    for (unsigned i = 0, n = 1 + pick(FILES); i < n; i++) {
        unsigned c = pick(CONTENTS);
        _cleanup_free_ char *text = content(c), *path = xasprintf("file-%u", i);
        struct sha256 sum = sha256_of(text, strlen(text));
        ok(manifest_add(m, path, &sum, (int64_t) strlen(text), pick(4) == 0, NULL, NULL) == 0);
    }
    ok(manifest_seal(m, NULL) == 0);
    w.random = random;
    return m;
}

/* As the API does it: what is missing is sent, then the manifest, then somebody holds it. */
static void hold(struct held *h)
{
    h->project = pick(PROJECTS);
    h->manifest = random_manifest();
    h->id = id_new();
    h->is_list = h->has_tree = false;
    if (missing(h->project, h->manifest))
        for (size_t i = 0; i < h->manifest->n; i++)
            for (unsigned c = 0; c < CONTENTS; c++) {
                _cleanup_free_ char *text = content(c);
                struct sha256 sum = sha256_of(text, strlen(text));
                if (sha256_equal(&sum, &h->manifest->entries[i].sum))
                    upload(h->project, c);
            }
    ok(missing(h->project, h->manifest) == 0);
    size_t len;
    _cleanup_free_ char *bytes = manifest_format(h->manifest, &len);
    h->name = write_blob(bytes, len);
    struct store_batch *batch = store_batch_new();
    int64_t now_us = clock_now_us();
    /* A manifest may be too large for the table: then it is only a blob. */
    if (pick(2))
        store_put_manifest(batch, &projects[h->project], &h->name, bytes, len, now_us);
    store_put_blob_refs(batch, &projects[h->project], &h->name, 1, now_us);
    commit(batch);
    batch = store_batch_new();
    store_hold(batch, &projects[h->project], &h->name, &h->id);
    commit(batch);
    if (pick(2)) {
        _cleanup_close_ int tree = -1;
        ok(tree_open(w.blobs, h->manifest, &h->name, &tree, NULL) == 0);
        h->has_tree = true;
    }
}

/* A job whose results are collected by its supervisor, and come to be known later. */
static void keep_list(struct held *h)
{
    struct workload job = { .id = id_new(),
                            .project = projects[h->project = pick(PROJECTS)],
                            .name = (char[]){ "job" },
                            .state = WORKLOAD_SUCCEEDED,
                            .updated_us = clock_now_us() };
    _cleanup_json_ json_t *tags = json_object();

    h->manifest = random_manifest();
    h->id = job.id;
    h->is_list = true;
    for (unsigned c = 0; c < CONTENTS; c++) {
        _cleanup_free_ char *text = content(c);
        struct sha256 sum = sha256_of(text, strlen(text));
        for (size_t i = 0; i < h->manifest->n; i++)
            if (sha256_equal(&sum, &h->manifest->entries[i].sum))
                (void) write_blob(text, strlen(text));
    }
    struct workload_spec spec = { .image = (char[]){ "host" },
                                  .command = (char *[]){ (char[]){ "true" }, NULL } };
    job.spec = &spec;
    job.tags = tags;
    struct store_batch *batch = store_batch_new();
    store_put_workload(batch, &job);
    store_put_artifacts(batch, &job, h->manifest);
    commit(batch);
}

static void let_go(struct held *h)
{
    struct store_batch *batch = store_batch_new();
    struct workload job = { .id = h->id, .project = projects[h->project] };

    ok(missing(h->project, h->manifest) == 0); /* not before: it counts as use */

    if (h->is_list)
        store_delete_workload(batch, &job, clock_now_us());
    else
        store_release(batch, &h->id, clock_now_us());
    commit(batch);
    manifest_free(h->manifest);
    h->manifest = NULL;
}

static void check_held(const struct held *h)
{
    struct text bytes = { 0 };

    for (size_t i = 0; i < h->manifest->n; i++)
        ok(blob_has(w.blobs, &h->manifest->entries[i].sum));
    if (h->is_list)
        return;
    ok(blob_read(w.blobs, &h->name, 1 << 20, &bytes, NULL) == 0);
    text_done(&bytes);
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *tree = xasprintf("%s/trees/%s", w.dir, sha256_format(&h->name, hex));
    ok(!h->has_tree || access(tree, F_OK) == 0);
}

static unsigned count(const char *below, size_t len)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", w.dir, below);
    DIR *dir = opendir(path);
    unsigned n = 0;

    for (struct dirent *e; dir && (e = readdir(dir));)
        n += strcspn(e->d_name, ".") == len;
    if (dir)
        closedir(dir);
    return n;
}

static unsigned count_blobs(void)
{
    unsigned n = 0;
    char shard[16];

    for (unsigned i = 0; i < BLOB_SHARDS; i++) {
        (void) snprintf(shard, sizeof shard, "blobs/%02x", i);
        n += count(shard, SHA256_HEX_LEN - 2);
    }
    return n;
}

static void one_step(void)
{
    struct held *h = &w.held[pick(HOLDERS)];

    if (pick(40) == 0)
        begin_run();
    for (unsigned n = pick(4); n > 0; n--)
        loop_once(w.loop, 0);
    if (h->manifest) {
        check_held(h);
        if (pick(3) == 0)
            let_go(h);
    } else if (pick(3) == 0) {
        keep_list(h);
    } else if (pick(4) == 0) {
        upload(pick(PROJECTS), pick(CONTENTS));
    } else {
        hold(h);
    }
}

static void open_world(bool sqlite)
{
    struct store_state state = { 0 };

    memset(&w, 0, sizeof w);
    w.random = 42;
    if (mkdir_temporary("/tmp", "berth-collect", &w.dir, NULL) < 0)
        abort();
    _cleanup_free_ char *full =
        sqlite ? xasprintf("sqlite:%s/berth.db", w.dir) : xstrdup("memory:");
    w.loop = loop_new();
    w.pool = pool_new(w.loop, 2);
    ok(store_open(full, w.loop, &w.store, NULL) == 0 && store_load(w.store, &state, NULL) == 0);
    ok(blob_store_open(w.dir, &w.blobs, NULL) == 0);
    store_keep_for(w.store, GRACE_US);
    struct collect_options options = { .loop = w.loop,
                                       .pool = w.pool,
                                       .store = w.store,
                                       .blobs = w.blobs,
                                       .grace_us = GRACE_US,
                                       .tasks = no_tasks,
                                       .done = on_done };
    w.collector = collector_new(&options);
}

static void close_world(void)
{
    collector_free(w.collector);
    pool_free(w.pool);
    store_close(w.store);
    blob_store_close(w.blobs);
    loop_free(w.loop);
    (void) remove_tree(AT_FDCWD, w.dir, NULL);
    free(w.dir);
}

static void needed_stays(bool sqlite)
{
    open_world(sqlite);
    for (unsigned i = 0; i < STEPS; i++)
        one_step();
    end_run();
    for (unsigned i = 0; i < HOLDERS; i++)
        if (w.held[i].manifest)
            check_held(&w.held[i]);
    ok(w.total.references > 0 && w.total.blobs > 0 && w.total.trees > 0);

    for (unsigned i = 0; i < HOLDERS; i++)
        if (w.held[i].manifest)
            let_go(&w.held[i]);
    for (int i = 0; i < 2; i++) {
        begin_run();
        end_run();
    }
    ok(count_blobs() == 0);
    ok(count("trees", SHA256_HEX_LEN) == 0);
    _cleanup_(manifest_freep) struct manifest *m = random_manifest();
    ok(missing(0, m) == m->n);
    close_world();
}

TEST(sqlite_what_is_needed_stays_and_the_rest_goes) { needed_stays(true); }
TEST(memory_what_is_needed_stays_and_the_rest_goes) { needed_stays(false); }

/* A held manifest that cannot be read says nothing of what it needs. */
static unsigned refused;

static void on_refused(void *userdata, const struct collected *c, const struct error *err)
{
    ok(err && strstr(err->text, "manifest "));
    ok(c->blobs == 0 && c->references == 0);
    refused++;
    w.runs--;
}

TEST(nothing_is_removed_when_a_manifest_cannot_be_read)
{
    open_world(false);
    hold(&w.held[0]);
    upload(0, 1);
    char hex[SHA256_HEX_LEN + 1];
    sha256_format(&w.held[0].name, hex);
    _cleanup_free_ char *path = xasprintf("%s/blobs/%.2s/%s", w.dir, hex, hex + 2);
    ok(unlink(path) == 0);
    unsigned before = count_blobs();
    collector_free(w.collector);
    struct collect_options options = { .loop = w.loop,
                                       .pool = w.pool,
                                       .store = w.store,
                                       .blobs = w.blobs,
                                       .tasks = no_tasks,
                                       .done = on_refused };
    w.collector = collector_new(&options);
    begin_run();
    end_run();
    ok(refused == 1 && count_blobs() == before);
    manifest_free(w.held[0].manifest);
    close_world();
}

static void an_old_task(void *userdata, struct collect_tasks *ret) { ret->writing_since_us = 1; }

/* What a task that lives has written is not known to the store before its end. */
TEST(what_a_living_task_may_have_written_stays)
{
    open_world(false);
    (void) write_blob("result", 6);
    collector_free(w.collector);
    struct collect_options options = { .loop = w.loop,
                                       .pool = w.pool,
                                       .store = w.store,
                                       .blobs = w.blobs,
                                       .tasks = an_old_task,
                                       .done = on_done };
    w.collector = collector_new(&options);
    begin_run();
    end_run();
    ok(count_blobs() == 1);
    collector_free(w.collector);
    options.tasks = no_tasks;
    w.collector = collector_new(&options);
    begin_run();
    end_run();
    ok(count_blobs() == 0);
    close_world();
}

/* It is freed at any moment of a run. */
TEST(a_collector_may_be_freed_while_it_runs)
{
    for (unsigned i = 0; i < 12; i++) {
        open_world(false);
        hold(&w.held[0]);
        begin_run();
        for (unsigned n = 0; n < i; n++)
            loop_once(w.loop, 5);
        manifest_free(w.held[0].manifest);
        close_world();
    }
}

TAP_MAIN
