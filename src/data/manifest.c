/* manifest.c - the entries of a tree: adding, checking, finding */
#include "data/manifest.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct manifest *manifest_new(void) { return xnew(struct manifest); }

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        free(m->entries[i].path);
        free(m->entries[i].link);
    }
    free(m->entries);
    free(m);
}

/* Length of the component at P, which ends at '/' or the end. */
static size_t component_len(const char *p) { return strcspn(p, "/"); }

static bool is_dots(const char *p, size_t len, size_t n_dots)
{
    return len == n_dots && memcmp(p, "..", n_dots) == 0;
}

int manifest_path_check(const char *path, struct error *err)
{
    size_t len = strlen(path);

    if (len > MANIFEST_PATH_MAX)
        return error_set(err, -ENAMETOOLONG, "a path is longer than %d bytes", MANIFEST_PATH_MAX);
    if (!utf8_is_valid(path, len))
        return error_set(err, -EILSEQ, "a path is not UTF-8");
    for (const char *p = path;; p++) {
        size_t n = component_len(p);
        if (n == 0 || is_dots(p, n, 1) || is_dots(p, n, 2))
            return error_set(err, -EINVAL, "path '%.120s' has an empty, '.' or '..' component",
                             path);
        if (n > MANIFEST_NAME_MAX)
            return error_set(err, -ENAMETOOLONG, "path '%.120s' has a name longer than %d bytes",
                             path, MANIFEST_NAME_MAX);
        p += n;
        if (*p == '\0')
            return 0;
    }
}

static size_t path_depth(const char *path)
{
    size_t depth = 0;

    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

/* A target stays inside when its '..' all come first and are no more than the directories above the
 * link. Later '..' are refused because they may climb out of where another link led; as nothing
 * lies below a link, this makes every chain of links stay inside. */
int manifest_link_check(const char *path, const char *target, struct error *err)
{
    size_t up = 0;
    bool leading = true;
    const char *p = target;

    if (!*target || strlen(target) > MANIFEST_PATH_MAX || !utf8_is_valid(target, strlen(target)))
        return error_set(err, -EINVAL,
                         "the target of link '%.120s' is empty, too long or not UTF-8", path);
    if (*target == '/')
        return error_set(err, -EXDEV, "link '%.120s' has an absolute target", path);
    for (;;) {
        size_t n = component_len(p);
        if (!is_dots(p, n, 2))
            leading = leading && (n == 0 || is_dots(p, n, 1));
        else if (!leading || ++up > path_depth(path))
            return error_set(err, -EXDEV, "link '%.120s' leads outside of the tree", path);
        p += n;
        if (*p == '\0')
            return 0;
        p++;
    }
}

int manifest_add(struct manifest *m, const char *path, const struct sha256 *sum, int64_t size_bytes,
                 bool executable, const char *link, struct error *err)
{
    int r = manifest_path_check(path, err);

    if (r < 0)
        return r;
    if (link && (r = manifest_link_check(path, link, err)) < 0)
        return r;
    if (size_bytes < 0 || size_bytes > MANIFEST_BYTES_MAX - m->size_bytes)
        return error_set(err, -EFBIG, "file '%.120s' makes the tree larger than can be", path);
    if (m->n >= MANIFEST_ENTRIES_MAX)
        return error_set(err, -E2BIG, "a tree has at most %d files", MANIFEST_ENTRIES_MAX);

    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 16;
        m->entries = xrealloc(m->entries, m->cap * sizeof *m->entries);
    }
    m->entries[m->n++] = (struct manifest_entry){
        .path = xstrdup(path),
        .sum = link ? (struct sha256){ { 0 } } : *sum,
        .size_bytes = link ? 0 : size_bytes,
        .executable = !link && executable,
        .link = xstrdup(link),
    };
    m->size_bytes += link ? 0 : size_bytes;
    return 0;
}

static int entry_compare(const void *a, const void *b)
{
    const struct manifest_entry *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int add_all(struct manifest *m, const struct manifest *from, const struct manifest *without,
                   struct error *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < from->n; i++) {
        const struct manifest_entry *e = &from->entries[i];
        if (!without || !manifest_find(without, e->path))
            r = manifest_add(m, e->path, &e->sum, e->size_bytes, e->executable, e->link, err);
    }
    return r;
}

int manifest_merge(struct manifest **into, const struct manifest *more, struct error *err)
{
    _cleanup_(manifest_freep) struct manifest *both = manifest_new();

    int r = add_all(both, *into, NULL, err);
    if (r >= 0)
        r = add_all(both, more, *into, err);
    if (r >= 0)
        r = manifest_seal(both, err);
    if (r < 0)
        return r;
    manifest_free(*into);
    *into = take_ptr(both);
    return 0;
}

const struct manifest_entry *manifest_find(const struct manifest *m, const char *path)
{
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(path, m->entries[middle].path);
        if (order == 0)
            return &m->entries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* A directory on the way to PATH that is an entry itself, or NULL. The buffer is scratch. */
static const char *file_above(const struct manifest *m, const char *path, char *buf)
{
    strcpy(buf, path); /* NOLINT: manifest_path_check() has bounded it */
    for (char *slash = strrchr(buf, '/'); slash; slash = strrchr(buf, '/')) {
        *slash = '\0';
        const struct manifest_entry *above = manifest_find(m, buf);
        if (above)
            return above->path;
    }
    return NULL;
}

int manifest_seal(struct manifest *m, struct error *err)
{
    char buf[MANIFEST_PATH_MAX + 1];

    if (m->n)
        qsort(m->entries, m->n, sizeof *m->entries, entry_compare);
    for (size_t i = 0; i < m->n; i++) {
        const char *path = m->entries[i].path;
        if (i > 0 && strcmp(m->entries[i - 1].path, path) == 0)
            return error_set(err, -EEXIST, "path '%.150s' is there twice", path);
        const char *above = file_above(m, path, buf);
        if (above)
            return error_set(err, -ENOTDIR,
                             "'%.100s' lies below '%.100s', which is not a directory", path, above);
    }
    return 0;
}
