/* line-file.c - find lines of a log by its index
 *
 * The index names some lines and where they begin, in order; from the nearest one before, line feeds are
 * counted. Without an index counting begins at the start.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "task/task.h"

#include <fcntl.h>
#include <string.h>

enum { READ_SIZE = 1 << 16 };

void line_file_open(const char *path, struct line_file *ret)
{
    _cleanup_free_ char *index = xasprintf("%s.idx", path);
    struct stat st;

    *ret = (struct line_file){ .fd = open(path, O_RDONLY | O_CLOEXEC),
                               .index = open(index, O_RDONLY | O_CLOEXEC) };
    if (ret->fd >= 0 && fstat(ret->fd, &st) == 0)
        ret->size = st.st_size;
}

void line_file_done(struct line_file *f)
{
    f->fd = safe_close(f->fd);
    f->index = safe_close(f->index);
}

bool line_file_record(const struct line_file *f, int64_t number, struct log_record *ret)
{
    uint8_t bytes[sizeof *ret];

    if (f->index < 0 || pread(f->index, bytes, sizeof bytes, number * (int64_t) sizeof bytes) !=
                            (ssize_t) sizeof bytes)
        return false;
    log_record_decode(bytes, ret);
    return true;
}

int64_t line_file_record_after(const struct line_file *f, uint64_t line)
{
    struct log_record record;
    struct stat st;
    int64_t low = 0, high = 0;

    if (f->index >= 0 && fstat(f->index, &st) == 0)
        high = st.st_size / (int64_t) sizeof record;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (!line_file_record(f, middle, &record))
            break;
        if (record.line <= line && (int64_t) record.offset <= f->size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last record whose line is not after LINE; zero when there is none. */
static struct log_record nearest(const struct line_file *f, uint64_t line)
{
    struct log_record record;
    int64_t after = line_file_record_after(f, line);

    return after > 0 && line_file_record(f, after - 1, &record) ? record : (struct log_record){ 0 };
}

/* From OFFSET, where line *LINE begins, on to where WANTED begins; *LINE is the line arrived at. */
static int64_t walk(const struct line_file *f, int64_t offset, uint64_t *line, uint64_t wanted)
{
    _cleanup_free_ char *buf = xcalloc(1, READ_SIZE);
    ssize_t n;

    while (*line < wanted && offset < f->size && (n = pread(f->fd, buf, READ_SIZE, offset)) > 0) {
        const char *p = buf, *end = buf + n;
        while (*line < wanted && (p = memchr(p, '\n', (size_t) (end - p))))
            p++, (*line)++;
        offset += p ? p - buf : n;
    }
    return offset < f->size ? offset : f->size;
}

int64_t line_file_find(const struct line_file *f, uint64_t line)
{
    if (f->fd < 0)
        return 0;

    struct log_record record = nearest(f, line);
    return walk(f, (int64_t) record.offset, &record.line, line);
}

uint64_t line_file_count(const struct line_file *f)
{
    char last = '\n';

    if (f->fd < 0 || f->size == 0)
        return 0;
    struct log_record record = nearest(f, UINT64_MAX);
    (void) walk(f, (int64_t) record.offset, &record.line, UINT64_MAX);
    if (pread(f->fd, &last, 1, f->size - 1) != 1)
        last = '\n';
    return record.line + (last != '\n');
}
