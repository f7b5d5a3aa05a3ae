/* uploads.c - files arrive by digest and become workspaces
 *
 * A digest counts as present only if this project references it already (DESIGN 5b): what others have
 * cannot be found out by asking. Bytes are hashed and written on the pool.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <string.h>

/* ---- what is missing? ---- */

static void answer_missing(void *userdata, int r, const struct sha256 *missing, size_t n,
                           const struct error *err)
{
    struct call *call = userdata;
    char sum[SHA256_HEX_LEN + 1];

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    json_t *answer = json_object(), *array = json_array();
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(array, json_string(sha256_format(&missing[i], sum)));
    json_put(answer, "missing", array);
    call_answer(call, 200, answer);
}

void upload_missing(struct call *call)
{
    const json_t *array = json_object_get(call->body, "sums");
    size_t n = json_array_size(array);
    struct sha256 *sums = xnew_n(struct sha256, n);

    call->state = sums;
    call->free_state = free;
    for (size_t i = 0; i < n; i++)
        (void) sha256_parse(json_string_value(json_array_get(array, i)), &sums[i]); /* checked */
    store_missing_blobs(call->api->options.store, &call->project, sums, n, answer_missing, call);
}

int upload_check_room(const struct call *call, struct error *err)
{
    struct store_health health;

    store_health(call->api->options.store, &health);
    if (health.reserve_low)
        return error_set(err, -ENOSPC, "less disk is free than the reserve: %lld bytes",
                         (long long) health.disk_free_bytes);
    return 0;
}

/* ---- one file ---- */

#define LARGE_MIN (INT64_C(64) << 20)

struct upload {
    struct call *call;
    struct intake in;
    struct blob_writer *writer; /* NULL: opened with the first piece */
    struct sha256 expected;
    int64_t from;
    int64_t size;
    bool is_large; /* what came of it is kept if the client leaves */
};

static void upload_free(void *state)
{
    struct upload *u = state;

    blob_writer_free(u->writer);
    intake_done(&u->in);
    free(u);
}

static json_t *blob_json(const struct upload *u)
{
    char sum[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "sha256", sha256_format(&u->expected, sum));
    json_put_int(json, "size", u->size);
    return json;
}

static void blob_referenced(void *userdata, struct event *const *events, size_t n)
{
    struct upload *u = userdata;

    call_answer(u->call, 201, blob_json(u));
}

/* Somebody else sends the same at this moment: then both send all of it. */
static int open_writer(struct upload *u, struct error *err)
{
    struct blob_store *bs = u->call->api->options.blobs;
    const struct blob_part part = { u->call->project, u->expected, u->from };
    int r = u->is_large ? blob_writer_resume(bs, &part, &u->writer, err) : -EBUSY;

    return r == -EBUSY && u->from == 0 ? blob_writer_new(bs, &u->writer, err) : r;
}

static int upload_work(void *owner, struct text *piece, bool is_last, struct error *err)
{
    struct upload *u = owner;
    int r = u->writer ? 0 : open_writer(u, err);

    if (r >= 0)
        r = blob_writer_add(u->writer, text_str(piece), piece->len, err);

    text_clear(piece);
    if (r >= 0 && is_last)
        r = blob_writer_end(u->writer, &u->expected, true, NULL, &u->size, err);
    return r;
}

static void upload_whole(void *owner)
{
    struct upload *u = owner;
    struct store_batch *batch = store_batch_new();

    store_put_blob_refs(batch, &u->call->project, &u->expected, 1, clock_now_us());
    store_commit(u->call->api->options.store, batch, blob_referenced, u);
}

void upload_blob(struct call *call)
{
    struct upload *u = xnew(struct upload);
    struct error err = { 0 };

    u->call = call;
    u->in = (struct intake){ .call = call, .owner = u, .work = upload_work, .whole = upload_whole };
    call->state = u;
    call->free_state = upload_free;
    int r = sha256_parse(call_param(call, "sum"), &u->expected);
    if (r == 0)
        r = upload_check_room(call, &err);
    u->from = json_get_int(call->query, "offset", 0);
    u->is_large = u->from > 0 || http_content_length(call->req) >= LARGE_MIN;
    if (r < 0)
        call_fail(call, r, &err);
    else
        intake_begin(&u->in);
}

/* ---- how much of a large one is there? ---- */

struct part_status {
    struct call *call;
    struct blob_part part;
    int64_t size;
};

static void status_work(void *item)
{
    struct part_status *s = item;

    s->size = blob_part_size(s->call->api->options.blobs, &s->part);
}

static void status_worked(void *item)
{
    struct part_status *s = item;
    char sum[SHA256_HEX_LEN + 1];
    json_t *answer = json_object();

    json_put_str(answer, "sha256", sha256_format(&s->part.sum, sum));
    json_put_int(answer, "size", s->size);
    call_answer(s->call, 200, answer);
}

void upload_status(struct call *call)
{
    struct part_status *s = xnew(struct part_status);

    s->call = call;
    s->part.project = call->project;
    call->state = s;
    call->free_state = free;
    if (sha256_parse(call_param(call, "sum"), &s->part.sum) < 0)
        call_refuse(call, -EINVAL, "sum: is not a SHA-256 in hexadecimal");
    else
        pool_submit(call->api->options.pool, status_work, status_worked, s);
}

/* ---- a workspace ---- */

enum { MANIFEST_MAX = 64 << 20 };

struct workspace {
    struct call *call;
    const char *bytes; /* the request's */
    size_t len;
    struct manifest *manifest;
    struct sha256 *sums;
    size_t n_sums;
    struct sha256 name;
    int r;
    struct error err;
};

static void workspace_free(void *state)
{
    struct workspace *ws = state;

    manifest_free(ws->manifest);
    free(ws->sums);
    free(ws);
}

static void workspace_stored(void *userdata, struct event *const *events, size_t n)
{
    struct workspace *ws = userdata;
    char sum[SHA256_HEX_LEN + 1];
    json_t *answer = json_object();

    json_put_str(answer, "workspace", sha256_format(&ws->name, sum));
    json_put_int(answer, "files", (int64_t) ws->manifest->n);
    json_put_int(answer, "size", ws->manifest->size_bytes);
    call_answer(ws->call, 201, answer);
}

static void workspace_checked(void *userdata, int r, const struct sha256 *missing, size_t n,
                              const struct error *err)
{
    struct workspace *ws = userdata;
    struct call *call = ws->call;
    char sum[SHA256_HEX_LEN + 1];

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    if (n > 0) {
        call_refuse(call, -EINVAL, "%zu of the files were not sent, the first is %s", n,
                    sha256_format(&missing[0], sum));
        return;
    }
    struct store_batch *batch = store_batch_new();
    int64_t now = clock_now_us();
    store_put_manifest(batch, &call->project, &ws->name, ws->bytes, ws->len, now);
    store_put_blob_refs(batch, &call->project, &ws->name, 1, now);
    store_commit(call->api->options.store, batch, workspace_stored, ws);
}

/* The manifest itself becomes a blob: that is where supervisors read it. */
static void workspace_work(void *item)
{
    struct workspace *ws = item;
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;

    ws->r = manifest_parse(ws->bytes, ws->len, &ws->manifest, &ws->err);
    if (ws->r == -EEXIST)
        ws->r = -EINVAL; /* twice in the same text, not there before */
    if (ws->r < 0)
        return;
    ws->sums = xnew_n(struct sha256, ws->manifest->n);
    for (size_t i = 0; i < ws->manifest->n; i++)
        if (!ws->manifest->entries[i].link)
            ws->sums[ws->n_sums++] = ws->manifest->entries[i].sum;
    ws->r = blob_writer_new(ws->call->api->options.blobs, &writer, &ws->err);
    if (ws->r >= 0)
        ws->r = blob_writer_add(writer, ws->bytes, ws->len, &ws->err);
    if (ws->r >= 0)
        ws->r = blob_writer_end(writer, NULL, true, &ws->name, NULL, &ws->err);
}

static void workspace_worked(void *item)
{
    struct workspace *ws = item;
    struct call *call = ws->call;

    if (ws->r < 0)
        call_fail(call, ws->r, &ws->err);
    else
        store_missing_blobs(call->api->options.store, &call->project, ws->sums, ws->n_sums,
                            workspace_checked, ws);
}

static void workspace_read(void *userdata, struct http_request *req, int r, const char *bytes,
                           size_t len)
{
    struct workspace *ws = userdata;

    if (r < 0) {
        call_refuse(ws->call, r, "the manifest could not be read; at most %d bytes are taken",
                    MANIFEST_MAX);
        return;
    }
    ws->bytes = bytes;
    ws->len = len;
    pool_submit(ws->call->api->options.pool, workspace_work, workspace_worked, ws);
}

static void upload_workspace(struct call *call)
{
    struct workspace *ws = xnew(struct workspace);

    ws->call = call;
    call->state = ws;
    call->free_state = workspace_free;
    http_read_body(call->req, MANIFEST_MAX, workspace_read, ws);
}

const struct api_route upload_routes[] = {
    { "upload.missing", upload_missing },
    { "upload.blob", upload_blob },
    { "upload.status", upload_status },
    { "upload.workspace", upload_workspace },
    { "upload.files", upload_files },
    { "upload.fetch", download_files },
    { NULL, NULL },
};
