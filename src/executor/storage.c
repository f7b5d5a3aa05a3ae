/* storage.c - where the projects' /storage lies: a file system that is declared and that every machine has, or
 * this machine's own disk
 *
 * As root, only the launcher's settings say where; what the server writes could name any place.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MEASURED_BYTES (INT64_C(32) << 20)

static const char *root_of(const struct supervisor *s)
{
    if (s->x->mode->own_ids)
        return s->x->storage;
    return s->spec->storage ? s->spec->storage->root : NULL;
}

int storage_open_root(struct supervisor *s, int *ret_fd, const char **ret_below, struct error *err)
{
    const char *root = root_of(s);
    const struct task_storage *wanted = s->spec->storage;

    if (wanted && (!root || !str_equal(root, wanted->root)))
        return error_set(err, -ESTALE, "this machine has no storage declared at %.200s",
                         wanted->root);
    _cleanup_close_ int fd = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                  : openat(s->x->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "storage %s: %s", root ? root : s->x->state, strerror(errno));
    int r = wanted ? volume_check(fd, root, wanted->mark, err) : 0;
    if (r < 0)
        return r;
    *ret_below = root ? "" : "projects/";
    *ret_fd = take_fd(&fd);
    return 0;
}

/* That it cannot be measured is no reason not to run. */
void storage_measure(struct supervisor *s, int dirfd)
{
    struct volume_speed speed;

    if (volume_measure(dirfd, MEASURED_BYTES, &speed, NULL) < 0)
        return;
    s->storage_speed = json_object();
    json_put_int(s->storage_speed, "read_bps", speed.read_bps);
    json_put_int(s->storage_speed, "write_bps", speed.write_bps);
}
