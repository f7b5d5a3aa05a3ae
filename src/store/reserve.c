/* reserve.c - bytes set aside so that the ends of running work can be recorded on a full disk */
#include "store/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_BYTES (INT64_C(32) << 20)

struct reserve {
    int fd;
    bool held;
};

struct reserve *reserve_open(const char *path)
{
    _cleanup_free_ char *name = xasprintf("%s.reserve", path);
    int fd = store_file(name, 0, NULL);
    if (fd < 0)
        return NULL;
    struct reserve *r = xnew(struct reserve);
    r->fd = fd;
    (void) reserve_restore(r);
    return r;
}

void reserve_free(struct reserve *r)
{
    if (!r)
        return;
    safe_close(r->fd);
    free(r);
}

bool reserve_release(struct reserve *r)
{
    bool held = r->held;
    r->held = false;
    return held && ftruncate(r->fd, 0) == 0;
}

int64_t reserve_disk_free(const struct reserve *r)
{
    struct statvfs vfs;
    return fstatvfs(r->fd, &vfs) < 0 ? 0 : (int64_t) vfs.f_bavail * (int64_t) vfs.f_frsize;
}

/* Twice the room: taking the last bytes back would only give them up again. */
bool reserve_restore(struct reserve *r)
{
    if (!r->held && reserve_disk_free(r) > 2 * RESERVE_BYTES)
        r->held = posix_fallocate(r->fd, 0, RESERVE_BYTES) == 0;
    return r->held;
}
