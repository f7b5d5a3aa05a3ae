/* history.c - the thinned past of one attempt: a bounded file of lines, the oldest first */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <fcntl.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192 };

void history_init(struct history *h, char *path, char *const *uuids)
{
    *h = (struct history){ .path = path, .uuids = uuids, .period_s = METRICS_PERIOD_S };
}

static void drop_points(struct history *h)
{
    vec_foreach(&h->points, point)
        metrics_point_done(point);
    h->points.len = 0;
}

void history_done(struct history *h)
{
    drop_points(h);
    vec_done(&h->points);
    metrics_point_done(&h->sum);
    free(h->path);
}

void history_thin(struct history *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->points.len; i += 2) {
        struct metrics_point *point = &h->points.items[i];
        if (i + 1 < h->points.len) {
            metrics_point_add(point, &h->points.items[i + 1]);
            metrics_point_done(&h->points.items[i + 1]);
        }
        h->points.items[n++] = *point;
    }
    h->points.len = n;
    h->period_s *= 2;
}

static void take_line(struct history *h, const char *line, size_t len)
{
    _cleanup_json_ json_t *json = NULL;
    struct metrics_point point;

    if (len >= LINE_MAX_BYTES || json_parse(line, len, &json, NULL) < 0 ||
        metrics_point_from_json(json, &point) < 0)
        return;
    vec_push(&h->points, point);
    if (h->points.len >= METRICS_HISTORY_MAX)
        history_thin(h);
}

/* What a server before this one has left. */
static void load(struct history *h)
{
    _cleanup_text_ struct text text = { 0 };

    h->is_loaded = true;
    if (file_read(AT_FDCWD, h->path, (size_t) METRICS_HISTORY_MAX * LINE_MAX_BYTES, &text, NULL) <
        0)
        return;
    for (const char *line = text_str(&text), *end; (end = strchr(line, '\n')); line = end + 1)
        take_line(h, line, (size_t) (end - line));
    double seconds = h->points.len > 1 ? h->points.items[0].seconds : 0;
    while (seconds > h->period_s * 1.5)
        h->period_s *= 2;
}

static void add_line(const struct history *h, const struct metrics_point *point, struct text *out)
{
    _cleanup_json_ json_t *json = metrics_point_to_json(point, h->uuids);

    text_add_json(out, json);
    text_add_char(out, '\n');
}

static void write_all(const struct history *h)
{
    _cleanup_text_ struct text text = { 0 };

    vec_foreach(&h->points, point)
        add_line(h, point, &text);
    (void) file_replace(AT_FDCWD, h->path, 0640, text_str(&text), text.len, false, NULL);
}

static void append(const struct history *h, const struct metrics_point *point)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_close_ int fd = open(h->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    add_line(h, point, &text);
    /* A full disk costs points, nothing else. */
    if (fd >= 0)
        (void) write_full(fd, text.data, text.len);
}

void history_flush(struct history *h)
{
    if (h->sum.seconds <= 0)
        return;
    if (!h->is_loaded)
        load(h);
    vec_push(&h->points, h->sum);
    h->sum = (struct metrics_point){ 0 };
    if (h->points.len >= METRICS_HISTORY_MAX) {
        history_thin(h);
        write_all(h);
    } else {
        append(h, &h->points.items[h->points.len - 1]);
    }
}

void history_add(struct history *h, const struct metrics_point *point)
{
    metrics_point_add(&h->sum, point);
    /* Half a second of a sample's jitter must not make it wait for another. */
    if (h->sum.seconds >= h->period_s - 0.5)
        history_flush(h);
}
