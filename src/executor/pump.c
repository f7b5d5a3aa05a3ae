/* pump.c - stdout and stderr of a container to `log`, with `log.idx` and `charts` on the way
 *
 * Bytes are read in large pieces and written as they are; lines are only counted (a vector loop)
 * and looked at where one begins with '{'. Memory does not depend on the length of lines. Past the
 * log's cap one marker line is written; bytes are still read, so that the job does not block.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PIECE        (256 * 1024)
#define PIPE_SIZE    (1024 * 1024)
#define ROUND_PIECES 8 /* of one stream before the other has its turn */
#define CHARTS_BYTES (64 << 20)

struct stream {
    struct pump *pump;
    enum log_stream kind;
    int fd, end; /* END is the container's, until it has started */
    struct watch *watch;
    /* The line that is not complete yet, if it begins with '{' and is short enough. */
    char partial[CHART_LINE_MAX];
    size_t partial_len;
    bool at_line_start, in_chart;
};

struct pump {
    struct supervisor *s;
    int log, index, charts;
    struct stream streams[2];
    struct chart_counters *counters;
    uint64_t bytes, lines, points, dropped, chart_bytes;
    uint64_t change_bytes;  /* of the index: records of where the other stream begins */
    struct log_record last; /* written to the index */
    bool mid_line;          /* of the log: its last byte ends none */
    bool capped;
    char piece[PIECE];
};

static int open_own(struct supervisor *s, const char *name, struct error *err)
{
    _cleanup_free_ char *temporary = xasprintf("%s.tmp", name);

    /* Always a new file: the directory is the server's, who might have put a link to another there. Under its name
     * only when it is theirs: whoever follows the log may look at any time. */
    (void) unlinkat(s->dir, temporary, 0);
    _cleanup_close_ int fd =
        openat(s->dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0 || fchown(fd, s->x->owner, s->x->group) < 0 ||
        renameat(s->dir, temporary, s->dir, name) < 0)
        return error_set(err, -errno, "%s: %s", name, strerror(errno));
    return take_fd(&fd);
}

static int open_stream(struct pump *p, enum log_stream kind)
{
    struct stream *stream = &p->streams[kind];
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *stream = (struct stream){
        .pump = p, .kind = kind, .fd = fds[0], .end = fds[1], .at_line_start = true
    };
    /* Larger than the default where the machine's limits let it be. */
    (void) fcntl(stream->fd, F_SETPIPE_SZ, PIPE_SIZE);
    /* The job runs as another user: /dev/stdout must open. */
    if (fchown(stream->end, p->s->spec->uid_base, p->s->spec->uid_base) < 0)
        return -errno;
    return set_nonblock(stream->fd, true);
}

/* Fresh pages: a job that prints little touches few of them. */
static struct pump *pump_alloc(void)
{
    void *p =
        mmap(NULL, sizeof(struct pump), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

int pump_new(struct supervisor *s, struct pump **ret, struct error *err)
{
    _cleanup_(pump_freep) struct pump *p = pump_alloc();

    p->s = s;
    p->log = p->index = p->charts = -1;
    for (int i = 0; i < 2; i++)
        p->streams[i].fd = p->streams[i].end = -1;
    p->counters = chart_counters_new();
    p->log = open_own(s, "log", err);
    if (p->log < 0)
        return p->log;
    int r = open_stream(p, LOG_STDOUT);
    if (r >= 0)
        r = open_stream(p, LOG_STDERR);
    if (r < 0)
        return error_set(err, r, "pipes: %s", strerror(-r));
    *ret = take_ptr(p);
    return 0;
}

void pump_free(struct pump *p)
{
    if (!p)
        return;
    for (int i = 0; i < 2; i++) {
        watch_free(p->streams[i].watch);
        safe_close(p->streams[i].fd);
        safe_close(p->streams[i].end);
    }
    safe_close(p->log);
    safe_close(p->index);
    safe_close(p->charts);
    chart_counters_free(p->counters);
    (void) munmap(p, sizeof *p);
}

void pump_ends(const struct pump *p, int ret[static 2])
{
    ret[0] = p->streams[LOG_STDOUT].end;
    ret[1] = p->streams[LOG_STDERR].end;
}

/* ---- the index ---------------------------------------------------------------------------------- */

#ifdef __clang__
#define VECTORISED /* at -O2 already */
#else
#define VECTORISED __attribute__((optimize("O3")))
#endif

VECTORISED static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += bytes[i] == '\n';
    return n;
}

/* Most attempts need neither index nor charts: the files are made with their first record. */
static bool append(struct pump *p, int *fd, const char *name, const void *bytes, size_t len)
{
    if (*fd < 0)
        *fd = open_own(p->s, name, NULL);
    return *fd >= 0 && write_full(*fd, bytes, len) >= 0;
}

static bool add_record(struct pump *p, const struct log_record *record)
{
    uint8_t encoded[sizeof *record];

    log_record_encode(record, encoded);
    if (!append(p, &p->index, "log.idx", encoded, sizeof encoded))
        return false;
    p->last = *record;
    return true;
}

static bool is_change(const struct pump *p, enum log_stream kind)
{
    return p->last.time_us == 0 || p->last.stream != kind;
}

/* BYTES are about to be added to the log. A record says when the line that begins there came: lines before the next
 * record came less than LOG_RECORD_US later. Whoever reads bytes of another stream finds the record that says so. False:
 * it cannot be said. */
static bool index_piece(struct pump *p, enum log_stream kind, const char *bytes, size_t len)
{
    const char *newline = p->mid_line ? memchr(bytes, '\n', len) : NULL;
    int64_t now = clock_now_us();
    bool due =
        now - p->last.time_us >= LOG_RECORD_US || p->lines - p->last.line >= LOG_RECORD_LINES;
    struct log_record record = { .offset = p->bytes,
                                 .line = p->lines,
                                 .time_us = now,
                                 .stream = (uint8_t) kind,
                                 .flags = LOG_RECORD_EXACT };

    if (is_change(p, kind)) {
        bool counts = p->last.time_us != 0; /* the first is none */
        record.flags |= p->mid_line ? LOG_RECORD_MID_LINE : 0;
        if (!add_record(p, &record))
            return false;
        p->change_bytes += counts ? sizeof record : 0;
        due = due && newline;
    }
    if (!due || (p->mid_line && !newline)) /* no line begins */
        return true;
    record.flags = LOG_RECORD_EXACT;
    if (newline) {
        record.offset += (uint64_t) (newline - bytes) + 1;
        record.line++;
    }
    return add_record(p, &record);
}

static bool append_log(struct pump *p, enum log_stream kind, const char *bytes, size_t len)
{
    if (!index_piece(p, kind, bytes, len) || write_full(p->log, bytes, len) < 0)
        return false;
    p->bytes += len;
    p->lines += count_lines(bytes, len);
    p->mid_line = bytes[len - 1] != '\n';
    return true;
}

/* What may still come of KIND. Records of changes count, so that they are bounded with the log. */
static size_t room_for(const struct pump *p, enum log_stream kind, size_t len)
{
    uint64_t limit = (uint64_t) p->s->spec->log_limit_bytes;
    uint64_t used = p->bytes + p->change_bytes;

    if (p->capped || limit == 0)
        return p->capped ? 0 : len;
    used += p->bytes > 0 && is_change(p, kind) ? sizeof(struct log_record) : 0;
    return used >= limit ? 0 : limit - used < len ? (size_t) (limit - used) : len;
}

static void write_log(struct pump *p, enum log_stream kind, const char *bytes, size_t len)
{
    size_t room = room_for(p, kind, len);

    if (room && !append_log(p, kind, bytes, room))
        p->dropped += room;
    p->dropped += len - room;
    if (room == len || p->capped)
        return;

    char limit_text[32];
    _cleanup_free_ char *marker =
        xasprintf("\n[berth: the log's limit of %s is reached; what follows is dropped]\n",
                  bytes_to_str(p->s->spec->log_limit_bytes, limit_text));
    p->capped = true;
    (void) append_log(p, kind, marker, strlen(marker));
}

/* ---- charts ------------------------------------------------------------------------------------- */

static void take_line(struct pump *p, const char *line, size_t len)
{
    _cleanup_json_ json_t *point = NULL;
    char now[TIME_TEXT_LEN + 1];

    if (len && line[len - 1] == '\r')
        len--;
    if (chart_parse(line, len, p->counters, &point) != 0 || p->chart_bytes > CHARTS_BYTES)
        return;
    json_put_str(point, "t", time_format(clock_now_us(), now));
    _cleanup_free_ char *text = json_text(point);
    _cleanup_free_ char *out = xasprintf("%s\n", text);
    if (append(p, &p->charts, "charts", out, strlen(out))) {
        p->points++;
        p->chart_bytes += strlen(out);
    }
}

/* The rest of a line that began with '{' in an earlier piece. Returns the bytes used. */
static size_t continue_line(struct stream *stream, const char *bytes, size_t len)
{
    const char *newline = memchr(bytes, '\n', len);
    size_t part = newline ? (size_t) (newline - bytes) : len;

    if (stream->partial_len + part > sizeof stream->partial) {
        stream->in_chart = false;
        return 0;
    }
    memcpy(stream->partial + stream->partial_len, bytes, part);
    stream->partial_len += part;
    if (!newline)
        return len;
    take_line(stream->pump, stream->partial, stream->partial_len);
    stream->in_chart = false;
    return part + 1;
}

static void scan_charts(struct stream *stream, const char *bytes, size_t len)
{
    size_t at = stream->in_chart ? continue_line(stream, bytes, len) : 0;

    while (at < len) {
        const char *brace = memchr(bytes + at, '{', len - at);
        if (!brace)
            break;
        size_t start = (size_t) (brace - bytes);
        at = start + 1;
        if (start ? bytes[start - 1] != '\n' : !stream->at_line_start)
            continue;
        const char *newline = memchr(brace, '\n', len - start);
        size_t line = newline ? (size_t) (newline - brace) : len - start;
        if (newline)
            take_line(stream->pump, brace, line);
        else if (line <= sizeof stream->partial) {
            memcpy(stream->partial, brace, line);
            stream->partial_len = line;
            stream->in_chart = true;
        }
        at = start + line;
    }
    stream->at_line_start = bytes[len - 1] == '\n';
}

/* ---- reading ------------------------------------------------------------------------------------ */

static void close_stream(struct stream *stream)
{
    watch_free(stream->watch);
    stream->watch = NULL;
    stream->fd = safe_close(stream->fd);
}

/* false: nothing more for now. */
static bool read_piece(struct stream *stream)
{
    struct pump *p = stream->pump;
    ssize_t n = read(stream->fd, p->piece, sizeof p->piece);

    if (n < 0)
        return errno == EINTR;
    if (n == 0) {
        if (stream->in_chart)
            take_line(p, stream->partial, stream->partial_len);
        close_stream(stream);
        return false;
    }
    write_log(p, stream->kind, p->piece, (size_t) n);
    if (stream->kind == LOG_STDOUT)
        scan_charts(stream, p->piece, (size_t) n);
    return true;
}

static void on_readable(void *userdata, uint32_t events)
{
    struct stream *stream = userdata;

    (void) events;
    for (int i = 0; i < ROUND_PIECES && stream->fd >= 0; i++)
        if (!read_piece(stream))
            break;
    if (pump_is_done(stream->pump) && stream->pump->s->ended)
        loop_stop(stream->pump->s->loop, 0);
}

void pump_start(struct pump *p)
{
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &p->streams[i];
        stream->end = safe_close(stream->end);
        stream->watch = loop_watch(p->s->loop, stream->fd, EPOLLIN, on_readable, stream);
    }
}

bool pump_is_done(const struct pump *p) { return p->streams[0].fd < 0 && p->streams[1].fd < 0; }

void pump_finish(struct pump *p)
{
    for (int i = 0; i < 2; i++) {
        p->streams[i].end = safe_close(p->streams[i].end);
        while (p->streams[i].fd >= 0 && read_piece(&p->streams[i]))
            ;
        if (p->streams[i].fd >= 0)
            close_stream(&p->streams[i]);
    }
}

void pump_usage(const struct pump *p, json_t *usage)
{
    json_put_int(usage, "log_bytes", (int64_t) p->bytes);
    json_put_int(usage, "log_lines", (int64_t) p->lines);
    json_put_int(usage, "chart_points", (int64_t) p->points);
    if (p->dropped)
        json_put_int(usage, "log_dropped_bytes", (int64_t) p->dropped);
}

int64_t pump_log_bytes(const struct pump *p) { return (int64_t) p->bytes; }
