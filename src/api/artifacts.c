/* artifacts.c - list what a job left, and fetch one file */
#include "api/internal.h"

#include "api/tar.h"
#include "base/alloc.h"
#include "os/fd.h"

#include <stdio.h>
#include <string.h>

/* ---- list ---- */

static json_t *entry_json(const struct manifest_entry *entry)
{
    char sum[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "path", entry->path);
    json_put_int(json, "size", entry->size_bytes);
    json_put_str(json, "sha256", sha256_format(&entry->sum, sum));
    json_put(json, "executable", json_boolean(entry->executable));
    return json;
}

static bool matches(const struct manifest_entry *entry, const char *glob)
{
    return !entry->link && (!glob || str_glob(glob, entry->path));
}

static void listed(void *userdata, int r, struct manifest *manifest, const struct error *err)
{
    struct call *call = userdata;
    const char *glob = json_get_str(call->query, "glob", NULL);
    const char *cursor = json_get_str(call->query, "cursor", NULL);
    size_t limit = (size_t) json_get_int(call->query, "limit", 1000);

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    json_t *answer = json_object(), *array = json_array();
    const char *last = NULL;
    for (size_t i = 0; manifest && i < manifest->n; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        if ((cursor && strcmp(entry->path, cursor) <= 0) || !matches(entry, glob))
            continue;
        if (json_array_size(array) == limit) {
            json_put_str(answer, "next", last);
            break;
        }
        (void) json_array_append_new(array, entry_json(entry));
        last = entry->path;
    }
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static void list(struct call *call, const struct workload *w)
{
    store_get_artifacts(call->api->options.store, &w->id, listed, call);
}

static void artifact_list(struct call *call) { job_find(call, list); }

/* ---- one file ---- */

/* A and B of "bytes=A-B" with one range, -1 where left out; false for anything else. */
static bool split_range(const char *text, long long *ret_first, long long *ret_last)
{
    *ret_first = *ret_last = -1;
    if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
        return false;
    const char *dash = strchr(text + 6, '-');
    if (!dash)
        return false;
    _cleanup_free_ char *before = xstrndup(text + 6, (size_t) (dash - text - 6));
    if (*before && str_to_i64(before, 0, INT64_MAX, ret_first) < 0)
        return false;
    if (dash[1] && str_to_i64(dash + 1, 0, INT64_MAX, ret_last) < 0)
        return false;
    return *before || dash[1];
}

/* One range of "bytes=A-B", "bytes=A-" or "bytes=-N" (RFC 9110, 14.1.2). 0: the whole, 1: a part,
 * -ERANGE: none of it is there. Several ranges, or another unit, give the whole. */
static int read_range(const char *text, int64_t size, int64_t *ret_start, int64_t *ret_length)
{
    long long first, last;

    *ret_start = 0;
    *ret_length = size;
    if (!split_range(text, &first, &last))
        return 0;
    if (first < 0) { /* the last N bytes */
        first = last < size ? size - last : 0;
        last = last == 0 ? -1 : size - 1;
    } else if (last < 0 || last >= size) {
        last = size - 1;
    }
    if (first > last)
        return -ERANGE;
    *ret_start = first;
    *ret_length = last - first + 1;
    return 1;
}

void answer_file(struct call *call, const struct sha256 *digest, int fd, int64_t size)
{
    char sum[SHA256_HEX_LEN + 1], tag[SHA256_HEX_LEN + 3], range[96];
    const char *known = http_header_get(call->req, "If-None-Match");
    const char *condition = http_header_get(call->req, "If-Range");
    const char *wanted = http_header_get(call->req, "Range");
    int64_t start, length;

    (void) snprintf(tag, sizeof tag, "\"%s\"", sha256_format(digest, sum));
    if (condition && strcmp(condition, tag) != 0)
        wanted = NULL;
    int r = read_range(wanted, size, &start, &length);
    struct api *api = call->api;
    struct http_request *req = call_take_request(call);
    http_add_header(req, "ETag", tag);
    http_add_header(req, "Accept-Ranges", "bytes");
    if (known && strstr(known, tag)) {
        (void) safe_close(fd);
        http_respond(req, 304, NULL, NULL, 0);
        return;
    }
    if (r < 0) {
        (void) snprintf(range, sizeof range, "bytes */%lld", (long long) size);
        http_add_header(req, "Content-Range", range);
        problem_respond(api, req, r, "the file is shorter");
        (void) safe_close(fd);
        return;
    }
    if (r == 1) {
        (void) snprintf(range, sizeof range, "bytes %lld-%lld/%lld", (long long) start,
                        (long long) (start + length - 1), (long long) size);
        http_add_header(req, "Content-Range", range);
    }
    api->answers[2]++;
    http_respond_file(req, r == 1 ? 206 : 200, "application/octet-stream", fd, start, length);
}

static void file_found(void *userdata, int r, struct manifest *manifest, const struct error *err)
{
    struct call *call = userdata;
    const char *path = call_param(call, "path");
    const struct manifest_entry *entry = manifest ? manifest_find(manifest, path) : NULL;
    int64_t size = 0;

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    if (!entry || entry->link) {
        call_refuse(call, -ENOENT, "the job left no file '%.120s'", path);
        return;
    }
    int fd = blob_open(call->api->options.blobs, &entry->sum, &size);
    if (fd < 0)
        call_refuse(call, -EIO, "the content of '%.120s' cannot be read: %s", path, strerror(-fd));
    else
        answer_file(call, &entry->sum, fd, size);
}

static void fetch(struct call *call, const struct workload *w)
{
    store_get_artifacts(call->api->options.store, &w->id, file_found, call);
}

static void artifact_fetch(struct call *call) { job_find(call, fetch); }

/* ---- for a later attempt ---- */

static void all_found(void *userdata, int r, struct manifest *manifest, const struct error *err)
{
    struct call *call = userdata;
    size_t len = 0;

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    _cleanup_free_ char *text = manifest ? manifest_format(manifest, &len) : NULL;
    call->api->answers[2]++;
    http_respond(call_take_request(call), 200, "text/plain", text ? text : "", len);
}

void task_artifacts_get(struct call *call)
{
    struct lifecycle_task task;

    if (task_of_call(call, &task))
        store_get_artifacts(call->api->options.store, &task.workload, all_found, call);
}

void task_artifact_get(struct call *call)
{
    struct lifecycle_task task;

    if (task_of_call(call, &task))
        store_get_artifacts(call->api->options.store, &task.workload, file_found, call);
}

/* ---- many files ---- */

static void archive(void *userdata, int r, struct manifest *manifest, const struct error *err)
{
    struct call *call = userdata;
    const char *glob = json_get_str(call->query, "glob", NULL);
    struct manifest *chosen = manifest_new();

    for (size_t i = 0; manifest && r >= 0 && i < manifest->n; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        if (matches(entry, glob))
            r = manifest_add(chosen, entry->path, &entry->sum, entry->size_bytes, entry->executable,
                             NULL, NULL);
    }
    if (r >= 0 && chosen->n == 0 && glob) {
        call_refuse(call, -ENOENT, "the job left no file that matches '%.120s'", glob);
    } else if (r < 0) {
        call_fail(call, r, err);
    } else {
        tar_send(call, chosen);
        return;
    }
    manifest_free(chosen);
}

static void all(struct call *call, const struct workload *w)
{
    store_get_artifacts(call->api->options.store, &w->id, archive, call);
}

static void artifact_tar(struct call *call) { job_find(call, all); }

const struct api_route artifact_routes[] = {
    { "artifact.list", artifact_list },
    { "artifact.fetch", artifact_fetch },
    { "artifact.tar", artifact_tar },
    { NULL, NULL },
};
