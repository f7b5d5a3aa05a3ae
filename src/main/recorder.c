/* recorder.c - the files of a record */
#include "main/recorder.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAITING_MAX = 32 << 20 /* bytes that a disk may be behind */ };

struct recorder {
    struct pool *pool;
    int fd;
    int64_t bytes, bytes_max;
    struct text waiting; /* not given to the pool yet */
    struct text writing; /* the pool's, while it IS_WRITING */
    bool is_writing, is_over;
    int result; /* of the writing */
};

static char *file_name(unsigned number)
{
    return number ? xasprintf("record.%u.jsonl", number) : xstrdup("record.jsonl");
}

/* Each file steps back; the last one goes. */
static void step_back(int dir)
{
    for (unsigned i = RECORDER_KEPT - 1; i-- > 0;) {
        _cleanup_free_ char *from = file_name(i), *to = file_name(i + 1);
        (void) renameat(dir, from, dir, to);
    }
}

int recorder_open(const char *directory, int64_t bytes_max, struct pool *pool,
                  struct recorder **ret, struct error *err)
{
    int r = mkdir_all(AT_FDCWD, directory, 0700, err);

    if (r < 0)
        return r;
    _cleanup_close_ int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_set(err, -errno, "%s: %s", directory, strerror(errno));
    step_back(dir);
    int fd = openat(dir, "record.jsonl",
                    O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(err, -errno, "%s/record.jsonl: %s", directory, strerror(errno));
    *ret = xnew(struct recorder);
    (*ret)->pool = pool;
    (*ret)->fd = fd;
    (*ret)->bytes_max = bytes_max;
    return 0;
}

/* What was written is gone from WRITING. */
static void write_out(void *item)
{
    struct recorder *r = item;

    r->result = write_full(r->fd, r->writing.data, r->writing.len);
    text_clear(&r->writing);
}

static void written(void *item);

static void pass_on(struct recorder *r)
{
    struct text empty = r->writing;

    if (r->is_writing || r->waiting.len == 0)
        return;
    r->writing = r->waiting;
    r->waiting = empty;
    r->is_writing = true;
    pool_submit(r->pool, write_out, written, r);
}

static void stop(struct recorder *r, const char *why)
{
    if (!r->is_over)
        log_warn("the record of the scheduler ends here", "why", why);
    r->is_over = true;
}

/* A pool that ends drops what it did not begin: that is left in WRITING. */
static void written(void *item)
{
    struct recorder *r = item;

    r->is_writing = false;
    if (r->result < 0)
        stop(r, strerror(-r->result));
    else if (r->writing.len == 0)
        pass_on(r);
}

void recorder_line(struct recorder *r, const char *line, size_t len)
{
    if (r->is_over)
        return;
    if (r->bytes + (int64_t) len > r->bytes_max) {
        stop(r, "it is as large as it may be");
        return;
    }
    if (r->waiting.len + len > WAITING_MAX) {
        stop(r, "the disk is too slow");
        return;
    }
    text_add_bytes(&r->waiting, line, len);
    r->bytes += (int64_t) len;
    pass_on(r);
}

void recorder_close(struct recorder *r)
{
    if (!r)
        return;
    /* After what could not be written nothing may follow. */
    if (r->result >= 0 && write_full(r->fd, r->writing.data, r->writing.len) >= 0)
        (void) write_full(r->fd, r->waiting.data, r->waiting.len);
    (void) safe_close(r->fd);
    text_done(&r->waiting);
    text_done(&r->writing);
    free(r);
}
