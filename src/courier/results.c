/* results.c - what a task left goes home: the files of its artifacts, then the lists of them */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { ASKED_AT_ONCE = 1000 };

struct source {
    int fd;
};

static ssize_t read_source(void *userdata, void *bytes, size_t n)
{
    struct source *source = userdata;
    ssize_t got = read(source->fd, bytes, n);

    return got < 0 ? -errno : got;
}

/* How much of it home has kept of a try that was cut off. */
static int64_t kept(struct home *home, const char *hex)
{
    _cleanup_free_ char *target = xasprintf("uploads/%s", hex);
    _cleanup_json_ json_t *answer = NULL;

    if (home_call_json(home, &(struct home_request){ .method = "GET", .target = target }, &answer,
                       NULL) < 0)
        return 0;
    return json_get_int(answer, "size", 0);
}

static int send_blob(struct carrier *c, const struct sha256 *sum, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    int64_t size = 0;
    sha256_format(sum, hex);
    _cleanup_close_ int fd = blob_open(c->blobs, sum, &size);
    if (fd < 0)
        return error_set(err, fd, "results: file %.12s is gone: %s", hex, strerror(-fd));
    int64_t from = size > ASKED_AT_ONCE ? kept(c->home, hex) : 0;
    if (from >= size || lseek(fd, from, SEEK_SET) < 0)
        from = lseek(fd, 0, SEEK_SET);

    struct source source = { fd };
    struct http_call stream = { .read_body = read_source,
                                .read_len = size - from,
                                .userdata = &source };
    _cleanup_free_ char *target =
        from ? xasprintf("blobs/%s?offset=%" PRId64, hex, from) : xasprintf("blobs/%s", hex);
    const struct home_request request = { .method = "PUT",
                                          .target = target,
                                          .stream = size ? &stream : NULL };
    _cleanup_json_ json_t *answer = NULL;
    int r = home_call_json(c->home, &request, &answer, err);
    return r == -EEXIST ? error_set(err, -EAGAIN, "results: %s", err ? err->text : hex) : r;
}

static int send_missing(struct carrier *c, json_t *sums, struct error *err)
{
    _cleanup_json_ json_t *body = json_pack("{s:O}", "sums", sums), *answer = NULL;
    _cleanup_free_ char *text = json_text(body);
    const struct home_request request = {
        .method = "POST", .target = "blobs/missing", .body = text, .body_len = strlen(text)
    };
    size_t i;
    const json_t *item;
    int r = home_call_json(c->home, &request, &answer, err);

    json_array_foreach(json_object_get(answer, "missing"), i, item) {
        struct sha256 sum;
        if (r >= 0 && json_is_string(item) && sha256_parse(json_string_value(item), &sum) == 0)
            r = send_blob(c, &sum, err);
    }
    json_array_clear(sums);
    return r;
}

/* The files of the list named HEX, then the list. */
static int send_tree(struct carrier *c, const char *hex, struct error *err)
{
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    _cleanup_json_ json_t *sums = json_array();
    const struct manifest_entry *e;
    struct sha256 name;
    char text[SHA256_HEX_LEN + 1];

    if (sha256_parse(hex, &name) < 0)
        return error_set(err, -EINVAL, "results: '%s' is no digest", hex);
    int r = manifest_file_open(c->blobs, &name, &file, err), more = 0;
    while (r >= 0 && (more = manifest_file_next(file, &e, err)) > 0) {
        if (!e->link)
            (void) json_array_append_new(sums, json_string(sha256_format(&e->sum, text)));
        if (json_array_size(sums) >= ASKED_AT_ONCE)
            r = send_missing(c, sums, err);
    }
    if (r >= 0 && more < 0)
        r = more;
    if (r >= 0)
        r = send_missing(c, sums, err);
    return r < 0 ? r : send_blob(c, &name, err);
}

int results_send(struct carrier *c, const json_t *exit, struct error *err)
{
    const json_t *artifacts = json_object_get(exit, "artifacts");
    const char *manifest = json_get_str(artifacts, "manifest", NULL);
    int r = manifest ? send_tree(c, manifest, err) : 0;
    size_t i;
    const json_t *output;

    json_array_foreach(json_object_get(artifacts, "outputs"), i, output) {
        manifest = json_get_str(output, "manifest", NULL);
        if (r >= 0 && manifest)
            r = send_tree(c, manifest, err);
    }
    manifest = json_get_str(json_object_get(exit, "storage"), "manifest", NULL);
    if (r >= 0 && manifest)
        r = send_tree(c, manifest, err);
    return r;
}
