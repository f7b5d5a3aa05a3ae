/* sink.c - a file that is written from its beginning to its end, with holes
 *
 * What grows large goes past the page cache: it would push out what others need and, read again much later
 * if at all, would not be there any more. That is faster too, several times in a virtual machine, where each
 * page that the cache takes may be one that the host has to find first.
 */
#include "blob/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define DIRECT_AFTER (INT64_C(16) << 20)
#define BUFFER_BYTES ((size_t) 1 << 20)
#define ALIGNMENT    4096 /* of address, length and place; more than any device asks for here */

static int set_direct(int fd, bool direct)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    return fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0 ? -errno : 0;
}

/* A file system that cannot do it says so here or at the first write. */
static void begin_direct(struct sink *s)
{
    s->was_tried = true;
    if (set_direct(s->fd, true) < 0)
        return;
    s->buffer = aligned_alloc(ALIGNMENT, BUFFER_BYTES);
    if (!s->buffer)
        (void) set_direct(s->fd, false);
}

static int end_direct(struct sink *s)
{
    free(take_ptr(s->buffer));
    s->len = 0;
    return set_direct(s->fd, false);
}

/* The file system did not mean it. */
static int write_plainly(struct sink *s, off_t from)
{
    int r = set_direct(s->fd, false);

    if (r >= 0 && lseek(s->fd, from, SEEK_SET) < 0)
        r = -errno;
    if (r >= 0)
        r = write_full(s->fd, s->buffer, s->len);
    return r < 0 ? r : end_direct(s);
}

/* With ALL also what is no multiple of the alignment: nothing is written directly after that. */
static int flush(struct sink *s, bool all)
{
    size_t whole = s->len - s->len % ALIGNMENT;
    off_t from = lseek(s->fd, 0, SEEK_CUR);
    int r = whole ? write_full(s->fd, s->buffer, whole) : 0;

    if (r == -EINVAL)
        return write_plainly(s, from);
    if (r < 0 || (whole == s->len && !all)) {
        s->len = 0;
        return r;
    }
    r = set_direct(s->fd, false);
    if (r >= 0)
        r = write_full(s->fd, s->buffer + whole, s->len - whole);
    return r < 0 ? r : end_direct(s);
}

int sink_write(struct sink *s, const void *bytes, size_t n)
{
    const char *p = bytes;

    if (!s->was_tried && s->at >= DIRECT_AFTER && s->at % ALIGNMENT == 0)
        begin_direct(s);
    s->at += (int64_t) n;
    while (n && s->buffer) {
        size_t room = BUFFER_BYTES - s->len, k = n < room ? n : room;
        memcpy(s->buffer + s->len, p, k);
        s->len += k;
        p += k;
        n -= k;
        int r = s->len == BUFFER_BYTES ? flush(s, false) : 0;
        if (r < 0)
            return r;
    }
    return n ? write_full(s->fd, p, n) : 0;
}

int sink_skip(struct sink *s, size_t n)
{
    int r = s->buffer ? flush(s, false) : 0;

    if (r < 0)
        return r;
    s->at += (int64_t) n;
    return lseek(s->fd, (off_t) n, SEEK_CUR) < 0 ? -errno : 0;
}

int sink_end(struct sink *s) { return s->buffer ? flush(s, true) : 0; }

void sink_done(struct sink *s) { free(take_ptr(s->buffer)); }
