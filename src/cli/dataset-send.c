/* dataset-send.c - see dataset-send.h
 *
 * One page is filled, one is on its way on a thread of its own; the thread owns its page, the connection and
 * the error until it comes back through the loop.
 */
#include "cli/dataset-send.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "data/data.h"
#include "os/fd.h"
#include "os/loop.h"
#include "os/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE_FILES       4096
#define PAGE_BYTES       (64 << 20) /* sent while the page cache still has them */
#define BUNDLE_FILE_MAX  (1 << 20)  /* larger files have a request of their own */
#define BUNDLE_BYTES_MAX (32 << 20)
#define PART_MIN         (64 << 20) /* from here on the server keeps what it got */
#define TIMEOUT_MS       600000     /* the answer comes when the disk has it */
#define WAIT_MS          100

struct item {
    char *path;
    struct sha256 sum;
    int64_t size_bytes;
};

struct page {
    VEC(struct item) items;
    int64_t bytes;
};

struct sender {
    struct cli *cli;
    int top;
    struct loop *loop;
    struct pool *pool;
    struct page filling;
    struct page page; /* on its way; the thread's while IS_BUSY */
    bool is_busy;
    int r;
    struct error err;
    void (*waiting)(void *userdata);
    void *userdata;
    struct sender_totals totals; /* the thread's while IS_BUSY, but for done_bytes */
    _Atomic int64_t gone_bytes;  /* of the page on its way */
    _Atomic bool is_cancelled;
};

static void page_done(struct page *page)
{
    vec_foreach(&page->items, item)
        free(item->path);
    vec_done(&page->items);
    *page = (struct page){ 0 };
}

int push_changed(const char *path, struct error *err)
{
    return error_set(err, -EBUSY,
                     "%.150s changed while it was pushed: no version was made; push again", path);
}

/* ---- requests ---------------------------------------------------------------------------------------- */

/* The files of one request: one alone, or several with heads before them. */
struct stream {
    struct sender *sender;
    const struct item *const *items;
    size_t n, next;
    int64_t from; /* of the first */
    bool heads;
    struct text head;
    size_t head_at;
    int fd;
    int64_t left;
    struct error err;
};

static int open_next(struct stream *s)
{
    const struct item *item = s->items[s->next++];
    struct bundle_head head = { item->sum, item->size_bytes };

    s->fd = open_beneath_nosymlink(s->sender->top, item->path, O_RDONLY, 0);
    if (s->fd < 0)
        return push_changed(item->path, &s->err);
    if (s->from && lseek(s->fd, s->from, SEEK_SET) < 0)
        return push_changed(item->path, &s->err);
    s->left = item->size_bytes - s->from;
    s->from = 0;
    text_clear(&s->head);
    s->head_at = 0;
    if (s->heads)
        bundle_head_format(&s->head, &head);
    return 0;
}

static size_t read_head(struct stream *s, char *bytes, size_t n)
{
    size_t left = s->head.len - s->head_at;

    n = n < left ? n : left;
    memcpy(bytes, s->head.data + s->head_at, n);
    s->head_at += n;
    return n;
}

static ssize_t read_stream(void *userdata, void *bytes, size_t n)
{
    struct stream *s = userdata;
    size_t got = 0;

    if (s->sender->is_cancelled)
        return -ECANCELED;
    while (got < n) {
        char *to = (char *) bytes + got;
        if (s->fd < 0) {
            if (s->next == s->n)
                break;
            int r = open_next(s);
            if (r < 0)
                return r;
        }
        if (s->head_at < s->head.len) {
            got += read_head(s, to, n - got);
            continue;
        }
        size_t want = (int64_t) (n - got) < s->left ? n - got : (size_t) s->left;
        ssize_t k = want ? read(s->fd, to, want) : 0;
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 || (k == 0 && want))
            return push_changed(s->items[s->next - 1]->path, &s->err);
        s->left -= k;
        got += (size_t) k;
        s->sender->gone_bytes += k;
        if (s->left == 0)
            s->fd = safe_close(s->fd);
    }
    return (ssize_t) got;
}

static int send_stream(struct stream *stream, const char *target, int64_t len, struct error *err)
{
    struct sender *s = stream->sender;
    const struct remote_call call = {
        .method = stream->heads ? "POST" : "PUT",
        .target = target,
        .content_type = "application/octet-stream",
        .read_body = read_stream,
        .read_len = len,
        .userdata = stream,
        .timeout_ms = TIMEOUT_MS,
    };
    int r = remote_call(s->cli, &call, NULL, err);

    safe_close(stream->fd);
    text_done(&stream->head);
    if (r < 0 && stream->err.code) {
        *err = stream->err;
        return stream->err.code;
    }
    if (r < 0)
        return error_context(err, r, "sending %.80s%s (did it change meanwhile?)",
                             stream->items[0]->path, stream->n > 1 ? " and others" : "");
    return 0;
}

static int send_bundle(struct sender *s, const struct item *const *items, size_t n,
                       struct error *err)
{
    struct stream stream = { .sender = s, .items = items, .n = n, .heads = true, .fd = -1 };
    _cleanup_free_ char *target = project_path(s->cli, "blobs", NULL);
    char size[32];
    int64_t len = 0;

    for (size_t i = 0; i < n; i++) {
        len += snprintf(size, sizeof size, "%" PRId64, items[i]->size_bytes) + SHA256_HEX_LEN + 2;
        len += items[i]->size_bytes;
        s->totals.bytes += items[i]->size_bytes;
    }
    s->totals.files += (int64_t) n;
    return send_stream(&stream, target, len, err);
}

static int send_from(struct sender *s, const struct item *item, int64_t from, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    struct stream stream = { .sender = s, .items = &item, .n = 1, .from = from, .fd = -1 };
    _cleanup_free_ char *path = project_path(s->cli, "blobs", sha256_format(&item->sum, hex), NULL);
    _cleanup_free_ char *target = xasprintf("%s?offset=%" PRId64, path, from);

    s->gone_bytes += from;
    s->totals.bytes += item->size_bytes - from;
    return send_stream(&stream, from ? target : path, item->size_bytes - from, err);
}

/* How much of a large file the server has kept of a push that was cut off. */
static int64_t kept_bytes(struct sender *s, const struct item *item)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *path = project_path(s->cli, "blobs", sha256_format(&item->sum, hex), NULL);
    _cleanup_json_ json_t *answer = NULL;
    int r = item->size_bytes >= PART_MIN ? remote_get(s->cli, path, &answer, NULL) : -ENOENT;
    int64_t size = r < 0 ? 0 : json_get_int(answer, "size", 0);

    return size > 0 && size < item->size_bytes ? size : 0;
}

/* What is kept may be torn: then all of it goes again. */
static int send_large(struct sender *s, const struct item *item, struct error *err)
{
    int64_t from = kept_bytes(s, item);
    int r = send_from(s, item, from, err);

    s->totals.files++;
    return r < 0 && from && !s->is_cancelled ? send_from(s, item, 0, err) : r;
}

/* Those of ITEMS that are small go together. */
static int send_items(struct sender *s, const struct item *const *items, size_t n,
                      struct error *err)
{
    const struct item **bundle = xnew_n(const struct item *, n + 1);
    size_t in_bundle = 0;
    int64_t bytes = 0;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        if (items[i]->size_bytes > BUNDLE_FILE_MAX) {
            r = send_large(s, items[i], err);
            continue;
        }
        bundle[in_bundle++] = items[i];
        bytes += items[i]->size_bytes;
        if (bytes < BUNDLE_BYTES_MAX)
            continue;
        r = send_bundle(s, bundle, in_bundle, err);
        in_bundle = 0;
        bytes = 0;
    }
    if (r == 0 && in_bundle)
        r = send_bundle(s, bundle, in_bundle, err);
    free(bundle);
    return r;
}

/* {"missing": [...]} are digests of the page, in its order. */
static int send_missing(struct sender *s, const json_t *missing, struct error *err)
{
    const struct item **items = xnew_n(const struct item *, s->page.items.len + 1);
    size_t n = 0, at = 0, i;
    char hex[SHA256_HEX_LEN + 1];
    const json_t *sum;

    json_array_foreach(missing, i, sum) {
        while (at < s->page.items.len &&
               !str_equal(sha256_format(&s->page.items.items[at].sum, hex), json_string_value(sum)))
            at++;
        if (at < s->page.items.len)
            items[n++] = &s->page.items.items[at++];
    }
    int r = send_items(s, items, n, err);
    free(items);
    return r;
}

static json_t *sums_of_page(struct sender *s)
{
    _cleanup_(map_freep) struct map *seen = map_new();
    json_t *sums = json_array();
    char hex[SHA256_HEX_LEN + 1];

    vec_foreach(&s->page.items, item) {
        sha256_format(&item->sum, hex);
        if (!map_set_str(seen, hex, s))
            (void) json_array_append_new(sums, json_string(hex));
    }
    return sums;
}

static int send_page(struct sender *s, struct error *err)
{
    _cleanup_json_ json_t *body = json_object(), *answer = NULL;
    _cleanup_free_ char *target = project_path(s->cli, "blobs", "missing", NULL);
    const struct remote_call call = { .method = "POST", .target = target, .body = body };

    json_put(body, "sums", sums_of_page(s));
    int r = remote_call(s->cli, &call, &answer, err);
    if (r < 0)
        return error_context(err, r, "asking which files to send");
    return send_missing(s, json_object_get(answer, "missing"), err);
}

/* ---- the thread --------------------------------------------------------------------------------------- */

static void work(void *item)
{
    struct sender *s = item;

    s->r = send_page(s, &s->err);
}

static void worked(void *item)
{
    struct sender *s = item;

    s->is_busy = false;
    s->totals.done_bytes += s->page.bytes;
    s->gone_bytes = 0;
    page_done(&s->page);
}

/* The page on its way has gone. */
static int settle(struct sender *s, struct error *err)
{
    while (s->is_busy) {
        loop_once(s->loop, WAIT_MS);
        if (s->waiting)
            s->waiting(s->userdata);
    }
    if (s->r < 0 && err)
        *err = s->err;
    return s->r;
}

static int next_page(struct sender *s, struct error *err)
{
    int r = settle(s, err);

    if (r < 0 || s->filling.items.len == 0)
        return r;
    s->page = s->filling;
    s->filling = (struct page){ 0 };
    s->is_busy = true;
    pool_submit(s->pool, work, worked, s);
    return 0;
}

struct sender *sender_new(struct cli *cli, int top)
{
    struct sender *s = xnew(struct sender);

    s->cli = cli;
    s->top = top;
    s->loop = loop_new();
    s->pool = pool_new(s->loop, 1);
    return s;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    s->is_cancelled = true;
    pool_free(s->pool);
    loop_free(s->loop);
    page_done(&s->filling);
    page_done(&s->page);
    free(s);
}

void sender_on_wait(struct sender *s, void (*waiting)(void *userdata), void *userdata)
{
    s->waiting = waiting;
    s->userdata = userdata;
}

int sender_add(struct sender *s, const char *path, const struct sha256 *sum, int64_t size_bytes,
               struct error *err)
{
    struct item item = { xstrdup(path), *sum, size_bytes };

    vec_push(&s->filling.items, item);
    s->filling.bytes += size_bytes;
    return s->filling.items.len >= PAGE_FILES || s->filling.bytes >= PAGE_BYTES ? next_page(s, err)
                                                                                : 0;
}

int sender_wait(struct sender *s, struct error *err)
{
    int r = next_page(s, err);

    return r < 0 ? r : settle(s, err);
}

struct sender_totals sender_totals(const struct sender *s) { return s->totals; }

int64_t sender_done_bytes(const struct sender *s) { return s->totals.done_bytes + s->gone_bytes; }
