/* download-files.c - many files in one answer (data/bundle.h), the counterpart of upload-files.c */
#include "api/blob-stream.h"

#include "base/alloc.h"
#include "data/data.h"

#include <string.h>

struct bundle {
    struct sha256 *sums;
    size_t n, next;
};

static bool next(void *owner, struct sha256 *ret)
{
    struct bundle *b = owner;

    if (b->next == b->n)
        return false;
    *ret = b->sums[b->next++];
    return true;
}

static bool head(void *owner, struct text *out, int64_t size)
{
    const struct bundle *b = owner;
    const struct bundle_head h = { b->sums[b->next - 1], size };

    bundle_head_format(out, &h);
    return true;
}

static void bundle_free(void *owner)
{
    struct bundle *b = owner;

    free(b->sums);
    free(b);
}

static void checked(void *userdata, int r, const struct sha256 *missing, size_t n,
                    const struct error *err)
{
    static const struct blob_stream_form form = {
        .media = "application/octet-stream", .next = next, .head = head, .free = bundle_free
    };
    struct call *call = userdata;
    char hex[SHA256_HEX_LEN + 1];

    if (r < 0) {
        call_fail(call, r, err);
    } else if (n > 0) {
        call_refuse(call, -ENOENT, "sums: the project lacks %zu of these files, the first is %s", n,
                    sha256_format(&missing[0], hex));
    } else {
        call->free_state = NULL;
        blob_stream_send(call, &form, call->state);
    }
}

/* What the project does not reference is not there for it, whoever else has it. */
void download_files(struct call *call)
{
    const json_t *array = json_object_get(call->body, "sums");
    struct bundle *b = xnew(struct bundle);

    b->n = json_array_size(array);
    b->sums = xnew_n(struct sha256, b->n);
    for (size_t i = 0; i < b->n; i++)
        (void) sha256_parse(json_string_value(json_array_get(array, i)), &b->sums[i]); /* checked */
    call->state = b;
    call->free_state = bundle_free;
    store_missing_blobs(call->api->options.store, &call->project, b->sums, b->n, checked, call);
}
