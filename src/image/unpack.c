/* unpack.c - a layer's tar into files
 *
 * Two readers of libarchive stand behind each other: the first takes the packing off, in a thread of its own
 * (layer-bytes.h), and the second finds entries in its bytes.
 */
#include "image/unpack.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "image/archive.h"
#include "image/layer-bytes.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FREE_BYTES  (INT64_C(64) << 20) /* the ratio counts beyond these */
#define ID_MAX      65535
#define EARLY_BYTES (1 << 20)

struct dir_time {
    char *path;
    struct timespec mtime;
};

struct unpack {
    const struct unpack_options *options;
    const struct libarchive *lib;
    struct layer_bytes *bytes;
    struct archive *tar;
    int root;
    const struct unpack_limits *limits;
    int64_t packed_size;
    struct unpack_result result;
    struct error stream_err; /* found while the second reader asked the first */
    int stream_r;
    char *parent_path; /* the directory that is open */
    int parent;
    VEC(struct dir_time) dirs; /* their times change until the end */
};

/* The entry at hand. */
struct entry {
    struct archive_entry *entry;
    char *path;
    const char *name; /* its last part, within PATH */
    uid_t uid;
    gid_t gid;
    mode_t mode;
    struct timespec mtime;
};

/* ---- bytes ---- */

static int check_amount(struct unpack *u, size_t n)
{
    struct error *err = &u->stream_err;
    char bytes[32];

    u->result.bytes += (int64_t) n;
    if (u->result.bytes > u->limits->bytes_max)
        return error_set(err, -E2BIG, "it unpacks to more than %s",
                         bytes_to_str(u->limits->bytes_max, bytes));
    if (u->result.bytes > FREE_BYTES &&
        u->result.bytes / (u->packed_size + 1) > u->limits->ratio_max)
        return error_set(err, -E2BIG, "it unpacks to more than %lld times its size",
                         (long long) u->limits->ratio_max);
    return 0;
}

static la_ssize_t next_bytes(struct archive *tar, void *userdata, const void **ret)
{
    struct unpack *u = userdata;
    ssize_t n = layer_bytes_next(u->bytes, ret, &u->stream_err);

    (void) tar;
    u->stream_r = n < 0 ? (int) n : check_amount(u, (size_t) n);
    return u->stream_r < 0 ? -1 : n;
}

static int broken(struct unpack *u, struct error *err)
{
    if (u->stream_r < 0) {
        *err = u->stream_err;
        return u->stream_r;
    }
    return error_set(err, -EBADMSG, "it is no tar: %s", u->lib->error_string(u->tar));
}

/* ---- places ---- */

static int open_in_root(int root, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t) (flags | O_CLOEXEC),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);

    return fd < 0 ? -errno : (int) fd;
}

/* mkdir -p within the root; tars need not list parents. */
static int make_parents(struct unpack *u, const char *path)
{
    _cleanup_free_ char *part = xstrdup(path);
    int r = 0;

    for (char *p = part; r >= 0 && p;) {
        char *slash = strchr(p, '/');
        char *name = p;
        _cleanup_close_ int above = -1;
        if (slash)
            *slash = '\0';
        if (name != part)
            name[-1] = '\0';
        above = open_in_root(u->root, name == part ? "" : part, O_PATH | O_DIRECTORY);
        r = above < 0 ? above : mkdirat(above, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
        if (name != part)
            name[-1] = '/';
        if (slash)
            *slash = '/';
        p = slash ? slash + 1 : NULL;
    }
    return r;
}

/* The directory of E; stays open for the next entry, which mostly lies in the same. */
static int enter(struct unpack *u, const struct entry *e, struct error *err)
{
    size_t len = e->name > e->path ? (size_t) (e->name - e->path) - 1 : 0;
    _cleanup_free_ char *path = xstrndup(e->path, len);

    if (u->parent >= 0 && str_equal(path, u->parent_path))
        return u->parent;
    u->parent = safe_close(u->parent);
    int fd = open_in_root(u->root, path, O_PATH | O_DIRECTORY);
    if (fd == -ENOENT) {
        int r = make_parents(u, path);
        fd = r < 0 ? r : open_in_root(u->root, path, O_PATH | O_DIRECTORY);
    }
    if (fd < 0)
        return error_set(err, fd, "%.120s: its directory: %s", e->path, strerror(-fd));
    free(u->parent_path);
    u->parent_path = take_ptr(path);
    u->parent = fd;
    return fd;
}

/* Make room for NAME: what a layer lists twice is as it is listed last. */
static int clear(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    return remove_tree(dir, name, NULL);
}

/* ---- what an entry carries besides its bytes ---- */

static bool is_kept(const char *xattr)
{
    return (str_starts(xattr, "user.") && !str_starts(xattr, "user.overlay.")) ||
           str_equal(xattr, "security.capability");
}

static int set_xattrs(struct unpack *u, const struct entry *e, int fd)
{
    const char *name;
    const void *value;
    size_t size;
    int r = 0;

    if (u->lib->xattr_reset(e->entry) == 0)
        return 0;
    while (r >= 0 && u->lib->xattr_next(e->entry, &name, &value, &size) == ARCHIVE_OK)
        if (name && is_kept(name) && fsetxattr(fd, name, value, size, 0) < 0 && errno != ENOTSUP)
            r = -errno;
    return r;
}

/* Owner first: it takes setuid bits and capabilities off. */
static int dress(struct unpack *u, const struct entry *e, int fd, bool times)
{
    const struct timespec set[2] = { { .tv_nsec = UTIME_OMIT }, e->mtime };

    if (fchown(fd, e->uid, e->gid) < 0 || fchmod(fd, e->mode) < 0)
        return -errno;
    int r = set_xattrs(u, e, fd);
    if (r >= 0 && times && futimens(fd, set) < 0)
        r = -errno;
    return r;
}

static int dress_path(const struct entry *e, int dir)
{
    const struct timespec set[2] = { { .tv_nsec = UTIME_OMIT }, e->mtime };

    if (fchownat(dir, e->name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        utimensat(dir, e->name, set, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

/* ---- entries ---- */

static int write_blocks(struct unpack *u, int fd, struct error *err)
{
    la_int64_t offset, at = 0;
    const void *bytes;
    size_t n;

    for (;;) {
        int code = u->lib->data_block(u->tar, &bytes, &n, &offset);
        if (code == ARCHIVE_EOF)
            return ftruncate(fd, offset > at ? offset : at) < 0 ? -errno : 0;
        if (code < ARCHIVE_WARN)
            return broken(u, err);
        if (offset != at && lseek(fd, offset, SEEK_SET) < 0)
            return -errno;
        int r = write_full(fd, bytes, n);
        if (r < 0)
            return r;
        at = offset + (la_int64_t) n;
    }
}

static int make_file(struct unpack *u, const struct entry *e, int dir, struct error *err)
{
    _cleanup_close_ int fd = -1;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

    fd = openat(dir, e->name, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        int r = clear(dir, e->name);
        if (r < 0)
            return r;
        fd = openat(dir, e->name, flags, 0600);
    }
    if (fd < 0)
        return -errno;
    int r = write_blocks(u, fd, err);
    /* The disk works while the next file is unpacked; the wait for all of it at the end is shorter. */
    if (r >= 0 && u->lib->size(e->entry) >= EARLY_BYTES)
        (void) sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return r < 0 ? r : dress(u, e, fd, true);
}

static int make_directory(struct unpack *u, const struct entry *e, int dir)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (*e->name && mkdirat(dir, e->name, 0700) < 0) {
        if (errno != EEXIST || fstatat(dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        if (!S_ISDIR(st.st_mode) &&
            (unlinkat(dir, e->name, 0) < 0 || mkdirat(dir, e->name, 0700) < 0))
            return -errno;
    }
    fd = openat(dir, *e->name ? e->name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = dress(u, e, fd, false);
    if (r >= 0)
        vec_push(&u->dirs, ((struct dir_time){ xstrdup(e->path), e->mtime }));
    return r;
}

static int make_link(struct unpack *u, const struct entry *e, int dir, struct error *err)
{
    const char *target = u->lib->hardlink(e->entry);
    _cleanup_free_ char *path = layer_path(target);

    if (!path || !*path)
        return error_set(err, -EBADMSG, "%.80s: is a hard link to %.80s, outside the layer",
                         e->path, target);
    if (str_equal(path, e->path))
        return 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    _cleanup_close_ int from = open_in_root(u->root, slash ? path : "", O_PATH | O_DIRECTORY);
    int r = from < 0 ? from : clear(dir, e->name);
    if (r >= 0 && linkat(from, slash ? slash + 1 : path, dir, e->name, 0) < 0)
        r = -errno;
    if (r == -ENOENT || r == -ENOTDIR)
        return error_set(err, -EBADMSG, "%.80s: is a hard link to %.80s, which the layer has not",
                         e->path, target);
    return r;
}

static int make_symlink(struct unpack *u, const struct entry *e, int dir)
{
    const char *target = u->lib->symlink(e->entry);
    int r = clear(dir, e->name);

    if (r >= 0 && (!target || symlinkat(target, dir, e->name) < 0))
        r = target ? -errno : -EBADMSG;
    return r < 0 ? r : dress_path(e, dir);
}

/* A FIFO, or with DEV 0:0 a whiteout, which anybody may make. */
static int make_node(const char *name, int dir, mode_t type)
{
    int r = clear(dir, name);

    if (r >= 0 && mknodat(dir, name, type | 0600, makedev(0, 0)) < 0)
        r = -errno;
    return r;
}

static int make_fifo(const struct entry *e, int dir)
{
    int r = make_node(e->name, dir, S_IFIFO);

    if (r >= 0)
        r = dress_path(e, dir);
    return r >= 0 && fchmodat(dir, e->name, e->mode, 0) < 0 ? -errno : r;
}

static int make(struct unpack *u, const struct entry *e, int dir, struct error *err)
{
    mode_t type = u->lib->filetype(e->entry);

    if (u->lib->hardlink(e->entry))
        return make_link(u, e, dir, err);
    switch (type) {
    case S_IFREG:
        return make_file(u, e, dir, err);
    case S_IFDIR:
        return make_directory(u, e, dir);
    case S_IFLNK:
        return make_symlink(u, e, dir);
    case S_IFIFO:
        return make_fifo(e, dir);
    default: /* devices: /dev is the container runtime's */
        u->result.devices++;
        return 0;
    }
}

static int mark(struct unpack *u, const struct entry *e, enum layer_mark what, const char *hidden,
                int dir)
{
    if (what == LAYER_WHITEOUT)
        return make_node(hidden, dir, S_IFCHR);
    if (what == LAYER_OPAQUE) {
        _cleanup_free_ char *path =
            xstrndup(e->path, e->name > e->path ? (size_t) (e->name - e->path) - 1 : 0);
        u->options->opaque(u->options->userdata, path);
    }
    return 0;
}

static bool owner_is_valid(const struct unpack *u, struct archive_entry *entry)
{
    la_int64_t uid = u->lib->uid(entry), gid = u->lib->gid(entry);

    return uid >= 0 && uid <= ID_MAX && gid >= 0 && gid <= ID_MAX;
}

static int place_entry(struct unpack *u, const struct entry *e, struct error *err)
{
    const char *hidden = NULL;
    enum layer_mark what = layer_mark(e->path, &hidden);
    int dir = enter(u, e, err);

    if (dir < 0)
        return dir;
    if (!*e->name && u->lib->filetype(e->entry) != S_IFDIR)
        return error_set(err, -EBADMSG, "its root is no directory");
    int r = what == LAYER_PLAIN ? make(u, e, dir, err) : mark(u, e, what, hidden, dir);
    if (r < 0 && !err->text[0])
        return error_set(err, r, "%.120s: %s", e->path, strerror(-r));
    return r;
}

static int take_entry(struct unpack *u, struct archive_entry *from, struct error *err)
{
    const char *raw = u->lib->pathname(from);
    _cleanup_free_ char *path = raw ? layer_path(raw) : NULL;

    if (!path)
        return error_set(err, -EBADMSG, "'%.120s' is no name within the layer", raw ? raw : "");
    if (!owner_is_valid(u, from))
        return error_set(err, -EBADMSG, "%.100s: belongs to %lld:%lld; images have 0 to %d", path,
                         (long long) u->lib->uid(from), (long long) u->lib->gid(from), ID_MAX);
    if (u->root < 0)
        return 0;
    char *slash = strrchr(path, '/');
    bool one = u->options->one_owner, is_dir = u->lib->filetype(from) == S_IFDIR;
    const struct entry e = { .entry = from,
                             .path = path,
                             .name = slash ? slash + 1 : path,
                             .uid = one ? 0 : (uid_t) u->lib->uid(from),
                             .gid = one ? 0 : (gid_t) u->lib->gid(from),
                             .mode = (u->lib->perm(from) & 07777) | (one && is_dir ? 0700 : 0),
                             .mtime = { u->lib->mtime(from), u->lib->mtime_nsec(from) } };
    return place_entry(u, &e, err);
}

/* ---- the whole ---- */

static int take_entries(struct unpack *u, struct error *err)
{
    struct archive_entry *entry;

    for (;;) {
        int code = u->lib->next_header(u->tar, &entry);
        if (code == ARCHIVE_EOF)
            return 0;
        if (code < ARCHIVE_WARN)
            return broken(u, err);
        if (++u->result.entries > u->limits->entries_max)
            return error_set(err, -E2BIG, "it has more than %lld entries",
                             (long long) u->limits->entries_max);
        int r = take_entry(u, entry, err);
        if (r < 0)
            return r;
    }
}

static int set_directory_times(struct unpack *u)
{
    for (size_t i = u->dirs.len; i-- > 0;) {
        const struct timespec set[2] = { { .tv_nsec = UTIME_OMIT }, u->dirs.items[i].mtime };
        _cleanup_close_ int fd =
            open_in_root(u->root, u->dirs.items[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        /* A later entry may have replaced it. */
        if (fd >= 0 && futimens(fd, set) < 0)
            return -errno;
    }
    return 0;
}

/* Bytes after the end of the tar count too. */
static int verify(struct unpack *u, const struct sha256 *layer, struct error *err)
{
    const void *bytes;
    la_ssize_t n;

    while ((n = next_bytes(u->tar, u, &bytes)) > 0)
        ;
    if (n < 0)
        return broken(u, err);
    struct sha256 sum = layer_bytes_sum(u->bytes);
    if (!sha256_equal(&sum, layer))
        return error_set(err, -EBADMSG,
                         "its unpacked bytes have another digest than its config says");
    return 0;
}

static int open_readers(struct unpack *u, struct error *err)
{
    const struct libarchive *lib = u->lib;
    int r = layer_bytes_open(u->options->blob, u->options->arriving, &u->bytes, err);

    if (r < 0)
        return r;
    (void) lib->format_tar(u->tar);
    (void) lib->format_empty(u->tar);
    return lib->open(u->tar, u, NULL, next_bytes, NULL) < ARCHIVE_WARN ? broken(u, err) : 0;
}

static void unpack_done(struct unpack *u)
{
    (void) u->lib->read_free(u->tar);
    layer_bytes_free(u->bytes);
    free(u->parent_path);
    safe_close(u->parent);
    vec_foreach(&u->dirs, dir)
        free(dir->path);
    vec_done(&u->dirs);
}

int image_unpack_prepare(struct error *err)
{
    const struct libarchive *lib;

    return archive_load(&lib, err);
}

static int unpack_all(struct unpack *u, struct error *err)
{
    struct stat st;

    if (fstat(u->options->blob, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, -EBADMSG, "a layer must be a file");
    u->packed_size = u->options->arriving < 0 ? st.st_size : u->options->packed_size;
    int r = open_readers(u, err);
    if (r >= 0)
        r = take_entries(u, err);
    if (r >= 0)
        r = verify(u, &u->options->layer, err);
    if (r < 0 || u->options->root < 0)
        return r;
    r = set_directory_times(u);
    return r < 0 ? error_set(err, r, "setting times: %s", strerror(-r)) : 0;
}

int image_unpack(const struct unpack_options *options, struct unpack_result *ret, struct error *err)
{
    struct unpack u = {
        .options = options, .root = options->root, .limits = &options->limits, .parent = -1
    };
    int r = archive_load(&u.lib, err);

    if (r < 0)
        return r;
    u.tar = u.lib->read_new();
    r = unpack_all(&u, err);
    *ret = u.result;
    unpack_done(&u);
    return r;
}
