/* log-stream.c - read a log, once or as it grows
 *
 * Each line is an event whose id is its number. When the connection is cut or the server restarts,
 * the next request says which line came last (Last-Event-ID), so that none is lost or doubled.
 */
#include "cli/follow.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX (64u << 20)
#define RETRY_MS       250
#define NOTE_US        (2 * US_PER_S)
#define PATIENCE_US    (60 * US_PER_S)
#define QUIET_LIMIT_MS 60000 /* the server sends comments more often than that */

bool is_passing(int code)
{
    return code == -ECONNREFUSED || code == -ECONNRESET || code == -EPIPE || code == -ETIMEDOUT ||
           code == -ENOTCONN || code == -EBUSY || code == -EREMOTEIO || code == -ECONNABORTED;
}

int wait_for_server(struct cli *cli, int code, int64_t *since_us, struct error *err)
{
    int64_t now = clock_boot_us();

    if (!*since_us)
        *since_us = now;
    int64_t waited = now - *since_us;
    if (waited > PATIENCE_US)
        return code;
    if (waited > NOTE_US && waited - RETRY_MS * US_PER_MS <= NOTE_US)
        print_note(cli, "the server does not answer; trying again for a minute");
    http_client_free(cli->client);
    cli->client = NULL;
    (void) poll(NULL, 0, RETRY_MS);
    return interrupt_count() ? error_set(err, -EINTR, "interrupted") : 0;
}

struct stream {
    struct cli *cli;
    struct sse_reader reader;
    struct log_request *request;
    bool ended;    /* the server said so */
    bool progress; /* something came since the connection was made */
    bool plain;    /* the answer is the text itself */
    int failed;
};

static int on_event(void *userdata, const char *id, const char *event, const char *data, size_t len)
{
    struct stream *s = userdata;

    s->progress = true;
    if (str_equal(event, "end")) {
        s->ended = true;
        return 0;
    }
    if (id && *id)
        xstr_set(&s->request->last_line, id);
    if (fwrite(data, 1, len, stdout) != len || putc('\n', stdout) == EOF)
        return -EPIPE;
    return 0;
}

static int on_bytes(void *userdata, const char *bytes, size_t n)
{
    struct stream *s = userdata;

    if (interrupt_count())
        return s->failed = -EINTR;
    int r = 0;
    if (s->plain)
        r = fwrite(bytes, 1, n, stdout) == n ? 0 : -EIO;
    else
        r = sse_reader_feed(&s->reader, bytes, n, on_event, s);
    if (fflush(stdout) == EOF)
        r = -EIO; /* whoever read our output has gone */
    return r < 0 ? (s->failed = r) : 0;
}

static void add_number(struct text *t, const char *name, int64_t value, int64_t least)
{
    if (value >= least)
        text_addf(t, "%s%s=%lld", strchr(text_str(t), '?') ? "&" : "?", name, (long long) value);
}

static char *log_target(const struct cli *cli, const struct log_request *q, bool resumed)
{
    _cleanup_free_ char *path = project_path(cli, "jobs", q->job, "logs", NULL);
    struct text t = { 0 };

    text_add(&t, path);
    add_number(&t, "attempt", q->attempt, 1);
    if (!resumed) {
        add_number(&t, "from", q->from, 0);
        add_number(&t, "tail", q->tail, 0);
    }
    add_number(&t, "limit", q->lines, 1);
    if (q->follow)
        text_addf(&t, "%sfollow=true", strchr(t.data, '?') ? "&" : "?");
    return text_take(&t);
}

static int connect_once(struct stream *s, struct error *err)
{
    const struct log_request *q = s->request;
    _cleanup_free_ char *target = log_target(s->cli, q, q->last_line != NULL);
    const struct remote_call call = {
        .method = "GET",
        .target = target,
        .last_event_id = q->last_line,
        .accept = q->follow ? "text/event-stream" : "text/plain",
        .on_body = on_bytes,
        .userdata = s,
        .timeout_ms = q->follow ? QUIET_LIMIT_MS : 0,
    };
    s->progress = false;
    s->failed = 0;
    text_clear(&s->reader.line);
    text_clear(&s->reader.data);
    int r = remote_call(s->cli, &call, NULL, err);
    if (s->failed == -EINTR)
        return error_set(err, -EINTR, "interrupted");
    return s->failed == -EIO ? error_set(err, -EIO, "writing the log: %s", strerror(errno)) : r;
}

/* A stream that ends is at its end when the attempt is. */
static int is_over(struct cli *cli, const struct log_request *q, struct error *err)
{
    _cleanup_json_ json_t *job = NULL;
    int r = job_get(cli, q->job, &job, err);

    if (r < 0)
        return r;
    int64_t attempts = json_get_int(job, "attempts", 0);
    return state_is_final(json_get_str(job, "state", "")) ||
           (q->attempt && attempts > q->attempt) ||
           str_equal(json_get_str(job, "state", ""), "queued");
}

int log_print(struct cli *cli, struct log_request *q, struct error *err)
{
    struct stream s = {
        .cli = cli, .request = q, .plain = !q->follow, .reader = { .limit = LINE_BYTES_MAX }
    };
    int64_t since = 0;
    int r;

    for (;;) {
        r = connect_once(&s, err);
        if (s.progress)
            since = 0;
        if (!q->follow || (r < 0 && !is_passing(r)) || (r == 0 && s.ended))
            break;
        if (r == 0)
            r = is_over(cli, q, err);
        if (r > 0 || (r < 0 && !is_passing(r)))
            break;
        r = wait_for_server(cli, r < 0 ? r : -ETIMEDOUT, &since, err);
        if (r < 0)
            break;
    }
    sse_reader_done(&s.reader);
    return r < 0 ? r : 0;
}
