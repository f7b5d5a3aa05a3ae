/* tar.c - an archive that is made while it is sent: one piece of one file in memory at a time */
#include "api/tar.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, NAME_MAX_BYTES = 100, PIECE = 1 << 17 };
#define SIZE_MAX_OCTAL INT64_C(077777777777)

size_t tar_padding(int64_t size) { return (size_t) ((BLOCK - size % BLOCK) % BLOCK); }

/* Fields of a ustar header, all text. */
static void add_block(struct text *out, const char *name, int64_t size, char type, bool executable)
{
    char block[BLOCK] = { 0 };
    unsigned sum = 0;

    (void) snprintf(block, NAME_MAX_BYTES + 1, "%s", name); /* the mode overwrites its NUL */
    memcpy(block + 100, executable ? "0000755" : "0000644", 8);
    memcpy(block + 108, "0000000", 8);
    memcpy(block + 116, "0000000", 8);
    (void) snprintf(block + 124, 12, "%011llo",
                    (unsigned long long) (size <= SIZE_MAX_OCTAL ? size : 0));
    memcpy(block + 136, "00000000000", 12); /* no times: the same files give the same archive */
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar", 6);
    block[263] = block[264] = '0';
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char) block[i];
    (void) snprintf(block + 148, 8, "%06o", sum);
    text_add_bytes(out, block, BLOCK);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct text *records, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
    char digits[24];

    while (rest + (size_t) snprintf(digits, sizeof digits, "%zu", len) != len)
        len++;
    text_addf(records, "%zu %s=%s\n", len, key, value);
}

void tar_add_header(struct text *out, const char *path, int64_t size, bool executable)
{
    static const char zeros[BLOCK];
    _cleanup_text_ struct text records = { 0 };
    char digits[24];

    if (strlen(path) > NAME_MAX_BYTES)
        add_record(&records, "path", path);
    if (size > SIZE_MAX_OCTAL) {
        (void) snprintf(digits, sizeof digits, "%lld", (long long) size);
        add_record(&records, "size", digits);
    }
    if (records.len) {
        add_block(out, "pax", (int64_t) records.len, 'x', false);
        text_add_bytes(out, records.data, records.len);
        text_add_bytes(out, zeros, tar_padding((int64_t) records.len));
    }
    add_block(out, path, size, '0', executable);
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
    static const char zeros[BLOCK];
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
        text_add_bytes(&a->out, zeros, tar_padding(a->size));
        a->fd = safe_close(a->fd);
    }
}

static void work(void *item)
{
    static const char zeros[2 * BLOCK];
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
