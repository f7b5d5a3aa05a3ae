/* copy-bytes.c - an archive of one file from bytes, and back */
#include "os/copy.h"

#include "base/alloc.h"
#include "base/tar.h"
#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536

static ssize_t read_some(int fd, char *piece)
{
    ssize_t n;

    do
        n = read(fd, piece, PIECE);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* ---- sending ------------------------------------------------------------------------------------- */

/* Nobody knows when input comes; that nobody wants it any more is noticed meanwhile. */
static bool wait_for_input(int fd, int out)
{
    struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = out } };

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return !(fds[1].revents & POLLERR);
}

static void add_piece(struct text *out, const char *bytes, size_t n)
{
    static const char zeros[TAR_BLOCK];
    const struct tar_entry e = {
        .path = ".", .mode = 0644, .mtime_s = time(NULL), .size = (int64_t) n, .more = n > 0
    };

    tar_add_entry(out, &e);
    text_add_bytes(out, bytes, n);
    text_add_bytes(out, zeros, tar_fill((int64_t) n));
}

int copy_send_bytes(int fd, int out, struct copy_count *count, struct error *err)
{
    _cleanup_free_ char *piece = xcalloc(1, PIECE);
    _cleanup_text_ struct text t = { 0 };
    ssize_t n;

    count->files = 1;
    do {
        n = wait_for_input(fd, out) ? read_some(fd, piece) : -EPIPE;
        if (n < 0)
            return error_set(err, (int) n, "reading the input: %s", strerror((int) -n));
        add_piece(&t, piece, (size_t) n);
        if (n == 0)
            tar_add_end(&t);
        int r = write_full(out, t.data, t.len);
        if (r < 0)
            return error_set(err, r, "sending: %s", strerror(-r));
        text_clear(&t);
        count->bytes += n;
    } while (n > 0);
    return 0;
}

/* ---- receiving ----------------------------------------------------------------------------------- */

struct receiver {
    int out;
    struct copy_count *count;
    struct text head; /* before it is known what the archive is of */
    bool known, is_tree, ended;
};

/* The first entry says what it is. */
static void take_first(struct receiver *r, const struct tar_entry *e)
{
    r->known = true;
    r->is_tree = e->kind != TAR_FILE;
}

/* Content of BYTES that is the file's goes out. */
static int take_bytes(struct receiver *r, struct tar_reader *reader, const char *bytes, size_t len,
                      struct error *err)
{
    for (size_t at = 0; at < len;) {
        struct tar_piece piece;
        ssize_t n = tar_read(reader, bytes + at, len - at, &piece);
        if (n < 0)
            return error_set(err, (int) n, "the archive is refused: %s", piece.reason);
        at += (size_t) n;
        if (piece.found == TAR_ENTRY && !r->known)
            take_first(r, &piece.entry);
        int w =
            piece.found == TAR_DATA && !r->is_tree ? write_full(r->out, piece.bytes, piece.len) : 0;
        if (w < 0)
            return error_set(err, w, "writing: %s", strerror(-w));
        r->count->files += piece.found == TAR_ENTRY;
        r->count->bytes += piece.found == TAR_DATA ? (int64_t) piece.len : 0;
        r->ended = r->ended || piece.found == TAR_END;
    }
    r->count->total = reader->total;
    return 0;
}

/* Of a tree, what came before it was known to be one, then BYTES. */
static int pass_on(struct receiver *r, const char *bytes, size_t len, struct error *err)
{
    if (!r->known || r->is_tree)
        text_add_bytes(&r->head, bytes, len);
    if (!r->is_tree)
        return 0;
    if (isatty(r->out))
        return error_set(err, -EINVAL, "a directory comes as an archive, not for a terminal");
    int w = write_full(r->out, r->head.data, r->head.len);
    text_clear(&r->head);
    return w < 0 ? error_set(err, w, "writing: %s", strerror(-w)) : 0;
}

static int receive_all(struct receiver *r, struct tar_reader *reader, int fd, struct error *err)
{
    _cleanup_free_ char *piece = xcalloc(1, PIECE);
    int code = 0;

    while (code >= 0) {
        ssize_t n = read_some(fd, piece);
        if (n < 0)
            return error_set(err, (int) n, "receiving: %s", strerror((int) -n));
        if (n == 0)
            return r->ended ? 0 : error_set(err, -EPIPE, "the copy is not complete");
        code = take_bytes(r, reader, piece, (size_t) n, err);
        if (code >= 0)
            code = pass_on(r, piece, (size_t) n, err);
    }
    return code;
}

int copy_receive_bytes(int fd, int out, struct copy_count *count, struct error *err)
{
    struct receiver r = { .out = out, .count = count };
    struct tar_reader reader = { 0 };
    int code = receive_all(&r, &reader, fd, err);

    tar_reader_done(&reader);
    text_done(&r.head);
    return code;
}
