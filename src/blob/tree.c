/* tree.c - a read-only directory made of hard links to blobs
 *
 * It is built under a temporary name and renamed when it is complete, so that a name that is there
 * is a whole tree. Directories are 0755: in a container's overlay they must take new files.
 */
#include "blob/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

struct builder {
    struct blob_store *bs;
    int root; /* of the new tree */
    int dir;  /* the directory of the last entry; -1 before */
    char *dir_path;
};

/* ---- copies ---------------------------------------------------------------------------------- */

static int copy_bytes(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
        if (n == 0)
            return 0;
        if (n > 0)
            continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            return -errno;
        break;
    }

    char buf[8192];
    for (;;) {
        ssize_t n = read(from, buf, sizeof buf);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = write_full(to, buf, (size_t) n);
        if (r < 0)
            return r;
    }
}

static int copy_into(struct blob_store *bs, const char *blob, int dirfd, const char *name,
                     mode_t mode)
{
    _cleanup_close_ int from = openat(bs->blobs, blob, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return -errno;
    _cleanup_close_ int to = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;

    int r = copy_bytes(from, to);
    if (r == 0)
        r = store_own(bs, to);
    if (r == 0 && (fchmod(to, mode) < 0 || fsync(to) < 0))
        r = -errno;
    return r;
}

/* The mode belongs to the inode, so that the executable form of a blob is a file of its own. */
static int make_executable(struct blob_store *bs, const struct sha256 *sum, int64_t size,
                           struct error *err)
{
    char tmp[TMP_NAME_LEN], plain[BLOB_NAME_LEN + 3], name[BLOB_NAME_LEN + 3];
    _cleanup_close_ int to = -1;

    if (blob_is_whole(bs, blob_name(sum, true, name), size))
        return 0;
    _cleanup_close_ int from =
        openat(bs->blobs, blob_name(sum, false, plain), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return error_set(err, -errno, "opening blob %s: %s", plain, strerror(errno));
    int r = tmp_open(bs, tmp, &to, err);
    if (r < 0)
        return r;
    r = copy_bytes(from, to);
    if (r == 0 && (fchmod(to, 0755) < 0 || fsync(to) < 0))
        r = -errno;
    if (r < 0)
        r = error_set(err, r, "copying blob %s: %s", plain, strerror(-r));
    else
        r = tmp_commit(bs, tmp, name, size, err);
    if (r < 0)
        (void) unlinkat(bs->tmp, tmp, 0);
    return r;
}

/* ---- directories and entries ----------------------------------------------------------------- */

/* Make and open DIR, component by component; *RET becomes the descriptor. */
static int enter_dir(struct builder *b, const char *path, int *ret)
{
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int at = fcntl(b->root, F_DUPFD_CLOEXEC, 3);
    char *save = NULL;

    for (char *name = strtok_r(copy, "/", &save); name && at >= 0;
         name = strtok_r(NULL, "/", &save)) {
        bool made = mkdirat(at, name, 0755) == 0;
        if (!made && errno != EEXIST)
            return -errno;
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int code = next < 0 ? -errno : 0;
        safe_close(at);
        at = next;
        if (code < 0)
            return code;
        if (made && fchmod(at, 0755) < 0) /* the umask does not matter */
            return -errno;
        if (made && (code = store_own(b->bs, at)) < 0)
            return code;
    }
    if (at < 0)
        return -errno;
    *ret = take_fd(&at);
    return 0;
}

/* The directory of PATH and its last component; entries are sorted, so the last one is kept. */
static int builder_dir(struct builder *b, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = xstrndup(path, slash ? (size_t) (slash - path) : 0);

    *ret_name = slash ? slash + 1 : path;
    if (b->dir >= 0 && str_equal(dir, b->dir_path))
        return 0;
    b->dir = safe_close(b->dir);
    free(b->dir_path);
    b->dir_path = take_ptr(dir);
    return enter_dir(b, b->dir_path, &b->dir);
}

static bool wants_copy(int code)
{
    /* the link limit; a blob that another user made (fs.protected_hardlinks); no links at all */
    return code == -EMLINK || code == -EPERM || code == -EXDEV || code == -EOPNOTSUPP;
}

int blob_link(struct blob_store *bs, const struct manifest_entry *e, int dirfd, const char *name,
              struct error *err)
{
    char blob[BLOB_NAME_LEN + 3];

    if (!blob_is_whole(bs, blob_name(&e->sum, false, blob), e->size_bytes))
        return error_set(err, -ENOENT, "the bytes of '%.120s' are not in the blob store", e->path);
    if (e->executable) {
        int r = make_executable(bs, &e->sum, e->size_bytes, err);
        if (r < 0)
            return r;
    }
    blob_name(&e->sum, e->executable, blob);
    if (linkat(bs->blobs, blob, dirfd, name, 0) == 0)
        return 0;
    int r = -errno;
    if (wants_copy(r))
        r = copy_into(bs, blob, dirfd, name, e->executable ? 0755 : 0644);
    if (r < 0)
        return error_set(err, r, "placing '%.120s': %s", e->path, strerror(-r));
    return 0;
}

int blob_copy(struct blob_store *bs, const struct sha256 *sum, int to, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_close_ int from = blob_open(bs, sum, NULL);
    int r = from < 0 ? from : copy_bytes(from, to);

    return r < 0
               ? error_set(err, r, "copying blob %.12s: %s", sha256_format(sum, hex), strerror(-r))
               : 0;
}

static int add_entry(struct builder *b, const struct manifest_entry *e, struct error *err)
{
    const char *name;
    int r = builder_dir(b, e->path, &name);

    if (r < 0)
        return error_set(err, r, "making the directory of '%.120s': %s", e->path, strerror(-r));
    if (!e->link)
        return blob_link(b->bs, e, b->dir, name, err);
    if (symlinkat(e->link, b->dir, name) < 0)
        return error_set(err, -errno, "making link '%.120s': %s", e->path, strerror(errno));
    return 0;
}

/* A tree by its manifest: in memory, or NULL: the blob of that name. */
struct named {
    struct blob_store *bs;
    const struct manifest *manifest;
    const struct sha256 *name;
};

static int build(struct builder *b, const struct named *tree, struct error *err)
{
    const struct manifest *m = tree->manifest;
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e = NULL;
    int r = 0;

    for (size_t i = 0; m && r == 0 && i < m->n; i++)
        r = add_entry(b, &m->entries[i], err);
    if (m)
        return r;
    r = manifest_file_open(b->bs, tree->name, &file, err);
    while (r >= 0 && (r = manifest_file_next(file, &e, err)) > 0)
        r = add_entry(b, e, err);
    return r;
}

static int fill_by_manifest(void *userdata, int root, struct error *err)
{
    const struct named *tree = userdata;
    struct builder b = { .bs = tree->bs, .root = root, .dir = -1 };
    int r = build(&b, tree, err);

    safe_close(b.dir);
    free(b.dir_path);
    return r;
}

static int begin(struct blob_store *bs, const char *tmp, int *ret, struct error *err)
{
    if (mkdirat(bs->trees, tmp, 0700) < 0)
        return error_set(err, -errno, "making a tree: %s", strerror(errno));
    _cleanup_close_ int fd =
        openat(bs->trees, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "opening a tree: %s", strerror(errno));
    (void) flock(fd, LOCK_SH | LOCK_NB);
    int r = store_own(bs, fd);
    if (r < 0)
        return error_set(err, r, "giving a tree to its owner: %s", strerror(-r));
    *ret = take_fd(&fd);
    return 0;
}

static int finish(struct blob_store *bs, int root, const char *tmp, const char *name,
                  struct error *err)
{
    if (fchmod(root, 0755) < 0 || fsync(root) < 0)
        return error_set(err, -errno, "completing a tree: %s", strerror(errno));
    if (renameat(bs->trees, tmp, bs->trees, name) < 0 && errno != EEXIST && errno != ENOTEMPTY)
        return error_set(err, -errno, "naming a tree: %s", strerror(errno));
    return 0;
}

static int make_tree(struct blob_store *bs, const struct sha256 *sum, const struct tree_form *form,
                     struct error *err)
{
    char tmp[TMP_NAME_LEN], name[SHA256_HEX_LEN + 1];
    _cleanup_close_ int root = -1;

    tmp_name(tmp);
    int r = begin(bs, tmp, &root, err);
    if (r == 0)
        r = form->fill(form->userdata, root, err);
    if (r == 0)
        r = finish(bs, root, tmp, sha256_format(sum, name), err);
    (void) remove_tree(bs->trees, tmp, NULL); /* gone when it was renamed */
    return r;
}

/* Touched, so that it is not removed as one that nobody needs. */
static int use_tree(struct blob_store *bs, const char *name, int *ret_fd)
{
    _cleanup_close_ int lock = blob_lock(bs->trees, ".", LOCK_SH);
    _cleanup_close_ int fd = openat(bs->trees, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (lock < 0 || fd < 0 || utimensat(bs->trees, name, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

int tree_open_form(struct blob_store *bs, const struct sha256 *name, const struct tree_form *form,
                   int *ret_fd, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];

    sha256_format(name, hex);
    for (int tries = 0; tries < 2; tries++) {
        if (use_tree(bs, hex, ret_fd) == 0)
            return 0;
        if (errno != ENOENT || tries > 0)
            break;
        int r = make_tree(bs, name, form, err);
        if (r < 0)
            return r;
    }
    return error_set(err, -errno, "opening tree %s: %s", hex, strerror(errno));
}

int tree_open(struct blob_store *bs, const struct manifest *m, const struct sha256 *name,
              int *ret_fd, struct error *err)
{
    struct named tree = { bs, m, name };
    const struct tree_form form = { fill_by_manifest, &tree };

    return tree_open_form(bs, name, &form, ret_fd, err);
}

int tree_open_blob(struct blob_store *bs, const struct sha256 *name, int *ret_fd, struct error *err)
{
    return tree_open(bs, NULL, name, ret_fd, err);
}
