/* tar.c - files of a manifest as an archive */
#include "api/tar.h"

#include "api/blob-stream.h"
#include "base/alloc.h"

void tar_add_header(struct text *out, const char *path, int64_t size, bool executable)
{
    /* No times: the same files give the same archive. */
    const struct tar_entry entry = {
        .kind = TAR_FILE, .path = path, .size = size, .mode = executable ? 0755 : 0644
    };

    tar_add_entry(out, &entry);
}

struct archive {
    struct manifest *manifest;
    size_t next;
};

static bool next(void *owner, struct sha256 *ret)
{
    struct archive *a = owner;

    if (a->next == a->manifest->n)
        return false;
    *ret = a->manifest->entries[a->next++].sum;
    return true;
}

static bool head(void *owner, struct text *out, int64_t size)
{
    struct archive *a = owner;
    const struct manifest_entry *entry = &a->manifest->entries[a->next - 1];

    tar_add_header(out, entry->path, entry->size_bytes, entry->executable);
    return size == entry->size_bytes;
}

static const char zeros[2 * TAR_BLOCK];

static void tail(void *owner, struct text *out, int64_t size)
{
    text_add_bytes(out, zeros, tar_fill(size));
}

static void end(void *owner, struct text *out) { text_add_bytes(out, zeros, sizeof zeros); }

static void archive_free(void *owner)
{
    struct archive *a = owner;

    manifest_free(a->manifest);
    free(a);
}

void tar_send(struct call *call, struct manifest *manifest)
{
    static const struct blob_stream_form form = {
        .media = "application/x-tar",
        .next = next,
        .head = head,
        .tail = tail,
        .end = end,
        .free = archive_free,
    };
    struct archive *a = xnew(struct archive);

    a->manifest = manifest;
    blob_stream_send(call, &form, a);
}
