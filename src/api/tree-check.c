/* tree-check.c - a manifest is read as a stream and every file of it must be one that the project has and the
 * blob store holds whole
 *
 * Pages of entries alternate between the pool (reading, looking at sizes) and the store (references).
 */
#include "api/internal.h"

#include "base/alloc.h"

enum { PAGE = 4096 };

struct tree_checking {
    struct api *api;
    struct id project;
    struct sha256 manifest;
    tree_checked_f done;
    void *userdata;
    struct manifest_file *file;
    struct sha256 sums[PAGE];
    size_t n_sums;
    bool is_end;
    int r;
    struct error err;
};

static void end(struct tree_checking *c, int r, const struct error *err)
{
    struct tree_size size = { 0 };

    if (r >= 0) {
        const struct manifest_reader *reader = manifest_file_reader(c->file);
        size = (struct tree_size){ manifest_reader_entries(reader), manifest_reader_size(reader) };
    }
    c->done(c->userdata, r, &size, err);
    manifest_file_free(c->file);
    free(c);
}

static int read_page(struct tree_checking *c)
{
    const struct manifest_entry *e = NULL;

    while (c->n_sums < PAGE) {
        int r = manifest_file_next(c->file, &e, &c->err);
        if (r <= 0) {
            c->is_end = true;
            return r;
        }
        if (e->link)
            continue;
        if (!blob_matches(c->api->options.blobs, &e->sum, e->size_bytes))
            return error_set(&c->err, -EINVAL,
                             "manifest: '%.120s' was not sent, or has another size", e->path);
        c->sums[c->n_sums++] = e->sum;
    }
    return 0;
}

static void work(void *item)
{
    struct tree_checking *c = item;

    c->n_sums = 0;
    if (!c->file)
        c->r = manifest_file_open(c->api->options.blobs, &c->manifest, &c->file, &c->err);
    if (c->r >= 0)
        c->r = read_page(c);
}

static void worked(void *item);

static void next(struct tree_checking *c) { pool_submit(c->api->options.pool, work, worked, c); }

static void page_checked(void *userdata, int r, const struct sha256 *missing, size_t n,
                         const struct error *err)
{
    struct tree_checking *c = userdata;
    char hex[SHA256_HEX_LEN + 1];

    if (r >= 0 && n > 0) {
        r = error_set(&c->err, -EINVAL, "manifest: %zu of the files were not sent, the first is %s",
                      n, sha256_format(&missing[0], hex));
        err = &c->err;
    }
    if (r < 0 || c->is_end)
        end(c, r, err);
    else
        next(c);
}

static void worked(void *item)
{
    struct tree_checking *c = item;

    if (c->r < 0)
        end(c, c->r == -EIO ? c->r : -EINVAL, &c->err);
    else
        store_missing_blobs(c->api->options.store, &c->project, c->sums, c->n_sums, page_checked,
                            c);
}

/* Whose manifest is it? A digest alone gives nobody what another project has. */
static void manifest_checked(void *userdata, int r, const struct sha256 *missing, size_t n,
                             const struct error *err)
{
    struct tree_checking *c = userdata;

    if (r >= 0 && n > 0) {
        r = error_set(&c->err, -EINVAL, "manifest: was not sent");
        err = &c->err;
    }
    if (r < 0)
        end(c, r, err);
    else
        next(c);
}

void tree_check(struct api *api, const struct id *project, const struct sha256 *manifest,
                tree_checked_f done, void *userdata)
{
    struct tree_checking *c = xnew(struct tree_checking);

    c->api = api;
    c->project = *project;
    c->manifest = *manifest;
    c->done = done;
    c->userdata = userdata;
    store_missing_blobs(api->options.store, project, manifest, 1, manifest_checked, c);
}
