/* collect.c - what a job left in a directory becomes blobs and a manifest
 *
 * The directory belongs to whoever ran there: nothing is followed, nothing is opened that is not
 * a regular file, and every size is bounded. Memory is one buffer plus the manifest.
 */
#include "blob/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK_BYTES (256 * 1024)
#define DEPTH_MAX   100 /* one descriptor a level */
/* So many files are brought to the disk each by itself; all that come after them together, with whatever
 * else waits to be written there. */
#define SYNCED_MAX 16

struct collector {
    struct blob_store *bs;
    struct manifest *manifest;
    struct text path; /* of the current directory, with a '/' at the end unless it is the root */
    char *buf;        /* made for the first file */
    int64_t limit_bytes;
    size_t skipped;
    size_t written;
};

/* Below: 1 means that the file is left out, a negative errno that collecting cannot go on. */
#define LEFT_OUT 1

static ssize_t read_chunk(struct collector *c, int fd)
{
    ssize_t n;

    if (!c->buf)
        c->buf = xcalloc(1, CHUNK_BYTES);
    do
        n = read(fd, c->buf, CHUNK_BYTES);
    while (n < 0 && errno == EINTR);
    return n;
}

static int put_small(struct collector *c, int fd, struct sha256 *ret, int64_t *ret_size,
                     struct error *err)
{
    ssize_t n = read_chunk(c, fd);

    if (n < 0 || n == CHUNK_BYTES /* it has grown */ ||
        n > c->limit_bytes - c->manifest->size_bytes)
        return LEFT_OUT;
    *ret = sha256_of(c->buf, (size_t) n);
    *ret_size = n;
    return blob_put(c->bs, c->buf, (size_t) n, ret, err);
}

static int copy_file(struct collector *c, int fd, struct sha256 *ret, int64_t *ret_size,
                     struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
    int64_t room = c->limit_bytes - c->manifest->size_bytes;
    int r = blob_writer_new(c->bs, &w, err);

    while (r == 0) {
        ssize_t n = read_chunk(c, fd);
        if (n < 0 || n > room)
            return LEFT_OUT;
        if (n == 0)
            return blob_writer_end(w, NULL, c->written <= SYNCED_MAX, ret, ret_size, err);
        room -= n;
        r = blob_writer_add(w, c->buf, (size_t) n, err);
    }
    return r;
}

static int collect_file(struct collector *c, int dirfd, const char *name, struct error *err)
{
    const char *path = text_str(&c->path);
    struct stat st;
    struct sha256 sum;
    int64_t size = 0;
    _cleanup_close_ int fd =
        open_beneath_nosymlink(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_size > c->limit_bytes - c->manifest->size_bytes)
        return LEFT_OUT;
    bool together = ++c->written > SYNCED_MAX;
    int r = together && st.st_size < CHUNK_BYTES ? put_small(c, fd, &sum, &size, err)
                                                 : copy_file(c, fd, &sum, &size, err);
    if (r == LEFT_OUT)
        return r;
    if (r < 0)
        return error_context(err, r, "collecting %.120s", path);
    /* Refused: a name that no manifest can hold, or too many files. */
    r = manifest_add(c->manifest, path, &sum, size, st.st_mode & 0111, NULL, NULL);
    return r < 0 ? LEFT_OUT : 0;
}

static int collect_dir(struct collector *c, int dirfd, int depth, struct error *err);

static int collect_entry(struct collector *c, int dirfd, const char *name, int depth,
                         struct error *err)
{
    struct stat st;
    size_t len = c->path.len;
    int r = LEFT_OUT;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return LEFT_OUT;
    text_add(&c->path, name);
    if (S_ISREG(st.st_mode)) {
        r = collect_file(c, dirfd, name, err);
    } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
        int sub = open_beneath_nosymlink(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
        text_add_char(&c->path, '/');
        if (sub >= 0)
            r = collect_dir(c, sub, depth + 1, err);
    }
    c->path.len = len;
    c->path.data[len] = '\0';
    return r;
}

/* Takes over DIRFD. */
static int collect_dir(struct collector *c, int dirfd, int depth, struct error *err)
{
    DIR *dir = fdopendir(dirfd);
    int r = 0;

    if (!dir) {
        safe_close(dirfd);
        return LEFT_OUT;
    }
    for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        r = collect_entry(c, dirfd, e->d_name, depth, err);
        if (r == LEFT_OUT) {
            c->skipped++;
            r = 0;
        }
    }
    closedir(dir);
    return r;
}

int blob_collect(struct blob_store *bs, int dirfd, int64_t limit_bytes, struct manifest **ret,
                 size_t *ret_skipped, struct error *err)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    struct collector c = { .bs = bs, .manifest = m, .limit_bytes = limit_bytes };

    text_add(&c.path, "");
    int top = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = top < 0
                ? error_set(err, -errno, "opening the directory to collect: %s", strerror(errno))
                : collect_dir(&c, top, 0, err);
    text_done(&c.path);
    free(c.buf);
    if (r == 0 && c.written > SYNCED_MAX)
        r = blob_sync(bs, err);
    if (r == 0)
        r = manifest_seal(m, err);
    if (r < 0)
        return r;
    *ret = take_ptr(m);
    if (ret_skipped)
        *ret_skipped = c.skipped;
    return 0;
}
