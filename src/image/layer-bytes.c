/* layer-bytes.c - buffers that go round between the thread that unpacks and hashes, and the reader */
#include "image/layer-bytes.h"

#include "base/alloc.h"
#include "image/archive.h"
#include "os/hash.h"
#include "os/queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* LOOK_MS: how often a file that grows is looked at. */
enum { SLOTS = 8, SLOT_BYTES = 1 << 18, PACKED_BYTES = 1 << 18, LOOK_MS = 5 };

struct slot {
    struct message message;
    char *bytes;
    size_t len; /* 0: the end, or R */
    int r;
    struct error err;
};

struct layer_bytes {
    const struct libarchive *lib;
    int blob, arriving;
    pthread_t thread;
    /* the thread's */
    struct archive *packed;
    struct hasher *hasher;
    char *buffer;
    bool is_empty, whole;
    int r; /* why no packed bytes could be had */
    struct error err;
    /* shared: a slot is in one of the queues, or with whoever took it */
    struct queue *empty, *filled; /* EMPTY is closed when nobody reads any more */
    struct slot slots[SLOTS];
    struct slot *read; /* the reader's; NULL at first */
};

/* ---- packed bytes ---- */

/* There are no more for now. */
static int await_more(struct layer_bytes *b)
{
    struct pollfd polled = { .fd = b->arriving, .events = POLLIN };
    char byte;

    if (queue_is_closed(b->empty))
        return -ECANCELED;
    if (poll(&polled, 1, LOOK_MS) <= 0 || !polled.revents)
        return 0;
    if (read(b->arriving, &byte, 1) != 1)
        return error_set(&b->err, -ECANCELED, "it did not come to its end");
    b->whole = true;
    return 0;
}

static la_ssize_t next_packed(struct archive *packed, void *userdata, const void **ret)
{
    struct layer_bytes *b = userdata;

    (void) packed;
    *ret = b->buffer;
    for (;;) {
        bool whole = b->whole;
        ssize_t n = read(b->blob, b->buffer, PACKED_BYTES);
        if (n < 0)
            b->r = error_set(&b->err, -errno, "reading it: %s", strerror(errno));
        if (n != 0 || whole)
            return n;
        b->r = await_more(b);
        if (b->r < 0)
            return -1;
    }
}

static int broken(struct layer_bytes *b)
{
    if (b->r < 0)
        return b->r;
    return error_set(&b->err, -EBADMSG, "it is broken: %s", b->lib->error_string(b->packed));
}

static int open_packed(struct layer_bytes *b)
{
    const struct libarchive *lib = b->lib;
    struct archive_entry *entry;

    (void) lib->filter_gzip(b->packed);
    (void) lib->filter_zstd(b->packed);
    (void) lib->format_raw(b->packed);
    (void) lib->format_empty(b->packed);
    if (lib->open(b->packed, b, NULL, next_packed, NULL) < ARCHIVE_WARN)
        return broken(b);
    int code = lib->next_header(b->packed, &entry);
    b->is_empty = code == ARCHIVE_EOF;
    return code < ARCHIVE_WARN ? broken(b) : 0;
}

/* ---- the thread ---- */

static void fill(struct layer_bytes *b, struct slot *slot)
{
    la_ssize_t n = b->is_empty ? 0 : b->lib->data(b->packed, slot->bytes, SLOT_BYTES);

    slot->len = n > 0 ? (size_t) n : 0;
    slot->r = n < 0 ? broken(b) : 0;
    hasher_add(b->hasher, slot->bytes, slot->len);
}

static void *make_bytes(void *userdata)
{
    struct layer_bytes *b = userdata;
    int r = open_packed(b);
    struct slot *slot;
    bool more = true;

    while (more && (slot = (struct slot *) queue_take(b->empty))) {
        if (r < 0)
            slot->r = r;
        else
            fill(b, slot);
        if (slot->r < 0)
            slot->err = b->err;
        more = slot->len > 0;
        queue_push(b->filled, &slot->message);
    }
    return NULL;
}

/* ---- the reader ---- */

ssize_t layer_bytes_next(struct layer_bytes *b, const void **ret, struct error *err)
{
    /* What follows an end is that end again. */
    if (!b->read || b->read->len > 0) {
        if (b->read)
            queue_push(b->empty, &b->read->message);
        b->read = (struct slot *) queue_take(b->filled);
    }
    *ret = b->read->bytes;
    if (b->read->r < 0 && err)
        *err = b->read->err;
    return b->read->r < 0 ? b->read->r : (ssize_t) b->read->len;
}

struct sha256 layer_bytes_sum(struct layer_bytes *b) { return hasher_end(b->hasher); }

int layer_bytes_open(int blob, int arriving, struct layer_bytes **ret, struct error *err)
{
    const struct libarchive *lib;
    int r = archive_load(&lib, err);

    if (r < 0)
        return r;
    struct layer_bytes *b = xnew(struct layer_bytes);
    b->lib = lib;
    b->blob = blob;
    b->arriving = arriving;
    b->whole = arriving < 0;
    b->packed = lib->read_new();
    b->hasher = hasher_new();
    b->buffer = xnew_n(char, PACKED_BYTES);
    b->empty = queue_new();
    b->filled = queue_new();
    for (size_t i = 0; i < SLOTS; i++) {
        b->slots[i].bytes = xnew_n(char, SLOT_BYTES);
        queue_push(b->empty, &b->slots[i].message);
    }
    r = -pthread_create(&b->thread, NULL, make_bytes, b);
    if (r < 0) {
        b->thread = 0;
        layer_bytes_free(b);
        return error_set(err, r, "starting a thread: %s", strerror(-r));
    }
    *ret = b;
    return 0;
}

void layer_bytes_free(struct layer_bytes *b)
{
    if (!b)
        return;
    queue_close(b->empty);
    if (b->thread)
        (void) pthread_join(b->thread, NULL);
    (void) queue_drain(b->empty);
    (void) queue_drain(b->filled);
    queue_free(b->empty);
    queue_free(b->filled);
    (void) b->lib->read_free(b->packed);
    hasher_free(b->hasher);
    for (size_t i = 0; i < SLOTS; i++)
        free(b->slots[i].bytes);
    free(b->buffer);
    free(b);
}
