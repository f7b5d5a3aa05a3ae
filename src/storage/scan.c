/* scan.c - a directory becomes a list
 *
 * A file is read again only if it is another one than at the last scan, by inode, size and the kernel's time of its
 * last change, which nobody can set. Memory is one directory's names and the path to it.
 */
#include "storage/internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
/* What changed so shortly before it was read may change again and bear the same time. */
#define RACY_NS INT64_C(100000000)

/* ---- helpers of all files ------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

int names_read(int dirfd, struct names *ret, struct error *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;

    if (!dir) {
        r = error_set(err, -errno, "reading a directory: %s", strerror(errno));
        safe_close(fd);
        return r;
    }
    for (const struct dirent *e; (e = readdir(dir)) && r >= 0;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        vec_push(&ret->all, xstrdup(e->d_name));
        if (ret->all.len > STORAGE_ENTRIES_MAX)
            r = error_set(err, -E2BIG, "a directory has more than %d entries", STORAGE_ENTRIES_MAX);
    }
    (void) closedir(dir);
    if (ret->all.len)
        qsort(ret->all.items, ret->all.len, sizeof *ret->all.items, compare_names);
    return r;
}

void names_done(struct names *names)
{
    vec_foreach(&names->all, name)
        free(*name);
    vec_done(&names->all);
}

static int flush(int fd, struct text *out, struct error *err)
{
    int r = write_full(fd, text_str(out), out->len);

    text_clear(out);
    return r < 0 ? error_set(err, r, "writing a list of files: %s", strerror(-r)) : 0;
}

int list_writer_add(struct list_writer *w, const struct storage_entry *e, struct error *err)
{
    if (++w->n > STORAGE_ENTRIES_MAX)
        return error_set(err, -E2BIG, "there are more than %d files and directories",
                         STORAGE_ENTRIES_MAX);
    storage_entry_format(&w->out, e);
    return w->out.len < CHUNK_BYTES ? 0 : flush(w->fd, &w->out, err);
}

int list_writer_end(struct list_writer *w, struct error *err)
{
    int r = flush(w->fd, &w->out, err);

    text_done(&w->out);
    return r;
}

size_t path_enter(struct text *path, const char *name)
{
    size_t len = path->len;

    if (len)
        text_add_char(path, '/');
    text_add(path, name);
    return len;
}

void path_leave(struct text *path, size_t len)
{
    path->len = len;
    path->data[len] = '\0';
}

char *link_read(int dirfd, const char *name)
{
    char target[STORAGE_PATH_MAX + 1];
    ssize_t n = readlinkat(dirfd, name, target, sizeof target);

    return n > 0 && n < (ssize_t) sizeof target ? xstrndup(target, (size_t) n) : NULL;
}

struct sha256 link_sum(const char *target) { return sha256_of(target, strlen(target)); }

int file_unnamed(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    if (fd < 0)
        fd = memfd_create("berth-list", MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int directory_open(int dirfd, const char *name)
{
    return open_beneath_nosymlink(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
}

/* ---- what was known ------------------------------------------------------------------------------------- */

/* A file of the index: "INODE CHANGED ENTRY". */
struct known {
    uint64_t inode;
    int64_t changed_ns;
    struct storage_entry e;
};

struct index {
    struct storage_list list;
    size_t at;
    bool has_one;
    struct known known;
    struct storage_strings strings;
};

struct scan {
    const struct storage_scan *options;
    struct index *index;
    struct list_writer out;
    struct text new_index, path;
    struct storage_counts counts;
    int64_t began_ns;
    char *buf;
};

static void read_known(struct index *index)
{
    const char *line = index->list.bytes + index->at;
    const char *end = index->list.bytes + index->list.len;
    const char *eol = line < end ? memchr(line, '\n', (size_t) (end - line)) : NULL;
    char *rest;

    index->has_one = false;
    if (!eol)
        return;
    index->at += (size_t) (eol - line) + 1;
    index->known.inode = strtoull(line, &rest, 10);
    index->known.changed_ns = strtoll(rest, &rest, 10);
    index->has_one = rest < eol && *rest == ' ' &&
                     storage_entry_parse(rest + 1, (size_t) (eol - rest - 1), &index->strings,
                                         &index->known.e, NULL) >= 0;
}

/* Both go in the same order. */
static const struct known *find_known(struct index *index, const char *path)
{
    while (index->has_one && storage_path_compare(index->known.e.path, path) < 0)
        read_known(index);
    return index->has_one && strcmp(index->known.e.path, path) == 0 ? &index->known : NULL;
}

static int64_t changed_ns(const struct stat *st)
{
    return st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec;
}

static bool is_known(struct scan *s, const struct stat *st, struct storage_entry *e)
{
    const struct known *known = find_known(s->index, e->path);

    if (!known || known->inode != st->st_ino || known->changed_ns != changed_ns(st) ||
        known->e.size_bytes != st->st_size)
        return false;
    e->sum = known->e.sum;
    e->size_bytes = st->st_size;
    return true;
}

static void note(struct scan *s, const struct stat *st, const struct storage_entry *e)
{
    if (s->options->new_index < 0 || changed_ns(st) > s->began_ns - RACY_NS)
        return;
    text_addf(&s->new_index, "%" PRIu64 " %" PRId64 " ", (uint64_t) st->st_ino, changed_ns(st));
    storage_entry_format(&s->new_index, e);
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static int hash(struct scan *s, int fd, struct storage_entry *e)
{
    _cleanup_(hasher_freep) struct hasher *hasher = hasher_new();
    ssize_t n;

    if (!s->buf)
        s->buf = xcalloc(1, CHUNK_BYTES);
    while ((n = read(fd, s->buf, CHUNK_BYTES)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        hasher_add(hasher, s->buf, (size_t) n);
        e->size_bytes += n;
    }
    e->sum = hasher_end(hasher);
    return n < 0 ? -errno : 0;
}

static int add(struct scan *s, const struct stat *st, struct storage_entry *e, struct error *err)
{
    uint32_t uid = (uint32_t) st->st_uid - s->options->uid_base;

    e->path = text_str(&s->path);
    e->uid = uid < STORAGE_UIDS ? uid : 0;
    e->mode = (unsigned) st->st_mode & 01777;
    return list_writer_add(&s->out, e, err);
}

static int scan_file(struct scan *s, int dirfd, const char *name, const struct stat *st,
                     struct error *err)
{
    struct storage_entry e = { .kind = STORAGE_FILE, .path = text_str(&s->path) };

    if (!is_known(s, st, &e)) {
        _cleanup_close_ int fd =
            open_beneath_nosymlink(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        if (fd < 0 || hash(s, fd, &e) < 0) {
            s->counts.left_out++;
            return 0;
        }
    }
    s->counts.files++;
    s->counts.bytes += e.size_bytes;
    int r = add(s, st, &e, err);
    if (r >= 0 && e.size_bytes == st->st_size)
        note(s, st, &e);
    if (r >= 0 && s->new_index.len >= CHUNK_BYTES)
        r = flush(s->options->new_index, &s->new_index, err);
    return r;
}

static int scan_link(struct scan *s, int dirfd, const char *name, const struct stat *st,
                     struct error *err)
{
    _cleanup_free_ char *target = link_read(dirfd, name);

    if (!target) {
        s->counts.left_out++;
        return 0;
    }
    struct storage_entry e = { .kind = STORAGE_LINK, .link = target, .sum = link_sum(target) };
    return add(s, st, &e, err);
}

static int scan_below(struct scan *s, int dirfd, unsigned depth, struct error *err);

static int scan_directory(struct scan *s, int dirfd, const char *name, unsigned depth,
                          struct error *err)
{
    struct storage_entry e = { .kind = STORAGE_DIRECTORY };
    struct stat st;
    _cleanup_close_ int fd = directory_open(dirfd, name);

    if (fd < 0 || fstat(fd, &st) < 0 || depth >= STORAGE_DEPTH_MAX) {
        s->counts.left_out++;
        return 0;
    }
    int r = add(s, &st, &e, err);
    return r < 0 ? r : scan_below(s, fd, depth + 1, err);
}

static int scan_entry(struct scan *s, int dirfd, const char *name, unsigned depth,
                      struct error *err)
{
    struct stat st;

    if (str_starts(name, TEMPORARY_START) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!utf8_is_valid(name, strlen(name)) || s->path.len + strlen(name) >= STORAGE_PATH_MAX) {
        s->counts.left_out++;
        return 0;
    }
    size_t len = path_enter(&s->path, name);
    int r = 0;
    if (S_ISDIR(st.st_mode))
        r = scan_directory(s, dirfd, name, depth, err);
    else if (S_ISREG(st.st_mode))
        r = scan_file(s, dirfd, name, &st, err);
    else if (S_ISLNK(st.st_mode))
        r = scan_link(s, dirfd, name, &st, err);
    else
        s->counts.left_out++;
    path_leave(&s->path, len);
    return r;
}

static int scan_below(struct scan *s, int dirfd, unsigned depth, struct error *err)
{
    struct names names = { 0 };
    int r = names_read(dirfd, &names, err);

    for (size_t i = 0; i < names.all.len && r >= 0; i++)
        r = scan_entry(s, dirfd, names.all.items[i], depth, err);
    names_done(&names);
    return r;
}

int storage_scan(const struct storage_scan *options, struct storage_counts *ret, struct error *err)
{
    struct scan s = { .options = options, .out = { .fd = options->out } };
    struct index *index = s.index = xnew(struct index);
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    s.began_ns = now.tv_sec * NS_PER_S + now.tv_nsec;
    if (options->index >= 0 && storage_list_open(options->index, &index->list, NULL) >= 0)
        read_known(index);
    int r = scan_below(&s, options->root, 0, err);
    int ended = list_writer_end(&s.out, r < 0 ? NULL : err);
    if (r >= 0)
        r = ended;
    if (r >= 0 && options->new_index >= 0)
        r = flush(options->new_index, &s.new_index, err);
    *ret = s.counts;
    storage_list_done(&index->list);
    text_done(&s.new_index);
    text_done(&s.path);
    free(s.buf);
    free(index);
    return r;
}
