/* dataset-verify.c - every file of a version is read again and compared with its digest
 *
 * The answer is a stream of JSON objects, a line each: {"files", "bytes"} as it goes on, {"path",
 * "problem"} for what is wrong, and at last {"files", "bytes", "wrong", "done": true}. Each piece of work
 * on the pool reads a bounded number of bytes, so a large dataset does not hold a thread.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, PIECE = 64 << 20, FILES_A_PIECE = 2000 };

struct verify {
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    struct sha256 sum;        /* of the manifest */
    struct manifest_file *file;
    struct hasher *hasher;
    char *path; /* of the open file */
    struct sha256 expected;
    int64_t size;
    bool executable, is_manifest, is_copy; /* the open file is the executable form */
    int fd;
    char *buf;
    int64_t files, bytes, wrong;
    bool busy, last;
    struct text out;
};

static void verify_free(struct verify *v)
{
    manifest_file_free(v->file);
    hasher_free(v->hasher);
    safe_close(v->fd);
    free(v->path);
    free(v->buf);
    text_done(&v->out);
    free(v);
}

static void say(struct verify *v, json_t *line)
{
    text_add_json(&v->out, line);
    text_add_char(&v->out, '\n');
    json_decref(line);
}

static void say_wrong(struct verify *v, const char *problem)
{
    json_t *line = json_object();

    v->wrong++;
    json_put_str(line, "path", v->path);
    json_put_str(line, "problem", problem);
    say(v, line);
}

static void say_where(struct verify *v, bool done)
{
    json_t *line = json_object();

    json_put_int(line, "files", v->files);
    json_put_int(line, "bytes", v->bytes);
    if (done) {
        json_put_int(line, "wrong", v->wrong);
        json_put(line, "done", json_true());
    }
    say(v, line);
}

/* ---- one file ---- */

static void begin_file(struct verify *v)
{
    int64_t size = 0;

    v->fd = v->is_copy ? blob_open_executable(v->api->options.blobs, &v->expected, &size)
                       : blob_open(v->api->options.blobs, &v->expected, &size);
    if (v->fd < 0 && v->is_copy)
        return; /* made when a job first needs it */
    if (v->fd < 0)
        say_wrong(v, v->fd == -ENOENT ? "its bytes are missing" : strerror(-v->fd));
    else if (size != v->size && !v->is_manifest)
        say_wrong(v, "its size differs");
    if (v->fd >= 0 && size != v->size && !v->is_manifest)
        v->fd = safe_close(v->fd);
}

/* The executable form of a blob is a file of its own. */
static void end_file(struct verify *v)
{
    struct sha256 sum = hasher_end(v->hasher);

    v->fd = safe_close(v->fd);
    if (!sha256_equal(&sum, &v->expected))
        say_wrong(v, v->is_copy ? "the bytes of its executable form differ from its digest"
                                : "its bytes differ from its digest");
    if (v->executable && !v->is_copy) {
        v->is_copy = true;
        begin_file(v);
    }
}

/* Bytes read. */
static int64_t read_chunk(struct verify *v)
{
    ssize_t n = read(v->fd, v->buf, CHUNK);

    if (n > 0) {
        hasher_add(v->hasher, v->buf, (size_t) n);
        v->bytes += n;
        return n;
    }
    if (n < 0) {
        (void) hasher_end(v->hasher);
        say_wrong(v, strerror(errno));
        v->fd = safe_close(v->fd);
    } else {
        end_file(v);
    }
    return 0;
}

/* ---- all of them ---- */

/* The manifest itself comes first: what it says is worth as much as its own bytes. */
static void open_manifest(struct verify *v)
{
    v->path = xstrdup("(manifest)");
    v->expected = v->sum;
    v->is_manifest = true;
    begin_file(v);
    if (v->fd < 0) {
        v->last = true;
        return;
    }
    v->file = manifest_file_new(fcntl(v->fd, F_DUPFD_CLOEXEC, 3));
}

static void open_next(struct verify *v)
{
    const struct manifest_entry *e = NULL;
    struct error err = { 0 };
    int r = manifest_file_next(v->file, &e, &err);

    v->is_manifest = v->is_copy = false;
    if (r < 0) {
        xstr_set(&v->path, "(manifest)");
        say_wrong(v, err.text);
    }
    v->last = r <= 0;
    v->files += r > 0;
    if (v->last || e->link)
        return;
    xstr_set(&v->path, e->path);
    v->expected = e->sum;
    v->size = e->size_bytes;
    v->executable = e->executable;
    begin_file(v);
}

static void work(void *item)
{
    struct verify *v = item;
    int64_t bytes = 0;

    for (int i = 0; i < FILES_A_PIECE && bytes < PIECE && !v->last;) {
        if (v->fd >= 0) {
            bytes += read_chunk(v);
            continue;
        }
        i++;
        if (v->file)
            open_next(v);
        else
            open_manifest(v);
    }
    say_where(v, v->last);
}

static void worked(void *item)
{
    struct verify *v = item;
    struct http_request *req = v->req;

    v->busy = false;
    if (!req) {
        verify_free(v);
        return;
    }
    _cleanup_text_ struct text out = v->out;
    bool last = v->last;
    v->out = (struct text){ 0 };
    if (last)
        verify_free(v);
    http_send(req, out.data, out.len, last);
}

static void proceed(void *userdata, struct http_request *req)
{
    struct verify *v = userdata;

    v->busy = true;
    pool_submit(v->api->options.pool, work, worked, v);
}

static void stop(void *userdata, struct http_request *req)
{
    struct verify *v = userdata;

    v->req = NULL;
    if (!v->busy)
        verify_free(v);
}

void dataset_verify(struct call *call)
{
    const struct dataset_version *version = NULL;
    const struct dataset *d = dataset_of_path(call, &version);

    if (!d)
        return;
    if (!version)
        version = dataset_newest(d);
    if (!version) {
        call_refuse(call, -ENOENT, "dataset '%s' has no version", d->name);
        return;
    }
    struct verify *v = xnew(struct verify);
    *v = (struct verify){ .api = call->api,
                          .sum = version->manifest,
                          .fd = -1,
                          .hasher = hasher_new(),
                          .buf = xcalloc(1, CHUNK) };
    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = v };
    v->req = call_take_request(call);
    v->api->answers[2]++;
    http_respond_stream(v->req, 200, "application/x-ndjson", -1, &generator);
}
