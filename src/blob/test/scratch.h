/* scratch.h - a state directory for one test, and the store in it */
#ifndef BLOB_TEST_SCRATCH_H
#define BLOB_TEST_SCRATCH_H

#include "blob/blob.h"
#include "tests/tap.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[32];
    int fd;
    struct blob_store *bs;
};

static inline struct scratch scratch_open(void)
{
    struct scratch s = { .dir = "/tmp/berth-blob-XXXXXX", .fd = -1 };

    ok(mkdtemp(s.dir) != NULL);
    s.fd = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(s.fd >= 0 && blob_store_open(s.dir, &s.bs, NULL) == 0);
    return s;
}

static inline void scratch_close(struct scratch *s)
{
    blob_store_close(s->bs);
    safe_close(s->fd);
    (void) remove_tree(AT_FDCWD, s->dir, NULL);
}

#define _cleanup_scratch_ _cleanup_(scratch_close)

/* Store a string; its digest. */
static inline struct sha256 put(struct blob_store *bs, const char *s)
{
    _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
    struct sha256 sum = { { 0 } };

    ok(blob_writer_new(bs, &w, NULL) == 0);
    ok(blob_writer_add(w, s, strlen(s), NULL) == 0);
    ok(blob_writer_end(w, NULL, true, &sum, NULL, NULL) == 0);
    return sum;
}

/* The number of entries of DIR below the scratch directory, -1 when it is not there. */
static inline int entries(const struct scratch *s, const char *dir)
{
    char cmd[128];
    int n = -1;

    (void) snprintf(cmd, sizeof cmd, "ls -A %s/%s 2>/dev/null | wc -l", s->dir, dir);
    FILE *f = popen(cmd, "r");
    if (f && fscanf(f, "%d", &n) != 1)
        n = -1;
    if (f)
        (void) pclose(f);
    return n;
}

#endif
