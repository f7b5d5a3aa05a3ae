/* sweep.c - blobs and trees that nobody needs any more */
#include "blob/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "base/vec.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

int blob_lock(int dirfd, const char *dir, int how)
{
    _cleanup_close_ int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    while (flock(fd, how) < 0)
        if (errno != EINTR)
            return -errno;
    return take_fd(&fd);
}

static bool is_old(int dirfd, const char *name, int64_t before_us, struct stat *ret)
{
    return fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW) == 0 &&
           ret->st_mtim.tv_sec * US_PER_S + ret->st_mtim.tv_nsec / 1000 < before_us;
}

/* The names in DIRFD that FIND makes a digest of, that are old and not kept. */
static int find(int dirfd, const struct blob_sweep *sweep,
                bool (*digest)(const char *name, const void *userdata, struct sha256 *ret),
                const void *userdata, char ***ret, size_t *ret_n)
{
    VEC(char *) names = { 0 };
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        int r = -errno;
        safe_close(fd);
        return r;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        struct sha256 sum;
        struct stat st;
        if (digest(e->d_name, userdata, &sum) && !sweep->keep(sweep->userdata, &sum) &&
            is_old(dirfd, e->d_name, sweep->before_us, &st))
            vec_push(&names, xstrdup(e->d_name));
    }
    closedir(dir);
    *ret = names.items;
    *ret_n = names.len;
    return 0;
}

static void names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* The rest of the digest, with ".x" for the executable one. */
static bool blob_digest(const char *name, const void *shard, struct sha256 *ret)
{
    char hex[SHA256_HEX_LEN + 1];
    size_t len = strcspn(name, ".");

    if (len != SHA256_HEX_LEN - 2 || (name[len] && strcmp(name + len, ".x") != 0))
        return false;
    (void) snprintf(hex, sizeof hex, "%s%.*s", (const char *) shard, (int) len, name);
    return sha256_parse(hex, ret) >= 0;
}

int blob_sweep(struct blob_store *bs, unsigned shard, const struct blob_sweep *sweep,
               int64_t *ret_bytes, struct error *err)
{
    char name[3], **names = NULL;
    size_t n = 0;
    int removed = 0;

    (void) snprintf(name, sizeof name, "%02x", shard & 0xff);
    _cleanup_close_ int dir =
        openat(bs->blobs, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? 0 : error_set(err, -errno, "blobs/%s: %s", name, strerror(errno));
    int r = find(dir, sweep, blob_digest, name, &names, &n);
    _cleanup_close_ int lock = r < 0 || n == 0 ? -1 : blob_lock(bs->blobs, name, LOCK_EX);
    for (size_t i = 0; r >= 0 && lock >= 0 && i < n; i++) {
        struct stat st;
        if (!is_old(dir, names[i], sweep->before_us, &st) || unlinkat(dir, names[i], 0) < 0)
            continue;
        removed++;
        *ret_bytes += st.st_blocks * 512;
    }
    names_free(names, n);
    return r < 0 ? error_set(err, r, "blobs/%s: %s", name, strerror(-r)) : removed;
}

static bool tree_digest(const char *name, const void *unused, struct sha256 *ret)
{
    return strlen(name) == SHA256_HEX_LEN && sha256_parse(name, ret) >= 0;
}

int tree_sweep(struct blob_store *bs, const struct blob_sweep *sweep, struct error *err)
{
    char **names = NULL;
    size_t n = 0;
    int removed = 0;

    int r = find(bs->trees, sweep, tree_digest, NULL, &names, &n);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        char tmp[TMP_NAME_LEN];
        struct stat st;
        _cleanup_close_ int lock = blob_lock(bs->trees, ".", LOCK_EX);
        tmp_name(tmp);
        if (lock < 0 || !is_old(bs->trees, names[i], sweep->before_us, &st) ||
            renameat(bs->trees, names[i], bs->trees, tmp) < 0)
            continue;
        lock = safe_close(lock);
        r = remove_tree(bs->trees, tmp, err);
        removed++;
    }
    names_free(names, n);
    return r < 0 ? error_set(err, r, "trees: %s", strerror(-r)) : removed;
}
