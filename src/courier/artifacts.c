/* artifacts.c - what earlier attempts of a job left comes to where the next one runs */
#include "courier/internal.h"

#include "base/alloc.h"

#include <errno.h>

static int fetch_file(const struct content *c, const struct manifest_entry *e, struct error *err)
{
    _cleanup_text_ struct text target = { 0 };

    text_add(&target, "artifacts/");
    content_add_path(&target, e->path);
    return content_fetch_blob(c, text_str(&target), &e->sum, err);
}

static int fetch_files(const struct content *c, const struct sha256 *name, struct error *err)
{
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e;
    int r = manifest_file_open(c->blobs, name, &file, err), more = 0;

    while (r >= 0 && (more = manifest_file_next(file, &e, err)) > 0)
        if (!e->link)
            r = fetch_file(c, e, err);
    return r < 0 ? r : more;
}

int artifacts_fetch(const struct content *c, char **ret, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    struct sha256 name;
    int64_t size = 0;
    int r = content_fetch_list(c, "artifacts", &name, &size, err);

    if (r >= 0 && size > 0)
        r = fetch_files(c, &name, err);
    if (r < 0)
        return error_context(err, r, "/artifacts of earlier attempts");
    xstr_set(ret, size > 0 ? sha256_format(&name, hex) : NULL);
    return 0;
}
