/* store.c - the directories of the blob store, and reading from it */
#include "blob/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Arrivals and half-made trees of processes that died are removed after this long. */
#define STALE_S 3600

const char *blob_name(const struct sha256 *sum, bool executable, char buf[static BLOB_NAME_LEN + 3])
{
    char hex[SHA256_HEX_LEN + 1];

    sha256_format(sum, hex);
    (void) snprintf(buf, BLOB_NAME_LEN + 3, "%.2s/%s%s", hex, hex + 2, executable ? ".x" : "");
    return buf;
}

void tmp_name(char buf[static TMP_NAME_LEN])
{
    uint8_t random[12];
    char hex[2 * sizeof random + 1];

    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, hex);
    (void) snprintf(buf, TMP_NAME_LEN, "tmp-%s", hex);
}

int store_own(const struct blob_store *bs, int fd)
{
    if (geteuid() != 0 || bs->uid == 0)
        return 0;
    return fchown(fd, bs->uid, bs->gid) < 0 ? -errno : 0;
}

static int open_dir(struct blob_store *bs, int dirfd, const char *path, struct error *err)
{
    bool made = mkdirat(dirfd, path, 0711) == 0;

    if (!made && errno != EEXIST)
        return error_set(err, -errno, "making directory %s: %s", path, strerror(errno));

    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "opening directory %s: %s", path, strerror(errno));
    int r = made ? store_own(bs, fd) : 0;
    if (r < 0)
        return error_set(err, r, "giving %s to its owner: %s", path, strerror(-r));
    return take_fd(&fd);
}

static bool is_stale(int dirfd, const char *name)
{
    struct stat st;
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    if (time(NULL) - st.st_mtime < STALE_S)
        return false;
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* What this cannot remove stays for the next opening: it harms nobody. */
static void sweep(int dirfd)
{
    int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);

    if (!dir) {
        safe_close(copy);
        return;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (str_starts(e->d_name, "tmp-") && is_stale(dirfd, e->d_name))
            (void) remove_tree(dirfd, e->d_name, NULL);
    closedir(dir);
}

int blob_store_open(const char *state, struct blob_store **ret, struct error *err)
{
    _cleanup_(blob_store_closep) struct blob_store *bs = xnew(struct blob_store);
    struct stat st;

    bs->blobs = bs->tmp = bs->trees = -1;
    _cleanup_close_ int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, -errno, "opening state directory %s: %s", state, strerror(errno));
    bs->uid = st.st_uid;
    bs->gid = st.st_gid;

    if ((bs->blobs = open_dir(bs, fd, "blobs", err)) < 0)
        return bs->blobs;
    if ((bs->tmp = open_dir(bs, bs->blobs, "tmp", err)) < 0)
        return bs->tmp;
    if ((bs->trees = open_dir(bs, fd, "trees", err)) < 0)
        return bs->trees;
    sweep(bs->tmp);
    sweep(bs->trees);
    *ret = take_ptr(bs);
    return 0;
}

void blob_store_close(struct blob_store *bs)
{
    if (!bs)
        return;
    safe_close(bs->blobs);
    safe_close(bs->tmp);
    safe_close(bs->trees);
    free(bs);
}

bool blob_is_whole(struct blob_store *bs, const char *name, int64_t size)
{
    struct stat st;

    return fstatat(bs->blobs, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_size == size;
}

static int open_form(struct blob_store *bs, const struct sha256 *sum, bool executable,
                     int64_t *ret_size)
{
    char name[BLOB_NAME_LEN + 3];
    struct stat st;
    _cleanup_close_ int fd =
        openat(bs->blobs, blob_name(sum, executable, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (ret_size)
        *ret_size = st.st_size;
    return take_fd(&fd);
}

int blob_open(struct blob_store *bs, const struct sha256 *sum, int64_t *ret_size)
{
    return open_form(bs, sum, false, ret_size);
}

int blob_open_executable(struct blob_store *bs, const struct sha256 *sum, int64_t *ret_size)
{
    return open_form(bs, sum, true, ret_size);
}

bool blob_has(struct blob_store *bs, const struct sha256 *sum)
{
    char name[BLOB_NAME_LEN + 3];

    return faccessat(bs->blobs, blob_name(sum, false, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool blob_matches(struct blob_store *bs, const struct sha256 *sum, int64_t size)
{
    char name[BLOB_NAME_LEN + 3];

    return blob_is_whole(bs, blob_name(sum, false, name), size);
}

int blob_sync(struct blob_store *bs, struct error *err)
{
    return syncfs(bs->blobs) < 0 ? error_set(err, -errno, "syncing blobs: %s", strerror(errno)) : 0;
}

int blob_read(struct blob_store *bs, const struct sha256 *sum, size_t limit, struct text *ret,
              struct error *err)
{
    char name[BLOB_NAME_LEN + 3];

    return file_read(bs->blobs, blob_name(sum, false, name), limit, ret, err);
}
