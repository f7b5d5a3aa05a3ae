/* content.c - what a task names comes to its node by digest, once for all tasks of the account */
#include "courier/internal.h"

#include "base/alloc.h"

#include <errno.h>

static int take_bytes(void *userdata, const char *bytes, size_t n)
{
    return blob_writer_add(userdata, bytes, n, NULL);
}

static int fetch_blob(struct home *home, struct blob_store *blobs, const struct sha256 *sum,
                      struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    char hex[SHA256_HEX_LEN + 1];

    if (blob_has(blobs, sum))
        return 0;
    int r = blob_writer_new(blobs, &writer, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *target = xasprintf("blobs/%s", sha256_format(sum, hex));
    struct http_call stream = { .on_body = take_bytes, .userdata = writer };
    const struct home_request request = { .method = "GET", .target = target, .stream = &stream };
    struct http_response response = { 0 };
    r = home_call(home, &request, &response, err);
    http_response_done(&response);
    return r < 0 ? r : blob_writer_end(writer, sum, false, NULL, NULL, err);
}

/* The list named NAME and every file in it. */
static int fetch_tree(struct home *home, struct blob_store *blobs, const struct sha256 *name,
                      struct error *err)
{
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e;
    int r = fetch_blob(home, blobs, name, err), more = 0;

    if (r >= 0)
        r = manifest_file_open(blobs, name, &file, err);
    while (r >= 0 && (more = manifest_file_next(file, &e, err)) > 0)
        if (!e->link)
            r = fetch_blob(home, blobs, &e->sum, err);
    return r < 0 ? r : more;
}

int content_fetch(struct home *home, struct blob_store *blobs, const struct task_spec *spec,
                  struct error *err)
{
    const struct workload_spec *w = spec->workload_spec;
    struct sha256 name;
    int r = 0;

    if (spec->workspace_tree && sha256_parse(spec->workspace_tree, &name) < 0)
        r = error_set(err, -EINVAL, "'%s' is no digest", spec->workspace_tree);
    else if (spec->workspace_tree)
        r = fetch_tree(home, blobs, &name, err);
    if (r < 0)
        return error_context(err, r, "workspace");
    for (size_t i = 0; i < w->n_datasets && r >= 0; i++) {
        r = fetch_tree(home, blobs, &w->datasets[i].manifest, err);
        if (r < 0)
            (void) error_context(err, r, "dataset %s@%u", w->datasets[i].name,
                                 w->datasets[i].version);
    }
    return r;
}
