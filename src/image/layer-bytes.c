/* layer-bytes.c - a ring of buffers between the thread that unpacks and hashes, and the reader */
#include "image/layer-bytes.h"

#include "base/alloc.h"
#include "image/archive.h"
#include "os/hash.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* LOOK_MS: how often a file that grows is looked at. */
enum { SLOTS = 8, SLOT_BYTES = 1 << 18, PACKED_BYTES = 1 << 18, LOOK_MS = 5 };

struct slot {
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
    /* shared */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slots[SLOTS];
    size_t made, taken; /* slots, ever; the reader has the last of TAKEN */
    bool stop;
};

static bool is_stopped(struct layer_bytes *b)
{
    (void) pthread_mutex_lock(&b->lock);
    bool stop = b->stop;
    (void) pthread_mutex_unlock(&b->lock);
    return stop;
}

/* ---- packed bytes ---- */

/* There are no more for now. */
static int await_more(struct layer_bytes *b)
{
    struct pollfd polled = { .fd = b->arriving, .events = POLLIN };
    char byte;

    if (is_stopped(b))
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

/* A slot that is free; NULL: nobody reads any more. */
static struct slot *await_slot(struct layer_bytes *b)
{
    (void) pthread_mutex_lock(&b->lock);
    while (!b->stop && b->made - b->taken >= SLOTS - 1)
        (void) pthread_cond_wait(&b->changed, &b->lock);
    struct slot *slot = b->stop ? NULL : &b->slots[b->made % SLOTS];
    (void) pthread_mutex_unlock(&b->lock);
    return slot;
}

static void *make_bytes(void *userdata)
{
    struct layer_bytes *b = userdata;
    int r = open_packed(b);
    struct slot *slot;
    bool more = true;

    while (more && (slot = await_slot(b))) {
        if (r < 0)
            slot->r = r;
        else
            fill(b, slot);
        if (slot->r < 0)
            slot->err = b->err;
        more = slot->len > 0;
        (void) pthread_mutex_lock(&b->lock);
        b->made++;
        (void) pthread_cond_signal(&b->changed);
        (void) pthread_mutex_unlock(&b->lock);
    }
    return NULL;
}

/* ---- the reader ---- */

ssize_t layer_bytes_next(struct layer_bytes *b, const void **ret, struct error *err)
{
    (void) pthread_mutex_lock(&b->lock);
    struct slot *slot = &b->slots[b->taken % SLOTS];
    while (b->made == b->taken)
        (void) pthread_cond_wait(&b->changed, &b->lock);
    /* What follows an end is that end again. */
    if (slot->len > 0)
        b->taken++;
    (void) pthread_cond_signal(&b->changed);
    (void) pthread_mutex_unlock(&b->lock);
    *ret = slot->bytes;
    if (slot->r < 0 && err)
        *err = slot->err;
    return slot->r < 0 ? slot->r : (ssize_t) slot->len;
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
    for (size_t i = 0; i < SLOTS; i++)
        b->slots[i].bytes = xnew_n(char, SLOT_BYTES);
    (void) pthread_mutex_init(&b->lock, NULL);
    (void) pthread_cond_init(&b->changed, NULL);
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
    (void) pthread_mutex_lock(&b->lock);
    b->stop = true;
    (void) pthread_cond_signal(&b->changed);
    (void) pthread_mutex_unlock(&b->lock);
    if (b->thread)
        (void) pthread_join(b->thread, NULL);
    (void) pthread_cond_destroy(&b->changed);
    (void) pthread_mutex_destroy(&b->lock);
    (void) b->lib->read_free(b->packed);
    hasher_free(b->hasher);
    for (size_t i = 0; i < SLOTS; i++)
        free(b->slots[i].bytes);
    free(b->buffer);
    free(b);
}
