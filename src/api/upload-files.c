/* upload-files.c - many small files in one request (data/bundle.h)
 *
 * They are written one after the other, brought to the disk together at the end, and referenced in one
 * commit. What was complete when the client leaves is dropped: it sends the rest again.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "data/data.h"
#include "os/clock.h"

#include <string.h>

struct files_upload {
    struct call *call;
    struct text piece; /* belongs to the pool between work() and worked() */
    struct blob_writer *writer;
    struct bundle_head head; /* of the open file */
    int64_t left;            /* of the open file */
    VEC(struct sha256) sums;
    int64_t size_bytes;
    bool is_end;  /* after this piece */
    bool is_over; /* the client left */
    bool busy;
    int r;
    struct error err;
};

static void files_free(void *state)
{
    struct files_upload *u = state;

    blob_writer_free(u->writer);
    vec_done(&u->sums);
    text_done(&u->piece);
    free(u);
}

static int end_file(struct files_upload *u)
{
    int r = blob_writer_end(u->writer, &u->head.sum, false, NULL, NULL, &u->err);

    blob_writer_free(u->writer);
    u->writer = NULL;
    if (r < 0)
        return r;
    vec_push(&u->sums, u->head.sum);
    u->size_bytes += u->head.size_bytes;
    return 0;
}

/* Bytes taken; 0: more are needed. */
static ssize_t begin_file(struct files_upload *u, const char *bytes, size_t len)
{
    ssize_t n = bundle_head_parse(bytes, len, &u->head);

    if (n < 0)
        return error_set(&u->err, -EINVAL, "the head of file %zu is not SHA256 SIZE",
                         u->sums.len + 1);
    if (n == 0)
        return 0;
    if (u->sums.len == BUNDLE_FILES_MAX)
        return error_set(&u->err, -E2BIG, "a request has at most %d files", BUNDLE_FILES_MAX);
    int r = blob_writer_new(u->call->api->options.blobs, &u->writer, &u->err);
    u->left = u->head.size_bytes;
    if (r == 0 && u->left == 0)
        r = end_file(u);
    return r < 0 ? r : n;
}

static ssize_t take(struct files_upload *u, const char *bytes, size_t len)
{
    if (!u->writer)
        return begin_file(u, bytes, len);
    size_t n = (int64_t) len < u->left ? len : (size_t) u->left;
    int r = blob_writer_add(u->writer, bytes, n, &u->err);
    u->left -= (int64_t) n;
    if (r == 0 && u->left == 0)
        r = end_file(u);
    return r < 0 ? r : (ssize_t) n;
}

static void work(void *item)
{
    struct files_upload *u = item;
    size_t at = 0;

    while (at < u->piece.len) {
        ssize_t n = take(u, u->piece.data + at, u->piece.len - at);
        if (n < 0) {
            u->r = (int) n;
            return;
        }
        if (n == 0)
            break;
        at += (size_t) n;
    }
    text_consume(&u->piece, at);
    if (!u->is_end)
        return;
    if (u->writer || u->piece.len)
        u->r = error_set(&u->err, -EINVAL, "the content ends inside a file");
    else
        u->r = blob_sync(u->call->api->options.blobs, &u->err);
}

static void referenced(void *userdata, struct event *const *events, size_t n)
{
    struct files_upload *u = userdata;
    json_t *answer = json_object();

    json_put_int(answer, "files", (int64_t) u->sums.len);
    json_put_int(answer, "size", u->size_bytes);
    call_answer(u->call, 201, answer);
}

static void worked(void *item)
{
    struct files_upload *u = item;
    struct call *call = u->call;

    u->busy = false;
    if (u->is_over) {
        call_refuse(call, -EINVAL, "the content ended early");
    } else if (u->r < 0) {
        call_fail(call, u->r, &u->err);
    } else if (u->is_end) {
        struct store_batch *batch = store_batch_new();
        store_put_blob_refs(batch, &call->project, u->sums.items, u->sums.len, clock_now_us());
        store_commit(call->api->options.store, batch, referenced, u);
    } else {
        http_body_resume(call->req);
    }
}

static void on_data(void *userdata, struct http_request *req, int r, const char *bytes, size_t len)
{
    struct files_upload *u = userdata;

    if (r < 0) {
        u->is_over = true;
        if (!u->busy)
            call_refuse(u->call, -EINVAL, "the content ended early");
        return;
    }
    text_add_bytes(&u->piece, bytes, len);
    u->is_end = len == 0;
    u->busy = true;
    http_body_pause(req);
    pool_submit(u->call->api->options.pool, work, worked, u);
}

void upload_files(struct call *call)
{
    struct files_upload *u = xnew(struct files_upload);
    struct error err = { 0 };

    u->call = call;
    call->state = u;
    call->free_state = files_free;
    int r = upload_check_room(call, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        http_stream_body(call->req, on_data, u);
}
