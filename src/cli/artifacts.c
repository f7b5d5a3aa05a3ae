/* artifacts.c - berth artifacts, berth artifact get: what a job left, checked by its hashes */
#include "cli/commands.h"
#include "cli/progress.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cli_flag get_flags[] = {
    { "to", NULL, "DIR",
      "where the files go, made when missing; the current directory when left out" },
    { "tar", NULL, "FILE", "one tar archive instead; - is stdout" },
    { NULL },
};

static int list_all(struct cli *cli, const char *job, const char *glob, json_t **ret,
                    struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "jobs", job, "artifacts", NULL);
    _cleanup_json_ json_t *items = json_array();
    _cleanup_free_ char *cursor = NULL;

    for (;;) {
        _cleanup_json_ json_t *page = NULL;
        _cleanup_text_ struct text target = { 0 };
        text_addf(&target, "%s?limit=10000", path);
        if (glob) {
            text_add(&target, "&glob=");
            url_encode(&target, glob, false);
        }
        if (cursor) {
            text_add(&target, "&cursor=");
            url_encode(&target, cursor, false);
        }
        int r = remote_get(cli, target.data, &page, err);
        if (r < 0)
            return r;
        json_array_extend(items, json_object_get(page, "items"));
        xstr_set(&cursor, json_get_str(page, "next", NULL));
        if (!cursor)
            break;
    }
    *ret = json_object();
    json_put(*ret, "items", json_incref(items));
    return 0;
}

static int run_list(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_json_ json_t *list = NULL;
    int r = list_all(cli, args_operand(args, 0), args_operand(args, 1), &list, err);

    if (r < 0)
        return r;
    print_answer(cli, "artifact", list);
    return CLI_OK;
}

/* ---- fetching ------------------------------------------------------------------------------------- */

struct fetch {
    struct cli *cli;
    const char *job;
    int dirfd; /* where files go */
    int fd;    /* of the file that arrives */
    struct hasher *hasher;
    struct progress progress;
    int64_t done;
    int written; /* the first failure to write here; it is not the server's */
};

static int on_bytes(void *userdata, const char *bytes, size_t n)
{
    struct fetch *f = userdata;

    if (f->hasher)
        hasher_add(f->hasher, bytes, n);
    f->done += (int64_t) n;
    progress_show(&f->progress, f->done);
    f->written = write_full(f->fd, bytes, n);
    return f->written;
}

static int receive(struct fetch *f, const char *name, const char *target, struct error *err)
{
    const struct remote_call call = {
        .method = "GET", .target = target, .on_body = on_bytes, .userdata = f
    };
    int r = remote_call(f->cli, &call, NULL, err);
    return f->written < 0 ? error_set(err, -EIO, "writing %.120s: %s", name, strerror(-f->written))
                          : r;
}

/* The server's paths are not trusted either: nothing is written outside of the directory. */
static int make_parents(struct fetch *f, const char *path, struct error *err)
{
    _cleanup_free_ char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');

    if (path[0] == '/' || str_equal(path, "..") || str_starts(path, "../") || strstr(path, "/../"))
        return error_set(err, -EBADMSG, "the server names a file outside: %.120s", path);
    if (!slash)
        return 0;
    *slash = '\0';
    return mkdir_all(f->dirfd, dir, 0777, err);
}

/* Written beside and renamed when the hash is right; by two at once, each beside the other. */
static int fetch_file(struct fetch *f, const json_t *item, struct error *err)
{
    const char *path = json_get_str(item, "path", "");
    _cleanup_free_ char *part = xasprintf("%s.part-%d", path, (int) getpid());
    _cleanup_text_ struct text target = { 0 };
    char hex[SHA256_HEX_LEN + 1];
    mode_t mode = json_get_bool(item, "executable", false) ? 0777 : 0666;

    int r = make_parents(f, path, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd =
        open_beneath_nosymlink(f->dirfd, part, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0)
        return error_set(err, fd == -ENOENT ? -ENOTDIR : fd, "writing %.120s: %s", part,
                         strerror(-fd));
    f->fd = fd;
    _cleanup_free_ char *base = project_path(f->cli, "jobs", f->job, "artifacts", NULL);
    text_addf(&target, "%s/", base);
    url_encode(&target, path, true);
    r = receive(f, part, target.data, err);
    struct sha256 sum = hasher_end(f->hasher);
    if (r == 0 && !str_equal(sha256_format(&sum, hex), json_get_str(item, "sha256", "")))
        r = error_set(err, -EBADMSG, "%.100s arrived with SHA-256 %.16s…, not %.16s…", path, hex,
                      json_get_str(item, "sha256", ""));
    if (r == 0 && renameat(f->dirfd, part, f->dirfd, path) < 0)
        r = error_set(err, -errno == -ENOENT ? -EIO : -errno, "naming %.120s: %s", path,
                      strerror(errno));
    if (r < 0)
        (void) unlinkat(f->dirfd, part, 0);
    return r;
}

static int fetch_all(struct fetch *f, const json_t *items, struct error *err)
{
    int64_t total = 0;
    size_t i;
    const json_t *item;
    int r = 0;

    json_array_foreach(items, i, item)
        total += json_get_int(item, "size", 0);
    progress_begin(&f->progress, &f->cli->err, "fetching", total);
    json_array_foreach(items, i, item) {
        r = fetch_file(f, item, err);
        if (r < 0)
            break;
    }
    progress_end(&f->progress);
    return r;
}

static int get_files(struct cli *cli, const struct args *args, struct error *err)
{
    const char *to = args_get(args, "to") ? args_get(args, "to") : ".",
               *glob = args_operand(args, 1);
    _cleanup_json_ json_t *list = NULL;
    int r = list_all(cli, args_operand(args, 0), glob, &list, err);

    if (r < 0)
        return r;
    const json_t *items = json_object_get(list, "items");
    if (json_array_size(items) == 0)
        return error_set(err, -ENOENT, "%s has no artifact%s%s", args_operand(args, 0),
                         glob ? " that matches " : "", glob ? glob : "");
    if (cli->dry_run) {
        print_answer(cli, "artifact", list);
        return CLI_OK;
    }
    r = mkdir_all(AT_FDCWD, to, 0777, err);
    if (r < 0)
        return r;
    _cleanup_close_ int dirfd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return error_set(err, -errno, "%s: %s", to, strerror(errno));
    _cleanup_(hasher_freep) struct hasher *hasher = hasher_new();
    struct fetch f = { .cli = cli, .job = args_operand(args, 0), .dirfd = dirfd, .hasher = hasher };
    r = fetch_all(&f, items, err);
    if (r < 0)
        return r;
    char buf[32];
    print_note(cli, "%zu file%s, %s in %s; every hash is right", json_array_size(items),
               json_array_size(items) == 1 ? "" : "s", bytes_to_str(f.done, buf), to);
    return CLI_OK;
}

static int get_tar(struct cli *cli, const struct args *args, const char *file, struct error *err)
{
    bool to_stdout = strcmp(file, "-") == 0;
    _cleanup_free_ char *job = xasprintf("%s", args_operand(args, 0));
    _cleanup_free_ char *path = project_path(cli, "jobs", job, "artifacts.tar", NULL);
    _cleanup_text_ struct text target = { 0 };
    _cleanup_close_ int fd =
        to_stdout ? dup(1) : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        return error_set(err, errno == ENOENT ? -ENOTDIR : -errno, "writing %s: %s", file,
                         strerror(errno));
    text_add(&target, path);
    if (args_operand(args, 1)) {
        text_add(&target, "?glob=");
        url_encode(&target, args_operand(args, 1), false);
    }
    struct fetch f = { .cli = cli, .fd = fd };
    progress_begin(&f.progress, &cli->err, "fetching", 0);
    f.progress.shown_us = INT64_MAX / 2; /* the size is not known before */
    int r = receive(&f, file, target.data, err);
    /* Half an archive is none. But only what is a file: a device or a pipe is its owner's. */
    struct stat st;
    if (r < 0 && !to_stdout && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        (void) unlink(file);
    return r;
}

static int run_get(struct cli *cli, const struct args *args, struct error *err)
{
    const char *tar = args_get(args, "tar");

    if (tar && args_has(args, "to"))
        return error_set(err, -EINVAL, "--tar and --to exclude each other");
    return tar ? get_tar(cli, args, tar, err) : get_files(cli, args, err);
}

const struct command command_artifacts = {
    .verb = "artifacts",
    .operands = "JOB [GLOB]",
    .summary = "List what a job left in /artifacts, with hashes",
    .examples = "berth artifacts tiny-gpt\n"
                "berth artifacts tiny-gpt '*.gguf' -o json",
    .operands_min = 1,
    .operands_max = 2,
    .run = run_list,
};

const struct command command_artifact_get = {
    .noun = "artifact",
    .verb = "get",
    .operands = "JOB [GLOB]",
    .summary = "Fetch artifacts and check their hashes",
    .examples = "berth artifact get tiny-gpt --to results\n"
                "berth artifact get tiny-gpt 'checkpoints/**' --to .\n"
                "berth artifact get tiny-gpt --tar - | tar tv",
    .flags = get_flags,
    .operands_min = 1,
    .operands_max = 2,
    .run = run_get,
};
