/* dataset-push.c - berth dataset push: a directory becomes a version, in memory that does not grow with it
 *
 * The directory is walked once, in the order of the manifest. Files are hashed, their lines go to a file,
 * and a page of them at a time is asked about and sent (dataset-send.h). What the project has is not sent,
 * so a push that was interrupted goes on where it was. At the end the tree is looked at again: if anything
 * changed since it was hashed, nothing is committed.
 */
#include "cli/commands.h"
#include "cli/dataset-send.h"
#include "cli/progress.h"
#include "cli/scan.h"

#include "base/alloc.h"
#include "data/data.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (256 * 1024)
#define TIMEOUT_MS  600000 /* every file of it is looked at */

struct push {
    struct cli *cli;
    const char *name;
    int top;
    bool skip; /* leave out what a dataset cannot hold */
    struct hasher *hasher;
    char *buf;
    struct manifest_reader *check; /* the lines are checked as the server will */
    FILE *lines, *looks;           /* the manifest; what was seen of every file and directory */
    struct hasher *manifest_hasher;
    int64_t manifest_bytes;
    struct sender *sender; /* NULL: a dry run */
    struct progress progress;
    int64_t files, bytes, hashed_bytes;
    size_t skipped;
};

static void push_done(struct push *p)
{
    sender_free(p->sender);
    safe_close(p->top);
    hasher_free(p->hasher);
    hasher_free(p->manifest_hasher);
    manifest_reader_free(p->check);
    free(p->buf);
    if (p->lines)
        (void) fclose(p->lines);
    if (p->looks)
        (void) fclose(p->looks);
}

/* A file without a name where temporary files go. */
static FILE *spool(struct error *err)
{
    FILE *f = tmpfile();

    if (!f) {
        int r = error_set(err, -errno, "making a temporary file: %s", strerror(errno));
        (void) r;
    }
    return f;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static void note_look(struct push *p, const struct scan_item *item)
{
    const struct stat *st = item->st;

    (void) fprintf(p->looks, "%ju %jd %jd.%09ld %jd.%09ld %s", (uintmax_t) st->st_ino,
                   S_ISDIR(st->st_mode) ? (intmax_t) 0 : (intmax_t) st->st_size,
                   (intmax_t) st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                   (intmax_t) st->st_ctim.tv_sec, st->st_ctim.tv_nsec, item->path);
    (void) fputc('\0', p->looks);
}

static int add_line(struct push *p, const struct manifest_entry *e, struct error *err)
{
    _cleanup_text_ struct text line = { 0 };
    const struct manifest_entry *checked = NULL;

    manifest_format_line(&line, e);
    ssize_t n = manifest_reader_next(p->check, line.data, line.len, &checked, err);
    if (n < 0)
        return (int) n;
    hasher_add(p->manifest_hasher, line.data, line.len);
    p->manifest_bytes += (int64_t) line.len;
    if (fwrite(line.data, 1, line.len, p->lines) != line.len)
        return error_set(err, -errno, "writing a temporary file: %s", strerror(errno));
    return 0;
}

/* Hashing is half of it, sending the other. */
static void show(void *userdata)
{
    struct push *p = userdata;
    int64_t sent = p->sender ? sender_done_bytes(p->sender) : p->hashed_bytes;

    progress_show(&p->progress, p->hashed_bytes / 2 + sent / 2);
}

/* -ESTALE when the file is not of the size that was seen. */
static int hash_file(struct push *p, int fd, int64_t size, struct sha256 *ret)
{
    int64_t got = 0;

    for (;;) {
        ssize_t n = read(fd, p->buf, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int r = n < 0 ? -errno : 0;
            *ret = hasher_end(p->hasher);
            return r < 0 ? r : got == size ? 0 : -ESTALE;
        }
        hasher_add(p->hasher, p->buf, (size_t) n);
        got += n;
        p->hashed_bytes += n;
        show(p);
    }
}

static int add_file(struct push *p, const struct scan_item *item, struct error *err)
{
    struct manifest_entry e = { .path = (char *) (uintptr_t) item->path,
                                .size_bytes = item->st->st_size,
                                .executable = item->st->st_mode & 0100 };
    _cleanup_close_ int fd =
        openat(item->dirfd, item->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, -errno, "reading %.150s: %s", item->path, strerror(errno));
    int r = hash_file(p, fd, e.size_bytes, &e.sum);
    if (r == -ESTALE)
        return push_changed(item->path, err);
    if (r < 0)
        return error_set(err, r, "reading %.150s: %s", item->path, strerror(-r));
    r = add_line(p, &e, err);
    if (r < 0)
        return r;
    p->bytes += e.size_bytes;
    p->files++;
    return p->sender ? sender_add(p->sender, item->path, &e.sum, e.size_bytes, err) : 0;
}

static int add_link(struct push *p, const struct scan_item *item, struct error *err)
{
    const struct manifest_entry e = { .path = (char *) (uintptr_t) item->path,
                                      .link = (char *) (uintptr_t) item->link };
    int r = add_line(p, &e, err);

    p->files += r == 0;
    return r;
}

/* A dataset is whole or it is not made, unless it was asked to leave out what cannot go along. */
static int leave_out(struct push *p, const struct scan_item *item, int code, const char *why,
                     struct error *err)
{
    if (!p->skip)
        return error_set(err, code, "%.100s: %s (--skip leaves such out)", item->path, why);
    p->skipped++;
    print_note(p->cli, "left out %s: %s", item->path, why);
    return 0;
}

static int on_item(void *userdata, const struct scan_item *item, struct error *err)
{
    struct push *p = userdata;
    struct error why = { 0 };
    mode_t mode = item->st->st_mode;
    int r = *item->path ? manifest_path_check(item->path, &why) : 0;

    if (r >= 0 && item->link)
        r = manifest_link_check(item->path, item->link, &why);
    if (r < 0)
        return leave_out(p, item, -EINVAL, why.text, err);
    if (!S_ISREG(mode) && !S_ISLNK(mode) && !S_ISDIR(mode))
        return leave_out(p, item, -EINVAL, "it is neither file nor link nor directory", err);
    note_look(p, item);
    if (S_ISDIR(mode))
        return 0;
    return item->link ? add_link(p, item, err) : add_file(p, item, err);
}

/* ---- has it changed? --------------------------------------------------------------------------------- */

static int look_again(struct push *p, const char *line, struct error *err)
{
    char seen[160];
    struct stat st;
    const char *path = line;

    for (int i = 0; i < 4 && path; i++)
        path = strchr(path, ' ') ? strchr(path, ' ') + 1 : NULL;
    if (!path)
        return error_set(err, -EIO, "a temporary file cannot be read back");
    if (fstatat(p->top, *path ? path : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return push_changed(path, err);
    int n = snprintf(seen, sizeof seen, "%ju %jd %jd.%09ld %jd.%09ld ", (uintmax_t) st.st_ino,
                     S_ISDIR(st.st_mode) ? (intmax_t) 0 : (intmax_t) st.st_size,
                     (intmax_t) st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t) st.st_ctim.tv_sec,
                     st.st_ctim.tv_nsec);
    if (n != path - line || memcmp(seen, line, (size_t) n) != 0)
        return push_changed(*path ? path : "the directory", err);
    return 0;
}

static int check_unchanged(struct push *p, struct error *err)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    int r = 0;

    if (fflush(p->looks) != 0 || fseeko(p->looks, 0, SEEK_SET) != 0)
        return error_set(err, -errno, "writing a temporary file: %s", strerror(errno));
    while (r == 0 && getdelim(&line, &cap, '\0', p->looks) > 0)
        r = look_again(p, line, err);
    return r;
}

/* ---- the version ------------------------------------------------------------------------------------- */

static ssize_t read_lines(void *userdata, void *bytes, size_t n)
{
    struct push *p = userdata;
    size_t got = fread(bytes, 1, n, p->lines);

    return got == 0 && ferror(p->lines) ? -EIO : (ssize_t) got;
}

static int send_manifest(struct push *p, const char *hex, struct error *err)
{
    _cleanup_free_ char *target = project_path(p->cli, "blobs", hex, NULL);
    const struct remote_call call = {
        .method = "PUT",
        .target = target,
        .content_type = "application/octet-stream",
        .read_body = read_lines,
        .read_len = p->manifest_bytes,
        .userdata = p,
    };

    if (fflush(p->lines) != 0 || fseeko(p->lines, 0, SEEK_SET) != 0)
        return error_set(err, -errno, "writing a temporary file: %s", strerror(errno));
    int r = remote_call(p->cli, &call, NULL, err);
    return r < 0 ? error_context(err, r, "sending the manifest") : 0;
}

static int make_version(struct push *p, const struct args *args, const char *hex, json_t **ret,
                        struct error *err)
{
    _cleanup_free_ char *target = project_path(p->cli, "datasets", p->name, "versions", NULL);

    json_put_str(args->body, "manifest", hex);
    char key[ID_TEXT_LEN + 1];
    struct id id = id_new();
    const struct remote_call call = {
        .method = "POST",
        .target = target,
        .body = args->body,
        .idempotency_key = id_format(&id, key),
        .timeout_ms = TIMEOUT_MS,
    };
    int r = declare_check(args->endpoint->body, args->body, err);
    return r < 0 ? r : remote_call(p->cli, &call, ret, err);
}

static void report(struct push *p, const json_t *answer)
{
    const json_t *v = json_object_get(answer, "version");
    struct sender_totals sent = sender_totals(p->sender);
    char a[32], b[32];

    if (p->cli->output_given) {
        print_answer(p->cli, "dataset", answer);
        return;
    }
    (void) printf("%s@%lld\n", p->name, (long long) json_get_int(v, "number", 0));
    print_note(p->cli, "%lld file%s, %s, %lld of them sent (%s); sha256:%.12s",
               (long long) p->files, p->files == 1 ? "" : "s", bytes_to_str(p->bytes, a),
               (long long) sent.files, bytes_to_str(sent.bytes, b),
               json_get_str(v, "manifest", ""));
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static int count(void *userdata, const struct scan_item *item, struct error *err)
{
    if (S_ISREG(item->st->st_mode))
        *(int64_t *) userdata += item->st->st_size;
    return 0;
}

static int open_all(struct push *p, const char *dir, struct error *err)
{
    int64_t total = 0;

    p->top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->top < 0)
        return error_set(err, -EINVAL, "%s: %s", dir, strerror(errno));
    p->hasher = hasher_new();
    p->manifest_hasher = hasher_new();
    p->check = manifest_reader_new();
    p->buf = xcalloc(1, CHUNK_BYTES);
    p->lines = spool(err);
    p->looks = p->lines ? spool(err) : NULL;
    if (!p->looks)
        return -EIO;
    int r = p->cli->err.tty ? scan_directory(p->top, count, &total, err) : 0;
    progress_begin(&p->progress, &p->cli->err, "pushing", total);
    if (!p->cli->dry_run) {
        p->sender = sender_new(p->cli, p->top);
        sender_on_wait(p->sender, show, p);
    }
    return r;
}

static int push(struct push *p, const struct args *args, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_json_ json_t *answer = NULL;
    int r = open_all(p, args_operand(args, 1), err);

    if (r == 0)
        r = scan_directory(p->top, on_item, p, err);
    if (r == 0 && p->sender)
        r = sender_wait(p->sender, err);
    if (r == 0)
        r = check_unchanged(p, err);
    progress_end(&p->progress);
    if (r < 0)
        return r;
    struct sha256 sum = hasher_end(p->manifest_hasher);
    sha256_format(&sum, hex);
    if (p->cli->dry_run) {
        (void) printf("%s@sha256:%s\n", p->name, hex);
        return CLI_OK;
    }
    if (p->files == 0)
        return error_set(err, -EINVAL, "%s holds no file", args_operand(args, 1));
    r = send_manifest(p, hex, err);
    if (r == 0)
        r = make_version(p, args, hex, &answer, err);
    if (r == 0)
        report(p, answer);
    return r;
}

static int run_push(struct cli *cli, const struct args *args, struct error *err)
{
    struct push p = {
        .cli = cli, .name = args_operand(args, 0), .top = -1, .skip = args_has(args, "skip")
    };
    int r = name_check("NAME", p.name, err);

    if (r == 0)
        r = push(&p, args, err);
    push_done(&p);
    return r;
}

static const struct cli_flag push_flags[] = {
    { "skip", NULL, NULL,
      "leave out what a dataset cannot hold: sockets, links that lead outside" },
    { NULL },
};

const struct command command_dataset_push = {
    .noun = "dataset",
    .verb = "push",
    .operands = "NAME DIR",
    .summary =
        "Make a version of a dataset from a directory; what the project has is not sent again",
    .examples = "berth dataset push corpus data/ --message 'cleaned' --tag lang=en\n"
                "berth run --dataset corpus -- python3 train.py /datasets/corpus",
    .flags = push_flags,
    .endpoint = "upload.dataset",
    .operands_min = 2,
    .operands_max = 2,
    .run = run_push,
};
