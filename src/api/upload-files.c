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

#define AT_ONCE_MAX (64 << 10) /* such a file is waited for and written at once */

struct files_upload {
    struct call *call;
    struct intake in;
    struct blob_writer *writer;
    struct bundle_head head; /* of the open file */
    int64_t left;            /* of the open file */
    VEC(struct sha256) sums;
    int64_t size_bytes;
};

static void files_free(void *state)
{
    struct files_upload *u = state;

    blob_writer_free(u->writer);
    vec_done(&u->sums);
    intake_done(&u->in);
    free(u);
}

static void count_file(struct files_upload *u)
{
    vec_push(&u->sums, u->head.sum);
    u->size_bytes += u->head.size_bytes;
}

static int end_file(struct files_upload *u, struct error *err)
{
    int r = blob_writer_end(u->writer, &u->head.sum, false, NULL, NULL, err);

    blob_writer_free(u->writer);
    u->writer = NULL;
    if (r < 0)
        return r;
    count_file(u);
    return 0;
}

/* BYTES come after the head, which took N. */
static ssize_t put_small(struct files_upload *u, ssize_t n, const char *bytes, size_t len,
                         struct error *err)
{
    size_t size = (size_t) u->head.size_bytes;

    if (len < size)
        return 0;
    int r = blob_put(u->call->api->options.blobs, bytes, size, &u->head.sum, err);
    if (r < 0)
        return r;
    count_file(u);
    return n + (ssize_t) size;
}

/* Bytes taken; 0: more are needed. */
static ssize_t begin_file(struct files_upload *u, const char *bytes, size_t len, struct error *err)
{
    ssize_t n = bundle_head_parse(bytes, len, &u->head);

    if (n < 0)
        return error_set(err, -EINVAL, "the head of file %zu is not SHA256 SIZE", u->sums.len + 1);
    if (n == 0)
        return 0;
    if (u->sums.len == BUNDLE_FILES_MAX)
        return error_set(err, -E2BIG, "a request has at most %d files", BUNDLE_FILES_MAX);
    if (u->head.size_bytes <= AT_ONCE_MAX)
        return put_small(u, n, bytes + n, len - (size_t) n, err);
    int r = blob_writer_new(u->call->api->options.blobs, &u->writer, err);
    u->left = u->head.size_bytes;
    return r < 0 ? r : n;
}

static ssize_t take(struct files_upload *u, const char *bytes, size_t len, struct error *err)
{
    if (!u->writer)
        return begin_file(u, bytes, len, err);
    size_t n = (int64_t) len < u->left ? len : (size_t) u->left;
    int r = blob_writer_add(u->writer, bytes, n, err);
    u->left -= (int64_t) n;
    if (r == 0 && u->left == 0)
        r = end_file(u, err);
    return r < 0 ? r : (ssize_t) n;
}

static int work(void *owner, struct text *piece, bool is_last, struct error *err)
{
    struct files_upload *u = owner;
    size_t at = 0;

    while (at < piece->len) {
        ssize_t n = take(u, piece->data + at, piece->len - at, err);
        if (n < 0)
            return (int) n;
        if (n == 0)
            break;
        at += (size_t) n;
    }
    text_consume(piece, at);
    if (!is_last)
        return 0;
    if (u->writer || piece->len)
        return error_set(err, -EINVAL, "the content ends inside a file");
    return blob_sync(u->call->api->options.blobs, err);
}

static void referenced(void *userdata, struct event *const *events, size_t n)
{
    struct files_upload *u = userdata;
    json_t *answer = json_object();

    json_put_int(answer, "files", (int64_t) u->sums.len);
    json_put_int(answer, "size", u->size_bytes);
    call_answer(u->call, 201, answer);
}

static void whole(void *owner)
{
    struct files_upload *u = owner;
    struct store_batch *batch = store_batch_new();

    store_put_blob_refs(batch, &u->call->project, u->sums.items, u->sums.len, clock_now_us());
    store_commit(u->call->api->options.store, batch, referenced, u);
}

void upload_files(struct call *call)
{
    struct files_upload *u = xnew(struct files_upload);
    struct error err = { 0 };

    u->call = call;
    u->in = (struct intake){ .call = call, .owner = u, .work = work, .whole = whole };
    call->state = u;
    call->free_state = files_free;
    int r = upload_check_room(call, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        intake_begin(&u->in);
}
