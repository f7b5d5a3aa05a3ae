/* registry-push.c - give blobs and manifests to a repository */
#include "image/transfer.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static int run_one(struct registry *registry, struct transfer *t, struct error *err)
{
    return transfers_run(registry, t, 1, NULL, NULL, err);
}

int registry_has_blob(struct registry *registry, const struct sha256 *digest, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *path = xasprintf("/v2/%s/blobs/sha256:%s", registry->options.repository,
                                          sha256_format(digest, hex));
    struct error ignored = { 0 };
    struct transfer t;

    transfer_init(&t, registry, path);
    t.method = "HEAD";
    int r = run_one(registry, &t, &ignored);
    transfer_done(&t);
    if (r == -ENOENT)
        return 0;
    if (r < 0 && err)
        *err = ignored;
    return r < 0 ? r : 1;
}

/* Where the bytes go: what the registry answers, which may be a path, and the digest. */
static int begin_upload(struct registry *registry, const struct sha256 *digest, char **ret,
                        struct error *err)
{
    _cleanup_free_ char *path = xasprintf("/v2/%s/blobs/uploads/", registry->options.repository);
    char hex[SHA256_HEX_LEN + 1];
    struct transfer t;

    transfer_init(&t, registry, path);
    t.method = "POST";
    t.body = "";
    int r = run_one(registry, &t, err);
    if (r >= 0 && (!t.location || !*t.location))
        r = error_set(err, -EBADMSG, "registry %s does not say where blobs are sent",
                      registry->options.host);
    else if (r >= 0)
        *ret =
            xasprintf("%s%s%cdigest=sha256:%s", *t.location == '/' ? registry->origin : "",
                      t.location, strchr(t.location, '?') ? '&' : '?', sha256_format(digest, hex));
    transfer_done(&t);
    return r;
}

int registry_push_blob(struct registry *registry, int fd, const struct oci_descriptor *what,
                       struct error *err)
{
    _cleanup_free_ char *url = NULL;
    struct transfer t;

    int r = begin_upload(registry, &what->digest, &url, err);
    if (r < 0)
        return r;
    transfer_init(&t, registry, url);
    t.method = "PUT";
    t.content_type = "application/octet-stream";
    t.body_fd = fd;
    t.what = *what;
    r = run_one(registry, &t, err);
    transfer_done(&t);
    return r;
}

int registry_push_manifest(struct registry *registry, const char *reference, const char *media_type,
                           const struct text *bytes, struct error *err)
{
    _cleanup_free_ char *path =
        xasprintf("/v2/%s/manifests/%s", registry->options.repository, reference);
    struct transfer t;

    transfer_init(&t, registry, path);
    t.method = "PUT";
    t.content_type = media_type;
    t.body = bytes->data;
    t.body_len = bytes->len;
    int r = run_one(registry, &t, err);
    transfer_done(&t);
    return r;
}
