/* task-blobs.c - a task fetches what its specification names, and nothing else
 *
 * It names trees, by their manifests. Which blobs a tree has is read from its manifest once and kept,
 * sorted, for those who ask next: tasks ask for one file after the other, and many have the same tree.
 * The manifest of a tree that is too large to be kept is read for each file.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SUMS_KEPT_MAX = 2 << 20 }; /* in all: 64 MiB */

struct blob_set {
    struct sha256 manifest;
    struct sha256 *sums; /* sorted */
    size_t n;
    uint64_t used;
};

struct blob_sets {
    VEC(struct blob_set) all;
    size_t n_sums;
    uint64_t uses;
};

struct fetch {
    struct call *call;
    struct sha256 sum;
    VEC(struct sha256) manifests; /* that it may be in; looked at from the last */
    struct blob_set set;          /* of the last, being read */
    bool found;
    int r;
    struct error err;
};

void blob_sets_free(struct blob_sets *sets)
{
    if (!sets)
        return;
    vec_foreach(&sets->all, set)
        free(set->sums);
    vec_done(&sets->all);
    free(sets);
}

static int compare_sums(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sha256));
}

static bool set_has(const struct blob_set *set, const struct sha256 *sum)
{
    return set->n > 0 && bsearch(sum, set->sums, set->n, sizeof *sum, compare_sums);
}

static const struct blob_set *find_set(struct blob_sets *sets, const struct sha256 *manifest)
{
    if (!sets)
        return NULL;
    vec_foreach(&sets->all, set)
        if (compare_sums(&set->manifest, manifest) == 0) {
            set->used = ++sets->uses;
            return set;
        }
    return NULL;
}

static void drop_oldest(struct blob_sets *sets)
{
    size_t oldest = 0;

    for (size_t i = 1; i < sets->all.len; i++)
        if (sets->all.items[i].used < sets->all.items[oldest].used)
            oldest = i;
    sets->n_sums -= sets->all.items[oldest].n;
    free(sets->all.items[oldest].sums);
    vec_remove(&sets->all, oldest);
}

/* Takes what SET holds. */
static void keep_set(struct api *api, struct blob_set *set)
{
    struct blob_sets *sets = api->blob_sets ? api->blob_sets : xnew(struct blob_sets);

    api->blob_sets = sets;
    if (find_set(sets, &set->manifest)) { /* another task was faster */
        free(set->sums);
    } else {
        while (sets->all.len > 0 && sets->n_sums + set->n > SUMS_KEPT_MAX)
            drop_oldest(sets);
        set->used = ++sets->uses;
        sets->n_sums += set->n;
        vec_push(&sets->all, *set);
    }
    *set = (struct blob_set){ 0 };
}

/* ---- reading a manifest ----------------------------------------------------------------------------- */

static int read_manifest(struct fetch *f, struct manifest_file *file)
{
    VEC(struct sha256) sums = { 0 };
    const struct manifest_entry *e = NULL;
    bool is_small = true;
    int r;

    while ((r = manifest_file_next(file, &e, &f->err)) > 0) {
        if (e->link)
            continue;
        f->found = f->found || compare_sums(&e->sum, &f->sum) == 0;
        is_small = is_small && sums.len < SUMS_KEPT_MAX;
        if (is_small)
            vec_push(&sums, e->sum);
        else if (f->found)
            break;
    }
    if (r < 0 || !is_small) {
        vec_done(&sums);
        return r < 0 ? r : 0;
    }
    if (sums.len > 0)
        qsort(sums.items, sums.len, sizeof *sums.items, compare_sums);
    f->set.sums = sums.items;
    f->set.n = sums.len;
    return 1;
}

static void read_work(void *item)
{
    struct fetch *f = item;
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;

    f->r = manifest_file_open(f->call->api->options.blobs, &f->set.manifest, &file, &f->err);
    if (f->r >= 0)
        f->r = read_manifest(f, file);
}

/* ---- the answer --------------------------------------------------------------------------------------- */

static void fetch_free(void *state)
{
    struct fetch *f = state;

    vec_done(&f->manifests);
    free(f->set.sums);
    free(f);
}

static void answer(struct fetch *f)
{
    struct call *call = f->call;
    struct sha256 sum = f->sum;
    int64_t size = 0;

    int fd = blob_open(call->api->options.blobs, &sum, &size);
    if (fd < 0)
        call_refuse(call, -EIO, "the content cannot be read: %s", strerror(-fd));
    else
        answer_file(call, &sum, fd, size);
}

static void look(struct fetch *f);

static void read_worked(void *item)
{
    struct fetch *f = item;

    if (f->r < 0) {
        call_fail(f->call, -EIO, &f->err);
        return;
    }
    if (f->r > 0)
        keep_set(f->call->api, &f->set);
    if (f->found)
        answer(f);
    else
        look(f);
}

static void look(struct fetch *f)
{
    while (f->manifests.len > 0) {
        const struct sha256 manifest = f->manifests.items[--f->manifests.len];
        const struct blob_set *set = find_set(f->call->api->blob_sets, &manifest);
        if (!set) {
            f->set.manifest = manifest;
            pool_submit(f->call->api->options.pool, read_work, read_worked, f);
            return;
        }
        if (set_has(set, &f->sum)) {
            answer(f);
            return;
        }
    }
    call_refuse(f->call, -ENOENT, "the task's specification names no such file");
}

/* Layers lie packed among what its project has fetched and made. */
void task_layer_get(struct call *call)
{
    char project[ID_TEXT_LEN + 1], hex[SHA256_HEX_LEN + 1];
    struct lifecycle_task task;
    struct sha256 sum;
    struct stat st;

    if (!task_of_call(call, &task))
        return;
    (void) sha256_parse(call_param(call, "sum"), &sum); /* checked */
    if (!lifecycle_task_has_layer(call->api->options.lifecycle, &task, &sum)) {
        call_refuse(call, -ENOENT, "the image of the task has no such layer");
        return;
    }
    _cleanup_free_ char *path =
        xasprintf("%s/images/%s/%s", call->api->options.state, id_format(&task.project, project),
                  sha256_format(&sum, hex));
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        call_refuse(call, -ENOENT,
                    "layer %.12s of the image is not kept here any more: berth image pull", hex);
    else
        answer_file(call, &sum, take_fd(&fd), st.st_size);
}

/* Is it the digest of MANIFEST itself? Else it may be of a file in it. */
static void add_manifest(struct fetch *f, const struct sha256 *manifest)
{
    f->found = f->found || compare_sums(manifest, &f->sum) == 0;
    vec_push(&f->manifests, *manifest);
}

void task_blob_get(struct call *call)
{
    struct lifecycle_task task;

    if (!task_of_call(call, &task))
        return;
    struct fetch *f = xnew(struct fetch);
    f->call = call;
    call->state = f;
    call->free_state = fetch_free;
    (void) sha256_parse(call_param(call, "sum"), &f->sum); /* checked */
    if (task.spec->source == SOURCE_WORKSPACE)
        add_manifest(f, &task.spec->workspace);
    for (size_t i = 0; i < task.spec->n_datasets; i++)
        add_manifest(f, &task.spec->datasets[i].manifest);
    if (f->found)
        answer(f);
    else
        look(f);
}
