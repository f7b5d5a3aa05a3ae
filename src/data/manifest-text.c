/* manifest-text.c - the canonical bytes of a manifest, whose digest names the tree
 *
 * Exactly one text belongs to a tree: paths are sorted, a byte is percent-encoded if and only if
 * it is not printable ASCII, a space or '%', hex digits of an encoding are upper case, numbers
 * have no leading zero. The parser refuses every other spelling.
 */
#include "data/manifest.h"

#include "base/alloc.h"
#include "base/field.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void manifest_format_line(struct text *t, const struct manifest_entry *e)
{
    char hex[SHA256_HEX_LEN + 1];

    if (e->link)
        text_add(t, "l - 0 ");
    else
        text_addf(t, "%c %s %" PRId64 " ", e->executable ? 'x' : 'f', sha256_format(&e->sum, hex),
                  e->size_bytes);
    field_add(t, e->path);
    if (e->link) {
        text_add_char(t, ' ');
        field_add(t, e->link);
    }
    text_add_char(t, '\n');
}

char *manifest_format(const struct manifest *m, size_t *ret_len)
{
    _cleanup_text_ struct text t = { 0 };

    for (size_t i = 0; i < m->n; i++)
        manifest_format_line(&t, &m->entries[i]);
    if (ret_len)
        *ret_len = t.len;
    return text_take(&t);
}

static int size_parse(const char *s, int64_t *ret)
{
    long long n;
    int r = str_to_i64(s, 0, MANIFEST_BYTES_MAX, &n);

    if (r < 0 || *s == '+' || *s == '-' || (s[0] == '0' && s[1]))
        return -EINVAL;
    *ret = n;
    return 0;
}

struct line {
    char kind[2];
    char sum[SHA256_HEX_LEN + 1];
    char size[20];
    char path[3 * MANIFEST_PATH_MAX + 1]; /* every byte may be encoded */
    char link[3 * MANIFEST_PATH_MAX + 1];
};

static int line_split(const char *p, const char *end, struct line *l)
{
    if (end > p && end[-1] == ' ')
        return -EINVAL;
    if (!field_next(&p, end, l->kind, sizeof l->kind) ||
        !field_next(&p, end, l->sum, sizeof l->sum) ||
        !field_next(&p, end, l->size, sizeof l->size) ||
        !field_next(&p, end, l->path, sizeof l->path))
        return -EINVAL;
    if (l->kind[0] == 'l' && !field_next(&p, end, l->link, sizeof l->link))
        return -EINVAL;
    if (p != end || field_decode(l->path) < 0)
        return -EINVAL;
    return l->kind[0] == 'l' ? field_decode(l->link) : 0;
}

/* The entry that a line stands for; its strings are the line's. */
static int line_entry(struct line *l, struct manifest_entry *ret, struct error *err)
{
    *ret = (struct manifest_entry){ .path = l->path };
    if (l->kind[0] == 'l') {
        if (strcmp(l->sum, "-") != 0 || strcmp(l->size, "0") != 0)
            return error_set(err, -EINVAL, "a link has '-' and 0 for digest and size");
        ret->link = l->link;
        return 0;
    }
    if (l->kind[0] != 'f' && l->kind[0] != 'x')
        return error_set(err, -EINVAL, "a line begins with f, x or l, not '%s'", l->kind);
    if (sha256_parse(l->sum, &ret->sum) < 0 || size_parse(l->size, &ret->size_bytes) < 0)
        return error_set(err, -EINVAL, "digest or size is malformed");
    ret->executable = l->kind[0] == 'x';
    return 0;
}

static int line_add(struct manifest *m, struct line *l, struct error *err)
{
    struct manifest_entry e;
    int r = line_entry(l, &e, err);

    return r < 0 ? r : manifest_add(m, e.path, &e.sum, e.size_bytes, e.executable, e.link, err);
}

int manifest_parse(const char *bytes, size_t len, struct manifest **ret, struct error *err)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_free_ struct line *l = xnew(struct line);
    const char *end = bytes + len;

    for (const char *p = bytes; p < end;) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        if (!newline)
            return error_set(err, -EINVAL, "the manifest's last line has no end");
        int r = line_split(p, newline, l);
        if (r < 0)
            return error_set(err, r, "line %zu of the manifest is malformed", m->n + 1);
        r = line_add(m, l, err);
        if (r < 0)
            return error_context(err, r, "line %zu of the manifest", m->n + 1);
        if (m->n > 1 && strcmp(m->entries[m->n - 2].path, l->path) >= 0)
            return error_set(err, -EINVAL, "line %zu of the manifest is not in order", m->n);
        p = newline + 1;
    }

    int r = manifest_seal(m, err);
    if (r < 0)
        return r;
    *ret = take_ptr(m);
    return 0;
}

/* ---- one line at a time -------------------------------------------------------------------------- */

/* Paths that begin alike stand together, so the files among the beginnings of the last path are all that
 * the next one could lie below: ENDS marks where they end. */
struct manifest_reader {
    struct line line;
    struct manifest_entry entry;
    int64_t entries, size_bytes;
    size_t last_len;
    char last[MANIFEST_PATH_MAX + 1];
    bool ends[MANIFEST_PATH_MAX + 1];
};

struct manifest_reader *manifest_reader_new(void) { return xnew(struct manifest_reader); }

void manifest_reader_free(struct manifest_reader *reader) { free(reader); }

int64_t manifest_reader_entries(const struct manifest_reader *reader) { return reader->entries; }

int64_t manifest_reader_size(const struct manifest_reader *reader) { return reader->size_bytes; }

static void remember(struct manifest_reader *reader, const char *path, size_t common)
{
    size_t len = strlen(path);

    if (reader->last_len > common)
        memset(reader->ends + common + 1, 0, reader->last_len - common);
    memcpy(reader->last, path, len + 1);
    reader->last_len = len;
    reader->ends[len] = true;
}

void manifest_reader_resume(struct manifest_reader *reader, const char *last_path)
{
    if (strlen(last_path) <= MANIFEST_PATH_MAX)
        remember(reader, last_path, 0);
}

static int check_place(struct manifest_reader *reader, const char *path, struct error *err)
{
    size_t common = 0;

    while (common < reader->last_len && path[common] == reader->last[common])
        common++;
    if (reader->last_len && (unsigned char) path[common] <= (unsigned char) reader->last[common])
        return error_set(err, -EINVAL, "path '%.150s' is not in order", path);
    for (size_t i = 1; i <= common; i++)
        if (path[i] == '/' && reader->ends[i])
            return error_set(err, -ENOTDIR, "'%.100s' lies below '%.*s', which is not a directory",
                             path, (int) (i < 100 ? i : 100), path);
    remember(reader, path, common);
    return 0;
}

static int check_entry(struct manifest_reader *reader, struct error *err)
{
    const struct manifest_entry *e = &reader->entry;
    int r = manifest_path_check(e->path, err);

    if (r >= 0 && e->link)
        r = manifest_link_check(e->path, e->link, err);
    if (r >= 0 && e->size_bytes > MANIFEST_BYTES_MAX - reader->size_bytes)
        r = error_set(err, -EFBIG, "file '%.120s' makes the tree larger than can be", e->path);
    return r < 0 ? r : check_place(reader, e->path, err);
}

ssize_t manifest_reader_next(struct manifest_reader *reader, const char *bytes, size_t len,
                             const struct manifest_entry **ret, struct error *err)
{
    size_t within = len < MANIFEST_LINE_MAX ? len : MANIFEST_LINE_MAX;
    const char *newline = memchr(bytes, '\n', within);

    if (!newline && len < MANIFEST_LINE_MAX)
        return 0;
    int r = newline ? line_split(bytes, newline, &reader->line) : -EINVAL;
    if (r < 0)
        return error_set(err, r, "line %" PRId64 " of the manifest is malformed",
                         reader->entries + 1);
    r = line_entry(&reader->line, &reader->entry, err);
    if (r >= 0)
        r = check_entry(reader, err);
    if (r < 0)
        return error_context(err, r, "line %" PRId64 " of the manifest", reader->entries + 1);
    reader->entries++;
    reader->size_bytes += reader->entry.size_bytes;
    *ret = &reader->entry;
    return newline + 1 - bytes;
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

json_t *manifest_entry_to_json(const struct manifest_entry *e)
{
    char hex[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "path", e->path);
    if (e->link) {
        json_put_str(json, "link", e->link);
        return json;
    }
    json_put_str(json, "sha256", sha256_format(&e->sum, hex));
    json_put_int(json, "size_bytes", e->size_bytes);
    json_put(json, "executable", json_boolean(e->executable));
    return json;
}

json_t *manifest_to_json(const struct manifest *m)
{
    json_t *items = json_array();

    for (size_t i = 0; i < m->n; i++)
        json_array_append_new(items, manifest_entry_to_json(&m->entries[i]));
    return items;
}
