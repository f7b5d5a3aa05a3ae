/* sse.c - server-sent events (WHATWG HTML, section 9.2): writing and reading; pure */
#include "http/http.h"

#include <errno.h>
#include <string.h>

void sse_format(struct text *out, const char *id, const char *event, const char *data, size_t len)
{
    if (id)
        text_addf(out, "id: %s\n", id);
    if (event)
        text_addf(out, "event: %s\n", event);
    /* Each line of data needs a field of its own; CR would end a line too. */
    for (size_t at = 0;;) {
        const char *lf = memchr(data + at, '\n', len - at);
        size_t n = lf ? (size_t) (lf - data) - at : len - at;
        text_add(out, "data: ");
        for (size_t i = 0; i < n; i++)
            text_add_char(out, data[at + i] == '\r' ? ' ' : data[at + i]);
        text_add_char(out, '\n');
        if (!lf)
            break;
        at += n + 1;
    }
    text_add_char(out, '\n');
}

static int end_of_event(struct sse_reader *r, sse_event_f event, void *userdata)
{
    int code = 0;

    if (r->data.len) {
        r->data.data[--r->data.len] = '\0'; /* the LF after the last line */
        code = event(userdata, text_str(&r->id), r->event.len ? text_str(&r->event) : "message",
                     text_str(&r->data), r->data.len);
    }
    text_clear(&r->data);
    text_clear(&r->event);
    return code;
}

static int take_line(struct sse_reader *r, sse_event_f event, void *userdata)
{
    const char *line = text_str(&r->line);
    if (!*line)
        return end_of_event(r, event, userdata);

    size_t name = strcspn(line, ":");
    const char *value = line[name] ? line + name + 1 : line + name;
    value += *value == ' ';
    if (name == 4 && memcmp(line, "data", 4) == 0) {
        size_t n = r->line.len - (size_t) (value - line);
        if (r->data.len + n > r->limit)
            return -E2BIG;
        text_add_bytes(&r->data, value, n);
        text_add_char(&r->data, '\n');
    } else if (name == 5 && memcmp(line, "event", 5) == 0) {
        text_clear(&r->event);
        text_add(&r->event, value);
    } else if (name == 2 && memcmp(line, "id", 2) == 0) {
        text_clear(&r->id);
        text_add(&r->id, value);
    }
    return 0; /* a comment, or a field that nobody knows */
}

int sse_reader_feed(struct sse_reader *r, const char *bytes, size_t len, sse_event_f event,
                    void *userdata)
{
    if (!r->limit)
        r->limit = 1 << 20;
    for (size_t at = 0; at < len;) {
        const char *lf = memchr(bytes + at, '\n', len - at);
        size_t n = lf ? (size_t) (lf - bytes) - at : len - at;
        if (r->line.len + n > r->limit)
            return -E2BIG;
        text_add_bytes(&r->line, bytes + at, n);
        at += n + (lf != NULL);
        if (!lf)
            break;
        if (r->line.len && r->line.data[r->line.len - 1] == '\r')
            r->line.data[--r->line.len] = '\0';
        int code = take_line(r, event, userdata);
        text_clear(&r->line);
        if (code < 0)
            return code;
    }
    return 0;
}

void sse_reader_done(struct sse_reader *r)
{
    text_done(&r->line);
    text_done(&r->data);
    text_done(&r->event);
    text_done(&r->id);
}
