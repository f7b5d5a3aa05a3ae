/* dataset-receive.c - see dataset-receive.h */
#include "cli/dataset-receive.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE_FILES 4096
#define PAGE_BYTES (32 << 20)
#define FILE_MAX   (1 << 20) /* larger ones come alone */
#define TIMEOUT_MS 600000

struct receiver {
    struct cli *cli;
    int top;
    void (*seen)(void *userdata, size_t n);
    void *userdata;
    VEC(struct manifest_entry) page;
    int64_t bytes;
    size_t next;         /* of the page, to arrive */
    struct text arrived; /* of it */
    struct error err;    /* why the rest of the answer is not wanted */
};

/* ---- one file --------------------------------------------------------------------------------------- */

int receive_check(const struct manifest_entry *e, const struct sha256 *got, struct error *err)
{
    char have[SHA256_HEX_LEN + 1], want[SHA256_HEX_LEN + 1];

    if (sha256_equal(got, &e->sum))
        return 0;
    return error_set(err, -EBADMSG,
                     "%.60s arrived with SHA-256 %.16s…, not %.16s…: verify the dataset", e->path,
                     sha256_format(got, have), sha256_format(&e->sum, want));
}

int receive_file(int top, const struct manifest_entry *e,
                 int (*write)(void *userdata, int fd, struct error *err), void *userdata,
                 struct error *err)
{
    _cleanup_free_ char *part = xasprintf("%s.part-%d", e->path, (int) getpid());

    (void) unlinkat(top, part, 0);
    _cleanup_close_ int fd =
        open_beneath_nosymlink(top, part, O_WRONLY | O_CREAT | O_EXCL, e->executable ? 0777 : 0666);
    if (fd < 0)
        return error_set(err, fd, "%.150s: %s", part, strerror(-fd));
    int r = write(userdata, fd, err);
    if (r == 0 && renameat(top, part, top, e->path) < 0)
        r = error_set(err, -errno, "%.150s: %s", e->path, strerror(errno));
    if (r < 0)
        (void) unlinkat(top, part, 0);
    return r;
}

static int write_arrived(void *userdata, int fd, struct error *err)
{
    const struct receiver *rx = userdata;
    const struct manifest_entry *e = &rx->page.items[rx->next];
    int r = write_full(fd, text_str(&rx->arrived), (size_t) e->size_bytes);

    return r < 0 ? error_set(err, r, "%.150s: %s", e->path, strerror(-r)) : 0;
}

/* ---- a page ------------------------------------------------------------------------------------------ */

/* 1: the next file was whole; 0: more must come. */
static int take(struct receiver *rx, struct error *err)
{
    const struct manifest_entry *e = &rx->page.items[rx->next];
    struct bundle_head head;
    ssize_t n = bundle_head_parse(text_str(&rx->arrived), rx->arrived.len, &head);

    if (n == 0)
        return 0;
    if (n < 0 || rx->next == rx->page.len || head.size_bytes != e->size_bytes)
        return error_set(err, -EBADMSG, "%.150s: the server sent something else",
                         rx->next < rx->page.len ? e->path : "the answer");
    if (rx->arrived.len - (size_t) n < (size_t) e->size_bytes)
        return 0;
    text_consume(&rx->arrived, (size_t) n);
    struct sha256 sum = sha256_of(text_str(&rx->arrived), (size_t) e->size_bytes);
    int r = receive_check(e, &sum, err);
    if (r == 0)
        r = receive_file(rx->top, e, write_arrived, rx, err);
    if (r < 0)
        return r;
    text_consume(&rx->arrived, (size_t) e->size_bytes);
    rx->next++;
    return 1;
}

static int on_body(void *userdata, const char *bytes, size_t n)
{
    struct receiver *rx = userdata;
    int r = 1;

    rx->seen(rx->userdata, n);
    text_add_bytes(&rx->arrived, bytes, n);
    while (r > 0 && rx->arrived.len)
        r = take(rx, &rx->err);
    return r < 0 ? r : 0;
}

static json_t *sums_of_page(const struct receiver *rx)
{
    json_t *body = json_object(), *sums = json_array();
    char hex[SHA256_HEX_LEN + 1];

    vec_foreach(&rx->page, e)
        (void) json_array_append_new(sums, json_string(sha256_format(&e->sum, hex)));
    json_put(body, "sums", sums);
    return body;
}

static void page_done(struct receiver *rx)
{
    vec_foreach(&rx->page, e)
        free(e->path);
    rx->page.len = 0;
    rx->bytes = 0;
    rx->next = 0;
    text_clear(&rx->arrived);
}

int receiver_flush(struct receiver *rx, struct error *err)
{
    if (rx->page.len == 0)
        return 0;
    _cleanup_free_ char *target = project_path(rx->cli, "blobs", "fetch", NULL);
    _cleanup_json_ json_t *body = sums_of_page(rx);
    const struct remote_call call = {
        .method = "POST",
        .target = target,
        .body = body,
        .on_body = on_body,
        .userdata = rx,
        .timeout_ms = TIMEOUT_MS,
        .asks = true,
    };
    int r = remote_call(rx->cli, &call, NULL, err);
    if (r < 0 && rx->err.code) {
        *err = rx->err;
        return rx->err.code;
    }
    if (r >= 0 && rx->next < rx->page.len)
        r = error_set(err, -EIO, "the answer ended early");
    if (r < 0 && rx->next < rx->page.len)
        return error_context(err, r, "%.120s did not come (does `berth dataset verify` find it?)",
                             rx->page.items[rx->next].path);
    page_done(rx);
    return r;
}

/* ---- all of them ------------------------------------------------------------------------------------- */

struct receiver *receiver_new(struct cli *cli, int top, void (*seen)(void *userdata, size_t n),
                              void *userdata)
{
    struct receiver *rx = xnew(struct receiver);

    rx->cli = cli;
    rx->top = top;
    rx->seen = seen;
    rx->userdata = userdata;
    return rx;
}

void receiver_free(struct receiver *rx)
{
    if (!rx)
        return;
    page_done(rx);
    vec_done(&rx->page);
    text_done(&rx->arrived);
    free(rx);
}

bool receiver_takes(const struct manifest_entry *e) { return e->size_bytes <= FILE_MAX; }

int receiver_add(struct receiver *rx, const struct manifest_entry *e, struct error *err)
{
    struct manifest_entry copy = *e;

    copy.path = xstrdup(e->path);
    vec_push(&rx->page, copy);
    rx->bytes += e->size_bytes;
    return rx->page.len >= PAGE_FILES || rx->bytes >= PAGE_BYTES ? receiver_flush(rx, err) : 0;
}
