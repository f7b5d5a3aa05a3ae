/* dataset.c - berth dataset diff, and what the commands of datasets share */
#include "cli/dataset.h"

#include "cli/commands.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- manifests -------------------------------------------------------------------------------------- */

struct arrival {
    FILE *file;
    struct hasher *hasher;
};

static int on_manifest(void *userdata, const char *bytes, size_t n)
{
    struct arrival *a = userdata;

    hasher_add(a->hasher, bytes, n);
    return fwrite(bytes, 1, n, a->file) == n ? 0 : -EIO;
}

static int receive(struct cli *cli, const char *name, const char *digest, FILE *file,
                   struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "datasets", name, "manifest", NULL);
    _cleanup_(hasher_freep) struct hasher *hasher = hasher_new();
    struct arrival a = { file, hasher };
    char hex[SHA256_HEX_LEN + 1];
    const struct remote_call call = {
        .method = "GET", .target = target, .on_body = on_manifest, .userdata = &a
    };
    int r = remote_call(cli, &call, NULL, err);

    if (r < 0)
        return r;
    struct sha256 sum = hasher_end(hasher);
    if (!str_equal(sha256_format(&sum, hex), digest))
        return error_set(err, -EBADMSG, "the manifest of %s has SHA-256 %s, not %s", name, hex,
                         digest);
    return fflush(file) == 0 ? 0 : error_set(err, -errno, "a temporary file: %s", strerror(errno));
}

int dataset_manifest_fetch(struct cli *cli, const char *text, struct dataset_manifest *ret,
                           struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "datasets", text, NULL);
    _cleanup_json_ json_t *dataset = NULL;
    int r = remote_get(cli, target, &dataset, err);

    if (r < 0)
        return r;
    const json_t *v = json_object_get(dataset, "version");
    if (!v)
        return error_set(err, -ENOENT, "dataset '%s' has no version", text);
    _cleanup_free_ char *name = xasprintf("%s@%lld", json_get_str(dataset, "name", ""),
                                          (long long) json_get_int(v, "number", 0));
    FILE *file = tmpfile();
    if (!file)
        return error_set(err, -errno, "making a temporary file: %s", strerror(errno));
    r = receive(cli, name, json_get_str(v, "manifest", ""), file, err);
    int fd = r < 0 ? -1 : dup(fileno(file));
    if (r == 0 && fd < 0)
        r = error_set(err, -errno, "a temporary file: %s", strerror(errno));
    (void) fclose(file);
    if (r < 0)
        return r;
    *ret = (struct dataset_manifest){ .name = take_ptr(name),
                                      .files = json_get_int(v, "files", 0),
                                      .size_bytes = json_get_int(v, "size", 0),
                                      .file = manifest_file_new(fd) };
    return 0;
}

void dataset_manifest_done(struct dataset_manifest *m)
{
    free(m->name);
    manifest_file_free(m->file);
}

int dataset_hash(int fd, struct hasher *hasher, void (*seen)(void *userdata, size_t n),
                 void *userdata, struct sha256 *ret)
{
    enum { CHUNK = 256 * 1024 };
    _cleanup_free_ char *buf = xcalloc(1, CHUNK);

    for (;;) {
        ssize_t n = read(fd, buf, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int r = n < 0 ? -errno : 0;
            *ret = hasher_end(hasher);
            return r;
        }
        hasher_add(hasher, buf, (size_t) n);
        if (seen)
            seen(userdata, (size_t) n);
    }
}

/* ---- diff ------------------------------------------------------------------------------------------- */

struct totals {
    long long added, removed, changed;
};

static void print_change(const struct cli *cli, const json_t *item, struct totals *totals)
{
    const char *change = json_get_str(item, "change", "");
    bool added = str_equal(change, "added"), removed = str_equal(change, "removed");
    enum style style = added ? STYLE_GREEN : removed ? STYLE_RED : STYLE_PLAIN;
    const json_t *before = json_object_get(item, "before"), *after = json_object_get(item, "after");
    _cleanup_text_ struct text line = { 0 };
    char a[32], b[32];

    totals->added += added;
    totals->removed += removed;
    totals->changed += !added && !removed;
    text_add(&line, style_begin(&cli->out, style));
    text_addf(&line, "%s ", added ? "+" : removed ? "-" : "~");
    text_add_clean(&line, json_get_str(item, "path", ""));
    text_add(&line, style_end(&cli->out, style));
    if (before && after)
        text_addf(&line, "  %s -> %s", bytes_to_str(json_get_int(before, "size", 0), a),
                  bytes_to_str(json_get_int(after, "size", 0), b));
    else
        text_addf(&line, "  %s", bytes_to_str(json_get_int(before ? before : after, "size", 0), a));
    text_add_char(&line, '\n');
    print_text(&line);
}

static int diff_page(struct cli *cli, const struct args *args, const char *cursor, json_t **ret,
                     struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "datasets", args_operand(args, 0), "diff", NULL);
    _cleanup_text_ struct text target = { 0 };

    text_addf(&target, "%s?limit=1000&with=", path);
    url_encode(&target, args_operand(args, 1), false);
    if (cursor)
        text_addf(&target, "&cursor=%s", cursor);
    return remote_get(cli, target.data, ret, err);
}

static int run_diff(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_json_ json_t *whole = json_object();
    json_t *all = json_array();
    struct totals totals = { 0 };
    _cleanup_free_ char *cursor = NULL;
    const json_t *item;
    size_t i;

    json_put(whole, "items", all);
    do {
        _cleanup_json_ json_t *page = NULL;
        int r = diff_page(cli, args, cursor, &page, err);
        if (r < 0)
            return r;
        if (cli->output == OUTPUT_TABLE)
            json_array_foreach(json_object_get(page, "items"), i, item)
                print_change(cli, item, &totals);
        else
            (void) json_array_extend(all, json_object_get(page, "items"));
        xstr_set(&cursor, json_get_str(page, "next", NULL));
    } while (cursor);
    if (cli->output == OUTPUT_TABLE)
        print_note(cli, "%lld added, %lld removed, %lld changed", totals.added, totals.removed,
                   totals.changed);
    else
        print_answer(cli, "dataset_change", whole);
    return CLI_OK;
}

const struct command command_dataset_diff = {
    .noun = "dataset",
    .verb = "diff",
    .operands = "A B",
    .summary = "Say which files differ between two versions",
    .examples = "berth dataset diff corpus@1 corpus\n"
                "berth dataset diff corpus@2 cleaned@1 -o json",
    .operands_min = 2,
    .operands_max = 2,
    .run = run_diff,
};
