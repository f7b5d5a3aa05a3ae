/* fd.h - files: whole reads and writes, atomic replacement, opening beneath a directory */
#ifndef OS_FD_H
#define OS_FD_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Cannot fail, keeps errno, returns -1: fd = safe_close(fd). */
int safe_close(int fd);

/* Read up to LIMIT bytes (-EFBIG beyond) of the file at DIRFD/PATH (AT_FDCWD allowed). */
int file_read(int dirfd, const char *path, size_t limit, struct text *ret, struct error *err);
/* Write a new file and rename it over PATH: readers see the old or the new content, whole. With
 * SYNC also after a power loss (fsync of the file and of its directory). */
int file_replace(int dirfd, const char *path, mode_t mode, const void *bytes, size_t len, bool sync,
                 struct error *err);
/* All N bytes, or a negative errno (-EPIPE on end of file for read_full). */
int write_full(int fd, const void *bytes, size_t n);
int read_full(int fd, void *bytes, size_t n);

/* openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, O_CLOEXEC added. The last, with
 * RESOLVE_NO_SYMLINKS in addition. Negative errno on failure. */
int open_beneath(int dirfd, const char *path, int flags, mode_t mode);
int open_beneath_nosymlink(int dirfd, const char *path, int flags, mode_t mode);

/* A new directory for us alone, PARENT/NAME.ID; *RET is its path, owned by the caller. */
int mkdir_temporary(const char *parent, const char *name, char **ret, struct error *err);
/* mkdir -p with MODE for what is missing; the umask does not matter. */
int mkdir_all(int dirfd, const char *path, mode_t mode, struct error *err);
/* What lies in this directory is unrelated (chattr +T): ext4 then spreads the directories in it over its
 * groups, where one group would be searched past every file that was deleted of late. Filesystems that
 * know no such thing refuse. */
void directory_spread(int fd);
/* Remove a tree below DIRFD without following links or crossing mounts; absent is success. */
int remove_tree(int dirfd, const char *path, struct error *err);
int set_nonblock(int fd, bool on);
int set_cloexec(int fd, bool on);

#endif
