/* tree.c - the directory that a list means, below the overlays of all tasks that have it
 *
 * Files that anybody may read and only their owner, the project's first uid, may write are hard links to blobs; one
 * with another mode or owner needs an inode of its own. A directory gets its mode when all is in it.
 */
#include "storage/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct maker {
    const struct storage_tree *tree;
    struct storage_list list;
    struct storage_strings strings;
    int root;
    int dir; /* of the last entry; -1 before */
    char *dir_path;
};

void storage_tree_name(const struct sha256 *list, const struct id *project, struct sha256 *ret)
{
    uint8_t both[sizeof list->bytes + sizeof project->bytes];

    memcpy(both, list->bytes, sizeof list->bytes);
    memcpy(both + sizeof list->bytes, project->bytes, sizeof project->bytes);
    *ret = sha256_of(both, sizeof both);
}

/* The owner of the blobs stands for the project's first uid, as rootfs.c maps them. */
static int own(const struct maker *m, int dirfd, const char *name, unsigned uid)
{
    if (!m->tree->own_ids || uid == 0)
        return 0;
    uid_t owner = m->tree->uid_base + uid;
    return fchownat(dirfd, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int own_as_state(const struct maker *m, int dirfd, const char *name)
{
    struct stat st;

    if (!m->tree->own_ids || fstat(m->root, &st) < 0)
        return 0;
    return fchownat(dirfd, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* The directory of PATH; entries come sorted, so the last one is kept. */
static int enter(struct maker *m, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = xstrndup(path, slash ? (size_t) (slash - path) : 0);

    *ret_name = slash ? slash + 1 : path;
    if (m->dir >= 0 && str_equal(dir, m->dir_path))
        return 0;
    m->dir = safe_close(m->dir);
    free(m->dir_path);
    m->dir_path = take_ptr(dir);
    m->dir = directory_open(m->root, *m->dir_path ? m->dir_path : ".");
    return m->dir < 0 ? m->dir : 0;
}

static bool is_plain(const struct maker *m, const struct storage_entry *e)
{
    return (e->mode == 0644 || e->mode == 0755) && (e->uid == 0 || !m->tree->own_ids);
}

static int copy_file(const struct maker *m, const struct storage_entry *e, const char *name,
                     struct error *err)
{
    _cleanup_close_ int to =
        openat(m->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = to < 0 ? -errno : blob_copy(m->tree->blobs, &e->sum, to, err);

    if (r >= 0)
        r = own_as_state(m, m->dir, name);
    if (r >= 0)
        r = own(m, m->dir, name, e->uid);
    return r < 0 ? r : fchmod(to, e->mode) < 0 ? -errno : 0;
}

static int make_file(const struct maker *m, const struct storage_entry *e, const char *name,
                     struct error *err)
{
    struct manifest_entry file = { .path = (char *) (uintptr_t) e->path,
                                   .sum = e->sum,
                                   .size_bytes = e->size_bytes,
                                   .executable = e->mode == 0755 };

    return is_plain(m, e) ? blob_link(m->tree->blobs, &file, m->dir, name, err)
                          : copy_file(m, e, name, err);
}

static int make_node(const struct maker *m, const struct storage_entry *e, const char *name)
{
    int r = -EINVAL;

    if (e->kind == STORAGE_LINK)
        r = symlinkat(e->link, m->dir, name) < 0 ? -errno : 0;
    else if (e->kind == STORAGE_DIRECTORY) /* all may be done in it until the whole tree is there */
        r = mkdirat(m->dir, name, 0700) < 0 ? -errno : 0;
    if (r >= 0)
        r = own_as_state(m, m->dir, name);
    return r < 0 ? r : own(m, m->dir, name, e->uid);
}

static int make_entry(struct maker *m, const struct storage_entry *e, struct error *err)
{
    struct error why = { 0 };
    const char *name;
    int r = enter(m, e->path, &name);

    if (r >= 0)
        r = e->kind == STORAGE_FILE ? make_file(m, e, name, &why) : make_node(m, e, name);
    if (r >= 0)
        return 0;
    return error_set(err, r, "/storage/%.120s: %s", e->path, why.code ? why.text : strerror(-r));
}

static int set_modes(struct maker *m, struct error *err)
{
    struct storage_entry e;
    size_t at = m->list.len;
    int r;

    while ((r = storage_list_previous(&m->list, &at, &m->strings, &e, err)) > 0) {
        const char *name;
        if (e.kind != STORAGE_DIRECTORY)
            continue;
        r = enter(m, e.path, &name);
        if (r >= 0 && fchmodat(m->dir, name, e.mode & 01777, 0) < 0)
            r = -errno;
        if (r < 0)
            return error_set(err, r, "/storage/%.120s: %s", e.path, strerror(-r));
    }
    return r;
}

static int make_all(struct maker *m, struct error *err)
{
    _cleanup_free_ char *last = xstrdup("");
    struct storage_entry e;
    size_t at = 0;
    int r;

    while ((r = storage_list_next(&m->list, &at, &m->strings, &e, err)) > 0) {
        if (storage_path_compare(last, e.path) >= 0)
            return error_set(err, -EINVAL, "the list of /storage is not in order");
        r = make_entry(m, &e, err);
        if (r < 0)
            return r;
        xstr_set(&last, e.path);
    }
    return r < 0 ? r : set_modes(m, err);
}

static int fill(void *userdata, int root, struct error *err)
{
    const struct storage_tree *tree = userdata;
    struct maker *m = xnew(struct maker);

    m->tree = tree;
    m->root = root;
    m->dir = -1;
    _cleanup_close_ int fd = blob_open(tree->blobs, tree->list, NULL);
    int r = fd < 0 ? error_set(err, fd, "the list of /storage: %s", strerror(-fd))
                   : storage_list_open(fd, &m->list, err);
    if (r >= 0)
        r = make_all(m, err);
    storage_list_done(&m->list);
    safe_close(m->dir);
    free(m->dir_path);
    free(m);
    return r;
}

int storage_tree_open(const struct storage_tree *tree, int *ret_fd, struct error *err)
{
    struct sha256 name;
    const struct tree_form form = { fill, (void *) (uintptr_t) tree };

    storage_tree_name(tree->list, tree->project, &name);
    return tree_open_form(tree->blobs, &name, &form, ret_fd, err);
}
