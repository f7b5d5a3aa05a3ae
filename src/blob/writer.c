/* writer.c - bytes become a blob: hashed while they are written, named when they are complete */
#include "blob/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Runs of zeros of this length become holes, so that a sparse file stays one. */
#define HOLE_BYTES 4096

#define PART_NAME_LEN (sizeof "tmp-part--" + ID_TEXT_LEN + SHA256_HEX_LEN)

struct blob_writer {
    struct blob_store *bs;
    struct hasher *hasher;
    char tmp[PART_NAME_LEN];
    bool is_part; /* is kept when it is dropped */
    struct sink sink;
    bool hole_at_end;
};

int tmp_open(struct blob_store *bs, char name[static TMP_NAME_LEN], int *ret_fd, struct error *err)
{
    tmp_name(name);
    _cleanup_close_ int fd = openat(bs->tmp, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, -errno, "making a temporary file in the blob store: %s",
                         strerror(errno));
    (void) flock(fd, LOCK_SH | LOCK_NB); /* a file system without locks has the age as protection */
    int r = store_own(bs, fd);
    if (r < 0) {
        (void) unlinkat(bs->tmp, name, 0);
        return error_set(err, r, "giving a blob to its owner: %s", strerror(-r));
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

static int make_shard(struct blob_store *bs, const char *name)
{
    char shard[3] = { name[0], name[1], '\0' };

    if (mkdirat(bs->blobs, shard, 0711) < 0)
        return errno == EEXIST ? 0 : -errno;
    _cleanup_close_ int fd = openat(bs->blobs, shard, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = store_own(bs, fd);
    if (r < 0)
        return r;
    return fsync(bs->blobs) < 0 ? -errno : 0;
}

static int sync_shard(struct blob_store *bs, const char *name)
{
    char shard[3] = { name[0], name[1], '\0' };
    _cleanup_close_ int fd = openat(bs->blobs, shard, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Never over a whole blob: link(2) of the file that is replaced fails in another process. A torn one
 * is replaced. */
static int rename_new(struct blob_store *bs, const char *tmp, const char *name, int64_t size)
{
    if (renameat2(bs->tmp, tmp, bs->blobs, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST && blob_is_whole(bs, name, size))
        return unlinkat(bs->tmp, tmp, 0) < 0 ? -errno : 0;
    if (errno != EEXIST && errno != EINVAL && errno != ENOSYS)
        return -errno;
    return renameat(bs->tmp, tmp, bs->blobs, name) < 0 ? -errno : 0;
}

int tmp_commit(struct blob_store *bs, const char *tmp, const char *name, int64_t size,
               struct error *err)
{
    int r = rename_new(bs, tmp, name, size);

    if (r == -ENOENT && (r = make_shard(bs, name)) == 0)
        r = rename_new(bs, tmp, name, size);
    if (r < 0)
        return error_set(err, r, "naming a blob: %s", strerror(-r));
    return 0;
}

int blob_writer_new(struct blob_store *bs, struct blob_writer **ret, struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *w = xnew(struct blob_writer);

    w->bs = bs;
    w->sink.fd = -1;
    int r = tmp_open(bs, w->tmp, &w->sink.fd, err);
    if (r < 0)
        return r;
    w->hasher = hasher_new();
    *ret = take_ptr(w);
    return 0;
}

/* ---- parts -------------------------------------------------------------------------------------------- */

static void part_name(const struct blob_part *part, char buf[static PART_NAME_LEN])
{
    char id[ID_TEXT_LEN + 1], hex[SHA256_HEX_LEN + 1];

    (void) snprintf(buf, PART_NAME_LEN, "tmp-part-%s-%s", id_format(&part->project, id),
                    sha256_format(&part->sum, hex));
}

int64_t blob_part_size(struct blob_store *bs, const struct blob_part *part)
{
    char name[PART_NAME_LEN];
    struct stat st;

    part_name(part, name);
    return fstatat(bs->tmp, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (int64_t) st.st_size;
}

/* Nobody else has it, nor has it been swept away before it was locked. */
static int open_part(struct blob_writer *w)
{
    struct stat st = { 0 };

    while (st.st_nlink == 0) {
        safe_close(w->sink.fd);
        w->sink.fd = openat(w->bs->tmp, w->tmp, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (w->sink.fd < 0)
            return -errno;
        if (flock(w->sink.fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (fstat(w->sink.fd, &st) < 0)
            return -errno;
    }
    return store_own(w->bs, w->sink.fd);
}

static int hash_again(struct blob_writer *w, int64_t size)
{
    enum { CHUNK = 1 << 20 };
    _cleanup_free_ char *buf = xcalloc(1, CHUNK);
    int64_t at = 0;

    while (at < size) {
        size_t want = size - at < CHUNK ? (size_t) (size - at) : CHUNK;
        ssize_t n = read(w->sink.fd, buf, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ESTALE;
        hasher_add(w->hasher, buf, (size_t) n);
        at += n;
    }
    return 0;
}

int blob_writer_resume(struct blob_store *bs, const struct blob_part *part,
                       struct blob_writer **ret, struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *w = xnew(struct blob_writer);

    w->bs = bs;
    w->sink.fd = -1;
    w->hasher = hasher_new();
    part_name(part, w->tmp);
    int r = open_part(w);
    if (r >= 0)
        r = hash_again(w, part->from);
    if (r >= 0 && ftruncate(w->sink.fd, part->from) < 0)
        r = -errno;
    if (r < 0) {
        w->tmp[0] = '\0'; /* it stays as it is */
        return error_set(err, r, "going on after %lld bytes: %s", (long long) part->from,
                         r == -EBUSY    ? "somebody else sends it now"
                         : r == -ESTALE ? "there are less"
                                        : strerror(-r));
    }
    w->is_part = true;
    w->sink.at = part->from;
    *ret = take_ptr(w);
    return 0;
}

/* ---- adding ------------------------------------------------------------------------------------------- */

static bool is_zero(const char *bytes, size_t n)
{
    return bytes[0] == '\0' && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int put(struct blob_writer *w, const char *bytes, size_t n)
{
    bool hole = n >= HOLE_BYTES && is_zero(bytes, n);

    w->hole_at_end = hole;
    return hole ? sink_skip(&w->sink, n) : sink_write(&w->sink, bytes, n);
}

/* Pieces end at multiples of HOLE_BYTES of the file; neighbours of one sort are written as one. */
int blob_writer_add(struct blob_writer *w, const void *bytes, size_t n, struct error *err)
{
    const char *p = bytes, *end = p + n;

    hasher_add(w->hasher, bytes, n);
    while (p < end) {
        size_t piece = HOLE_BYTES - (size_t) (w->sink.at % HOLE_BYTES);
        if (piece > (size_t) (end - p))
            piece = (size_t) (end - p);
        bool zero = is_zero(p, piece);
        while (p + piece + HOLE_BYTES <= end && is_zero(p + piece, HOLE_BYTES) == zero)
            piece += HOLE_BYTES;
        int r = put(w, p, piece);
        if (r < 0)
            return error_set(err, r, "writing a blob: %s", strerror(-r));
        p += piece;
    }
    return 0;
}

static int finish_file(struct blob_writer *w, bool sync)
{
    int r = sink_end(&w->sink);

    if (r < 0)
        return r;
    if (w->hole_at_end && ftruncate(w->sink.fd, w->sink.at) < 0)
        return -errno;
    if (fchmod(w->sink.fd, 0644) < 0)
        return -errno;
    return sync && fsync(w->sink.fd) < 0 ? -errno : 0;
}

/* -ENOENT when it is not there. It is touched, so that it is not removed as one that nobody needs; who
 * wrote it may not have synced it. */
static int use_existing(struct blob_store *bs, const char *name, int64_t size, bool sync)
{
    char shard[3] = { name[0], name[1], '\0' };

    if (!blob_is_whole(bs, name, size))
        return -ENOENT;
    _cleanup_close_ int lock = blob_lock(bs->blobs, shard, LOCK_SH);
    if (lock < 0)
        return -errno;
    if (!blob_is_whole(bs, name, size))
        return -ENOENT;
    if (utimensat(bs->blobs, name, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!sync)
        return 0;
    _cleanup_close_ int fd = openat(bs->blobs, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return sync_shard(bs, name);
}

bool blob_use(struct blob_store *bs, const struct sha256 *sum)
{
    char name[BLOB_NAME_LEN + 3];
    struct stat st;

    return fstatat(bs->blobs, blob_name(sum, false, name), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           use_existing(bs, name, st.st_size, false) == 0;
}

static int refuse_bytes(const struct sha256 *expected, const struct sha256 *sum, struct error *err)
{
    char want[SHA256_HEX_LEN + 1], got[SHA256_HEX_LEN + 1];

    return error_set(err, -EBADMSG, "the bytes have SHA-256 %s, not %s", sha256_format(sum, got),
                     sha256_format(expected, want));
}

int blob_writer_end(struct blob_writer *w, const struct sha256 *expected, bool sync,
                    struct sha256 *ret, int64_t *ret_size, struct error *err)
{
    char name[BLOB_NAME_LEN + 3];
    struct sha256 sum = hasher_end(w->hasher);

    w->is_part = false; /* it is whole, for good or ill */
    if (expected && !sha256_equal(expected, &sum))
        return refuse_bytes(expected, &sum, err);
    blob_name(&sum, false, name);
    int r = use_existing(w->bs, name, w->sink.at, sync);
    if (r < 0) {
        r = finish_file(w, sync);
        if (r < 0)
            return error_set(err, r, "completing a blob: %s", strerror(-r));
        r = tmp_commit(w->bs, w->tmp, name, w->sink.at, err);
        if (r < 0)
            return r;
        w->tmp[0] = '\0';
        r = sync ? sync_shard(w->bs, name) : 0;
        if (r < 0)
            return error_set(err, r, "syncing a blob: %s", strerror(-r));
    }
    if (ret)
        *ret = sum;
    if (ret_size)
        *ret_size = w->sink.at;
    return 0;
}

void blob_writer_free(struct blob_writer *w)
{
    if (!w)
        return;
    if (w->is_part && w->sink.fd >= 0)
        (void) (sink_end(&w->sink) < 0 || ftruncate(w->sink.fd, w->sink.at) < 0);
    else if (w->sink.fd >= 0 && w->tmp[0])
        (void) unlinkat(w->bs->tmp, w->tmp, 0);
    safe_close(w->sink.fd);
    sink_done(&w->sink);
    hasher_free(w->hasher);
    free(w);
}

/* ---- small ones --------------------------------------------------------------------------------------- */

/* A new file of that name, which may become whole or not: nobody takes a blob of another size for one. */
static int create(struct blob_store *bs, const char *name)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    struct stat st;
    _cleanup_close_ int fd = openat(bs->blobs, name, flags, 0644);

    if (fd < 0 && errno == ENOENT) {
        int r = make_shard(bs, name);
        if (r < 0)
            return r;
        fd = openat(bs->blobs, name, flags, 0644);
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_mode & 07777) != 0644 && fchmod(fd, 0644) < 0) /* the umask does not matter */
        return -errno;
    int r = store_own(bs, fd);
    return r < 0 ? r : take_fd(&fd);
}

static int replace_torn(struct blob_store *bs, const void *bytes, size_t n, struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
    int r = blob_writer_new(bs, &w, err);

    if (r == 0)
        r = blob_writer_add(w, bytes, n, err);
    return r < 0 ? r : blob_writer_end(w, NULL, false, NULL, NULL, err);
}

/* Under its name from the beginning: a name of its own until it is whole would cost as much again as making
 * the file. What cannot be completed stays torn: the name may be that of another writer's file by now. */
int blob_put(struct blob_store *bs, const void *bytes, size_t n, const struct sha256 *expected,
             struct error *err)
{
    char name[BLOB_NAME_LEN + 3];
    struct sha256 sum = sha256_of(bytes, n);

    if (!sha256_equal(expected, &sum))
        return refuse_bytes(expected, &sum, err);
    _cleanup_close_ int fd = create(bs, blob_name(&sum, false, name));
    if (fd == -EEXIST) {
        int r = use_existing(bs, name, (int64_t) n, false);
        return r < 0 ? replace_torn(bs, bytes, n, err) : 0;
    }
    int r = fd < 0 ? fd : write_full(fd, bytes, n);
    if (r < 0 && fd >= 0)
        (void) !ftruncate(fd, 0);
    return r < 0 ? error_set(err, r, "writing a blob: %s", strerror(-r)) : 0;
}
