/* tar.c - an archive that is made while it is sent: one piece of one file in memory at a time */
#include "api/tar.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <string.h>

enum { PIECE = 1 << 17 };

void tar_add_header(struct text *out, const char *path, int64_t size, bool executable)
{
    /* No times: the same files give the same archive. */
    const struct tar_entry entry = {
        .kind = TAR_FILE, .path = path, .size = size, .mode = executable ? 0755 : 0644
    };

    tar_add_entry(out, &entry);
}

struct archive {
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    struct manifest *manifest;
    size_t next; /* entry after the open one */
    int fd;
    int64_t at, size; /* of the open file */
    bool busy, failed, last;
    struct text out;
};

static void archive_free(struct archive *a)
{
    a->fd = safe_close(a->fd);
    manifest_free(a->manifest);
    text_done(&a->out);
    free(a);
}

static void open_next(struct archive *a)
{
    const struct manifest_entry *entry = &a->manifest->entries[a->next++];
    int64_t size = 0;

    a->fd = blob_open(a->api->options.blobs, &entry->sum, &size);
    a->at = 0;
    a->size = entry->size_bytes;
    a->failed = a->fd < 0 || size != entry->size_bytes;
    tar_add_header(&a->out, entry->path, entry->size_bytes, entry->executable);
}

static void read_piece(struct archive *a)
{
    static const char zeros[TAR_BLOCK];
    int64_t left = a->size - a->at;
    size_t want = left < PIECE ? (size_t) left : PIECE;
    ssize_t n = want ? pread(a->fd, text_reserve(&a->out, want), want, a->at) : 0;

    if (n < 0 || (n == 0 && want > 0)) {
        a->failed = true;
        return;
    }
    a->out.len += (size_t) n;
    a->at += n;
    if (a->at == a->size) {
        text_add_bytes(&a->out, zeros, tar_fill(a->size));
        a->fd = safe_close(a->fd);
    }
}

static void work(void *item)
{
    static const char zeros[2 * TAR_BLOCK];
    struct archive *a = item;

    while (a->out.len < PIECE && !a->failed && !a->last) {
        if (a->fd >= 0) {
            read_piece(a);
        } else if (a->next < a->manifest->n) {
            open_next(a);
        } else {
            text_add_bytes(&a->out, zeros, sizeof zeros);
            a->last = true;
        }
    }
}

static void worked(void *item)
{
    struct archive *a = item;
    struct http_request *req = a->req;

    a->busy = false;
    if (!req) {
        archive_free(a);
    } else if (
        a->failed) { /* the status is sent already: let the client see that the end is missing */
        archive_free(a);
        http_abort(req);
    } else {
        _cleanup_text_ struct text out = a->out;
        bool last = a->last;
        a->out = (struct text){ 0 };
        if (last)
            archive_free(a);
        http_send(req, out.data, out.len, last);
    }
}

static void proceed(void *userdata, struct http_request *req)
{
    struct archive *a = userdata;

    a->busy = true;
    pool_submit(a->api->options.pool, work, worked, a);
}

static void stop(void *userdata, struct http_request *req)
{
    struct archive *a = userdata;

    a->req = NULL;
    if (!a->busy)
        archive_free(a);
}

void tar_send(struct call *call, struct manifest *manifest)
{
    struct archive *a = xnew(struct archive);

    *a = (struct archive){ .api = call->api, .manifest = manifest, .fd = -1 };
    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = a };
    a->req = call_take_request(call);
    a->api->answers[2]++;
    http_respond_stream(a->req, 200, "application/x-tar", -1, &generator);
}
