/* dataset-pull.c - berth dataset pull: a version becomes a directory
 *
 * The manifest is walked; a file that is there with the right bytes is left alone, so that a pull that was
 * interrupted goes on where it was. Others are written beside and renamed when their digest is right, small ones
 * after many have come in one answer (dataset-receive.h).
 */
#include "cli/commands.h"
#include "cli/dataset-receive.h"
#include "cli/dataset.h"
#include "cli/progress.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct pull {
    struct cli *cli;
    struct dataset_manifest manifest;
    const char *glob;
    int top;
    struct hasher *hasher;
    struct receiver *receiver;
    struct progress progress;
    int64_t done, files, bytes;
};

static void seen(void *userdata, size_t n)
{
    struct pull *p = userdata;

    p->done += (int64_t) n;
    progress_show(&p->progress, p->done);
}

/* ---- one file --------------------------------------------------------------------------------------- */

static bool is_there(struct pull *p, const struct manifest_entry *e)
{
    struct stat st;
    struct sha256 sum;
    _cleanup_close_ int fd = open_beneath_nosymlink(p->top, e->path, O_RDONLY | O_NONBLOCK, 0);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != e->size_bytes ||
        dataset_hash(fd, p->hasher, NULL, NULL, &sum) < 0 || !sha256_equal(&sum, &e->sum))
        return false;
    mode_t mode = e->executable ? st.st_mode | (st.st_mode & 0444) >> 2 : st.st_mode & ~0111U;
    return mode == st.st_mode || fchmod(fd, mode & 07777) == 0;
}

/* A large one. */
struct alone {
    struct pull *pull;
    const struct manifest_entry *e;
    int fd;
};

static int on_bytes(void *userdata, const char *bytes, size_t n)
{
    const struct alone *a = userdata;

    hasher_add(a->pull->hasher, bytes, n);
    seen(a->pull, n);
    return write_full(a->fd, bytes, n);
}

static int fetch_alone(void *userdata, int fd, struct error *err)
{
    struct alone *a = userdata;
    struct pull *p = a->pull;
    _cleanup_free_ char *base = project_path(p->cli, "datasets", p->manifest.name, "files", NULL);
    _cleanup_text_ struct text target = { 0 };

    a->fd = fd;
    text_addf(&target, "%s/", base);
    url_encode(&target, a->e->path, true);
    const struct remote_call call = {
        .method = "GET", .target = target.data, .on_body = on_bytes, .userdata = a
    };
    int r = remote_call(p->cli, &call, NULL, err);
    struct sha256 sum = hasher_end(p->hasher);
    return r < 0 ? error_context(err, r, "%.120s", a->e->path) : receive_check(a->e, &sum, err);
}

static int fetch_file(struct pull *p, const struct manifest_entry *e, struct error *err)
{
    struct alone alone = { .pull = p, .e = e };

    p->files++;
    p->bytes += e->size_bytes;
    return receiver_takes(e) ? receiver_add(p->receiver, e, err)
                             : receive_file(p->top, e, fetch_alone, &alone, err);
}

static int make_link(struct pull *p, const struct manifest_entry *e, struct error *err)
{
    char target[4096];
    ssize_t n = readlinkat(p->top, e->path, target, sizeof target);

    if (n >= 0 && (size_t) n == strlen(e->link) && memcmp(target, e->link, (size_t) n) == 0)
        return 0;
    if (n >= 0)
        (void) unlinkat(p->top, e->path, 0);
    if (symlinkat(e->link, p->top, e->path) < 0)
        return error_set(err, -errno, "%.150s: %s", e->path, strerror(errno));
    return 0;
}

static int make_parent(struct pull *p, const char *path, struct error *err)
{
    _cleanup_free_ char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');

    if (!slash)
        return 0;
    *slash = '\0';
    int fd = open_beneath_nosymlink(p->top, dir, O_PATH | O_DIRECTORY, 0);
    if (fd >= 0) {
        safe_close(fd);
        return 0;
    }
    return fd == -ENOENT ? mkdir_all(p->top, dir, 0777, err)
                         : error_set(err, fd, "%.150s: %s", dir,
                                     fd == -ELOOP ? "a link is in the way" : strerror(-fd));
}

/* ---- all of them ------------------------------------------------------------------------------------ */

static int pull_all(struct pull *p, struct error *err)
{
    const struct manifest_entry *e = NULL;
    int r;

    while ((r = manifest_file_next(p->manifest.file, &e, err)) > 0) {
        if (p->glob && !str_glob(p->glob, e->path))
            continue;
        r = make_parent(p, e->path, err);
        if (r == 0 && e->link)
            r = make_link(p, e, err);
        else if (r == 0 && is_there(p, e))
            seen(p, (size_t) e->size_bytes);
        else if (r == 0)
            r = fetch_file(p, e, err);
        if (r < 0)
            break;
    }
    return r < 0 ? r : receiver_flush(p->receiver, err);
}

static int open_top(struct pull *p, const char *dir, struct error *err)
{
    int r = mkdir_all(AT_FDCWD, dir, 0777, err);

    if (r < 0)
        return r;
    p->top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->top < 0)
        return error_set(err, -errno, "%s: %s", dir, strerror(errno));
    p->receiver = receiver_new(p->cli, p->top, seen, p);
    return 0;
}

static int run_pull(struct cli *cli, const struct args *args, struct error *err)
{
    struct pull p = { .cli = cli, .top = -1, .glob = args_get(args, "glob") };
    const char *text = args_operand(args, 0);
    _cleanup_free_ char *name = xstrndup(text, strcspn(text, "@"));
    const char *dir = args_operand(args, 1) ? args_operand(args, 1) : name;
    char a[32], b[32];
    int r = dataset_manifest_fetch(cli, text, &p.manifest, err);

    p.hasher = hasher_new();
    if (r == 0 && cli->dry_run)
        print_note(cli, "%s has %lld files, %s", p.manifest.name, (long long) p.manifest.files,
                   bytes_to_str(p.manifest.size_bytes, a));
    if (r == 0 && !cli->dry_run) {
        progress_begin(&p.progress, &cli->err, "pulling", p.manifest.size_bytes);
        r = open_top(&p, dir, err);
        if (r == 0)
            r = pull_all(&p, err);
        progress_end(&p.progress);
        if (r == 0)
            print_note(cli, "%s is in %s: %lld file%s, %s, %lld of them fetched (%s)",
                       p.manifest.name, dir, (long long) p.manifest.files,
                       p.manifest.files == 1 ? "" : "s", bytes_to_str(p.manifest.size_bytes, a),
                       (long long) p.files, bytes_to_str(p.bytes, b));
    }
    receiver_free(p.receiver);
    hasher_free(p.hasher);
    safe_close(p.top);
    dataset_manifest_done(&p.manifest);
    return r;
}

static const struct cli_flag pull_flags[] = {
    { "glob", NULL, "PATTERN", "only paths that match; ** crosses directories" },
    { NULL },
};

const struct command command_dataset_pull = {
    .noun = "dataset",
    .verb = "pull",
    .operands = "DATASET [DIR]",
    .summary = "Fetch a version into a directory; files that are there already stay",
    .examples = "berth dataset pull corpus\n"
                "berth dataset pull corpus@2 /data/corpus --glob 'train/**'",
    .flags = pull_flags,
    .operands_min = 1,
    .operands_max = 2,
    .run = run_pull,
};
