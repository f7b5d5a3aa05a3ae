/* manifest-file.c - a manifest on disk, read entry by entry: trees of any size in one buffer */
#include "blob/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (128 * 1024)

struct manifest_file {
    int fd;
    struct manifest_reader *reader;
    int64_t offset; /* in the file, of bytes[0] */
    size_t at, len; /* what is left of the buffer begins AT */
    bool at_end;
    char bytes[BUFFER_BYTES];
};
_Static_assert(BUFFER_BYTES > 2 * MANIFEST_LINE_MAX, "a line fits into what is left");

struct manifest_file *manifest_file_new(int fd)
{
    struct manifest_file *f = xnew(struct manifest_file);

    f->fd = fd;
    f->reader = manifest_reader_new();
    return f;
}

void manifest_file_free(struct manifest_file *f)
{
    if (!f)
        return;
    safe_close(f->fd);
    manifest_reader_free(f->reader);
    free(f);
}

int manifest_file_open(struct blob_store *bs, const struct sha256 *sum, struct manifest_file **ret,
                       struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    int fd = blob_open(bs, sum, NULL);

    if (fd < 0)
        return error_set(err, fd, "opening manifest %s: %s", sha256_format(sum, hex),
                         strerror(-fd));
    *ret = manifest_file_new(fd);
    return 0;
}

static int fill(struct manifest_file *f, struct error *err)
{
    memmove(f->bytes, f->bytes + f->at, f->len - f->at);
    f->offset += (int64_t) f->at;
    f->len -= f->at;
    f->at = 0;
    while (!f->at_end && f->len < BUFFER_BYTES) {
        ssize_t n = pread(f->fd, f->bytes + f->len, BUFFER_BYTES - f->len,
                          (off_t) (f->offset + (int64_t) f->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, -errno, "reading a manifest: %s", strerror(errno));
        f->at_end = n == 0;
        f->len += (size_t) n;
    }
    return 0;
}

int manifest_file_next(struct manifest_file *f, const struct manifest_entry **ret,
                       struct error *err)
{
    for (;;) {
        ssize_t n = f->at < f->len ? manifest_reader_next(f->reader, f->bytes + f->at,
                                                          f->len - f->at, ret, err)
                                   : 0;
        if (n < 0)
            return (int) n;
        if (n > 0) {
            f->at += (size_t) n;
            return 1;
        }
        if (f->at_end)
            return f->at == f->len ? 0
                                   : error_set(err, -EINVAL, "the manifest's last line has no end");
        int r = fill(f, err);
        if (r < 0)
            return r;
    }
}

int64_t manifest_file_offset(const struct manifest_file *f) { return f->offset + (int64_t) f->at; }

void manifest_file_seek(struct manifest_file *f, int64_t offset)
{
    manifest_reader_free(f->reader);
    f->reader = manifest_reader_new();
    f->offset = offset;
    f->at = f->len = 0;
    f->at_end = false;
}

const struct manifest_reader *manifest_file_reader(const struct manifest_file *f)
{
    return f->reader;
}

/* ---- one entry -------------------------------------------------------------------------------------- */

/* The first line that begins at OFFSET or later; the end of the file when there is none. */
static int next_line(struct manifest_file *f, int64_t offset, int64_t *ret, struct error *err)
{
    if (offset == 0) {
        *ret = 0;
        return 0;
    }
    manifest_file_seek(f, offset - 1);
    int r = fill(f, err);
    if (r < 0)
        return r;
    const char *newline = memchr(f->bytes, '\n', f->len);
    *ret = newline ? offset + (newline - f->bytes) : offset - 1 + (int64_t) f->len;
    return 0;
}

/* Lines are in order of their paths: halve the bytes until one line is left. */
int manifest_file_find(struct manifest_file *f, const char *path, const struct manifest_entry **ret,
                       struct error *err)
{
    int64_t low = 0, high = lseek(f->fd, 0, SEEK_END);

    while (low < high) {
        int64_t middle = low + (high - low) / 2, line = 0;
        int r = next_line(f, middle, &line, err);
        if (r < 0)
            return r;
        if (line >= high) { /* none begins in the upper half */
            high = middle;
            continue;
        }
        manifest_file_seek(f, line);
        r = manifest_file_next(f, ret, err);
        if (r <= 0)
            return r;
        int order = strcmp(path, (*ret)->path);
        if (order == 0)
            return 1;
        if (order > 0)
            low = manifest_file_offset(f);
        else
            high = middle;
    }
    return 0;
}
