/* storage-push.c - /storage where the nodes share none: what it was at the start, read-only, and above it a layer that
 * the task writes and that goes home at its end
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#define LAYER           "storage"
#define SPEED_BYTES_MIN (1 << 20)

/* Who owns the blobs is the project's first uid; the others are themselves. */
static int map_owners(const struct supervisor *s, int *ret, struct error *err)
{
    uint32_t base = s->spec->uid_base;
    const struct userns_map maps[] = { { s->x->owner, s->x->group, base, 1 },
                                       { base + 1, base + 1, base + 1, UIDS_PER_PROJECT - 1 } };

    return s->x->mode->own_ids ? userns_make_two(maps, ret, err) : 0;
}

static int open_tree_of(struct supervisor *s, const struct sha256 *list, int *ret,
                        struct error *err)
{
    const struct storage_tree tree = { .blobs = s->blobs,
                                       .list = list,
                                       .project = &s->spec->project,
                                       .uid_base = s->spec->uid_base,
                                       .own_ids = s->x->mode->own_ids };

    return storage_tree_open(&tree, ret, err);
}

static int mount_above(struct supervisor *s, const struct sha256 *list, const char *target,
                       struct error *err)
{
    _cleanup_free_ char *at = xasprintf("%s/storage", s->x->bundle);
    _cleanup_close_ int tree = -1, userns = -1;
    int r = open_tree_of(s, list, &tree, err);

    if (r >= 0)
        r = map_owners(s, &userns, err);
    if (r >= 0 && mkdir(at, 0711) < 0)
        r = error_set(err, -errno, "%s: %s", at, strerror(errno));
    if (r >= 0)
        r = rootfs_attach(tree, MOUNT_ATTR_RDONLY, userns, AT_FDCWD, at, err);
    if (r < 0)
        return r;
    _cleanup_close_ int lower = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return lower < 0 ? error_set(err, -errno, "%s: %s", at, strerror(errno))
                     : rootfs_overlay(s, &lower, 1, LAYER, target, err);
}

static int open_layer(const struct supervisor *s)
{
    _cleanup_free_ char *path = xasprintf("%s/" LAYER, s->name);

    return open_beneath_nosymlink(s->x->running_fd, path, O_RDONLY | O_DIRECTORY, 0);
}

/* Little says nothing about it. */
static void note_speed(struct supervisor *s)
{
    const struct task_push *push = s->spec->push;

    if (push->bytes < SPEED_BYTES_MIN || push->time_us <= 0)
        return;
    s->storage_speed = json_object();
    json_put_int(s->storage_speed, "sent_bps",
                 (int64_t) ((double) push->bytes * 1e6 / (double) push->time_us));
}

int storage_mount_pushed(struct supervisor *s, const char *target, struct error *err)
{
    const struct owner all = { s->spec->uid_base, s->spec->uid_base,
                               s->user.uid == 0 ? 0755 : 0777 };
    const char *hex = s->spec->push->list;
    struct sha256 list;
    int r = rootfs_layer(s, LAYER, &all, err);

    note_speed(s);
    if (r >= 0 && hex && sha256_parse(hex, &list) == 0)
        r = mount_above(s, &list, target, err);
    if (r >= 0 && !hex) { /* nothing lies below */
        _cleanup_close_ int fd = open_layer(s);
        r = fd < 0 ? error_set(err, fd, "its layer: %s", strerror(-fd))
                   : rootfs_attach(fd, 0, -1, AT_FDCWD, target, err);
    }
    return r < 0 ? error_context(err, r, "/storage") : 0;
}

/* ---- the end -------------------------------------------------------------------------------------------- */

static int open_list(struct supervisor *s, struct storage_list *ret, struct error *err)
{
    struct sha256 sum;
    const char *hex = s->spec->push->list;

    *ret = (struct storage_list){ 0 };
    if (!hex)
        return 0;
    _cleanup_close_ int fd =
        sha256_parse(hex, &sum) < 0 ? -EINVAL : blob_open(s->blobs, &sum, NULL);
    return fd < 0 ? error_set(err, fd, "what it was at the start: %s", strerror(-fd))
                  : storage_list_open(fd, ret, err);
}

static void put_result(struct task_exit *ex, const struct sha256 *manifest,
                       const struct storage_counts *counts)
{
    char hex[SHA256_HEX_LEN + 1];

    json_put_str(ex->storage, "manifest", sha256_format(manifest, hex));
    json_put_int(ex->storage, "files", counts->files);
    json_put_int(ex->storage, "bytes", counts->bytes);
    if (counts->left_out)
        json_put_int(ex->storage, "left_out", counts->left_out);
}

void storage_collect(struct supervisor *s, struct task_exit *ex)
{
    struct storage_list list = { 0 };
    struct storage_counts counts = { 0 };
    struct sha256 manifest;
    struct error err = { 0 };
    _cleanup_close_ int upper = s->spec->push && s->blobs ? open_layer(s) : -1;

    if (upper < 0)
        return;
    int r = open_list(s, &list, &err);
    const struct storage_changes changes = {
        .upper = upper,
        .xattr = s->x->mode->own_ids ? "trusted.overlay.opaque" : "user.overlay.opaque",
        .list = &list,
        .uid_base = s->spec->uid_base,
        .own_ids = s->x->mode->own_ids,
        .blobs = s->blobs,
    };
    if (r >= 0)
        r = storage_changes(&changes, &manifest, &counts, &err);
    storage_list_done(&list);
    if (r == 0)
        return;
    ex->storage = json_object();
    if (r > 0)
        put_result(ex, &manifest, &counts);
    else
        json_put_str(ex->storage, "error", err.text);
}
