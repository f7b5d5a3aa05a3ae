/* fd.c - whole reads and writes, atomic replacement, opening beneath a directory */
#include "os/fd.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int safe_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        /* Linux has released the descriptor even when close says EINTR. */
        (void) close(fd);
        errno = saved;
    }
    return -1;
}

static int read_all(int fd, size_t limit, struct text *ret)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && (size_t) st.st_size > limit)
        return -EFBIG;
    for (;;) {
        size_t want = ret->len < 4096 ? 4096 : ret->len;
        ssize_t n = read(fd, text_reserve(ret, want), want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        ret->len += (size_t) n;
        ret->data[ret->len] = '\0';
        if (ret->len > limit)
            return -EFBIG;
        if (n == 0)
            return 0;
    }
}

/* A socket cannot be opened by its name, and stdin is one where Node.js or inetd start us. */
static int open_to_read(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 && errno == ENXIO && strcmp(path, "/dev/stdin") == 0)
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    return fd;
}

int file_read(int dirfd, const char *path, size_t limit, struct text *ret, struct error *err)
{
    _cleanup_close_ int fd = open_to_read(dirfd, path);
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));

    int r = read_all(fd, limit, ret);
    if (r == -EFBIG)
        return error_set(err, r, "%s is larger than %zu bytes", path, limit);
    if (r < 0)
        return error_set(err, r, "reading %s: %s", path, strerror(-r));
    return 0;
}

int write_full(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        p += k;
        n -= (size_t) k;
    }
    return 0;
}

int read_full(int fd, void *bytes, size_t n)
{
    char *p = bytes;

    while (n) {
        ssize_t k = read(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0)
            return -EPIPE;
        p += k;
        n -= (size_t) k;
    }
    return 0;
}

static int sync_parent(int dirfd, const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *parent =
        slash ? xstrndup(path, (size_t) (slash - path) + 1) : xstrdup(".");
    _cleanup_close_ int fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int fill_temporary(int fd, mode_t mode, const void *bytes, size_t len, bool sync)
{
    int r = write_full(fd, bytes, len);
    if (r < 0)
        return r;
    /* fchmod: the umask does not matter. */
    if (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0))
        return -errno;
    return 0;
}

int file_replace(int dirfd, const char *path, mode_t mode, const void *bytes, size_t len, bool sync,
                 struct error *err)
{
    static unsigned serial;
    _cleanup_free_ char *tmp = xasprintf("%s.%d.%u.tmp", path, (int) getpid(),
                                         __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED));
    int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, -errno, "writing %s: %s", path, strerror(errno));

    int r = fill_temporary(fd, mode, bytes, len, sync);
    safe_close(fd);
    if (r >= 0 && renameat(dirfd, tmp, dirfd, path) < 0)
        r = -errno;
    if (r < 0) {
        (void) unlinkat(dirfd, tmp, 0);
        return error_set(err, r, "writing %s: %s", path, strerror(-r));
    }
    r = sync ? sync_parent(dirfd, path) : 0;
    if (r < 0)
        return error_set(err, r, "writing the directory of %s: %s", path, strerror(-r));
    return 0;
}

static int open_how(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = resolve,
    };
    for (;;) {
        long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);
        if (fd >= 0)
            return (int) fd;
        /* EAGAIN: a rename raced with the resolution (openat2(2)). */
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

int open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
    return open_how(dirfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int open_beneath_nosymlink(int dirfd, const char *path, int flags, mode_t mode)
{
    return open_how(dirfd, path, flags, mode,
                    RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

static int mkdir_one(int dirfd, const char *path, mode_t mode)
{
    if (mkdirat(dirfd, path, 0700) == 0)
        return fchmodat(dirfd, path, mode, 0) < 0 ? -errno : 0;
    if (errno != EEXIST)
        return -errno;
    struct stat st;
    if (fstatat(dirfd, path, &st, 0) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int mkdir_temporary(const char *parent, const char *name, char **ret, struct error *err)
{
    char text[ID_TEXT_LEN + 1];
    struct id id = id_new();
    _cleanup_free_ char *path = xasprintf("%s/%s.%s", parent, name, id_format(&id, text));

    if (mkdir(path, 0700) < 0)
        return error_set(err, -errno, "%.200s: %s", path, strerror(errno));
    *ret = take_ptr(path);
    return 0;
}

int mkdir_all(int dirfd, const char *path, mode_t mode, struct error *err)
{
    _cleanup_free_ char *part = xstrdup(path);
    int r = 0;

    for (char *p = part + 1; r >= 0; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        r = mkdir_one(dirfd, part, mode);
        if (r < 0)
            return error_set(err, r, "making directory %s: %s", part, strerror(-r));
        if (!end)
            break;
        *p = end;
    }
    return 0;
}

/* Whoever made the tree decided how deep it is, and each level costs a descriptor and a frame of the
 * stack: what lies deeper is moved up to the top first. */
#define REMOVE_DEPTH 64

struct removal {
    int top;
    dev_t device;
    unsigned depth;
    uint64_t moved;
};

static int remove_entry(struct removal *rm, int parent, const char *name);

/* Empties and closes FD. */
static int remove_contents(struct removal *rm, int fd)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int r = -errno;
        safe_close(fd);
        return r;
    }
    int r = 0;
    rm->depth++;
    errno = 0;
    for (struct dirent *e; r >= 0 && (e = readdir(dir)); errno = 0)
        if (!str_equal(e->d_name, ".") && !str_equal(e->d_name, ".."))
            r = remove_entry(rm, dirfd(dir), e->d_name);
    if (r >= 0 && errno)
        r = -errno;
    rm->depth--;
    closedir(dir);
    return r;
}

static int move_up(struct removal *rm, int parent, const char *name)
{
    char up[32];

    do {
        (void) snprintf(up, sizeof up, "deep-%" PRIu64, rm->moved++);
        if (renameat2(parent, name, rm->top, up, RENAME_NOREPLACE) == 0)
            return 0;
    } while (errno == EEXIST);
    return -errno;
}

/* Whoever owns a directory may remove what is in it, whatever its mode says (of an overlay's work it says nothing). */
static int open_doomed(int parent, const char *name, dev_t device)
{
    const int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, O_RDONLY | flags);
    int found = fd < 0 && errno == EACCES ? openat(parent, name, O_PATH | flags) : fd;
    struct stat st;

    if (found < 0 || fstat(found, &st) < 0 || st.st_dev != device || (st.st_mode & 0700) == 0700)
        return fd >= 0 || found < 0 ? fd : safe_close(found);
    char path[32];
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", found);
    (void) chmod(path, st.st_mode | 0700);
    if (fd >= 0)
        return fd;
    (void) safe_close(found);
    return openat(parent, name, O_RDONLY | flags);
}

static int remove_entry(struct removal *rm, int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    if (rm->depth >= REMOVE_DEPTH)
        return move_up(rm, parent, name);

    int fd = open_doomed(parent, name, rm->device);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_dev != rm->device) {
        safe_close(fd);
        return -EXDEV;
    }
    int r = remove_contents(rm, fd);
    if (r < 0)
        return r;
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_top(int dirfd, const char *path, dev_t device)
{
    struct removal rm = { .device = device };
    int r = 0;

    rm.top = open_doomed(dirfd, path, device);
    if (rm.top < 0)
        return remove_entry(&rm, dirfd, path);
    for (;;) {
        uint64_t before = rm.moved;
        int fd = openat(rm.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? -errno : remove_contents(&rm, fd);
        if (r < 0 || unlinkat(dirfd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
            break;
        /* A reading of the directory may not show what came to it meanwhile: read again. */
        if (errno != ENOTEMPTY || rm.moved == before) {
            r = -errno;
            break;
        }
    }
    safe_close(rm.top);
    return r;
}

int remove_tree(int dirfd, const char *path, struct error *err)
{
    struct stat st;
    if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", path, strerror(errno));

    int r = remove_top(dirfd, path, st.st_dev);
    if (r < 0)
        return error_set(err, r, "removing %s: %s", path, strerror(-r));
    return 0;
}

int set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

void directory_spread(int fd)
{
    int flags = 0;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_TOPDIR_FL;
        (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}
