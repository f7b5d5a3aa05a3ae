/* skeleton.c - the empty tree below a container's overlay */
#include "base/alloc.h"
#include "image/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int make_directory(int root, const char *path, mode_t mode, struct error *err)
{
    int r = mkdir_all(root, path, 0755, err);
    if (r < 0)
        return r;
    /* mkdir_all() gives its mode to what was missing only. */
    return fchmodat(root, path, mode, 0) < 0 ? error_set(err, -errno, "mode of %s: %m", path) : 0;
}

static int make_parent(int root, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return 0;
    _cleanup_free_ char *parent = xstrndup(path, (size_t) (slash - path));
    return mkdir_all(root, parent, 0755, err);
}

static int make_file(int root, const char *path, mode_t mode, const char *content,
                     struct error *err)
{
    int r = make_parent(root, path, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_set(err, -errno, "making %s: %m", path);
    r = write_full(fd, content, strlen(content));
    if (r < 0 || fchmod(fd, mode) < 0)
        return error_set(err, r < 0 ? r : -errno, "writing %s failed", path);
    return 0;
}

static int make_link(int root, const struct image_link *link, struct error *err)
{
    const char *path = link->path + 1;

    int r = make_parent(root, path, err);
    if (r < 0)
        return r;
    return symlinkat(link->target, root, path) < 0 ? error_set(err, -errno, "linking %s: %m", path)
                                                   : 0;
}

/* Paths are absolute inside, so without their '/' they are relative to ROOT. */
static int fill(const struct image *image, int root, struct error *err)
{
    int r = 0;

    vec_foreach(&image->directories, directory) {
        r = make_directory(root, directory->path + 1, directory->mode, err);
        if (r < 0)
            return r;
    }
    vec_foreach(&image->binds, bind) {
        if (bind->is_directory)
            r = mkdir_all(root, bind->target + 1, 0755, err);
        else
            r = make_file(root, bind->target + 1, 0444, "", err);
        if (r < 0)
            return r;
    }
    vec_foreach(&image->links, link) {
        r = make_link(root, link, err);
        if (r < 0)
            return r;
    }
    vec_foreach(&image->files, file) {
        r = make_file(root, file->path + 1, file->mode, file->content, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static inline void fts_closep(FTS **fts)
{
    if (*fts)
        (void) fts_close(*fts);
}

static int give_tree(char *path, uid_t uid, gid_t gid, struct error *err)
{
    char *const paths[] = { path, NULL };
    _cleanup_(fts_closep) FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);

    if (!fts)
        return error_set(err, -errno, "walking %s: %m", path);
    for (const FTSENT *entry; (entry = fts_read(fts));) {
        if (entry->fts_info == FTS_DP)
            continue;
        if (lchown(entry->fts_accpath, uid, gid) < 0)
            return error_set(err, -errno, "giving %s to its project: %m", entry->fts_path);
    }
    return 0;
}

static int build(const struct image *image, char *path, uid_t uid, gid_t gid, struct error *err)
{
    if (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0)
        return error_set(err, -errno, "making %s: %m", path);
    _cleanup_close_ int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_set(err, -errno, "opening %s: %m", path);
    int r = fill(image, root, err);
    return r < 0 ? r : give_tree(path, uid, gid, err);
}

int image_skeleton_make(const struct image *image, const char *path, uid_t uid, gid_t gid,
                        struct error *err)
{
    _cleanup_free_ char *aside = xasprintf("%s.%d.new", path, getpid());

    if (access(path, F_OK) == 0)
        return 0;
    (void) remove_tree(AT_FDCWD, aside, NULL);
    int r = build(image, aside, uid, gid, err);
    if (r >= 0 && rename(aside, path) < 0 && errno != ENOTEMPTY && errno != EEXIST)
        r = error_set(err, -errno, "renaming to %s: %m", path);
    /* Still there when it failed or another was faster. */
    (void) remove_tree(AT_FDCWD, aside, NULL);
    return r < 0 ? error_context(err, r, "root of image '%s'", image->name) : 0;
}
