/* registry.c - manifests and blobs of one repository */
#include "image/transfer.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool is_loopback(const char *host)
{
    size_t n = strcspn(host, ":");

    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           (n == 9 && strncmp(host, "localhost", n) == 0);
}

int registry_new(const struct registry_options *options, struct registry **ret, struct error *err)
{
    const struct curl *curl;
    int r = curl_load(&curl, err);

    if (r < 0)
        return r;
    struct registry *registry = xnew(struct registry);
    bool plain = options->plain_http || is_loopback(options->host);
    /* The name of the default registry is not its address. */
    const char *host =
        str_equal(options->host, "docker.io") ? "registry-1.docker.io" : options->host;
    registry->curl = curl;
    registry->options = *options;
    registry->origin = xasprintf("%s://%s", plain ? "http" : "https", host);
    registry->multi = curl->multi_init();
    *ret = registry;
    return 0;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    registry->curl->multi_cleanup(registry->multi);
    if (registry->authorization)
        explicit_bzero(registry->authorization, strlen(registry->authorization));
    free(registry->authorization);
    free(registry->origin);
    free(registry);
}

static int fetch_text(struct registry *registry, const char *path, const char *accept,
                      struct text *ret, struct error *err)
{
    struct transfer t;

    transfer_init(&t, registry, path);
    t.accept = accept;
    int r = transfers_run(registry, &t, 1, NULL, NULL, err);
    if (r >= 0) {
        *ret = t.text;
        t.text = (struct text){ 0 };
    }
    transfer_done(&t);
    return r;
}

int registry_manifest(struct registry *registry, const char *reference, struct text *ret,
                      struct error *err)
{
    _cleanup_free_ char *path =
        xasprintf("/v2/%s/manifests/%s", registry->options.repository, reference);

    return fetch_text(registry, path, OCI_ACCEPT, ret, err);
}

static char *blob_path(const struct registry *registry, const struct sha256 *digest)
{
    char hex[SHA256_HEX_LEN + 1];

    return xasprintf("/v2/%s/blobs/sha256:%s", registry->options.repository,
                     sha256_format(digest, hex));
}

int registry_document(struct registry *registry, const struct oci_descriptor *what,
                      struct text *ret, struct error *err)
{
    _cleanup_free_ char *path = blob_path(registry, &what->digest);

    if (what->size > OCI_DOCUMENT_MAX)
        return error_set(err, -E2BIG, "config: has %lld bytes; at most %d are read",
                         (long long) what->size, OCI_DOCUMENT_MAX);
    int r = fetch_text(registry, path, NULL, ret, err);
    if (r < 0)
        return r;
    struct sha256 sum = sha256_of(text_str(ret), ret->len);
    if ((int64_t) ret->len != what->size || !sha256_equal(&sum, &what->digest))
        return error_set(err, -EBADMSG, "config: what came is not what the manifest promises");
    return 0;
}

/* ---- blobs ---- */

static int hash_rest(struct transfer *t, struct error *err)
{
    _cleanup_free_ char *buffer = xnew_n(char, 1 << 20);

    for (;;) {
        ssize_t n = read(t->fd, buffer, 1 << 20);
        if (n < 0)
            return error_set(err, -errno, "reading what was fetched before: %s", strerror(errno));
        if (n == 0)
            return 0;
        hasher_add(t->hasher, buffer, (size_t) n);
        t->have += n;
    }
}

/* Open HEX.part, with what an earlier try left in it. */
static int open_part(struct transfer *t, int dir, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *part = xasprintf("%s.part", sha256_format(&t->what.digest, hex));
    struct stat st;

    t->hasher = hasher_new();
    t->fd = openat(dir, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return error_set(err, -errno, "%s: %s", part, strerror(errno));
    if (st.st_size > t->what.size && ftruncate(t->fd, 0) < 0)
        return error_set(err, -errno, "%s: %s", part, strerror(errno));
    int r = hash_rest(t, err);
    if (r >= 0 && t->have == t->what.size) {
        /* Whole, but not renamed: ask for its last byte again, so that there is one way to the end. */
        t->have = 0;
        (void) hasher_end(t->hasher);
        r = ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0 ? -errno : 0;
    }
    if (r >= 0 && t->registry->options.arrived)
        t->registry->options.arrived(t->registry->options.userdata, t->have);
    return r;
}

static bool is_whole(int dir, const struct oci_descriptor *what)
{
    char hex[SHA256_HEX_LEN + 1];
    struct stat st;

    return fstatat(dir, sha256_format(&what->digest, hex), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && st.st_size == what->size;
}

struct fetching {
    int dir;
    int r;
    struct error err;
    const struct blobs_listener *listener;
};

static void on_begun(void *userdata, struct transfer *t)
{
    const struct fetching *f = userdata;

    if (f->listener->begun)
        f->listener->begun(f->listener->userdata, t->index);
}

static void tell_done(const struct blobs_listener *listener, size_t i)
{
    if (listener->done)
        listener->done(listener->userdata, i);
}

/* It appears under its name only when its bytes are on the disk. */
static void on_blob(void *userdata, struct transfer *t)
{
    struct fetching *f = userdata;
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *part = xasprintf("%s.part", sha256_format(&t->what.digest, hex));

    if (renameat(f->dir, part, f->dir, hex) < 0) {
        f->r = error_set(&f->err, -errno, "%s: %s", part, strerror(errno));
        return;
    }
    t->fd = safe_close(t->fd);
    tell_done(f->listener, t->index);
}

int registry_blobs(struct registry *registry, int dir, const struct oci_descriptor *blobs, size_t n,
                   const struct blobs_listener *listener, struct error *err)
{
    struct transfer *list = xnew_n(struct transfer, n + 1);
    struct fetching f = { .dir = dir, .listener = listener };
    size_t n_list = 0;
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++) {
        if (is_whole(dir, &blobs[i])) {
            if (registry->options.arrived)
                registry->options.arrived(registry->options.userdata, blobs[i].size);
            tell_done(listener, i);
            continue;
        }
        _cleanup_free_ char *path = blob_path(registry, &blobs[i].digest);
        struct transfer *t = &list[n_list++];
        transfer_init(t, registry, path);
        t->what = blobs[i];
        t->index = i;
        t->begun = on_begun;
        t->userdata = &f;
        r = open_part(t, dir, err);
    }
    if (r >= 0)
        r = transfers_run(registry, list, n_list, on_blob, &f, err);
    if (r >= 0 && f.r < 0) {
        r = f.r;
        if (err)
            *err = f.err;
    }
    for (size_t i = 0; i < n_list; i++)
        transfer_done(&list[i]);
    free(list);
    return r;
}
