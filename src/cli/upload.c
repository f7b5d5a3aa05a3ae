/* upload.c - send the files of a workspace that the project lacks, then its manifest */
#include "cli/pack.h"
#include "cli/progress.h"

#include "base/alloc.h"
#include "base/map.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SUMS_PER_QUESTION 5000

struct sender {
    struct cli *cli;
    const struct pack *pack;
    struct map *entries; /* digest in hex: the first entry that has it */
    VEC(const struct manifest_entry *) missing;
    struct sent_file file; /* that goes now; its bytes are those of all so far */
};

static int ask(struct sender *s, json_t *sums, struct error *err)
{
    _cleanup_json_ json_t *body = json_object(), *answer = NULL;
    _cleanup_free_ char *target = project_path(s->cli, "blobs", "missing", NULL);
    size_t i;
    const json_t *sum;

    json_put(body, "sums", json_incref(sums));
    const struct remote_call call = {
        .method = "POST", .target = target, .body = body, .asks = true
    };
    int r = remote_call(s->cli, &call, &answer, err);
    if (r < 0)
        return error_context(err, r, "asking which files to send");
    json_array_foreach(json_object_get(answer, "missing"), i, sum) {
        const char *hex = json_string_value(sum);
        const struct manifest_entry *e = hex ? map_get_str(s->entries, hex) : NULL;
        if (e)
            vec_push(&s->missing, e);
    }
    return 0;
}

static int find_missing(struct sender *s, struct error *err)
{
    const struct manifest *m = s->pack->manifest;
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_json_ json_t *sums = json_array();
    int r = 0;

    for (size_t i = 0; i < m->n && r == 0; i++) {
        struct manifest_entry *e = &m->entries[i];
        if (e->link || map_get_str(s->entries, sha256_format(&e->sum, hex)))
            continue;
        map_set_str(s->entries, hex, e);
        json_array_append_new(sums, json_string(hex));
        if (json_array_size(sums) < SUMS_PER_QUESTION)
            continue;
        r = ask(s, sums, err);
        json_array_clear(sums);
    }
    return r == 0 && json_array_size(sums) ? ask(s, sums, err) : r;
}

static int send_file(struct sender *s, const struct manifest_entry *e, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *target = project_path(s->cli, "blobs", sha256_format(&e->sum, hex), NULL);
    _cleanup_close_ int fd = open_beneath(s->pack->dirfd, e->path, O_RDONLY, 0);

    if (fd < 0)
        return error_set(err, fd, "sending %.120s: %s", e->path, strerror(-fd));
    s->file.fd = fd;
    const struct remote_call call = {
        .method = "PUT",
        .target = target,
        .content_type = "application/octet-stream",
        .read_body = sent_file_read,
        .read_len = e->size_bytes,
        .userdata = &s->file,
    };
    int r = remote_call(s->cli, &call, NULL, err);
    return r < 0 ? error_context(err, r, "sending %.80s (did it change meanwhile?)", e->path) : 0;
}

static int send_files(struct sender *s, struct error *err)
{
    int64_t total = 0;
    int r = 0;

    vec_foreach(&s->missing, e)
        total += (*e)->size_bytes;
    progress_begin(&s->file.progress, &s->cli->err, "sending", total);
    for (size_t i = 0; i < s->missing.len && r == 0; i++)
        r = send_file(s, s->missing.items[i], err);
    progress_end(&s->file.progress);
    return r;
}

struct bytes {
    const char *at;
    size_t left;
};

static ssize_t read_bytes(void *userdata, void *bytes, size_t n)
{
    struct bytes *b = userdata;

    n = n < b->left ? n : b->left;
    memcpy(bytes, b->at, n);
    b->at += n;
    b->left -= n;
    return (ssize_t) n;
}

static int send_manifest(struct sender *s, struct error *err)
{
    size_t len;
    char key[ID_TEXT_LEN + 1];
    struct id id = id_new();
    _cleanup_free_ char *text = manifest_format(s->pack->manifest, &len);
    _cleanup_free_ char *target = project_path(s->cli, "workspaces", NULL);
    struct bytes b = { text, len };
    const struct remote_call call = {
        .method = "POST",
        .target = target,
        .content_type = "text/plain",
        .read_body = read_bytes,
        .read_len = (int64_t) len,
        .userdata = &b,
        .idempotency_key = id_format(&id, key),
    };
    int r = remote_call(s->cli, &call, NULL, err);
    return r < 0 ? error_context(err, r, "making the workspace") : 0;
}

int pack_send(struct cli *cli, const struct pack *pack, size_t *ret_files, int64_t *ret_bytes,
              struct error *err)
{
    struct sender s = { .cli = cli, .pack = pack, .entries = map_new(), .file.fd = -1 };
    int r = find_missing(&s, err);

    if (r == 0)
        r = send_files(&s, err);
    if (r == 0)
        r = send_manifest(&s, err);
    if (r == 0) {
        *ret_files = s.missing.len;
        *ret_bytes = s.file.done;
    }
    vec_done(&s.missing);
    map_free(s.entries);
    return r;
}
