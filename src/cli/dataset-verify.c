/* dataset-verify.c - berth dataset verify: are the bytes still those of the version?
 *
 * Without a directory the server reads what it stores; with one, that copy is compared here.
 */
#include "cli/commands.h"
#include "cli/dataset.h"
#include "cli/progress.h"
#include "cli/scan.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

struct verify {
    struct cli *cli;
    struct progress progress;
    json_t *wrong; /* [{"path", "problem"}] */
    int64_t files, bytes;
    /* of the server's stream */
    struct text line;
    bool done;
    /* of a directory */
    struct dataset_manifest manifest;
    const struct manifest_entry *e; /* the next of the manifest; NULL: the end */
    struct hasher *hasher;
};

/* Said at once: a large dataset takes its time. */
static void say_wrong(struct verify *v, const char *path, const char *problem)
{
    _cleanup_text_ struct text line = { 0 };
    json_t *item = json_object();

    json_put(item, "path", json_string_lossy(path, strlen(path)));
    json_put_str(item, "problem", problem);
    (void) json_array_append_new(v->wrong, item);
    if (v->cli->output != OUTPUT_TABLE)
        return;
    progress_end(&v->progress);
    text_add(&line, style_begin(&v->cli->out, STYLE_RED));
    text_add_clean(&line, path);
    text_add(&line, style_end(&v->cli->out, STYLE_RED));
    text_add(&line, ": ");
    text_add_clean(&line, problem);
    text_add_char(&line, '\n');
    print_text(&line);
}

static void seen(void *userdata, size_t n)
{
    struct verify *v = userdata;

    v->bytes += (int64_t) n;
    progress_show(&v->progress, v->bytes);
}

/* ---- what the server stores ------------------------------------------------------------------------- */

static int on_line(struct verify *v, const char *bytes, size_t n)
{
    _cleanup_json_ json_t *json = NULL;
    int r = json_parse(bytes, n, &json, NULL);

    if (r < 0)
        return -EBADMSG;
    const char *path = json_get_str(json, "path", NULL);
    if (path) {
        say_wrong(v, path, json_get_str(json, "problem", ""));
        return 0;
    }
    v->files = json_get_int(json, "files", 0);
    v->bytes = json_get_int(json, "bytes", 0);
    v->done = json_get_bool(json, "done", false);
    progress_show(&v->progress, v->bytes);
    return 0;
}

static int on_stream(void *userdata, const char *bytes, size_t n)
{
    struct verify *v = userdata;
    int r = 0;

    text_add_bytes(&v->line, bytes, n);
    for (char *end; r == 0 && (end = memchr(text_str(&v->line), '\n', v->line.len));) {
        size_t len = (size_t) (end - v->line.data);
        r = on_line(v, v->line.data, len);
        text_consume(&v->line, len + 1);
    }
    return r;
}

static int verify_stored(struct verify *v, const char *text, int64_t size, struct error *err)
{
    _cleanup_free_ char *target = project_path(v->cli, "datasets", text, "verify", NULL);
    const struct remote_call call = { .method = "POST",
                                      .target = target,
                                      .on_body = on_stream,
                                      .userdata = v,
                                      .timeout_ms = UINT_MAX,
                                      .asks = true };

    progress_begin(&v->progress, &v->cli->err, "verifying", size);
    int r = remote_call(v->cli, &call, NULL, err);
    progress_end(&v->progress);
    if (r == 0 && !v->done)
        r = error_set(err, -EREMOTEIO, "the server ended before the dataset was read");
    return r;
}

/* ---- a copy ------------------------------------------------------------------------------------------ */

static int next_entry(struct verify *v, struct error *err)
{
    int r = manifest_file_next(v->manifest.file, &v->e, err);

    if (r == 0)
        v->e = NULL;
    v->files += r > 0;
    return r < 0 ? r : 0;
}

static void compare(struct verify *v, const struct scan_item *item)
{
    struct sha256 sum;

    if (v->e->link) {
        if (!str_equal(v->e->link, item->link))
            say_wrong(v, item->path, "it is another link, or none");
        return;
    }
    if (!S_ISREG(item->st->st_mode)) {
        say_wrong(v, item->path, "it is not a file");
        return;
    }
    if (item->st->st_size != v->e->size_bytes) {
        say_wrong(v, item->path, "its size differs");
        return;
    }
    _cleanup_close_ int fd =
        openat(item->dirfd, item->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int r = fd < 0 ? -errno : dataset_hash(fd, v->hasher, seen, v, &sum);
    if (r < 0)
        say_wrong(v, item->path, strerror(-r));
    else if (!sha256_equal(&sum, &v->e->sum))
        say_wrong(v, item->path, "its bytes differ from its digest");
}

/* Both come in the same order: what one has alone shows. */
static int on_item(void *userdata, const struct scan_item *item, struct error *err)
{
    struct verify *v = userdata;
    int r = 0;

    if (S_ISDIR(item->st->st_mode))
        return 0;
    while (r == 0 && v->e && strcmp(v->e->path, item->path) < 0) {
        say_wrong(v, v->e->path, "it is missing");
        r = next_entry(v, err);
    }
    if (r < 0)
        return r;
    if (!v->e || strcmp(v->e->path, item->path) != 0) {
        say_wrong(v, item->path, "it is not in the dataset");
        return 0;
    }
    compare(v, item);
    return next_entry(v, err);
}

static int verify_copy(struct verify *v, const char *text, const char *dir, struct error *err)
{
    _cleanup_close_ int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (top < 0)
        return error_set(err, -EINVAL, "%s: %s", dir, strerror(errno));
    int r = dataset_manifest_fetch(v->cli, text, &v->manifest, err);
    if (r < 0)
        return r;
    v->hasher = hasher_new();
    progress_begin(&v->progress, &v->cli->err, "verifying", v->manifest.size_bytes);
    r = next_entry(v, err);
    if (r == 0)
        r = scan_directory(top, on_item, v, err);
    while (r == 0 && v->e) {
        say_wrong(v, v->e->path, "it is missing");
        r = next_entry(v, err);
    }
    progress_end(&v->progress);
    hasher_free(v->hasher);
    dataset_manifest_done(&v->manifest);
    return r;
}

/* ---- the command ------------------------------------------------------------------------------------- */

static int report(struct verify *v)
{
    size_t n = json_array_size(v->wrong);
    char buf[32];

    if (v->cli->output != OUTPUT_TABLE) {
        _cleanup_json_ json_t *answer = json_object();
        json_put_int(answer, "files", v->files);
        json_put_int(answer, "bytes", v->bytes);
        json_put(answer, "wrong", json_incref(v->wrong));
        print_json(v->cli, answer);
    } else {
        print_note(v->cli, "%lld file%s, %s read: %s", (long long) v->files,
                   v->files == 1 ? "" : "s", bytes_to_str(v->bytes, buf),
                   n ? "not all are right" : "all are right");
    }
    return n ? CLI_FAILED : CLI_OK;
}

static int run_verify(struct cli *cli, const struct args *args, struct error *err)
{
    struct verify v = { .cli = cli, .wrong = json_array() };
    const char *text = args_operand(args, 0);
    _cleanup_free_ char *target = project_path(cli, "datasets", text, NULL);
    _cleanup_json_ json_t *dataset = NULL;
    int r;

    if (args_operand(args, 1)) {
        r = verify_copy(&v, text, args_operand(args, 1), err);
    } else {
        r = remote_get(cli, target, &dataset, err);
        if (r == 0)
            r = verify_stored(&v, text,
                              json_get_int(json_object_get(dataset, "version"), "size", 0), err);
    }
    if (r == 0)
        r = report(&v);
    text_done(&v.line);
    json_decref(v.wrong);
    return r;
}

const struct command command_dataset_verify = {
    .noun = "dataset",
    .verb = "verify",
    .operands = "DATASET [DIR]",
    .summary = "Read every file again and name those that differ from their digest",
    .examples = "berth dataset verify corpus            what the server stores\n"
                "berth dataset verify corpus@2 data/    a copy of it",
    .operands_min = 1,
    .operands_max = 2,
    .run = run_verify,
};
