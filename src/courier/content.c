/* content.c - what a task names comes to its node by digest, once for all tasks of the account */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { LIST_MS = 3600 * 1000 }; /* what is large is read first */

static int take_bytes(void *userdata, const char *bytes, size_t n)
{
    return blob_writer_add(userdata, bytes, n, NULL);
}

/* Who waits finds the bytes there. The lock is one of few, by the first byte of the digest. */
static int lock_fetch(const struct content *c, const struct sha256 *sum)
{
    _cleanup_free_ char *folder = xasprintf("%s/fetching", c->spool);
    _cleanup_free_ char *path = xasprintf("%s/%02x", folder, sum->bytes[0]);

    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return -errno;
    return take_fd(&fd);
}

static int fetch(const struct content *c, const char *target, const struct sha256 *sum,
                 struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    int r = blob_writer_new(c->blobs, &writer, err);

    if (r < 0)
        return r;
    struct http_call stream = { .on_body = take_bytes, .userdata = writer };
    const struct home_request request = { .method = "GET", .target = target, .stream = &stream };
    struct http_response response = { 0 };
    r = home_call(c->home, &request, &response, err);
    http_response_done(&response);
    return r < 0 ? r : blob_writer_end(writer, sum, false, NULL, NULL, err);
}

int content_fetch_blob(const struct content *c, const char *target, const struct sha256 *sum,
                       struct error *err)
{
    if (blob_use(c->blobs, sum))
        return 0;
    _cleanup_close_ int lock = lock_fetch(c, sum);
    if (lock < 0)
        return error_set(err, lock, "%s/fetching: %s", c->spool, strerror(-lock));
    return blob_use(c->blobs, sum) ? 0 : fetch(c, target, sum, err);
}

int content_fetch_list(const struct content *c, const char *target, struct sha256 *ret,
                       int64_t *ret_size, struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    int r = blob_writer_new(c->blobs, &writer, err);

    if (r < 0)
        return r;
    struct http_call stream = { .on_body = take_bytes, .userdata = writer };
    const struct home_request request = {
        .method = "GET", .target = target, .stream = &stream, .timeout_ms = LIST_MS
    };
    struct http_response response = { 0 };
    r = home_call(c->home, &request, &response, err);
    http_response_done(&response);
    return r < 0 ? r : blob_writer_end(writer, NULL, false, ret, ret_size, err);
}

void content_add_path(struct text *t, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";

    for (; *path; path++)
        if (strchr(plain, *path))
            text_add_char(t, *path);
        else
            text_addf(t, "%%%02X", (unsigned char) *path);
}

static int fetch_named(const struct content *c, const struct sha256 *sum, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1], target[sizeof "blobs/" + SHA256_HEX_LEN];

    (void) snprintf(target, sizeof target, "blobs/%s", sha256_format(sum, hex));
    return content_fetch_blob(c, target, sum, err);
}

/* The list named NAME and every file in it. */
static int fetch_tree(const struct content *c, const struct sha256 *name, struct error *err)
{
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e;
    int r = fetch_named(c, name, err), more = 0;

    if (r >= 0)
        r = manifest_file_open(c->blobs, name, &file, err);
    while (r >= 0 && (more = manifest_file_next(file, &e, err)) > 0)
        if (!e->link)
            r = fetch_named(c, &e->sum, err);
    return r < 0 ? r : more;
}

int content_fetch(const struct content *c, const struct task_spec *spec, struct error *err)
{
    const struct workload_spec *w = spec->workload_spec;
    struct sha256 name;
    int r = 0;

    if (spec->workspace_tree && sha256_parse(spec->workspace_tree, &name) < 0)
        r = error_set(err, -EINVAL, "'%s' is no digest", spec->workspace_tree);
    else if (spec->workspace_tree)
        r = fetch_tree(c, &name, err);
    if (r < 0)
        return error_context(err, r, "workspace");
    for (size_t i = 0; i < w->n_datasets && r >= 0; i++) {
        r = fetch_tree(c, &w->datasets[i].manifest, err);
        if (r < 0)
            (void) error_context(err, r, "dataset %s@%u", w->datasets[i].name,
                                 w->datasets[i].version);
    }
    return r;
}
