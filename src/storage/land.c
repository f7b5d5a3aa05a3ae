/* land.c - what a task changed in /storage on its node is changed in the directory at home
 *
 * Removals first, from the end of the list, so that a directory is empty when its turn comes; then what is there,
 * directories before what is in them. A file appears whole under its name or not at all.
 */
#include "storage/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { NAME_LEN_MAX = 255, CONFLICTS_MAX = 100 };

struct landing {
    const struct storage_land *options;
    struct text *told;
    struct storage_counts counts;
    struct storage_strings strings;
    char *buf;
};

/* What is at a place now. */
struct present {
    enum { NOTHING, BYTES, DIRECTORY, OTHER } what;
    bool is_link;
    struct sha256 sum;
};

static void tell(struct landing *l, const char *path, const char *what, const char *other)
{
    struct text line = { 0 };

    text_addf(&line, "berth: /storage/%s %s%s", path, what, other);
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char) line.data[i] < ' ' || line.data[i] == 0x7f)
            line.data[i] = '?';
    text_add_char(&line, '\n');
    text_add_bytes(l->told, line.data, line.len);
    text_done(&line);
}

/* ---- places --------------------------------------------------------------------------------------------- */

struct place {
    int dir;
    const char *name; /* in the path that it was opened for */
};

static int own(const struct landing *l, int fd, unsigned uid, unsigned mode)
{
    uid_t owner = l->options->uid_base + uid;

    if (l->options->own_ids && fchown(fd, owner, owner) < 0)
        return -errno;
    return fchmod(fd, mode & 01777) < 0 ? -errno : 0;
}

static int make_parent(const struct landing *l, const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *above = xstrndup(path, slash ? (size_t) (slash - path) : 0);
    const char *name = slash ? slash + 1 : path;
    _cleanup_close_ int dir = directory_open(l->options->root, *above ? above : ".");

    if (dir < 0 || mkdirat(dir, name, 0755) < 0)
        return dir < 0 ? dir : -errno;
    _cleanup_close_ int made = directory_open(dir, name);
    int r = made < 0 ? made : 0;
    return r < 0 ? r : own(l, made, 0, 0755);
}

static int make_parents(const struct landing *l, char *path)
{
    int r = 0;

    for (char *slash = strchr(path, '/'); slash && r >= 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int fd = directory_open(l->options->root, path);
        r = fd == -ENOENT ? make_parent(l, path) : fd < 0 ? fd : 0;
        safe_close(fd);
        *slash = '/';
    }
    return r;
}

/* The directory of PATH. -ENOENT; -ENOTDIR when something else lies on the way to it. */
static int open_place(const char *path, int root, struct place *ret)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = xstrndup(path, slash ? (size_t) (slash - path) : 0);

    *ret = (struct place){ directory_open(root, *dir ? dir : "."), slash ? slash + 1 : path };
    return ret->dir == -ELOOP ? -ENOTDIR : ret->dir < 0 ? ret->dir : 0;
}

static int hash(struct landing *l, int fd, struct sha256 *ret)
{
    _cleanup_(hasher_freep) struct hasher *hasher = hasher_new();
    ssize_t n;

    if (!l->buf)
        l->buf = xcalloc(1, CHUNK_BYTES);
    while ((n = read(fd, l->buf, CHUNK_BYTES)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            hasher_add(hasher, l->buf, (size_t) n);
    *ret = hasher_end(hasher);
    return n < 0 ? -errno : 0;
}

static int look(struct landing *l, int dir, const char *name, struct present *ret)
{
    struct stat st;

    *ret = (struct present){ .what = OTHER };
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        ret->what = NOTHING;
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISDIR(st.st_mode)) {
        ret->what = DIRECTORY;
    } else if (S_ISLNK(st.st_mode)) {
        _cleanup_free_ char *target = link_read(dir, name);
        ret->what = target ? BYTES : OTHER;
        ret->is_link = true;
        if (target)
            ret->sum = link_sum(target);
    } else if (S_ISREG(st.st_mode)) {
        _cleanup_close_ int fd = open_beneath_nosymlink(dir, name, O_RDONLY | O_NONBLOCK, 0);
        ret->what = BYTES;
        return fd < 0 ? fd : hash(l, fd, &ret->sum);
    }
    return 0;
}

static bool is_as_at_start(const struct present *p, const struct storage_entry *e)
{
    return p->what == BYTES && e->has_base && sha256_equal(&p->sum, &e->base);
}

static bool is_the_same(const struct present *p, const struct storage_entry *e)
{
    return p->what == BYTES && p->is_link == (e->kind == STORAGE_LINK) &&
           sha256_equal(&p->sum, &e->sum);
}

/* ---- removals ------------------------------------------------------------------------------------------- */

static int remove_directory(struct landing *l, const struct place *p, const char *path)
{
    if (unlinkat(p->dir, p->name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
        return -errno;
    tell(l, path, "stays: others put something there while this task, which removed it, ran", "");
    return 0;
}

static int remove_one(struct landing *l, const struct storage_entry *e)
{
    struct present now;
    struct place p;
    int r = open_place(e->path, l->options->root, &p);

    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    _cleanup_close_ int dir = p.dir;
    if (r < 0 || !e->has_base)
        return r < 0 ? r : remove_directory(l, &p, e->path);
    r = look(l, dir, p.name, &now);
    if (r < 0 || now.what == NOTHING)
        return r;
    if (!is_as_at_start(&now, e)) {
        tell(l, e->path, "stays: others changed it while this task, which removed it, ran", "");
        return 0;
    }
    l->counts.files++;
    return unlinkat(dir, p.name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- what is there -------------------------------------------------------------------------------------- */

static int make_link(int dir, const char *temporary, const struct landing *l,
                     const struct storage_entry *e)
{
    uid_t owner = l->options->uid_base + e->uid;

    if (symlinkat(e->link, dir, temporary) < 0)
        return -errno;
    if (l->options->own_ids && fchownat(dir, temporary, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int make_file(int dir, const char *temporary, const struct landing *l,
                     const struct storage_entry *e)
{
    _cleanup_close_ int fd =
        openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : blob_copy(l->options->blobs, &e->sum, fd, NULL);

    return r < 0 ? r : own(l, fd, e->uid, e->mode);
}

static int put(struct landing *l, int dir, const char *name, const struct storage_entry *e)
{
    char temporary[64];
    uint8_t random[12];
    char hex[2 * sizeof random + 1];

    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, hex);
    (void) snprintf(temporary, sizeof temporary, TEMPORARY_START "%s", hex);
    int r =
        e->kind == STORAGE_LINK ? make_link(dir, temporary, l, e) : make_file(dir, temporary, l, e);
    if (r >= 0 && renameat(dir, temporary, dir, name) < 0)
        r = -errno;
    if (r < 0) {
        (void) unlinkat(dir, temporary, 0);
        return r;
    }
    l->counts.files++;
    l->counts.bytes += e->size_bytes;
    return 0;
}

/* The name beside NAME for what lost; *RET (owned by the caller) NULL: it is there already. */
static int free_name(struct landing *l, int dir, const char *name, const struct storage_entry *e,
                     char **ret)
{
    struct present now;

    for (int i = 1; i <= CONFLICTS_MAX; i++) {
        _cleanup_free_ char *end = i == 1 ? xasprintf(".conflict-%s", l->options->name)
                                          : xasprintf(".conflict-%s-%d", l->options->name, i);
        _cleanup_free_ char *tried =
            xasprintf("%.*s%s", (int) (NAME_LEN_MAX - strlen(end)), name, end);
        int r = look(l, dir, tried, &now);
        if (r < 0)
            return r;
        if (is_the_same(&now, e))
            return 0;
        if (now.what != NOTHING)
            continue;
        *ret = take_ptr(tried);
        return 0;
    }
    return -EEXIST;
}

static int put_beside(struct landing *l, int dir, const char *name, const struct storage_entry *e)
{
    _cleanup_free_ char *other = NULL;
    int r = free_name(l, dir, name, e, &other);

    if (r < 0 || !other)
        return r;
    tell(l, e->path, "was changed by others while this task ran and stays; this task's is ", other);
    return put(l, dir, other, e);
}

static int set_mode(struct landing *l, int dir, const char *name, const struct storage_entry *e)
{
    if (e->kind != STORAGE_FILE)
        return 0;
    _cleanup_close_ int fd = open_beneath_nosymlink(dir, name, O_RDONLY | O_NONBLOCK, 0);
    return fd < 0 ? fd : own(l, fd, e->uid, e->mode);
}

static int land_bytes(struct landing *l, int dir, const char *name, const struct storage_entry *e)
{
    struct present now;
    int r = look(l, dir, name, &now);

    if (r < 0)
        return r;
    if (is_the_same(&now, e))
        return set_mode(l, dir, name, e);
    if (now.what == NOTHING && e->has_base)
        tell(l, e->path, "was removed by others while this task changed it; it is there again", "");
    return now.what == NOTHING || is_as_at_start(&now, e) ? put(l, dir, name, e)
                                                          : put_beside(l, dir, name, e);
}

static int land_directory(struct landing *l, int dir, const char *name,
                          const struct storage_entry *e)
{
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    _cleanup_close_ int fd = directory_open(dir, name);
    if (fd == -ENOTDIR || fd == -ELOOP) {
        tell(l, e->path, "is a file of others by now, not the directory that this task made", "");
        return 0;
    }
    return fd < 0 ? fd : own(l, fd, e->uid, e->mode);
}

static int land_at(struct landing *l, const char *path, const struct storage_entry *e)
{
    _cleanup_free_ char *copy = xstrdup(path);
    struct place p;
    int r = open_place(path, l->options->root, &p);

    if (r == -ENOENT) {
        r = make_parents(l, copy);
        r = r == -ELOOP ? -ENOTDIR : r;
        r = r < 0 ? r : open_place(path, l->options->root, &p);
    }
    if (r < 0)
        return r;
    _cleanup_close_ int dir = p.dir;
    return e->kind == STORAGE_DIRECTORY ? land_directory(l, dir, p.name, e)
                                        : land_bytes(l, dir, p.name, e);
}

/* Where others put a file in the place of a directory, what was below it has a tree of its own. */
static int land_one(struct landing *l, const struct storage_entry *e)
{
    int r = land_at(l, e->path, e);

    if (r != -ENOTDIR)
        return r;
    _cleanup_free_ char *path = xasprintf("conflict-%s/%s", l->options->name, e->path);
    if (strlen(path) > STORAGE_PATH_MAX)
        return -ENAMETOOLONG;
    if (e->kind != STORAGE_DIRECTORY)
        tell(l, e->path, "has no directory any more, where others put a file; it is /storage/",
             path);
    return land_at(l, path, e);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static int land_all(struct landing *l, struct error *err)
{
    const struct storage_list *list = l->options->changes;
    struct storage_entry e;
    size_t at = list->len;
    int r, done = 0;

    while (done >= 0 && (r = storage_list_previous(list, &at, &l->strings, &e, err)) > 0)
        if (e.kind == STORAGE_REMOVED)
            done = remove_one(l, &e);
    for (at = 0;
         done >= 0 && r >= 0 && (r = storage_list_next(list, &at, &l->strings, &e, err)) > 0;)
        if (e.kind != STORAGE_REMOVED)
            done = land_one(l, &e);
    if (done < 0)
        return error_set(err, done, "/storage/%.120s: %s", e.path, strerror(-done));
    return r;
}

int storage_land(const struct storage_land *options, struct text *told, struct storage_counts *ret,
                 struct error *err)
{
    struct landing *l = xnew(struct landing);

    l->options = options;
    l->told = told;
    int r = land_all(l, err);
    if (r >= 0 && options->changes->len && syncfs(options->root) < 0)
        r = error_set(err, -errno, "/storage: %s", strerror(errno));
    *ret = l->counts;
    free(l->buf);
    free(l);
    return r;
}
