/* datasets.c - data in: trees mounted read-only; data out: what the job declared of its artifacts
 *
 * A dataset is a tree of hard links (blob/tree.c), shown through a mapping that makes the project's root
 * its owner. Mount points are made below the container's root without following links: an image may have
 * any.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* ---- in ---------------------------------------------------------------------------------------------- */

/* The directory PATH below ROOT, made component by component. */
static int make_point(int root, const char *path, uid_t owner, int *ret)
{
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
    char *save = NULL;

    for (char *name = strtok_r(copy, "/", &save); name && at >= 0;
         name = strtok_r(NULL, "/", &save)) {
        bool made = mkdirat(at, name, 0755) == 0;
        if (!made && errno != EEXIST)
            return -errno;
        int next = open_beneath_nosymlink(at, name, O_RDONLY | O_DIRECTORY, 0);
        safe_close(at);
        at = next;
        if (made && at >= 0 && (fchown(at, owner, owner) < 0 || fchmod(at, 0755) < 0))
            return -errno;
    }
    if (at < 0)
        return -ENOTDIR; /* or a link, which nothing is mounted behind */
    *ret = take_fd(&at);
    return 0;
}

static int mount_one(struct supervisor *s, const struct dataset_mount *m, int root,
                     struct error *err)
{
    _cleanup_close_ int tree = -1, point = -1;
    int r = tree_open_blob(s->blobs, &m->manifest, &tree, err);

    if (r < 0)
        return r;
    r = make_point(root, m->path, s->spec->uid_base, &point);
    if (r < 0)
        return error_set(err, r, "mounting at %.120s: %s", m->path, strerror(-r));
    return rootfs_attach(tree, MOUNT_ATTR_RDONLY, s->launch->range->owner_userns, point, "", err);
}

int datasets_mount(struct supervisor *s, const char *rootfs, struct error *err)
{
    const struct workload_spec *spec = s->spec->workload_spec;
    int r = 0;

    if (!spec->n_datasets)
        return 0;
    _cleanup_close_ int root = open(rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_set(err, -errno, "%s: %s", rootfs, strerror(errno));
    for (size_t i = 0; i < spec->n_datasets && r >= 0; i++) {
        const struct dataset_mount *m = &spec->datasets[i];
        r = mount_one(s, m, root, err);
        if (r < 0)
            (void) error_context(err, r, "dataset %s@%u", m->name, m->version);
    }
    return r;
}

/* ---- out --------------------------------------------------------------------------------------------- */

/* The entries below DIR as a tree of their own. */
static int choose(const struct manifest *all, const char *dir, struct manifest *ret,
                  struct error *err)
{
    size_t len = strlen(dir);
    int r = 0;

    for (size_t i = 0; i < all->n && r >= 0; i++) {
        const struct manifest_entry *e = &all->entries[i];
        if (len && (strncmp(e->path, dir, len) != 0 || e->path[len] != '/'))
            continue;
        r = manifest_add(ret, e->path + (len ? len + 1 : 0), &e->sum, e->size_bytes, e->executable,
                         e->link, err);
    }
    return r < 0 ? r : manifest_seal(ret, err);
}

static int store(struct supervisor *s, const struct manifest *m, struct sha256 *ret,
                 struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    size_t len = 0;
    _cleanup_free_ char *text = manifest_format(m, &len);
    int r = blob_writer_new(s->blobs, &writer, err);

    if (r >= 0)
        r = blob_writer_add(writer, text, len, err);
    return r < 0 ? r : blob_writer_end(writer, NULL, true, ret, NULL, err);
}

static int collect_one(struct supervisor *s, const struct dataset_output *out,
                       const struct manifest *all, json_t *list, struct error *err)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    char hex[SHA256_HEX_LEN + 1];
    struct sha256 sum;
    int r = choose(all, out->path, m, err);

    if (r >= 0 && m->n == 0)
        r = error_set(err, -ENOENT, "/artifacts%s%.120s holds no file, so no version was made",
                      *out->path ? "/" : "", out->path);
    if (r >= 0)
        r = store(s, m, &sum, err);
    if (r < 0)
        return error_context(err, r, "output dataset %s", out->name);
    json_t *json = json_object();
    json_put_str(json, "name", out->name);
    json_put_str(json, "manifest", sha256_format(&sum, hex));
    json_put_int(json, "files", (int64_t) m->n);
    json_put_int(json, "size", m->size_bytes);
    (void) json_array_append_new(list, json);
    return 0;
}

int datasets_collect(struct supervisor *s, const struct manifest *manifest, json_t *artifacts,
                     struct error *err)
{
    const struct workload_spec *spec = s->spec->workload_spec;
    json_t *list = json_array();
    int r = 0;

    for (size_t i = 0; i < spec->n_outputs; i++) {
        int one = collect_one(s, &spec->outputs[i], manifest, list, r < 0 ? NULL : err);
        r = r < 0 ? r : one;
    }
    if (json_array_size(list))
        json_put(artifacts, "outputs", json_incref(list));
    json_decref(list);
    return r;
}
