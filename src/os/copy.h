/* copy.h - a file or a tree as a stream of base/tar.h, and back: what `berth cp` does on both sides
 *
 * copy.c        paths
 * copy-bytes.c  bytes without a name here: `-`
 *
 * All of it blocks. The sender follows the link that its path may be, and none below it. The receiver
 * writes only below its root and through no symbolic link: the stream comes from another tenant's
 * machine or job. Files appear whole, under their name, or not at all.
 */
#ifndef OS_COPY_H
#define OS_COPY_H

#include "base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Read by another thread while the copy runs. */
struct copy_count {
    _Atomic int64_t bytes, total; /* TOTAL 0: not known */
    _Atomic int64_t files;
    _Atomic int64_t skipped; /* sockets, devices, … */
};

/* PATH as an archive into FD; the first entry is "." */
int copy_send(const char *path, int fd, struct copy_count *count, struct error *err);
/* The archive from FD becomes PATH; where PATH is a directory that is there (or ends with '/'), PATH/NAME. The directory
 * above must be there. NAME is one part of a path. */
int copy_receive(const char *path, const char *name, int fd, struct copy_count *count,
                 struct error *err);
/* What FD gives until its end, as an archive of one file, into OUT: its size is not known before. */
int copy_send_bytes(int fd, int out, struct copy_count *count, struct error *err);
/* The archive from FD: when it is of one file, its bytes into OUT, else the archive itself. */
int copy_receive_bytes(int fd, int out, struct copy_count *count, struct error *err);

#endif
