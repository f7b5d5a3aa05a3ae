/* volume.c - see volume.h */
#include "os/volume.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MARK_FILE  VOLUME_DIRECTORY "/mark"
#define STATE_FILE "storage.mark"
#define CHUNK      (1 << 20)

/* ---- the mark ---------------------------------------------------------------------------------------- */

/* "" when there is none. */
static int read_mark(int dirfd, const char *file, char ret[static VOLUME_MARK_LEN + 1],
                     struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    int r = file_read(dirfd, file, 4096, &text, err);

    ret[0] = '\0';
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (strspn(text_str(&text), "0123456789abcdef") != VOLUME_MARK_LEN)
        return error_set(err, -ESTALE, "%s holds no mark of a storage", file);
    memcpy(ret, text.data, VOLUME_MARK_LEN);
    ret[VOLUME_MARK_LEN] = '\0';
    return 0;
}

static int write_mark(int dirfd, const char *file, const char *mark, struct error *err)
{
    char line[VOLUME_MARK_LEN + 2];
    int n = snprintf(line, sizeof line, "%s\n", mark);

    return file_replace(dirfd, file, 0644, line, (size_t) n, true, err);
}

static int reconcile(const char *path, const char *had, char mark[static VOLUME_MARK_LEN + 1],
                     struct error *err)
{
    uint8_t random[VOLUME_MARK_LEN / 2];

    if (had[0] && !mark[0])
        return error_set(err, -ESTALE, "storage %s has no %s: is it mounted?", path, MARK_FILE);
    if (had[0] && strcmp(had, mark) != 0)
        return error_set(err, -ESTALE,
                         "storage %s is not the one that it was: another one is mounted there "
                         "(if that is meant, remove " STATE_FILE " from the state directory)",
                         path);
    if (mark[0])
        return 0;
    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, mark);
    return 0;
}

/* A server that cannot be given it (NFS, root squashed) has to do without measuring. */
static int make_directory(int dirfd, uid_t owner, struct error *err)
{
    if (mkdirat(dirfd, VOLUME_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return error_set(err, -errno, "making " VOLUME_DIRECTORY ": %s", strerror(errno));
    (void) !fchownat(dirfd, VOLUME_DIRECTORY, owner, (gid_t) -1, AT_SYMLINK_NOFOLLOW);
    return 0;
}

int volume_declare(const char *path, const char *state, uid_t owner,
                   char ret[static VOLUME_MARK_LEN + 1], struct error *err)
{
    char had[VOLUME_MARK_LEN + 1], there[VOLUME_MARK_LEN + 1];
    _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_set(err, -errno, "storage %s: %s", path, strerror(errno));
    _cleanup_close_ int home = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (home < 0)
        return error_set(err, -errno, "%s: %s", state, strerror(errno));

    int r = read_mark(dir, MARK_FILE, there, err);
    if (r >= 0)
        r = read_mark(home, STATE_FILE, had, err);
    if (r < 0)
        return error_context(err, r, "storage %s", path);
    memcpy(ret, there, sizeof there);
    r = reconcile(path, had, ret, err);
    if (r >= 0)
        r = make_directory(dir, owner, err);
    if (r >= 0 && !there[0])
        r = write_mark(dir, MARK_FILE, ret, err);
    if (r >= 0 && !had[0])
        r = write_mark(home, STATE_FILE, ret, err);
    return r;
}

int volume_check(int dirfd, const char *path, const char *mark, struct error *err)
{
    char there[VOLUME_MARK_LEN + 1];
    int r = read_mark(dirfd, MARK_FILE, there, err);

    if (r < 0)
        return error_context(err, r, "storage %s", path);
    if (!there[0])
        return error_set(err, -ESTALE, "storage %s is not mounted on this machine", path);
    return strcmp(there, mark) == 0
               ? 0
               : error_set(err, -ESTALE,
                           "what is mounted at %s on this machine is not the storage of the server",
                           path);
}

/* ---- how fast? --------------------------------------------------------------------------------------- */

static int64_t rate(int64_t bytes, int64_t us)
{
    return us > 0 ? (int64_t) ((double) bytes * 1e6 / (double) us) : bytes;
}

/* Not all alike: some file systems write nothing for that. */
static void fill(uint64_t *words, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        words[i] = seed;
    }
}

static int write_all(int fd, char *buf, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += CHUNK) {
        int r = write_full(fd, buf, CHUNK);
        if (r < 0)
            return r;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int read_all(int fd, char *buf, int64_t bytes)
{
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    for (int64_t at = 0; at < bytes; at += CHUNK) {
        int r = read_full(fd, buf, CHUNK);
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_unnamed(int dirfd)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1], name[64];

    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, hex);
    (void) snprintf(name, sizeof name, ".berth-measure-%s", hex);
    int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void) unlinkat(dirfd, name, 0);
    return fd;
}

int volume_measure(int dirfd, int64_t bytes, struct volume_speed *ret, struct error *err)
{
    _cleanup_free_ char *buf = xcalloc(1, CHUNK);
    _cleanup_close_ int fd = open_unnamed(dirfd);
    int64_t began = clock_boot_us(), written = 0;

    bytes -= bytes % CHUNK;
    fill((uint64_t *) (void *) buf, CHUNK / sizeof(uint64_t), (uint64_t) began);
    int r = fd < 0 ? fd : write_all(fd, buf, bytes);
    if (r >= 0) {
        written = clock_boot_us();
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        r = read_all(fd, buf, bytes);
    }
    if (r < 0)
        return error_set(err, r, "measuring the storage: %s", strerror(-r));
    ret->write_bps = rate(bytes, written - began);
    ret->read_bps = rate(bytes, clock_boot_us() - written);
    return 0;
}
