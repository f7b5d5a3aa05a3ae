/* pack.c - walk a directory, leave out what is ignored, hash the rest */
#include "cli/pack.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/hash.h"
#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define IGNORE_BYTES_MAX (1 << 20)
#define CHUNK_BYTES      (256 * 1024)
#define DEPTH_MAX        100

struct walk {
    struct pack *pack;
    const struct pack_again *again; /* NULL: once */
    struct ignore *ignore;
    const char *ignore_file;
    struct hasher *hasher;
    struct text path; /* of the current directory, with a '/' at the end unless it is the root */
    char *buf;
};

static void skip(struct walk *w, const char *why)
{
    text_addf(&w->pack->skipped, "%s: %s\n", text_str(&w->path), why);
}

static int hash_file(struct walk *w, int fd, struct sha256 *ret, int64_t *ret_size)
{
    int64_t size = 0;

    for (;;) {
        ssize_t n = read(fd, w->buf, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = -errno;
            (void) hasher_end(w->hasher);
            return r;
        }
        if (n == 0)
            break;
        hasher_add(w->hasher, w->buf, (size_t) n);
        size += n;
    }
    *ret = hasher_end(w->hasher);
    *ret_size = size;
    return 0;
}

/* A name or target that no manifest can hold is left out and said; other errors end the packing. */
static int add(struct walk *w, const struct sha256 *sum, int64_t size, bool executable,
               const char *link, struct error *err)
{
    struct error reason = { 0 };
    int r =
        manifest_add(w->pack->manifest, text_str(&w->path), sum, size, executable, link, &reason);

    if (r == -EXDEV || r == -EILSEQ || r == -ENAMETOOLONG || (r == -EINVAL && link)) {
        skip(w, reason.text);
        return 0;
    }
    return r < 0 ? error_set(err, r, "%s", reason.text) : 0;
}

static int add_file(struct walk *w, int dirfd, const char *name, struct error *err)
{
    struct pack_cache *cache = w->again ? w->again->cache : NULL;
    struct sha256 sum;
    struct stat st, after;
    int64_t size = 0;
    const char *path = text_str(&w->path);
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, -errno, "reading %s: %s", path, strerror(errno));
    if (pack_cache_find(cache, path, &st, &sum))
        return add(w, &sum, st.st_size, st.st_mode & 0100, NULL, err);
    int r = hash_file(w, fd, &sum, &size);
    if (r < 0)
        return error_set(err, r, "reading %s: %s", path, strerror(-r));
    if (fstat(fd, &after) == 0)
        pack_cache_put(cache, path, &st, &after, &sum);
    return add(w, &sum, size, st.st_mode & 0100, NULL, err);
}

static int add_link(struct walk *w, int dirfd, const char *name, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof target - 1);

    if (n < 0)
        return error_set(err, -errno, "reading link %s: %s", text_str(&w->path), strerror(errno));
    target[n] = '\0';
    return add(w, NULL, 0, false, target, err);
}

static int walk_dir(struct walk *w, int dirfd, int depth, struct error *err);

static int walk_subdir(struct walk *w, int dirfd, const char *name, int depth, struct error *err)
{
    if (depth >= DEPTH_MAX) {
        skip(w, "too deep");
        return 0;
    }
    int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0)
        return error_set(err, -errno, "reading directory %s: %s", text_str(&w->path),
                         strerror(errno));
    text_add_char(&w->path, '/');
    return walk_dir(w, sub, depth + 1, err);
}

static int walk_entry(struct walk *w, int dirfd, const char *name, int depth, struct error *err)
{
    struct stat st;
    size_t len = w->path.len;
    int r = 0;

    text_add(&w->path, name);
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = error_set(err, -errno, "reading %s: %s", text_str(&w->path), strerror(errno));
    else if (strcmp(name, ".git") == 0 ||
             ignore_match(w->ignore, w->path.data, S_ISDIR(st.st_mode)))
        w->pack->ignored++;
    else if (S_ISDIR(st.st_mode))
        r = walk_subdir(w, dirfd, name, depth, err);
    else if (S_ISREG(st.st_mode))
        r = add_file(w, dirfd, name, err);
    else if (S_ISLNK(st.st_mode))
        r = add_link(w, dirfd, name, err);
    else
        skip(w, "neither file nor link");
    w->path.len = len;
    w->path.data[len] = '\0';
    return r;
}

static int read_ignore_file(struct walk *w, int dirfd, struct error *err)
{
    _cleanup_text_ struct text bytes = { 0 };
    _cleanup_free_ char *base = xstrndup(text_str(&w->path), w->path.len ? w->path.len - 1 : 0);
    int r = file_read(dirfd, w->ignore_file, IGNORE_BYTES_MAX, &bytes, NULL);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = ignore_add(w->ignore, base, text_str(&bytes), bytes.len);
    if (r < 0)
        return error_set(err, r, "reading %s%s: %s", text_str(&w->path), w->ignore_file,
                         strerror(-r));
    return 0;
}

static int tell_directory(struct walk *w, int dirfd, struct error *err)
{
    if (!w->again || !w->again->directory)
        return 0;
    _cleanup_free_ char *path = xstrndup(text_str(&w->path), w->path.len ? w->path.len - 1 : 0);
    return w->again->directory(w->again->userdata, path, dirfd, err);
}

/* Takes over DIRFD. */
static int walk_dir(struct walk *w, int dirfd, int depth, struct error *err)
{
    DIR *dir = fdopendir(dirfd);
    int r;

    if (!dir) {
        r = error_set(err, -errno, "reading directory %s: %s", text_str(&w->path), strerror(errno));
        safe_close(dirfd);
        return r;
    }
    r = tell_directory(w, dirfd, err);
    if (r == 0)
        r = read_ignore_file(w, dirfd, err);
    for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = walk_entry(w, dirfd, e->d_name, depth, err);
    closedir(dir);
    return r;
}

/* ---- git ---------------------------------------------------------------------------------------- */

/* Only for the record: without git or outside of a checkout there is none. */
static void find_commit(const char *path, struct pack *pack)
{
    const char *const head[] = { "git", "-C", path, "rev-parse", "--verify", "-q", "HEAD", NULL };
    const char *const changes[] = { "git",  "-C", path, "status", "--porcelain",
                                    "-uno", "--", ".",  NULL };
    _cleanup_text_ struct text commit = { 0 }, dirty = { 0 };

    if (process_run(head, 100, 5000, &commit, NULL, NULL) != 0)
        return;
    size_t len = strcspn(text_str(&commit), "\n");
    if (len < 40 || len > 64)
        return;
    pack->commit = xstrndup(commit.data, len);
    pack->dirty = process_run(changes, 1000, 20000, &dirty, NULL, NULL) == 0 && dirty.len > 0;
}

int pack_directory(const char *path, struct pack *ret, struct error *err)
{
    return pack_directory_again(path, NULL, ret, err);
}

int pack_directory_again(const char *path, const struct pack_again *again, struct pack *ret,
                         struct error *err)
{
    struct pack pack = { .dirfd = -1, .manifest = manifest_new() };
    struct walk w = { .pack = &pack,
                      .again = again,
                      .ignore = ignore_new(),
                      .hasher = hasher_new(),
                      .buf = xcalloc(1, CHUNK_BYTES) };
    int r = 0;

    pack.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int top = pack.dirfd < 0 ? -1 : openat(pack.dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0) {
        r = error_set(err, errno == ENOENT ? -EINVAL : -errno, "source %s: %s", path,
                      strerror(errno));
    } else {
        bool own = faccessat(top, ".berthignore", F_OK, 0) == 0;
        w.ignore_file = own ? ".berthignore" : ".gitignore";
        text_add(&w.path, "");
        r = walk_dir(&w, top, 0, err);
    }
    if (r == 0)
        r = manifest_seal(pack.manifest, err);
    if (r == 0) {
        char hex[SHA256_HEX_LEN + 1];
        size_t len;
        _cleanup_free_ char *text = manifest_format(pack.manifest, &len);
        struct sha256 sum = sha256_of(text, len);
        pack.digest = xstrdup(sha256_format(&sum, hex));
        find_commit(path, &pack);
        *ret = pack;
    } else {
        pack_done(&pack);
    }
    ignore_free(w.ignore);
    hasher_free(w.hasher);
    text_done(&w.path);
    free(w.buf);
    return r;
}

void pack_done(struct pack *pack)
{
    safe_close(pack->dirfd);
    manifest_free(pack->manifest);
    free(pack->digest);
    free(pack->commit);
    text_done(&pack->skipped);
    *pack = (struct pack){ .dirfd = -1 };
}
