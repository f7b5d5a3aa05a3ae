/* tail-read.c - the lines of one file, or of those of a gang, as events */
#include "api/tail-read.h"

#include "api/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "task/task.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 16, LINE_PIECE = 1 << 15 };

/* ---- events -------------------------------------------------------------------------------------- */

/* "ATTEMPT:LINE", or where each of all tasks goes on: "ATTEMPT:LINE.LINE.…". AFTER has just been read; NULL where lines are
 * merged: none. */
static void add_id(struct tail_reader *t, const struct tail_source *after)
{
    text_addf(&t->out, "id: %u:", t->number);
    if (!t->merged && after)
        text_addf(&t->out, "%llu", (unsigned long long) after->line);
    for (size_t i = 0; t->merged && i < t->n_sources; i++) {
        const struct tail_source *s = &t->sources[i];
        text_addf(&t->out, "%s%llu", i ? "." : "",
                  (unsigned long long) (s->is_open ? s->line : s->first_line) + (s == after));
    }
    text_add_char(&t->out, '\n');
}

static bool has_ids(const struct tail_reader *t)
{
    return !t->merged || t->n_sources <= TAIL_ID_EACH_MAX;
}

static void add_place(struct tail_reader *t)
{
    if (has_ids(t))
        return;
    text_add(&t->out, "event: place\n");
    add_id(t, NULL);
    text_add(&t->out, "data: {}\n\n");
}

/* A point of a chart, which is an object. What it says of a rank itself comes later and counts. */
static void add_object(struct tail_reader *t, const struct tail_source *src, const char *s,
                       size_t len)
{
    if (t->merged && len > 2 && *s == '{') {
        text_addf(&t->out, "{\"rank\":%zu,", src->rank);
        s++, len--;
    }
    text_add_bytes(&t->out, s, len);
}

static void add_line(struct tail_reader *t, struct tail_source *src, const char *s, size_t len,
                     bool part)
{
    if (!part && has_ids(t))
        add_id(t, src);
    text_add(&t->out, "data: ");
    if (t->json) {
        add_object(t, src, s, len);
    } else {
        text_add_char(&t->out, '{');
        if (t->merged)
            text_addf(&t->out, "\"rank\":%zu,", src->rank);
        text_addf(&t->out, "\"line\":%llu,\"text\":", (unsigned long long) src->line);
        text_add_json_string(&t->out, s, len);
        text_add(&t->out, part ? ",\"part\":true}" : "}");
    }
    text_add(&t->out, "\n\n");
    if (!part)
        src->line++;
}

/* Turns N bytes of the buffer into events; returns how many were used. */
static size_t add_lines(struct tail_reader *t, struct tail_source *src, size_t n, bool last)
{
    size_t at = 0;

    while (at < n) {
        const char *s = t->buf + at;
        const char *feed = memchr(s, '\n', n - at);
        size_t len = feed ? (size_t) (feed - s) : n - at;
        if (len > LINE_PIECE && !t->json) {
            add_line(t, src, s, LINE_PIECE, true);
            at += LINE_PIECE;
            continue;
        }
        if (!feed && !last)
            break;
        add_line(t, src, s, len, false);
        at += len + (feed != NULL);
    }
    return at;
}

/* ---- what is due, the earliest first ------------------------------------------------------------- */

static bool is_before(const struct tail_source *a, const struct tail_source *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->rank < b->rank;
}

static void sift_down(struct tail_reader *t)
{
    struct tail_source **heap = t->due.items;

    for (size_t at = 0, child; (child = 2 * at + 1) < t->due.len; at = child) {
        if (child + 1 < t->due.len && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], heap[at]))
            return;
        struct tail_source *moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
    }
}

void tail_reader_add(struct tail_reader *t, size_t source)
{
    struct tail_source *src = &t->sources[source];

    if (src->is_due)
        return;
    src->is_due = true;
    vec_push(&t->due, src);
    struct tail_source **heap = t->due.items;
    for (size_t at = t->due.len - 1; at > 0 && is_before(src, heap[(at - 1) / 2]);
         at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = src;
    }
}

static void take_first(struct tail_reader *t)
{
    t->due.items[0]->is_due = false;
    t->due.items[0] = t->due.items[--t->due.len];
    sift_down(t);
}

/* Of all others the earliest; INT64_MAX when there is none. */
static int64_t next_time(const struct tail_reader *t)
{
    int64_t time_us = INT64_MAX;

    for (size_t i = 1; i < t->due.len && i <= 2; i++)
        if (t->due.items[i]->time_us < time_us)
            time_us = t->due.items[i]->time_us;
    return time_us;
}

/* ---- files --------------------------------------------------------------------------------------- */

static void open_files(struct tail_reader *t, const struct tail_source *src, struct line_file *ret)
{
    char id[ID_TEXT_LEN + 1];

    *ret = t->kept;
    if (ret->fd >= 0)
        return;
    _cleanup_free_ char *path =
        xasprintf("%s/attempts/%s/%s", t->state, id_format(&src->task, id), t->file);
    line_file_open(path, t->view, ret);
}

/* A single file stays open; but the index that tells streams apart may come later. */
static void close_files(struct tail_reader *t, struct line_file *f)
{
    if (t->n_sources == 1 && f->fd >= 0 && (t->view == VIEW_ALL || f->exact))
        t->kept = *f;
    else
        line_file_done(f);
}

static void begin(struct tail_source *src, struct line_file *f)
{
    struct log_record record;

    if (src->last_lines >= 0) {
        uint64_t count = line_file_count(f), want = (uint64_t) src->last_lines;
        src->first_line = count > want ? count - want : 0;
        src->last_lines = -1;
    }
    src->offset = line_file_find(f, src->first_line);
    src->line = src->first_line;
    src->record = line_file_record_after(f, src->first_line);
    src->time_us =
        src->record > 0 && line_file_record(f, src->record - 1, &record) ? record.time_us : 0;
    src->is_open = true;
}

/* Passes over the records up to OFFSET: the last of them says when the line there came. */
static void catch_up(struct tail_source *src, const struct line_file *f)
{
    struct log_record record;

    while (line_file_record(f, src->record, &record) && (int64_t) record.offset <= src->offset) {
        src->time_us = record.time_us;
        src->record++;
    }
}

/* Where a piece ends that came not after UNTIL_US, and the time of what follows; INT64_MAX is the end of the file. */
static int64_t find_stop(struct tail_source *src, const struct line_file *f, int64_t until_us,
                         int64_t *ret_time_us)
{
    struct log_record record;
    int64_t stop = INT64_MAX;

    *ret_time_us = src->time_us;
    while (line_file_record(f, src->record, &record) &&
           (int64_t) record.offset <= src->offset + PIECE) {
        if (record.flags & LOG_RECORD_MID_LINE) {
            src->record++;
            continue;
        }
        stop = (int64_t) record.offset;
        *ret_time_us = record.time_us;
        if (record.time_us > until_us)
            break;
        src->record++;
    }
    return stop;
}

/* Reads lines of SRC, the earliest, as long as it is that. */
static void read_source(struct tail_reader *t, struct tail_source *src, struct line_file *f)
{
    int64_t until_us = next_time(t), next_us = src->time_us, stop = INT64_MAX;

    if (t->merged) {
        catch_up(src, f);
        if (src->time_us > until_us) /* others come first */
            return;
        stop = find_stop(src, f, until_us, &next_us);
    }
    size_t room = stop - src->offset < PIECE ? (size_t) (stop - src->offset) : PIECE;
    ssize_t n = f->fd >= 0 ? line_file_read(f, t->buf, room, src->offset) : 0;
    bool more = n > 0 && (size_t) n == room;
    size_t used = n > 0 ? add_lines(t, src, (size_t) n, t->last && !more) : 0;

    /* A line of JSON larger than the buffer cannot be: the supervisor bounds them. Pass it over. */
    if (more && used == 0 && room == PIECE)
        used = (size_t) n;
    else if (more && used == 0) /* a record in the middle of a line: none that we made */
        src->record++;
    src->offset += (int64_t) used;
    src->at_end = !more;
    if (src->offset == stop)
        src->time_us = next_us;
}

static void visit(struct tail_reader *t, struct tail_source *src)
{
    struct line_file f;
    bool was_open = src->is_open;

    open_files(t, src, &f);
    if (!was_open)
        begin(src, &f);
    else
        read_source(t, src, &f);
    close_files(t, &f);
}

void tail_read(struct tail_reader *t)
{
    size_t before = t->out.len;

    /* Who has not begun has the time 0, and is first. */
    while (t->due.len > 0 && t->out.len < before + PIECE) {
        struct tail_source *src = t->due.items[0];
        src->at_end = false;
        visit(t, src);
        if (src->at_end)
            take_first(t);
        else
            sift_down(t);
    }
    if (t->out.len > before)
        add_place(t);
}

/* ---- its life ------------------------------------------------------------------------------------ */

void tail_reader_init(struct tail_reader *t, const char *state, const struct tail_source *template,
                      size_t n_sources)
{
    t->state = xstrdup(state);
    t->buf = xcalloc(1, PIECE);
    t->kept.fd = t->kept.index = -1;
    t->n_sources = n_sources;
    t->sources = xnew_n(struct tail_source, n_sources);
    for (size_t i = 0; i < n_sources; i++) {
        t->sources[i] = *template;
        t->sources[i].rank += i;
    }
}

void tail_reader_done(struct tail_reader *t)
{
    line_file_done(&t->kept);
    vec_done(&t->due);
    text_done(&t->out);
    free(t->sources);
    free(t->buf);
    free(t->state);
}

void tail_reader_begin(struct tail_reader *t, unsigned number, const struct id *tasks)
{
    line_file_done(&t->kept);
    t->number = number;
    t->due.len = 0;
    for (size_t i = 0; i < t->n_sources; i++) {
        struct tail_source *src = &t->sources[i];
        src->task = tasks[i];
        src->is_open = src->at_end = src->is_due = false;
        src->time_us = 0;
        src->line = src->first_line;
    }
    for (size_t i = 0; i < t->n_sources; i++)
        tail_reader_add(t, i);
    if (t->sources[0].last_lines < 0) /* whoever counts lines begins anew */
        add_place(t);
}

bool tail_reader_at_end(const struct tail_reader *t)
{
    for (size_t i = 0; i < t->n_sources; i++)
        if (!t->sources[i].at_end)
            return false;
    return true;
}

/* One number of the last event's id, up to STOP; false: it is none. */
static bool read_number(const char **text, char stop, long long max, long long *ret)
{
    const char *end = strchr(*text, stop);
    size_t len = end ? (size_t) (end - *text) : strlen(*text);

    if (len > 20)
        return false;
    _cleanup_free_ char *number = xstrndup(*text, len);
    *text += len + (end && stop);
    return str_to_i64(number, 0, max, ret) >= 0;
}

bool tail_reader_resume(struct tail_reader *t, const char *last_id, unsigned *ret_attempt)
{
    long long attempt, line;

    if (!last_id || !strchr(last_id, ':') || !read_number(&last_id, ':', UINT_MAX, &attempt))
        return false;
    for (size_t i = 0; i < t->n_sources; i++) {
        if (!read_number(&last_id, t->merged ? '.' : '\0', INT64_MAX - 1, &line))
            return false;
        t->sources[i].first_line = (uint64_t) line + !t->merged;
    }
    *ret_attempt = (unsigned) attempt;
    return true;
}
