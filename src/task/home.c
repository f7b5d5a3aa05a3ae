/* home.c - may this come home? */
#include "task/home.h"

#include "task/task.h"

#include <errno.h>
#include <string.h>

enum {
    CHART_STORED_MAX = 2 * CHART_LINE_MAX, /* a point with what the supervisor adds to it */
    MARKER_MAX = 4096,                     /* what is said in a log that reached its limit */
    RECORDS_MAX = 64 << 20,
};

/* What no log ever has; offsets beyond would not be offsets. */
#define LOG_BYTES_MAX (INT64_C(1) << 60)

static const char *const names[HOME_FILE_MAX] = {
    [HOME_LOG] = "log",     [HOME_INDEX] = "log.idx",   [HOME_CHARTS] = "charts",
    [HOME_READY] = "ready", [HOME_STARTED] = "started", [HOME_EXIT] = "exit.json",
};

int home_file_of(const char *name, enum home_file *ret)
{
    for (int i = 0; i < HOME_FILE_MAX; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum home_file) i;
            return 0;
        }
    return -ENOENT;
}

const char *home_file_name(enum home_file file) { return names[file]; }

bool home_file_grows(enum home_file file) { return file <= HOME_CHARTS; }

int64_t home_file_limit(enum home_file file, int64_t log_limit_bytes)
{
    if (file == HOME_LOG)
        return log_limit_bytes > 0 && log_limit_bytes < LOG_BYTES_MAX ? log_limit_bytes + MARKER_MAX
                                                                      : LOG_BYTES_MAX;
    if (file == HOME_INDEX) /* records of changes of the stream count as the log does */
        return home_file_limit(HOME_LOG, log_limit_bytes) + RECORDS_MAX;
    return home_file_grows(file) ? RECORDS_MAX + CHART_STORED_MAX : HOME_PIECE_MAX;
}

static int check_chart(const char *line, size_t len, struct error *err)
{
    _cleanup_json_ json_t *point = NULL;

    for (size_t i = 0; i < len; i++)
        if ((unsigned char) line[i] < ' ')
            return error_set(err, -EBADMSG, "charts: a line has a control character");
    if (len > CHART_STORED_MAX || json_parse(line, len, &point, NULL) < 0 ||
        !json_is_object(point) || !json_is_string(json_object_get(point, "chart")) ||
        !json_is_number(json_object_get(point, "x")) ||
        !json_is_number(json_object_get(point, "y")))
        return error_set(err, -EBADMSG, "charts: a line is no chart point");
    return 0;
}

static ssize_t check_charts(const char *bytes, size_t len, struct error *err)
{
    size_t at = 0;

    for (const char *end; at < len && (end = memchr(bytes + at, '\n', len - at));
         at = (size_t) (end - bytes) + 1) {
        int r = check_chart(bytes + at, (size_t) (end - bytes) - at, err);
        if (r < 0)
            return r;
    }
    if (len - at > CHART_STORED_MAX)
        return error_set(err, -EBADMSG, "charts: a line is no chart point");
    return (ssize_t) at;
}

static ssize_t check_index(const char *bytes, size_t len, struct error *err)
{
    size_t n = len / sizeof(struct log_record);

    for (size_t i = 0; i < n; i++) {
        struct log_record record;
        log_record_decode((const uint8_t *) bytes + i * sizeof record, &record);
        if (record.offset > (uint64_t) LOG_BYTES_MAX || record.line > record.offset ||
            record.stream > LOG_STDERR)
            return error_set(err, -EBADMSG, "log.idx: a record leads nowhere");
    }
    return (ssize_t) (n * sizeof(struct log_record));
}

ssize_t home_piece_check(enum home_file file, const char *bytes, size_t len, struct error *err)
{
    if (file == HOME_CHARTS)
        return check_charts(bytes, len, err);
    return file == HOME_INDEX ? check_index(bytes, len, err) : (ssize_t) len;
}

static int check_epoch(unsigned is, unsigned epoch, struct error *err)
{
    if (is == epoch)
        return 0;
    return error_set(err, -EBADMSG, "epoch: is %u, and that of the attempt %u", is, epoch);
}

int home_record_check(enum home_file file, const char *bytes, size_t len, unsigned epoch,
                      struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(task_started_freep) struct task_started *started = NULL;
    _cleanup_(task_exit_freep) struct task_exit *ex = NULL;
    _cleanup_(task_ready_freep) struct task_ready *ready = NULL;

    int r = json_parse(bytes, len, &json, err);
    if (r >= 0 && file == HOME_STARTED) {
        r = task_started_from_json(json, &started, err);
        r = r < 0 ? r : check_epoch(started->epoch, epoch, err);
    } else if (r >= 0 && file == HOME_READY) {
        r = task_ready_from_json(json, &ready, err);
        r = r < 0 ? r : check_epoch(ready->epoch, epoch, err);
    } else if (r >= 0 && file == HOME_EXIT) {
        r = task_exit_from_json(json, &ex, err);
        r = r < 0 ? r : check_epoch(ex->epoch, epoch, err);
    }
    return r < 0 ? error_context(err, -EBADMSG, "%s", home_file_name(file)) : 0;
}
