/* dataset-add.c - a version is made of what was sent: its manifest is read as a stream and every file of it
 * must be one that the project has and the blob store holds whole
 *
 * Pages of entries alternate between the pool (reading, looking at sizes) and the store (references).
 */
#include "api/internal.h"

#include "base/alloc.h"

#include <string.h>

enum { PAGE = 4096 };

struct adding {
    struct call *call;
    struct sha256 manifest;
    struct manifest_file *file;
    struct sha256 sums[PAGE];
    size_t n_sums;
    bool is_end;
    int r;
    struct error err;
};

static void adding_free(void *state)
{
    struct adding *a = state;

    manifest_file_free(a->file);
    free(a);
}

/* ---- the version ------------------------------------------------------------------------------------ */

static void added(void *userdata, const struct dataset *d, const struct dataset_version *v)
{
    struct call *call = userdata;

    if (!d || !v)
        call_refuse(call, -ENOENT, "the version was deleted meanwhile");
    else
        call_answer_once(call, 201, dataset_json(d, v));
}

static void add(struct adding *a)
{
    struct call *call = a->call;
    const struct manifest_reader *reader = manifest_file_reader(a->file);
    struct error err = { 0 };
    const struct new_version new = {
        .project = call->project,
        .name = call_param(call, "dataset"),
        .actor = call->actor,
        .manifest = a->manifest,
        .files = manifest_reader_entries(reader),
        .size_bytes = manifest_reader_size(reader),
        .message = json_get_str(call->body, "message", NULL),
        .tags = json_object_get(call->body, "tags"),
    };
    int r = new.files ? lifecycle_add_version(call->api->options.lifecycle, &new, added, call, &err)
                      : error_set(&err, -EINVAL, "manifest: there is no file in it");

    if (r < 0)
        call_fail(call, r, &err);
}

/* ---- its files -------------------------------------------------------------------------------------- */

static int read_page(struct adding *a)
{
    struct blob_store *bs = a->call->api->options.blobs;
    const struct manifest_entry *e = NULL;

    while (a->n_sums < PAGE) {
        int r = manifest_file_next(a->file, &e, &a->err);
        if (r <= 0) {
            a->is_end = true;
            return r;
        }
        if (e->link)
            continue;
        if (!blob_matches(bs, &e->sum, e->size_bytes))
            return error_set(&a->err, -EINVAL,
                             "manifest: '%.120s' was not sent, or has another size", e->path);
        a->sums[a->n_sums++] = e->sum;
    }
    return 0;
}

static void work(void *item)
{
    struct adding *a = item;

    a->n_sums = 0;
    if (!a->file)
        a->r = manifest_file_open(a->call->api->options.blobs, &a->manifest, &a->file, &a->err);
    if (a->r >= 0)
        a->r = read_page(a);
}

static void worked(void *item);

static void next(struct adding *a) { pool_submit(a->call->api->options.pool, work, worked, a); }

static void page_checked(void *userdata, int r, const struct sha256 *missing, size_t n,
                         const struct error *err)
{
    struct adding *a = userdata;
    char hex[SHA256_HEX_LEN + 1];

    if (r < 0)
        call_fail(a->call, r, err);
    else if (n > 0)
        call_refuse(a->call, -EINVAL, "manifest: %zu of the files were not sent, the first is %s",
                    n, sha256_format(&missing[0], hex));
    else if (a->is_end)
        add(a);
    else
        next(a);
}

static void worked(void *item)
{
    struct adding *a = item;

    if (a->r < 0)
        call_fail(a->call, a->r == -EIO ? a->r : -EINVAL, &a->err);
    else
        store_missing_blobs(a->call->api->options.store, &a->call->project, a->sums, a->n_sums,
                            page_checked, a);
}

/* Whose manifest is it? A digest alone gives nobody what another project has. */
static void manifest_checked(void *userdata, int r, const struct sha256 *missing, size_t n,
                             const struct error *err)
{
    struct adding *a = userdata;

    if (r < 0)
        call_fail(a->call, r, err);
    else if (n > 0)
        call_refuse(a->call, -EINVAL, "manifest: was not sent");
    else
        next(a);
}

void dataset_add(struct call *call)
{
    struct adding *a = xnew(struct adding);
    struct error err = { 0 };

    a->call = call;
    call->state = a;
    call->free_state = adding_free;
    (void) sha256_parse(json_get_str(call->body, "manifest", ""), &a->manifest); /* checked */
    int r = name_check("dataset", call_param(call, "dataset"), &err);
    if (r >= 0)
        r = upload_check_room(call, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        store_missing_blobs(call->api->options.store, &call->project, &a->manifest, 1,
                            manifest_checked, a);
}
