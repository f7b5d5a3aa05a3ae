/* file.c - the files of a store belong to whoever owns its directory */
#include "store/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int give_to_owner(int fd, const char *path)
{
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat st;

    if (geteuid() != 0)
        return 0;
    return stat(dirname(copy), &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0 ? 0 : -errno;
}

int store_file(const char *path, int flags, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    int r = fd < 0 ? -errno : give_to_owner(fd, path);

    return r < 0 ? error_set(err, r, "%s: %s", path, strerror(-r)) : take_fd(&fd);
}
