/* layer-store.c - see layer-store.h */
#include "executor/layer-store.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "os/fd.h"
#include "task/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Of root nobody else can write it; an account has no other. */
#define BYTES_OF_ROOT    "trusted.berth.bytes"
#define BYTES_OF_ACCOUNT "user.berth.bytes"

enum { LEFT_S = 86400 };

/* ---- making ---------------------------------------------------------------------------------------- */

static int make_aside(int layers, const char *aside, const struct layer_owner *owner, int *ret,
                      struct error *err)
{
    (void) remove_tree(layers, aside,
                       NULL); /* of a process that had this one's id, and was killed */
    if (mkdirat(layers, aside, 0755) < 0 ||
        (!owner->one && fchownat(layers, aside, LAYERS_UID, LAYERS_UID, AT_SYMLINK_NOFOLLOW) < 0))
        return error_set(err, -errno, "layers/%s: %s", aside, strerror(errno));
    *ret = open_beneath_nosymlink(layers, aside, O_RDONLY | O_DIRECTORY, 0);
    return *ret < 0 ? error_set(err, *ret, "layers/%s: %s", aside, strerror(-*ret)) : 0;
}

/* One whose size is not known is the first to go. */
static void note_bytes(int fd, int64_t bytes)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long) bytes);

    if (fsetxattr(fd, BYTES_OF_ROOT, text, (size_t) n, 0) < 0)
        (void) fsetxattr(fd, BYTES_OF_ACCOUNT, text, (size_t) n, 0);
}

static int publish(int layers, int fd, const char *aside, const struct sha256 *layer,
                   const struct unpack_result *result, struct error *err)
{
    char name[SHA256_HEX_LEN + 1];

    note_bytes(fd, result->bytes);
    if (syncfs(fd) < 0)
        return error_set(err, -errno, "writing the layer: %s", strerror(errno));
    if (renameat2(layers, aside, layers, sha256_format(layer, name), RENAME_NOREPLACE) < 0 &&
        errno != EEXIST)
        return error_set(err, -errno, "layers/%s: %s", name, strerror(errno));
    if (fsync(layers) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    return 0;
}

static int run(const struct layer_unpack *what, int root, struct unpack_result *ret,
               struct error *err)
{
    struct unpacker unpacker;
    int r = unpacker_start(what, root, &unpacker, err);

    return r < 0 ? r : unpacker_wait(&unpacker, ret, err);
}

int layer_check(const struct layer_unpack *what, struct unpack_result *ret, struct error *err)
{
    return run(what, -1, ret, err);
}

int layer_make(int layers, const char *aside, const struct layer_unpack *what,
               struct unpack_result *ret, struct error *err)
{
    _cleanup_close_ int fd = -1;

    if (layer_touch(layers, &what->layer))
        return layer_check(what, ret, err);
    int r = make_aside(layers, aside, &what->owner, &fd, err);
    if (r >= 0)
        r = run(what, fd, ret, err);
    if (r >= 0)
        r = publish(layers, fd, aside, &what->layer, ret, err);
    (void) remove_tree(layers, aside, NULL); /* renamed: nothing */
    return r;
}

/* ---- use and age ------------------------------------------------------------------------------------- */

int layer_touch(int layers, const struct sha256 *layer)
{
    const struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
    char name[SHA256_HEX_LEN + 1];

    return utimensat(layers, sha256_format(layer, name), now, AT_SYMLINK_NOFOLLOW) == 0;
}

int layer_remove(int layers, const char *name, struct error *err)
{
    _cleanup_close_ int fd = open_beneath_nosymlink(layers, name, O_RDONLY | O_DIRECTORY, 0);
    _cleanup_free_ char *gone = xasprintf("gone.%s", name);

    if (fd < 0)
        return 0;
    /* Supervisors hold what they have mounted. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    if (renameat(layers, name, layers, gone) < 0)
        return error_set(err, -errno, "layers/%s: %s", name, strerror(errno));
    int r = remove_tree(layers, gone, err);
    return r < 0 ? r : 1;
}

/* A quarter of the disk, where nothing else is said. */
int64_t layers_bytes_max(int layers, int64_t wanted)
{
    struct statvfs st;

    if (wanted > 0)
        return wanted;
    return fstatvfs(layers, &st) < 0 ? INT64_MAX : (int64_t) (st.f_blocks * st.f_frsize / 4);
}

struct kept {
    char name[SHA256_HEX_LEN + 1];
    int64_t bytes, used_s;
};

static int by_use(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;

    return x->used_s < y->used_s ? -1 : x->used_s > y->used_s;
}

static int64_t bytes_of(int fd)
{
    char text[24] = "";

    if (fgetxattr(fd, BYTES_OF_ROOT, text, sizeof text - 1) < 0)
        (void) fgetxattr(fd, BYTES_OF_ACCOUNT, text, sizeof text - 1);
    return strtoll(text, NULL, 10);
}

typedef VEC(struct kept) kept_list;

/* Of who was killed while it made or removed a layer: its id is in the name (layers.c), or it was a day ago. */
static void remove_leftover(int layers, const char *name)
{
    bool making = str_starts(name, "tmp.");
    long pid = making ? strtol(name + strlen("tmp."), NULL, 10) : 0;
    struct stat st;

    if ((!making && !str_starts(name, "gone.")) ||
        fstatat(layers, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if ((pid > 0 && kill((pid_t) pid, 0) < 0 && errno == ESRCH) ||
        time(NULL) - st.st_mtime > LEFT_S)
        (void) remove_tree(layers, name, NULL);
}

static int list_kept(int layers, kept_list *ret, int64_t *ret_bytes, struct error *err)
{
    int copy = openat(layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    struct sha256 sum;

    if (!dir)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        struct kept kept;
        struct stat st;
        _cleanup_close_ int fd = -1;
        if (sha256_parse(entry->d_name, &sum) < 0) {
            remove_leftover(layers, entry->d_name);
            continue;
        }
        fd = open_beneath_nosymlink(layers, entry->d_name, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0 || fstat(fd, &st) < 0)
            continue;
        sha256_format(&sum, kept.name);
        kept.used_s = st.st_atim.tv_sec;
        kept.bytes = bytes_of(fd);
        *ret_bytes += kept.bytes;
        vec_push(ret, kept);
    }
    (void) closedir(dir);
    return 0;
}

int layers_shed(int layers, int64_t bytes_max, int64_t min_age_s, struct error *err)
{
    kept_list list = { 0 };
    int64_t bytes = 0, now_s = (int64_t) time(NULL);
    int r = list_kept(layers, &list, &bytes, err);

    if (r >= 0 && list.len > 0)
        qsort(list.items, list.len, sizeof *list.items, by_use);
    for (size_t i = 0; r >= 0 && i < list.len && bytes > bytes_max; i++) {
        const struct kept *kept = &list.items[i];
        if (now_s - kept->used_s < min_age_s)
            break;
        r = layer_remove(layers, kept->name, err);
        bytes -= r > 0 ? kept->bytes : 0;
    }
    vec_done(&list);
    return r < 0 ? r : 0;
}
