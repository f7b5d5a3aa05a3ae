/* results.c - /artifacts on a node of a batch system: of one attempt, beginning with what the earlier ones left
 *
 * On a machine of ours all attempts of a job share one directory. What an attempt that was given up left on a node
 * is seen by nobody: the next one gets what came home, wherever it runs.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

char *results_path(const struct supervisor *s)
{
    const struct task_spec *spec = s->spec;
    const struct id *attempt = spec->gang ? &spec->gang->attempt : &spec->attempt;
    char project[ID_TEXT_LEN + 1], name[ID_TEXT_LEN + 1];

    return xasprintf("projects/%s/artifacts/%s", id_format(&spec->project, project),
                     id_format(spec->is_away ? attempt : &spec->workload, name));
}

static int give(const struct owner *owner, int fd, mode_t mode)
{
    return fchown(fd, owner->uid, owner->gid) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

static int enter(int root, const char *path, const struct owner *owner, int *ret)
{
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
    char *last = strrchr(copy, '/'), *save = NULL;
    int r = at < 0 ? -errno : 0;

    if (last)
        *last = '\0';
    for (char *name = last ? strtok_r(copy, "/", &save) : NULL; name && r >= 0;
         name = strtok_r(NULL, "/", &save)) {
        bool made = mkdirat(at, name, 0700) == 0;
        int next = open_beneath_nosymlink(at, name, O_RDONLY | O_DIRECTORY, 0);
        safe_close(at);
        at = next;
        r = next < 0 ? next : made ? give(owner, next, 0755) : 0;
    }
    if (r >= 0)
        *ret = take_fd(&at);
    return r;
}

static int bring_file(struct supervisor *s, int root, const struct manifest_entry *e,
                      const struct owner *owner)
{
    const char *slash = strrchr(e->path, '/');
    _cleanup_close_ int dir = -1;
    int r = enter(root, e->path, owner, &dir);

    if (r < 0 || e->link)
        return r;
    _cleanup_close_ int fd = openat(dir, slash ? slash + 1 : e->path,
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : blob_copy(s->blobs, &e->sum, fd, NULL);
    return r < 0 ? r : give(owner, fd, e->executable ? 0755 : 0644);
}

static int bring_all(struct supervisor *s, int root, const struct owner *owner, struct error *err)
{
    _cleanup_(manifest_file_freep) struct manifest_file *file = NULL;
    const struct manifest_entry *e;
    struct sha256 name;
    int r = sha256_parse(s->spec->artifacts, &name), one = 0;

    if (r >= 0)
        r = manifest_file_open(s->blobs, &name, &file, err);
    while (r >= 0 && one >= 0 && (r = manifest_file_next(file, &e, err)) > 0)
        one = bring_file(s, root, e, owner);
    if (one < 0)
        return error_set(err, one, "%.120s: %s", e->path, strerror(-one));
    return r < 0 ? r : give(owner, root, owner->mode);
}

/* Whole under its name or not there: of two tasks one brings it. */
int results_bring(struct supervisor *s, const struct owner *owner, struct error *err)
{
    _cleanup_free_ char *path = results_path(s);
    _cleanup_free_ char *fresh = xasprintf("%s/results", s->name);
    _cleanup_free_ char *parent = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    if (faccessat(s->x->state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    int r = mkdir_all(s->x->state_fd, parent, 0711, err);
    if (r >= 0 && mkdirat(s->x->running_fd, fresh, 0700) < 0)
        r = error_set(err, -errno, "%s: %s", fresh, strerror(errno));
    if (r < 0)
        return r;
    _cleanup_close_ int root =
        open_beneath_nosymlink(s->x->running_fd, fresh, O_RDONLY | O_DIRECTORY, 0);
    r = root < 0 ? root : bring_all(s, root, owner, err);
    if (r >= 0 && renameat2(s->x->running_fd, fresh, s->x->state_fd, path, RENAME_NOREPLACE) < 0 &&
        errno != EEXIST)
        r = error_set(err, -errno, "%s: %s", path, strerror(errno));
    return r < 0 ? error_context(err, r, "/artifacts of earlier attempts") : 0;
}

void results_drop(struct supervisor *s, const json_t *collected)
{
    _cleanup_free_ char *path = s->spec->is_away ? results_path(s) : NULL;
    bool whole = !json_object_get(collected, "error") && !json_object_get(collected, "skipped");

    if (path && s->blobs && whole)
        (void) remove_tree(s->x->state_fd, path, NULL);
}
