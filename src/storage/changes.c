/* changes.c - what a task did to /storage: the upper layer of its overlay, compared with the list below
 *
 * The container is gone. A character device 0:0 hides what lies below it, and so does a directory that is marked
 * opaque; what was opened for writing and stays as it was is no change.
 */
#include "storage/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct walk {
    const struct storage_changes *options;
    struct list_writer out;
    struct manifest *manifest;
    struct text path;
    struct storage_counts counts;
    struct storage_strings strings;
    char *buf;
};

static int add(struct walk *w, const struct storage_entry *e, struct error *err)
{
    w->counts.files += e->kind != STORAGE_DIRECTORY;
    return list_writer_add(&w->out, e, err);
}

/* ---- what is gone --------------------------------------------------------------------------------------- */

static int remove_entry(struct walk *w, struct storage_entry *e, struct error *err)
{
    e->has_base = e->kind != STORAGE_DIRECTORY;
    e->base = e->sum;
    e->kind = STORAGE_REMOVED;
    e->mode = e->uid = 0;
    return add(w, e, err);
}

static bool is_in_upper(const struct walk *w, const char *path)
{
    int fd = open_beneath_nosymlink(w->options->upper, path, O_PATH | O_NOFOLLOW, 0);

    safe_close(fd);
    return fd >= 0;
}

/* All that lay below PATH at the start, but what is there again. */
static int remove_below(struct walk *w, const char *path, struct error *err)
{
    const struct storage_list *list = w->options->list;
    _cleanup_free_ char *top = xstrdup(path);
    size_t at = storage_list_seek(list, top, &w->strings);
    struct storage_entry e;
    int r;

    while ((r = storage_list_next(list, &at, &w->strings, &e, err)) > 0) {
        if (!str_equal(e.path, top) && !storage_path_is_below(e.path, top))
            return 0;
        if (str_equal(e.path, top) || is_in_upper(w, e.path))
            continue;
        r = remove_entry(w, &e, err);
        if (r < 0)
            return r;
    }
    return r;
}

static int walk_whiteout(struct walk *w, struct error *err)
{
    struct storage_entry e;

    if (storage_list_find(w->options->list, text_str(&w->path), &w->strings, &e) <= 0)
        return 0; /* made and removed again */
    bool is_directory = e.kind == STORAGE_DIRECTORY;
    int r = remove_entry(w, &e, err);
    return r < 0 || !is_directory ? r : remove_below(w, text_str(&w->path), err);
}

/* ---- what is there -------------------------------------------------------------------------------------- */

static void describe(const struct walk *w, const struct stat *st, struct storage_entry *e)
{
    uint32_t uid = (uint32_t) st->st_uid - w->options->uid_base;

    e->path = text_str(&w->path);
    e->mode = (unsigned) st->st_mode & 01777;
    e->uid = w->options->own_ids && uid < STORAGE_UIDS ? uid : 0;
}

/* Base of E; false: it is as it was. What was a directory, or becomes one, is said to be gone first. */
static int compare(struct walk *w, struct storage_entry *e, bool *ret_is_change, struct error *err)
{
    struct storage_entry was;

    *ret_is_change = true;
    if (storage_list_find(w->options->list, text_str(&w->path), &w->strings, &was) <= 0)
        return 0;
    if (was.kind == STORAGE_DIRECTORY) {
        if (e->kind == STORAGE_DIRECTORY) {
            *ret_is_change = was.mode != e->mode || (w->options->own_ids && was.uid != e->uid);
            return 0;
        }
        int r = remove_entry(w, &was, err);
        return r < 0 ? r : remove_below(w, text_str(&w->path), err);
    }
    if (e->kind == STORAGE_DIRECTORY)
        return remove_entry(w, &was, err);
    e->has_base = true;
    e->base = was.sum;
    *ret_is_change = was.kind != e->kind || !sha256_equal(&was.sum, &e->sum) ||
                     (e->kind == STORAGE_FILE && was.mode != e->mode) ||
                     (w->options->own_ids && was.uid != e->uid);
    return 0;
}

static int copy(struct walk *w, int fd, struct blob_writer *writer, struct error *err)
{
    ssize_t n;

    if (!w->buf)
        w->buf = xcalloc(1, CHUNK_BYTES);
    while ((n = read(fd, w->buf, CHUNK_BYTES)) > 0 || (n < 0 && errno == EINTR)) {
        int r = n > 0 ? blob_writer_add(writer, w->buf, (size_t) n, err) : 0;
        if (r < 0)
            return r;
    }
    return n < 0 ? error_set(err, -errno, "reading /storage/%.120s: %s", text_str(&w->path),
                             strerror(errno))
                 : 0;
}

static int store_file(struct walk *w, int fd, struct storage_entry *e, struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    int r = blob_writer_new(w->options->blobs, &writer, err);

    if (r >= 0)
        r = copy(w, fd, writer, err);
    return r < 0 ? r : blob_writer_end(writer, NULL, false, &e->sum, &e->size_bytes, err);
}

/* Files of the same bytes are one. */
static int list_blob(struct walk *w, const struct sha256 *sum, int64_t size, struct error *err)
{
    char path[sizeof "files/" + SHA256_HEX_LEN] = "files/";

    sha256_format(sum, path + strlen(path));
    return manifest_add(w->manifest, path, sum, size, false, NULL, err);
}

static int walk_file(struct walk *w, int dirfd, const char *name, const struct stat *st,
                     struct error *err)
{
    struct storage_entry e = { .kind = STORAGE_FILE };
    bool is_change = true;
    _cleanup_close_ int fd =
        open_beneath_nosymlink(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0) {
        w->counts.left_out++;
        return 0;
    }
    int r = store_file(w, fd, &e, err);
    describe(w, st, &e);
    if (r >= 0)
        r = compare(w, &e, &is_change, err);
    if (r < 0 || !is_change)
        return r;
    e.path = text_str(&w->path);
    w->counts.bytes += e.size_bytes;
    r = add(w, &e, err);
    return r < 0 ? r : list_blob(w, &e.sum, e.size_bytes, err);
}

static int walk_link(struct walk *w, int dirfd, const char *name, const struct stat *st,
                     struct error *err)
{
    _cleanup_free_ char *target = link_read(dirfd, name);
    bool is_change = true;

    if (!target) {
        w->counts.left_out++;
        return 0;
    }
    struct storage_entry e = { .kind = STORAGE_LINK, .link = target, .sum = link_sum(target) };
    describe(w, st, &e);
    int r = compare(w, &e, &is_change, err);
    return r < 0 || !is_change ? r : add(w, &e, err);
}

static bool is_opaque(const struct walk *w, int fd)
{
    char value = 0;

    return fgetxattr(fd, w->options->xattr, &value, 1) == 1 && value == 'y';
}

static int walk_below(struct walk *w, int dirfd, unsigned depth, struct error *err);

static int walk_directory(struct walk *w, int dirfd, const char *name, unsigned depth,
                          struct error *err)
{
    struct storage_entry e = { .kind = STORAGE_DIRECTORY };
    struct stat st;
    bool is_change = true;
    _cleanup_close_ int fd = directory_open(dirfd, name);

    if (fd < 0 || fstat(fd, &st) < 0 || depth >= STORAGE_DEPTH_MAX) {
        w->counts.left_out++;
        return 0;
    }
    describe(w, &st, &e);
    int r = compare(w, &e, &is_change, err);
    if (r >= 0 && is_opaque(w, fd))
        r = remove_below(w, text_str(&w->path), err);
    e.path = text_str(&w->path);
    if (r >= 0 && is_change)
        r = add(w, &e, err);
    return r < 0 ? r : walk_below(w, fd, depth + 1, err);
}

static int walk_entry(struct walk *w, int dirfd, const char *name, unsigned depth,
                      struct error *err)
{
    struct stat st;
    int r = 0;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        w->path.len + strlen(name) >= STORAGE_PATH_MAX) {
        w->counts.left_out++;
        return 0;
    }
    size_t len = path_enter(&w->path, name);
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
        r = walk_whiteout(w, err);
    else if (S_ISDIR(st.st_mode))
        r = walk_directory(w, dirfd, name, depth, err);
    else if (S_ISREG(st.st_mode))
        r = walk_file(w, dirfd, name, &st, err);
    else if (S_ISLNK(st.st_mode))
        r = walk_link(w, dirfd, name, &st, err);
    else
        w->counts.left_out++;
    path_leave(&w->path, len);
    return r;
}

static int walk_below(struct walk *w, int dirfd, unsigned depth, struct error *err)
{
    struct names names = { 0 };
    int r = names_read(dirfd, &names, err);

    for (size_t i = 0; i < names.all.len && r >= 0; i++)
        r = walk_entry(w, dirfd, names.all.items[i], depth, err);
    names_done(&names);
    return r;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static int compare_entries(const void *a, const void *b)
{
    const struct manifest_entry *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* One entry for files of the same bytes. */
static void drop_twins(struct manifest *m)
{
    size_t n = 0;

    if (m->n)
        qsort(m->entries, m->n, sizeof *m->entries, compare_entries);
    for (size_t i = 0; i < m->n; i++) {
        if (n > 0 && str_equal(m->entries[n - 1].path, m->entries[i].path)) {
            m->size_bytes -= m->entries[i].size_bytes;
            free(m->entries[i].path);
        } else {
            m->entries[n++] = m->entries[i];
        }
    }
    m->n = n;
}

/* The bytes of FD from its beginning. */
static int store_list(struct walk *w, int fd, struct error *err)
{
    struct storage_entry list = { 0 };
    int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : store_file(w, fd, &list, err);

    return r < 0
               ? r
               : manifest_add(w->manifest, "changes", &list.sum, list.size_bytes, false, NULL, err);
}

static int store_manifest(struct walk *w, struct sha256 *ret, struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    size_t len = 0;

    drop_twins(w->manifest);
    int r = manifest_seal(w->manifest, err);
    _cleanup_free_ char *text = manifest_format(w->manifest, &len);
    if (r >= 0)
        r = blob_writer_new(w->options->blobs, &writer, err);
    if (r >= 0)
        r = blob_writer_add(writer, text, len, err);
    return r < 0 ? r : blob_writer_end(writer, NULL, true, ret, NULL, err);
}

static int collect(struct walk *w, struct sha256 *ret, struct error *err)
{
    int r = walk_below(w, w->options->upper, 0, err);
    int ended = list_writer_end(&w->out, r < 0 ? NULL : err);

    if (r < 0 || ended < 0)
        return r < 0 ? r : ended;
    if (w->out.n == 0)
        return 0;
    r = store_list(w, w->out.fd, err);
    if (r >= 0)
        r = store_manifest(w, ret, err);
    return r < 0 ? r : 1;
}

int storage_changes(const struct storage_changes *options, struct sha256 *ret,
                    struct storage_counts *ret_counts, struct error *err)
{
    struct walk *w = xnew(struct walk);
    /* In memory no list is larger than what the limit of entries allows; on the disk it is nobody's. */
    _cleanup_close_ int fd = file_unnamed(options->upper, "..");

    w->options = options;
    w->out.fd = fd;
    w->manifest = manifest_new();
    int r =
        fd < 0 ? error_set(err, fd, "a list of changes: %s", strerror(-fd)) : collect(w, ret, err);
    *ret_counts = w->counts;
    manifest_free(w->manifest);
    text_done(&w->path);
    free(w->buf);
    free(w);
    return r;
}
