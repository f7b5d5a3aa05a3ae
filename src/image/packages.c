/* packages.c - which software the machine has, as text that changes when it does */
#include "base/alloc.h"
#include "image/internal.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DATABASE_LIMIT (256U * 1024 * 1024)

typedef VEC(char *) lines;

static void lines_done(lines *v)
{
    vec_foreach(v, line)
        free(*line);
    vec_done(v);
}

static void add_package(void *userdata, const struct package *p)
{
    lines *out = userdata;
    char *line =
        xasprintf("%.*s:%.*s %.*s\n", (int) p->name_len, p->name, (int) p->architecture_len,
                  p->architecture ? p->architecture : "", (int) p->version_len, p->version);

    vec_push(out, line);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static int from_dpkg(const struct text *database, struct text *ret)
{
    _cleanup_(lines_done) lines packages = { 0 };

    (void) image_parse_dpkg(text_str(database), database->len, add_package, &packages);
    if (packages.len == 0)
        return -EINVAL;
    qsort(packages.items, packages.len, sizeof *packages.items, compare_lines);
    vec_foreach(&packages, line)
        text_add(ret, *line);
    return 0;
}

/* Opaque to us, but it changes with every package, and never otherwise. */
static int from_rpm(const struct text *database, struct text *ret)
{
    const struct sha256 sum = sha256_of(text_str(database), database->len);
    char hex[SHA256_HEX_LEN + 1];

    text_addf(ret, "rpm %s\n", sha256_format(&sum, hex));
    return 0;
}

static int stamp_of(const char *path, struct image_stamp *ret)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    ret->size = st.st_size;
    ret->mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    ret->inode = st.st_ino;
    return 0;
}

int packages_read(const char *root, struct text *ret, struct image_stamp *stamp, struct error *err)
{
    static const struct {
        const char *path;
        int (*read)(const struct text *database, struct text *ret);
    } databases[] = {
        { "/var/lib/dpkg/status", from_dpkg },
        { "/usr/lib/sysimage/rpm/rpmdb.sqlite", from_rpm },
        { "/var/lib/rpm/rpmdb.sqlite", from_rpm },
    };

    for (size_t i = 0; i < sizeof databases / sizeof *databases; i++) {
        _cleanup_free_ char *path = xasprintf("%s%s", root, databases[i].path);
        _cleanup_text_ struct text database = { 0 };
        /* The stamp first: a change while reading makes it look old, not new. */
        int r = stamp_of(path, stamp);
        if (r == -ENOENT)
            continue;
        if (r >= 0)
            r = file_read(AT_FDCWD, path, DATABASE_LIMIT, &database, err);
        if (r < 0)
            return error_set(err, r, "reading %s: %s", path, strerror(-r));
        if (databases[i].read(&database, ret) < 0)
            return error_set(err, -EINVAL, "%s names no installed package", path);
        stamp->path = take_ptr(path);
        return 0;
    }
    return error_set(
        err, -ENOENT,
        "image 'host' needs a machine whose packages dpkg or rpm know: no database below %s",
        root[0] ? root : "/");
}

bool packages_unchanged(const struct image_stamp *stamp)
{
    struct image_stamp now = { 0 };

    return stamp_of(stamp->path, &now) == 0 && now.size == stamp->size &&
           now.mtime_ns == stamp->mtime_ns && now.inode == stamp->inode;
}
