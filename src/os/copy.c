/* copy.c - trees as archives, and back */
#include "os/copy.h"

#include "base/alloc.h"
#include "base/tar.h"
#include "base/vec.h"
#include "os/fd.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE     65536
#define DEPTH_MAX 200

static int fail(const char *path, int code, struct error *err)
{
    return error_set(err, code, "%.200s: %s", path, strerror(-code));
}

/* ---- sending ------------------------------------------------------------------------------------- */

struct sender {
    int fd;
    struct copy_count *count;
    struct error *err;
    char *piece;
};

/* What both walks do with an entry: PATH is its name in the archive. */
typedef int (*visit_f)(struct sender *s, int at, const char *name, const char *path,
                       const struct stat *st);

static int walk(struct sender *s, visit_f visit, int at, const char *path, unsigned depth);

static int step(struct sender *s, visit_f visit, int at, const char *name, const char *path,
                unsigned depth)
{
    struct stat st;

    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(path, -errno, s->err);
    int r = visit(s, at, name, path, &st);
    if (r < 0 || !S_ISDIR(st.st_mode))
        return r;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? fail(path, -errno, s->err) : walk(s, visit, fd, path, depth + 1);
}

/* Takes AT. */
static int walk(struct sender *s, visit_f visit, int at, const char *path, unsigned depth)
{
    DIR *dir = fdopendir(at);
    int r = 0;

    if (!dir) {
        safe_close(at);
        return fail(path, -errno, s->err);
    }
    if (depth > DEPTH_MAX)
        r = fail(path, -ELOOP, s->err);
    for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
        if (str_equal(e->d_name, ".") || str_equal(e->d_name, ".."))
            continue;
        _cleanup_free_ char *child =
            str_equal(path, ".") ? xstrdup(e->d_name) : xasprintf("%s/%s", path, e->d_name);
        r = step(s, visit, dirfd(dir), e->d_name, child, depth);
    }
    closedir(dir);
    return r;
}

static int add_up(struct sender *s, int at, const char *name, const char *path,
                  const struct stat *st)
{
    (void) at, (void) name, (void) path;
    if (S_ISREG(st->st_mode))
        s->count->total += st->st_size;
    return 0;
}

static int send_entry(struct sender *s, const struct tar_entry *e)
{
    _cleanup_text_ struct text out = { 0 };

    tar_add_entry(&out, e);
    int r = write_full(s->fd, out.data, out.len);
    return r < 0 ? error_set(s->err, r, "sending: %s", strerror(-r)) : 0;
}

/* As many bytes as the header said, whatever happens to the file meanwhile. */
static int send_content(struct sender *s, int fd, const char *path, int64_t size)
{
    static const char zeros[TAR_BLOCK];
    int r = 0;

    for (int64_t left = size; left > 0 && r >= 0;) {
        ssize_t n = read(fd, s->piece, left < PIECE ? (size_t) left : PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(s->err, n < 0 ? -errno : -ESTALE, "%.200s: %s", path,
                             n < 0 ? strerror(errno) : "became shorter while it was read");
        r = write_full(s->fd, s->piece, (size_t) n);
        left -= n;
        s->count->bytes += n;
    }
    if (r >= 0)
        r = write_full(s->fd, zeros, tar_fill(size));
    return r < 0 ? error_set(s->err, r, "sending: %s", strerror(-r)) : 0;
}

static int send_file(struct sender *s, int at, const char *name, struct tar_entry *e)
{
    struct stat st;
    /* Not what it may have become since: neither a link nor a pipe that would block. */
    _cleanup_close_ int fd =
        openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(e->path, -errno, s->err);
    if (!S_ISREG(st.st_mode))
        return fail(e->path, -ESTALE, s->err);
    e->size = st.st_size;
    int r = send_entry(s, e);
    return r < 0 ? r : send_content(s, fd, e->path, e->size);
}

static int send_link(struct sender *s, int at, const char *name, struct tar_entry *e)
{
    char target[TAR_PATH_MAX + 1];
    ssize_t n = readlinkat(at, name, target, sizeof target);

    if (n < 0 || n == sizeof target)
        return fail(e->path, n < 0 ? -errno : -ENAMETOOLONG, s->err);
    target[n] = '\0';
    e->target = target;
    return send_entry(s, e);
}

static int visit(struct sender *s, int at, const char *name, const char *path,
                 const struct stat *st)
{
    struct tar_entry e = { .path = path, .mode = st->st_mode & 0777, .mtime_s = st->st_mtime };

    s->count->files++;
    if (S_ISDIR(st->st_mode)) {
        e.kind = TAR_DIRECTORY;
        return send_entry(s, &e);
    }
    if (S_ISREG(st->st_mode)) {
        e.kind = TAR_FILE;
        return send_file(s, at, name, &e);
    }
    if (S_ISLNK(st->st_mode)) {
        e.kind = TAR_LINK;
        return send_link(s, at, name, &e);
    }
    s->count->files--;
    s->count->skipped++;
    return 0;
}

static int send_all(struct sender *s, int fd, const char *path, const struct stat *st)
{
    _cleanup_text_ struct text head = { 0 }, end = { 0 };
    struct tar_entry e = { .path = ".", .mode = st->st_mode & 0777, .mtime_s = st->st_mtime };
    int r = 0;

    if (S_ISDIR(st->st_mode))
        r = walk(s, add_up, openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ".", 0);
    else
        s->count->total = st->st_size;
    tar_add_total(&head, s->count->total);
    if (r >= 0)
        r = write_full(s->fd, head.data, head.len);
    if (r < 0)
        return s->err->code ? r : error_set(s->err, r, "sending: %s", strerror(-r));
    if (S_ISDIR(st->st_mode)) {
        e.kind = TAR_DIRECTORY;
        r = send_entry(s, &e);
        if (r >= 0)
            r = walk(s, visit, openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ".", 0);
    } else {
        e.size = st->st_size;
        s->count->files++;
        r = send_entry(s, &e);
        if (r >= 0)
            r = send_content(s, fd, path, e.size);
    }
    tar_add_end(&end);
    if (r >= 0 && (r = write_full(s->fd, end.data, end.len)) < 0)
        return error_set(s->err, r, "sending: %s", strerror(-r));
    return r;
}

int copy_send(const char *path, int fd, struct copy_count *count, struct error *err)
{
    _cleanup_free_ char *piece = xcalloc(1, PIECE);
    struct sender s = { .fd = fd, .count = count, .err = err, .piece = piece };
    struct stat st;
    _cleanup_close_ int top = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (top < 0 || fstat(top, &st) < 0)
        return fail(path, -errno, err);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return error_set(err, -EINVAL, "%.200s: neither a file nor a directory", path);
    return send_all(&s, top, path, &st);
}

/* ---- receiving ----------------------------------------------------------------------------------- */

/* A directory that its owner may not write to gets that mode when it is full. */
struct late_mode {
    char *path;
    unsigned mode;
};

struct receiver {
    int parent;         /* where the root lies */
    int root;           /* when it is a directory; -1: it is not, or not yet */
    char *name;         /* of the root in PARENT; ".": PARENT itself */
    int file, dir;      /* being written, and where; -1: none */
    char *final;        /* the name that it gets */
    char temporary[40]; /* the one that it has until then */
    int64_t left, mtime_s;
    unsigned mode;
    bool more;  /* FILE goes on in the next entry, */
    char *path; /* whose path is this one again */
    bool ended;
    VEC(struct late_mode) late;
    struct copy_count *count;
    struct error *err;
};

static void receiver_done(struct receiver *r)
{
    if (r->file >= 0)
        (void) unlinkat(r->dir, r->temporary, 0);
    safe_close(r->file);
    safe_close(r->dir);
    safe_close(r->root);
    safe_close(r->parent);
    free(r->final);
    free(r->path);
    free(r->name);
    vec_foreach(&r->late, l)
        free(l->path);
    vec_done(&r->late);
}

static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static const char *label(const struct receiver *r, const char *path)
{
    return str_equal(path, ".") ? r->name : path;
}

/* Where the root goes: see copy_receive(). */
static int find_place(struct receiver *r, const char *path, const char *name)
{
    _cleanup_free_ char *trimmed = xstrdup(path);
    size_t len = strlen(trimmed);
    bool inside = len > 0 && trimmed[len - 1] == '/';

    while (len > 1 && trimmed[len - 1] == '/')
        trimmed[--len] = '\0';
    r->parent = open_directory(trimmed);
    if (r->parent >= 0 || inside || (r->parent != -ENOENT && r->parent != -ENOTDIR)) {
        r->name = xstrdup(name);
        return r->parent < 0 ? fail(trimmed, r->parent, r->err) : 0;
    }
    char *slash = strrchr(trimmed, '/');
    r->name = xstrdup(slash ? slash + 1 : trimmed);
    if (slash && slash != trimmed)
        *slash = '\0';
    const char *above = !slash ? "." : slash == trimmed ? "/" : trimmed;
    r->parent = open_directory(above);
    return r->parent < 0 ? fail(above, r->parent, r->err) : 0;
}

/* The directory that holds PATH, opened, and the last part of it. */
static int open_above(struct receiver *r, const char *path, int *ret_dir, const char **ret_name)
{
    const char *slash = strrchr(path, '/');

    if (str_equal(path, ".")) {
        *ret_name = r->name;
        *ret_dir = openat(r->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_dir < 0 ? fail(r->name, -errno, r->err) : 0;
    }
    if (r->root < 0)
        return error_set(r->err, -EBADMSG, "%.200s: lies in what is no directory", path);
    _cleanup_free_ char *above = slash ? xstrndup(path, (size_t) (slash - path)) : xstrdup(".");
    *ret_name = slash ? slash + 1 : path;
    *ret_dir = open_beneath_nosymlink(r->root, above, O_RDONLY | O_DIRECTORY, 0);
    return *ret_dir < 0 ? fail(path, *ret_dir, r->err) : 0;
}

static void set_mode(struct receiver *r, int fd, const struct tar_entry *e)
{
    if ((e->mode & 0300) == 0300)
        (void) fchmod(fd, e->mode);
    else
        vec_push(&r->late, ((struct late_mode){ xstrdup(e->path), e->mode }));
}

static int make_directory(struct receiver *r, int dir, const char *name, const struct tar_entry *e)
{
    assert(name); /* open_above() gave it one */
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return fail(label(r, e->path), -errno, r->err);
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail(label(r, e->path), -errno, r->err);
    if (!str_equal(name, "."))
        set_mode(r, fd, e);
    if (str_equal(e->path, "."))
        r->root = take_fd(&fd);
    return 0;
}

static void name_temporary(struct receiver *r)
{
    static atomic_uint serial;

    (void) snprintf(r->temporary, sizeof r->temporary, ".berth-%d-%u", (int) getpid(),
                    atomic_fetch_add(&serial, 1));
    (void) unlinkat(r->dir, r->temporary, 0);
}

static int begin_file(struct receiver *r, const struct tar_entry *e)
{
    name_temporary(r);
    r->file =
        openat(r->dir, r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r->file < 0)
        return fail(label(r, e->path), -errno, r->err);
    r->left = e->size;
    r->mode = e->mode;
    r->mtime_s = e->mtime_s;
    r->more = e->more;
    xstr_set(&r->path, e->path);
    return 0;
}

static int put_in_place(struct receiver *r)
{
    if (renameat(r->dir, r->temporary, r->dir, r->final) < 0) {
        int code = -errno;
        (void) unlinkat(r->dir, r->temporary, 0);
        return fail(r->final, code, r->err);
    }
    return 0;
}

static int end_file(struct receiver *r)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = r->mtime_s } };
    int code = 0;

    if (r->more)
        return 0;
    if (fchmod(r->file, r->mode) < 0 || futimens(r->file, times) < 0)
        code = fail(r->final, -errno, r->err);
    if (code >= 0)
        code = put_in_place(r);
    if (code >= 0)
        r->file = safe_close(r->file);
    r->dir = code < 0 ? r->dir : safe_close(r->dir);
    return code;
}

static int make_link(struct receiver *r, const struct tar_entry *e)
{
    name_temporary(r);
    if (symlinkat(e->target, r->dir, r->temporary) < 0)
        return fail(label(r, e->path), -errno, r->err);
    int code = put_in_place(r);
    r->dir = safe_close(r->dir);
    return code;
}

/* The next piece of FILE. */
static int go_on(struct receiver *r, const struct tar_entry *e)
{
    if (e->kind != TAR_FILE || !str_equal(e->path, r->path))
        return error_set(r->err, -EBADMSG, "%.200s: its end is missing", r->path);
    r->left = e->size;
    r->more = e->more;
    r->mtime_s = e->mtime_s;
    return e->size == 0 ? end_file(r) : 0;
}

static int take_entry(struct receiver *r, const struct tar_entry *e)
{
    const char *name = NULL;
    int code;

    if (r->file >= 0)
        return go_on(r, e);
    if ((r->count->files == 0) != str_equal(e->path, "."))
        return error_set(r->err, -EBADMSG, "the archive does not begin with its root");
    code = open_above(r, e->path, &r->dir, &name);
    if (code < 0)
        return code;
    r->count->files++;
    if (e->kind == TAR_DIRECTORY) {
        code = make_directory(r, r->dir, name, e);
        r->dir = safe_close(r->dir);
        return code;
    }
    if (str_equal(name, "."))
        return error_set(r->err, -EISDIR, "a file needs a name here");
    xstr_set(&r->final, name);
    if (e->kind == TAR_LINK)
        return make_link(r, e);
    code = begin_file(r, e);
    return code >= 0 && e->size == 0 ? end_file(r) : code;
}

static int take_data(struct receiver *r, const char *bytes, size_t n)
{
    int code = write_full(r->file, bytes, n);

    if (code < 0)
        return fail(r->final, code, r->err);
    r->count->bytes += (int64_t) n;
    r->left -= (int64_t) n;
    return r->left == 0 ? end_file(r) : 0;
}

static void set_late_modes(struct receiver *r)
{
    while (r->late.len) {
        struct late_mode *l = &r->late.items[--r->late.len];
        int fd =
            r->root < 0 ? -1 : open_beneath_nosymlink(r->root, l->path, O_RDONLY | O_DIRECTORY, 0);
        if (fd >= 0)
            (void) fchmod(fd, l->mode);
        safe_close(fd);
        free(l->path);
    }
}

static int take_piece(struct receiver *r, const struct tar_piece *piece)
{
    switch (piece->found) {
    case TAR_ENTRY:
        return take_entry(r, &piece->entry);
    case TAR_DATA:
        return take_data(r, piece->bytes, piece->len);
    case TAR_END:
        r->ended = r->file < 0;
        set_late_modes(r);
        return 0;
    case TAR_NOTHING:
        break;
    }
    return 0;
}

static int take_bytes(struct receiver *r, struct tar_reader *reader, const char *bytes, size_t len)
{
    int code = 0;

    for (size_t at = 0; at < len && code >= 0;) {
        struct tar_piece piece;
        ssize_t n = tar_read(reader, bytes + at, len - at, &piece);
        if (n < 0)
            return error_set(r->err, (int) n, "the archive is refused: %s", piece.reason);
        at += (size_t) n;
        code = take_piece(r, &piece);
        r->count->total = reader->total;
    }
    return code;
}

static int receive_all(struct receiver *r, int fd)
{
    _cleanup_(tar_reader_done) struct tar_reader reader = { 0 };
    _cleanup_free_ char *piece = xcalloc(1, PIECE);
    int code = 0;

    while (code >= 0) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(r->err, -errno, "receiving: %s", strerror(errno));
        if (n == 0)
            break;
        code = take_bytes(r, &reader, piece, (size_t) n);
    }
    if (code >= 0 && !r->ended)
        return error_set(r->err, -EPIPE, "the copy is not complete");
    return code;
}

int copy_receive(const char *path, const char *name, int fd, struct copy_count *count,
                 struct error *err)
{
    struct receiver r = {
        .parent = -1, .root = -1, .file = -1, .dir = -1, .count = count, .err = err
    };
    int code;

    if (strchr(name, '/') || !tar_path_is_safe(name))
        return error_set(err, -EINVAL, "'%.100s' is not a name", name);
    code = find_place(&r, path, name);
    if (code >= 0)
        code = receive_all(&r, fd);
    receiver_done(&r);
    return code;
}
