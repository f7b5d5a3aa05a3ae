/* scan.c - see scan.h */
#include "cli/scan.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 200 /* one descriptor a level */

struct walk {
    scan_f item;
    void *userdata;
    struct text path;
};

/* The names of one directory: 'd' or 'f', the name, NUL. */
struct names {
    struct text bytes;
    VEC(size_t) at;
};

static void names_done(struct names *n)
{
    text_done(&n->bytes);
    vec_done(&n->at);
}

/* Paths are compared whole, so a directory counts as if its name ended with '/'. */
static int compare(const void *a, const void *b, void *bytes)
{
    const char *x = (const char *) bytes + *(const size_t *) a;
    const char *y = (const char *) bytes + *(const size_t *) b;
    size_t i = 1;

    while (x[i] && x[i] == y[i])
        i++;
    unsigned char c = (unsigned char) (x[i] ? x[i] : x[0] == 'd' ? '/' : '\0');
    unsigned char d = (unsigned char) (y[i] ? y[i] : y[0] == 'd' ? '/' : '\0');
    return (int) c - (int) d;
}

static bool is_directory(int dirfd, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int fail(const struct walk *w, int code, struct error *err)
{
    return error_set(err, code, "reading %.150s: %s", w->path.len ? w->path.data : ".",
                     strerror(-code));
}

/* Takes over FD. */
static int read_names(struct walk *w, int fd, struct names *ret, struct error *err)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *e;

    if (!dir) {
        int r = -errno;
        safe_close(fd);
        return fail(w, r, err);
    }
    while ((errno = 0, e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        vec_push(&ret->at, ret->bytes.len);
        text_add_char(&ret->bytes, is_directory(fd, e) ? 'd' : 'f');
        text_add_bytes(&ret->bytes, e->d_name, strlen(e->d_name) + 1);
    }
    int r = -errno;
    closedir(dir);
    if (r < 0)
        return fail(w, r, err);
    if (ret->at.len)
        qsort_r(ret->at.items, ret->at.len, sizeof *ret->at.items, compare, ret->bytes.data);
    return 0;
}

static int walk_dir(struct walk *w, int fd, int depth, struct error *err);

static int walk_name(struct walk *w, int dirfd, const char *name, int depth, struct error *err)
{
    char target[PATH_MAX];
    struct stat st;
    struct scan_item item = { .path = w->path.data, .name = name, .dirfd = dirfd, .st = &st };

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(w, -errno, err);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(dirfd, name, target, sizeof target - 1);
        if (n < 0)
            return fail(w, -errno, err);
        target[n] = '\0';
        item.link = target;
    }
    int r = w->item(w->userdata, &item, err);
    if (r < 0 || !S_ISDIR(st.st_mode))
        return r;
    if (depth >= DEPTH_MAX)
        return error_set(err, -ELOOP, "%.150s: more than %d directories deep", w->path.data,
                         DEPTH_MAX);
    int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return sub < 0 ? fail(w, -errno, err) : walk_dir(w, sub, depth + 1, err);
}

/* Takes over FD. */
static int walk_dir(struct walk *w, int fd, int depth, struct error *err)
{
    _cleanup_(names_done) struct names names = { 0 };
    _cleanup_close_ int keep = fd;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = copy < 0 ? fail(w, -errno, err) : read_names(w, copy, &names, err);
    size_t len = w->path.len;

    if (r == 0 && len)
        text_add_char(&w->path, '/');
    size_t below = w->path.len;
    for (size_t i = 0; r == 0 && i < names.at.len; i++) {
        const char *name = names.bytes.data + names.at.items[i] + 1;
        text_add(&w->path, name);
        r = walk_name(w, keep, name, depth, err);
        w->path.len = below;
        w->path.data[below] = '\0';
    }
    w->path.len = len;
    if (w->path.data)
        w->path.data[len] = '\0';
    return r;
}

int scan_directory(int top, scan_f item, void *userdata, struct error *err)
{
    struct walk w = { .item = item, .userdata = userdata };
    struct stat st;
    int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 || fstat(fd, &st) < 0 ? fail(&w, -errno, err) : 0;

    if (r == 0) {
        const struct scan_item root = { .path = "", .name = ".", .dirfd = top, .st = &st };
        r = item(userdata, &root, err);
    }
    text_add(&w.path, "");
    if (r == 0)
        r = walk_dir(&w, take_fd(&fd), 0, err);
    safe_close(fd);
    text_done(&w.path);
    return r < 0 ? r : 0;
}
