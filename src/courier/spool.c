/* spool.c - files that are kept for tasks to come: those of this one are held, and too many are swept
 *
 * Who sweeps is the keeper of layers, which has the rights to (executor/spool.h).
 */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* -ESTALE: who sweeps has just removed it. */
static int hold(const char *path)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

    if (fd < 0 || flock(fd, LOCK_SH) < 0 || fstat(fd, &st) < 0)
        return -errno;
    return st.st_nlink > 0 ? take_fd(&fd) : -ESTALE;
}

int spool_hold(const char *spool, const char *task, struct error *err)
{
    _cleanup_free_ char *folder = xasprintf("%s/using", spool);
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, task);
    int r = mkdir(folder, 0711) < 0 && errno != EEXIST ? -errno : -ESTALE;

    while (r == -ESTALE)
        r = hold(path);
    return r < 0 ? error_set(err, r, "%s: %s", path, strerror(-r)) : r;
}

int spool_release(const char *spool, const char *task, int held)
{
    _cleanup_free_ char *path = xasprintf("%s/using/%s", spool, task);

    if (held < 0)
        return -1;
    (void) unlink(path);
    return safe_close(held);
}

/* That it cannot be swept is no task's concern: the next one tries again. */
void spool_tidy(const char *spool, const struct courier_layers *place)
{
    _cleanup_free_ char *path = xasprintf("%s/swept", spool);
    struct stat st;

    if (lstat(path, &st) == 0 && clock_now_us() / 1000000 - st.st_mtim.tv_sec < LAYERS_MIN_AGE_S)
        return;
    if (place->sweep)
        (void) place->sweep(place->userdata, NULL);
}
