/* spool.c - see spool.h
 *
 * Whatever a task asks for is touched (blob.h). So what is older than the beginning of every task that fetches, and
 * than the last word of every one that collects, is in nobody's hands but of tasks that run, and those have all in
 * trees, whose names their specifications say.
 */
#include "executor/spool.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "blob/blob.h"
#include "executor/layer-store.h"
#include "os/clock.h"
#include "os/fd.h"
#include "storage/storage.h"
#include "task/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define MIN_AGE_US (LAYERS_MIN_AGE_S * INT64_C(1000000))
#define TREES_MORE_US                                                                              \
    (INT64_C(3600) * 1000000) /* a tree is younger than its files, and soon made again */
#define RECORD_MAX (8 << 20)

struct kept_file {
    int64_t used_us, bytes;
};

struct spool {
    int state, attempts, running, using;
    int64_t now_us, limit_us; /* what was used since then may be somebody's */
    struct blob_store *blobs;
    struct map *keep;    /* digests in hex */
    struct map *results; /* ids of /artifacts that are in use */
    VEC(struct id) dead; /* nobody's, and nothing of them is to come home */
    VEC(struct kept_file) files;
};

/* ---- tasks ----------------------------------------------------------------------------------------- */

/* Microseconds; -1: there is none. */
static int64_t changed_us(int dirfd, const char *path)
{
    struct stat st;

    if (dirfd < 0 || fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return st.st_mtim.tv_sec * INT64_C(1000000) + st.st_mtim.tv_nsec / 1000;
}

static int64_t changed_in(const struct spool *s, const char *task, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", task, name);

    return changed_us(s->attempts, path);
}

static bool is_held(int dirfd, const char *path, bool drop)
{
    _cleanup_close_ int fd =
        dirfd < 0 ? -1 : open_beneath_nosymlink(dirfd, path, O_RDONLY | O_NONBLOCK, 0);

    if (fd < 0)
        return false;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return true;
    if (drop)
        (void) unlinkat(dirfd, path, 0);
    return false;
}

static int read_record(const struct spool *s, const char *task, const char *name, json_t **ret,
                       struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", task, name);
    _cleanup_text_ struct text text = { 0 };
    int r = file_read(s->attempts, path, RECORD_MAX, &text, err);

    return r < 0 ? r : json_parse(text_str(&text), text.len, ret, err);
}

static int read_spec(const struct spool *s, const char *task, struct task_spec **ret,
                     struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    int r = read_record(s, task, "spec.json", &json, err);

    return r < 0 ? r : task_spec_from_json(json, ret, err);
}

static const struct id *results_of(const struct task_spec *spec)
{
    return spec->gang ? &spec->gang->attempt : &spec->attempt;
}

static void keep(struct spool *s, const struct sha256 *sum)
{
    char hex[SHA256_HEX_LEN + 1];

    (void) map_set_str(s->keep, sha256_format(sum, hex), s);
}

static void keep_named(struct spool *s, const char *hex)
{
    struct sha256 sum;

    if (hex && sha256_parse(hex, &sum) >= 0)
        keep(s, &sum);
}

/* What the task has mounted, and what its changes are compared with. */
static int keep_used(struct spool *s, const char *task, struct error *err)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = NULL;
    char id[ID_TEXT_LEN + 1];
    struct sha256 list, tree;
    int r = read_spec(s, task, &spec, err);

    if (r < 0)
        return r;
    (void) map_set_str(s->results, id_format(results_of(spec), id), s);
    keep_named(s, spec->workspace_tree);
    keep_named(s, spec->artifacts);
    for (size_t i = 0; i < spec->workload_spec->n_datasets; i++)
        keep(s, &spec->workload_spec->datasets[i].manifest);
    if (!spec->push || !spec->push->list || sha256_parse(spec->push->list, &list) < 0)
        return 0;
    storage_tree_name(&list, &spec->project, &tree);
    keep(s, &list);
    keep(s, &tree);
    return 0;
}

static void keep_tree(struct spool *s, const json_t *of)
{
    const char *hex = json_get_str(of, "manifest", NULL);
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e;
    struct sha256 sum;

    if (!hex || sha256_parse(hex, &sum) < 0)
        return;
    keep(s, &sum);
    if (manifest_file_open(s->blobs, &sum, &file, NULL) < 0)
        return;
    while (manifest_file_next(file, &e, NULL) > 0)
        if (!e->link)
            keep(s, &e->sum);
}

/* Of a task whose results are not home. */
static void keep_results(struct spool *s, const char *task)
{
    _cleanup_json_ json_t *json = NULL;
    size_t i;
    const json_t *output;

    if (read_record(s, task, "exit.json", &json, NULL) < 0)
        return;
    const json_t *artifacts = json_object_get(json, "artifacts");
    keep_tree(s, artifacts);
    json_array_foreach(json_object_get(artifacts, "outputs"), i, output)
        keep_tree(s, output);
    keep_tree(s, json_object_get(json, "storage"));
}

static void judge_live(struct spool *s, const char *task)
{
    int64_t begun_us = changed_us(s->using, task);
    int64_t collects_us = changed_in(s, task, "collecting");
    bool runs = changed_in(s, task, "started") >= 0;

    if (keep_used(s, task, NULL) < 0)
        runs = false; /* then all that came since its begin may be its own */
    int64_t since_us = !runs ? begun_us : collects_us >= 0 ? collects_us : INT64_MAX;
    if (since_us < s->limit_us)
        s->limit_us = since_us;
}

static void judge(struct spool *s, const struct id *id)
{
    char task[ID_TEXT_LEN + 1];
    _cleanup_free_ char *lock = xasprintf("%s/lock", id_format(id, task));
    bool held = is_held(s->using, task, true);

    if (is_held(s->attempts, lock, false) || held) {
        judge_live(s, task);
        return;
    }
    int64_t attempt_us = changed_us(s->attempts, task), rest_us = changed_us(s->running, task);
    int64_t last_us = attempt_us > rest_us ? attempt_us : rest_us;
    if (changed_in(s, task, "exit.json") >= 0)
        keep_results(s, task);
    else if (last_us >= 0 && last_us < s->now_us - MIN_AGE_US)
        vec_push(&s->dead, *id);
}

static int judge_all(struct spool *s, int dirfd)
{
    int fd = dirfd < 0 ? -1 : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        return dirfd < 0 ? 0 : -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        struct id id;
        if (id_parse(e->d_name, &id) >= 0)
            judge(s, &id);
    }
    (void) closedir(dir);
    return 0;
}

/* The directory of the attempt goes last: what is cut short is done again. */
static int remove_dead(struct spool *s, const struct id *id, struct error *err)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = NULL;
    char task[ID_TEXT_LEN + 1], project[ID_TEXT_LEN + 1], results[ID_TEXT_LEN + 1];
    int r = remove_tree(s->running, id_format(id, task), err);

    if (r >= 0 && read_spec(s, task, &spec, NULL) >= 0 &&
        !map_get_str(s->results, id_format(results_of(spec), results))) {
        _cleanup_free_ char *path =
            xasprintf("projects/%s/artifacts/%s", id_format(&spec->project, project), results);
        r = remove_tree(s->state, path, err);
    }
    return r < 0 ? r : remove_tree(s->attempts, task, err);
}

/* ---- files ----------------------------------------------------------------------------------------- */

static int list_shard(struct spool *s, int blobs, unsigned shard)
{
    char name[3];

    (void) snprintf(name, sizeof name, "%02x", shard & 0xff);
    int fd = open_beneath_nosymlink(blobs, name, O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return fd == -ENOENT ? 0 : fd < 0 ? fd : -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        struct kept_file file = { st.st_mtim.tv_sec * INT64_C(1000000) + st.st_mtim.tv_nsec / 1000,
                                  st.st_blocks * 512 };
        vec_push(&s->files, file);
    }
    (void) closedir(dir);
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct kept_file *x = a, *y = b;

    return x->used_us > y->used_us ? -1 : x->used_us < y->used_us;
}

/* What was used before is more than BYTES_MAX can hold; 0: it can hold all. */
static int64_t too_old_us(struct spool *s, int64_t bytes_max)
{
    int64_t bytes = 0;

    if (s->files.len > 0)
        qsort(s->files.items, s->files.len, sizeof *s->files.items, newest_first);
    vec_foreach(&s->files, file) {
        bytes += file->bytes;
        if (bytes > bytes_max)
            return file->used_us + 1;
    }
    return 0;
}

struct keeping {
    const struct spool *spool;
    int blobs;
};

static bool is_kept(const void *userdata, const struct sha256 *sum)
{
    char hex[SHA256_HEX_LEN + 1];
    const struct keeping *k = userdata;

    return map_get_str(k->spool->keep, sha256_format(sum, hex)) != NULL;
}

/* A file that lies in a tree stays on the disk with it: under its name somebody can still find it. */
static bool is_kept_file(const void *userdata, const struct sha256 *sum)
{
    const struct keeping *k = userdata;
    char hex[SHA256_HEX_LEN + 1];
    struct stat plain = { 0 }, executable = { 0 };

    if (is_kept(userdata, sum))
        return true;
    sha256_format(sum, hex);
    _cleanup_free_ char *name = xasprintf("%.2s/%s", hex, hex + 2);
    _cleanup_free_ char *other = xasprintf("%s.x", name);
    (void) fstatat(k->blobs, name, &plain, AT_SYMLINK_NOFOLLOW);
    (void) fstatat(k->blobs, other, &executable, AT_SYMLINK_NOFOLLOW);
    return plain.st_nlink > 1 || executable.st_nlink > 1;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int shed(struct spool *s, int blobs, int64_t bytes_max, struct error *err)
{
    const struct keeping keeping = { s, blobs };
    int64_t bytes = 0;
    int r = 0;

    for (unsigned i = 0; i < BLOB_SHARDS && r >= 0; i++)
        r = list_shard(s, blobs, i);
    if (r < 0)
        return error_set(err, r, "blobs: %s", strerror(-r));
    int64_t before_us = too_old_us(s, bytes_max);
    if (before_us == 0)
        return 0;
    struct blob_sweep sweep = { .before_us = earlier(before_us + TREES_MORE_US, s->limit_us),
                                .keep = is_kept,
                                .userdata = &keeping };
    r = tree_sweep(s->blobs, &sweep, err);
    sweep.before_us = earlier(before_us, s->limit_us);
    sweep.keep = is_kept_file;
    for (unsigned i = 0; i < BLOB_SHARDS && r >= 0; i++)
        r = blob_sweep(s->blobs, i, &sweep, &bytes, err);
    return r < 0 ? r : 0;
}

/* ---- all ------------------------------------------------------------------------------------------- */

/* The lock of who sweeps; -EALREADY: it is being done, or was of late. */
static int begin(struct spool *s)
{
    bool is_new = changed_us(s->state, "swept") < 0;
    _cleanup_close_ int fd =
        openat(s->state, "swept", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -EALREADY;
    if (!is_new && changed_us(s->state, "swept") > s->now_us - MIN_AGE_US)
        return -EALREADY;
    return futimens(fd, NULL) < 0 ? -errno : take_fd(&fd);
}

static int sweep(struct spool *s, const char *state, int64_t bytes_max, struct error *err)
{
    int r = blob_store_open(state, &s->blobs, err);
    if (r < 0)
        return r;
    _cleanup_close_ int blobs =
        open_beneath_nosymlink(s->state, "blobs", O_RDONLY | O_DIRECTORY, 0);
    r = blobs < 0 ? blobs : judge_all(s, s->attempts);
    if (r >= 0)
        r = judge_all(s, s->running);
    if (r >= 0)
        r = judge_all(s, s->using);
    if (r < 0)
        return error_set(err, r, "%s: %s", state, strerror(-r));
    r = shed(s, blobs, bytes_max, err);
    for (size_t i = 0; i < s->dead.len; i++) {
        struct error why = { 0 };
        int gone = remove_dead(s, &s->dead.items[i], &why);
        if (r >= 0 && gone < 0)
            r = error_set(err, gone, "%s", why.text);
    }
    return r;
}

static int open_part(const struct spool *s, const char *name)
{
    return open_beneath_nosymlink(s->state, name, O_RDONLY | O_DIRECTORY, 0);
}

int spool_sweep(const char *state, int64_t bytes_max, struct error *err)
{
    int64_t now_us = clock_now_us();
    _cleanup_close_ int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct spool s = { .state = fd, .now_us = now_us, .limit_us = now_us - MIN_AGE_US };

    if (fd < 0)
        return error_set(err, -errno, "%s: %s", state, strerror(errno));
    _cleanup_close_ int lock = begin(&s);
    if (lock < 0)
        return lock == -EALREADY ? 0 : error_set(err, lock, "%s/swept: %s", state, strerror(-lock));
    _cleanup_close_ int attempts = open_part(&s, "attempts"), running = open_part(&s, "running"),
                        using = open_part(&s, "using");
    s.attempts = attempts;
    s.running = running;
    s.using = using;
    s.keep = map_new();
    s.results = map_new();
    int r = sweep(&s, state, layers_bytes_max(fd, bytes_max), err);
    map_free(s.keep);
    map_free(s.results);
    vec_done(&s.dead);
    vec_done(&s.files);
    blob_store_close(s.blobs);
    return r;
}
