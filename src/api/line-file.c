/* line-file.c - find lines of a log by its index
 *
 * The index names some lines and where they begin, in order; from the nearest one before, line feeds are
 * counted. Without an index counting begins at the start. It also says which bytes are of which stream: of a view of
 * one of them alone lines are counted from the start.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "task/task.h"

#include <fcntl.h>
#include <string.h>

enum { READ_SIZE = 1 << 16 };

static int64_t view_size(struct line_file *f);

void line_file_open(const char *path, enum line_view view, struct line_file *ret)
{
    _cleanup_free_ char *index = xasprintf("%s.idx", path);
    struct log_record first;
    struct stat st;

    *ret = (struct line_file){ .fd = open(path, O_RDONLY | O_CLOEXEC), .view = view };
    if (ret->fd >= 0 && fstat(ret->fd, &st) == 0)
        ret->size = ret->size_then = st.st_size;
    ret->index =
        open(index, O_RDONLY | O_CLOEXEC); /* after the size: it has all records up to there */
    ret->exact = line_file_record(ret, 0, &first) && (first.flags & LOG_RECORD_EXACT);
    if (view != VIEW_ALL)
        ret->size = view_size(ret);
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

    if (f->index >= 0 && f->view == VIEW_ALL && fstat(f->index, &st) == 0)
        high = st.st_size / (int64_t) sizeof record;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (!line_file_record(f, middle, &record))
            break;
        bool mid_line = record.flags & LOG_RECORD_MID_LINE;
        if (record.line + mid_line <= line && (int64_t) record.offset <= f->size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- one stream alone ---- */

enum line_view line_view_of(const json_t *query)
{
    const char *stream = json_get_str(query, "stream", NULL);

    return !stream ? VIEW_ALL : str_equal(stream, "stderr") ? VIEW_STDERR : VIEW_STDOUT;
}

/* As line_file_record(), many at a time. */
static bool next_record(struct line_file *f, int64_t number, struct log_record *ret)
{
    const int64_t size = sizeof *ret;

    if (f->index < 0 || !f->exact)
        return false;
    if (number < f->first_record || number >= f->first_record + f->n_records) {
        ssize_t n = pread(f->index, f->records, sizeof f->records, number * size);
        f->first_record = number;
        f->n_records = n > 0 ? n / size : 0;
    }
    if (f->n_records == 0)
        return false;
    log_record_decode(f->records + (number - f->first_record) * size, ret);
    return true;
}

/* Where the piece ends that is of one stream; where it begins if there is nothing yet. */
static int64_t piece_end(struct line_file *f, int64_t size)
{
    struct view_place *p = &f->place;
    struct log_record record;

    while (next_record(f, p->record, &record)) {
        int64_t offset = record.offset < (uint64_t) size ? (int64_t) record.offset : size;
        if (offset > p->at || (int64_t) record.offset > size)
            return offset > p->at ? offset : p->at;
        p->stream = record.stream;
        p->record++;
    }
    return size > p->at ? size : p->at;
}

static bool is_seen(const struct line_file *f)
{
    return f->place.stream == (f->view == VIEW_STDERR ? LOG_STDERR : LOG_STDOUT);
}

/* Goes on in the file to where OFFSET of the view is; how many bytes can be read there at once. */
static int64_t seek_view(struct line_file *f, int64_t offset, int64_t size)
{
    struct view_place *p = &f->place;
    int64_t end;

    if (offset < p->offset)
        *p = (struct view_place){ 0 };
    while ((end = piece_end(f, size)) > p->at) {
        int64_t len = end - p->at, before = offset - p->offset;
        if (is_seen(f) && before < len) {
            p->offset += before;
            p->at += before;
            return len - before;
        }
        p->offset += is_seen(f) ? len : 0;
        p->at = end;
    }
    return 0;
}

/* Asked before the index, which has the records of all that there is now. Without them it is as it was. */
static int64_t file_size(const struct line_file *f)
{
    struct stat st;

    return f->exact && fstat(f->fd, &st) == 0 ? st.st_size : f->size_then;
}

static int64_t view_size(struct line_file *f)
{
    (void) seek_view(f, INT64_MAX, file_size(f));
    return f->place.offset;
}

ssize_t line_file_read(struct line_file *f, char *buf, size_t n, int64_t offset)
{
    if (f->view == VIEW_ALL)
        return pread(f->fd, buf, n, offset);

    int64_t size = file_size(f), len;
    size_t got = 0;
    while (got < n && (len = seek_view(f, offset + (int64_t) got, size)) > 0) {
        size_t room = n - got;
        ssize_t m =
            pread(f->fd, buf + got, len < (int64_t) room ? (size_t) len : room, f->place.at);
        if (m <= 0)
            return got ? (ssize_t) got : m;
        f->place.offset += m;
        f->place.at += m;
        got += (size_t) m;
    }
    return (ssize_t) got;
}

/* ---- lines ---- */

/* The last record from which LINE can be found; zero when there is none. */
static struct log_record nearest(const struct line_file *f, uint64_t line)
{
    struct log_record record;
    int64_t after = line_file_record_after(f, line);

    return after > 0 && line_file_record(f, after - 1, &record) ? record : (struct log_record){ 0 };
}

/* From OFFSET, where line *LINE begins, on to where WANTED begins; *LINE is the line arrived at. */
static int64_t walk(struct line_file *f, int64_t offset, uint64_t *line, uint64_t wanted)
{
    _cleanup_free_ char *buf = xcalloc(1, READ_SIZE);
    ssize_t n;

    while (*line < wanted && offset < f->size &&
           (n = line_file_read(f, buf, READ_SIZE, offset)) > 0) {
        const char *p = buf, *end = buf + n;
        while (*line < wanted && (p = memchr(p, '\n', (size_t) (end - p))))
            p++, (*line)++;
        offset += p ? p - buf : n;
    }
    return offset < f->size ? offset : f->size;
}

int64_t line_file_find(struct line_file *f, uint64_t line)
{
    if (f->fd < 0)
        return 0;

    struct log_record record = nearest(f, line);
    return walk(f, (int64_t) record.offset, &record.line, line);
}

uint64_t line_file_count(struct line_file *f)
{
    char last = '\n';

    if (f->fd < 0 || f->size == 0)
        return 0;
    struct log_record record = nearest(f, UINT64_MAX);
    (void) walk(f, (int64_t) record.offset, &record.line, UINT64_MAX);
    if (line_file_read(f, &last, 1, f->size - 1) != 1)
        last = '\n';
    return record.line + (last != '\n');
}
