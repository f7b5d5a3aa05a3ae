/* dataset-files.c - what lies in a version: files by page, one file, the manifest, and two compared
 *
 * Manifests are read as streams on the pool. A cursor is where the next line begins.
 */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* A page that is being read; B is the second version of a comparison. */
struct page {
    struct call *call;
    struct sha256 sum_a, sum_b;
    bool is_diff;
    const char *glob, *path;
    size_t limit;
    int64_t at_a, at_b; /* where to begin */
    json_t *items;
    char next[48]; /* "": there is no more */
    bool found;
    struct sha256 file; /* that was looked for */
    int r;
    struct error err;
};

static void page_free(void *state)
{
    struct page *p = state;

    json_decref(p->items);
    free(p);
}

/* What a public form shows of an entry. */
static json_t *file_json(const struct manifest_entry *e)
{
    char hex[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "path", e->path);
    if (e->link) {
        json_put_str(json, "link", e->link);
        return json;
    }
    json_put_int(json, "size", e->size_bytes);
    json_put_str(json, "sha256", sha256_format(&e->sum, hex));
    json_put(json, "executable", json_boolean(e->executable));
    return json;
}

/* The version that TEXT names, the newest when it names none. */
static int find_version(struct call *call, const char *text, struct sha256 *ret, struct error *err)
{
    const struct dataset *d = NULL;
    const struct dataset_version *v = NULL;
    int r = dataset_find(call, text, &d, &v, err);

    if (r < 0)
        return r;
    if (!v)
        v = dataset_newest(d);
    if (!v)
        return error_set(err, -ENOENT, "dataset '%s' has no version", d->name);
    *ret = v->manifest;
    return 0;
}

static void answer_page(struct page *p)
{
    json_t *answer = json_object();

    json_put(answer, "items", take_ptr(p->items));
    if (p->next[0])
        json_put_str(answer, "next", p->next);
    call_answer(p->call, 200, answer);
}

static void page_done(void *item)
{
    struct page *p = item;

    if (p->r < 0)
        call_fail(p->call, p->r, &p->err);
    else
        answer_page(p);
}

/* A cursor is one place, or two with a '.' between them. */
static int read_cursor(struct page *p, struct error *err)
{
    const char *text = json_get_str(p->call->query, "cursor", NULL);
    _cleanup_free_ char *first = xstrndup(text ? text : "0", strcspn(text ? text : "0", "."));
    const char *dot = text ? strchr(text, '.') : NULL;
    long long a = 0, b = 0;

    if (str_to_i64(first, 0, INT64_MAX, &a) < 0 ||
        (dot && str_to_i64(dot + 1, 0, INT64_MAX, &b) < 0) || (dot && !p->is_diff))
        return error_set(err, -EINVAL, "cursor: \"%.60s\" must be `next` of an earlier page", text);
    p->at_a = a;
    p->at_b = b;
    return 0;
}

/* Answers itself and gives NULL when the version is not there. */
static struct page *begin(struct call *call, const char *text, bool is_diff)
{
    struct page *p = xnew(struct page);
    struct error err = { 0 };

    p->call = call;
    p->is_diff = is_diff;
    p->items = json_array();
    p->limit = (size_t) json_get_int(call->query, "limit", 100);
    call->state = p;
    call->free_state = page_free;
    int r = find_version(call, text, &p->sum_a, &err);
    if (r >= 0)
        r = read_cursor(p, &err);
    if (r >= 0)
        return p;
    call_fail(call, r, &err);
    return NULL;
}

/* ---- files ---- */

static void list_work(void *item)
{
    struct page *p = item;
    _cleanup_(manifest_file_freep) struct manifest_file *f = NULL;
    const struct manifest_entry *e = NULL;

    p->r = manifest_file_open(p->call->api->options.blobs, &p->sum_a, &f, &p->err);
    if (p->r < 0)
        return;
    manifest_file_seek(f, p->at_a);
    for (int64_t at = p->at_a; (p->r = manifest_file_next(f, &e, &p->err)) > 0;
         at = manifest_file_offset(f)) {
        if (p->glob && !str_glob(p->glob, e->path))
            continue;
        if (json_array_size(p->items) == p->limit) {
            (void) snprintf(p->next, sizeof p->next, "%lld", (long long) at);
            return;
        }
        (void) json_array_append_new(p->items, file_json(e));
    }
}

static void dataset_files(struct call *call)
{
    struct page *p = begin(call, call_param(call, "dataset"), false);

    if (!p)
        return;
    p->glob = json_get_str(call->query, "glob", NULL);
    pool_submit(call->api->options.pool, list_work, page_done, p);
}

/* ---- one file ---- */

static void find_work(void *item)
{
    struct page *p = item;
    _cleanup_(manifest_file_freep) struct manifest_file *f = NULL;
    const struct manifest_entry *e = NULL;

    p->r = manifest_file_open(p->call->api->options.blobs, &p->sum_a, &f, &p->err);
    if (p->r >= 0)
        p->r = manifest_file_find(f, p->path, &e, &p->err);
    p->found = p->r > 0 && !e->link;
    if (p->found)
        p->file = e->sum;
}

static void find_done(void *item)
{
    struct page *p = item;
    struct call *call = p->call;
    struct sha256 sum = p->file;
    int64_t size = 0;

    if (p->r < 0) {
        call_fail(call, p->r, &p->err);
        return;
    }
    if (!p->found) {
        call_refuse(call, -ENOENT, "the dataset has no file '%.120s'", p->path);
        return;
    }
    int fd = blob_open(call->api->options.blobs, &sum, &size);
    if (fd < 0)
        call_refuse(call, -EIO, "the content of '%.120s' cannot be read: %s", p->path,
                    strerror(-fd));
    else
        answer_file(call, &sum, fd, size);
}

static void dataset_fetch(struct call *call)
{
    struct page *p = begin(call, call_param(call, "dataset"), false);

    if (!p)
        return;
    p->path = call_param(call, "path");
    pool_submit(call->api->options.pool, find_work, find_done, p);
}

static void dataset_manifest(struct call *call)
{
    struct error err = { 0 };
    struct sha256 sum;
    int64_t size = 0;
    int r = find_version(call, call_param(call, "dataset"), &sum, &err);
    int fd = r < 0 ? r : blob_open(call->api->options.blobs, &sum, &size);

    if (r < 0)
        call_fail(call, r, &err);
    else if (fd < 0)
        call_refuse(call, -EIO, "the manifest cannot be read: %s", strerror(-fd));
    else
        answer_file(call, &sum, fd, size);
}

/* ---- two compared ---- */

/* One side: its entry, and where that began. */
struct side {
    struct manifest_file *file;
    const struct manifest_entry *e; /* NULL: at the end */
    int64_t at;
};

static int side_next(struct side *s, struct error *err)
{
    s->at = manifest_file_offset(s->file);
    int r = manifest_file_next(s->file, &s->e, err);
    if (r == 0)
        s->e = NULL;
    return r < 0 ? r : 0;
}

static int side_open(struct page *p, const struct sha256 *sum, int64_t at, struct side *ret)
{
    int r = manifest_file_open(p->call->api->options.blobs, sum, &ret->file, &p->err);

    if (r < 0)
        return r;
    manifest_file_seek(ret->file, at);
    return side_next(ret, &p->err);
}

static bool entries_equal(const struct manifest_entry *a, const struct manifest_entry *b)
{
    return str_equal(a->link, b->link) && a->executable == b->executable &&
           (a->link || sha256_equal(&a->sum, &b->sum));
}

/* Either may be NULL: it is on one side only. */
static void add_change(struct page *p, const struct manifest_entry *a,
                       const struct manifest_entry *b)
{
    const struct manifest_entry *any = a ? a : b;
    json_t *json = json_object();

    json_put_str(json, "change", !a ? "added" : !b ? "removed" : "changed");
    if (any)
        json_put_str(json, "path", any->path);
    if (a)
        json_put(json, "before", file_json(a));
    if (b)
        json_put(json, "after", file_json(b));
    (void) json_array_append_new(p->items, json);
}

static int compare_next(struct page *p, struct side *a, struct side *b)
{
    int order = !a->e ? 1 : !b->e ? -1 : strcmp(a->e->path, b->e->path);
    bool equal = order == 0 && entries_equal(a->e, b->e);

    if (!equal && json_array_size(p->items) == p->limit) {
        (void) snprintf(p->next, sizeof p->next, "%lld.%lld", (long long) a->at, (long long) b->at);
        return 0;
    }
    if (!equal)
        add_change(p, order <= 0 ? a->e : NULL, order >= 0 ? b->e : NULL);
    int r = order <= 0 ? side_next(a, &p->err) : 0;
    return r >= 0 && order >= 0 ? side_next(b, &p->err) : r;
}

static void diff_work(void *item)
{
    struct page *p = item;
    struct side a = { 0 }, b = { 0 };

    p->r = side_open(p, &p->sum_a, p->at_a, &a);
    if (p->r >= 0)
        p->r = side_open(p, &p->sum_b, p->at_b, &b);
    while (p->r >= 0 && (a.e || b.e) && !p->next[0])
        p->r = compare_next(p, &a, &b);
    manifest_file_free(a.file);
    manifest_file_free(b.file);
}

static void dataset_diff(struct call *call)
{
    struct page *p = begin(call, call_param(call, "dataset"), true);
    struct error err = { 0 };

    if (!p)
        return;
    int r = find_version(call, json_get_str(call->query, "with", ""), &p->sum_b, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        pool_submit(call->api->options.pool, diff_work, page_done, p);
}

const struct api_route dataset_file_routes[] = {
    { "dataset.files", dataset_files },
    { "dataset.fetch", dataset_fetch },
    { "dataset.manifest", dataset_manifest },
    { "dataset.diff", dataset_diff },
    { NULL, NULL },
};
