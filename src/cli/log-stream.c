/* log-stream.c - read a log, once or as it grows
 *
 * Each line is an event whose id is its number. When the connection is cut or the server restarts,
 * the next request says which line came last (Last-Event-ID), so that none is lost or doubled. Of very many tasks only some
 * events have an id: the lines after the last of those come again, and are left out.
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
#define QUIET_LIMIT_MS 45000 /* the server sends comments more often than that */

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
    struct log_request *request;
    struct sse_reader reader;
    bool ended;    /* the server said so */
    bool progress; /* something came since the connection was made */
    int64_t lines; /* printed so far */
    int failed;
    bool cleans; /* stdout is a terminal */
    struct log_cleaner cleaner;
    VEC(int64_t) next; /* of many tasks: the line that each goes on with */
};

/* Has LINE been printed already? It counts as printed from now on. */
static bool was_printed(struct stream *s, int64_t rank, const json_t *line)
{
    int64_t number = json_get_int(line, "line", 0);

    if (rank < 0 || rank > RANK_MAX)
        return false;
    while ((int64_t) s->next.len <= rank)
        vec_push(&s->next, 0);
    if (number < s->next.items[rank])
        return true;
    if (!json_get_bool(line, "part", false))
        s->next.items[rank] = number + 1;
    return false;
}

static int put(struct stream *s, const char *bytes, size_t n)
{
    _cleanup_text_ struct text clean = { 0 };

    if (s->cleans) {
        log_clean(&s->cleaner, bytes, n, &clean);
        bytes = text_str(&clean);
        n = clean.len;
    }
    return fwrite(bytes, 1, n, stdout) == n ? 0 : -EIO;
}

static void end_output(struct stream *s)
{
    _cleanup_text_ struct text end = { 0 };

    log_clean_end(&s->cleaner, &end);
    print_text(&end);
}

static int print_line(struct stream *s, const json_t *line)
{
    const json_t *text = json_object_get(line, "text"), *rank = json_object_get(line, "rank");
    char prefix[24];
    int r = 0;

    if (rank && was_printed(s, json_integer_value(rank), line))
        return 0;
    if (rank) {
        int n = snprintf(prefix, sizeof prefix, "[%lld] ", (long long) json_integer_value(rank));
        r = put(s, prefix, (size_t) n);
    }
    if (r == 0)
        r = put(s, json_string_value(text), json_string_length(text));
    /* A part of one that is too long is a line where others may come in between. */
    if (r == 0 && rank && json_get_bool(line, "part", false))
        return put(s, "\n", 1);
    if (r == 0 && !json_get_bool(line, "part", false)) {
        r = put(s, "\n", 1);
        s->lines++;
    }
    return r < 0 || s->lines != s->request->lines ? r : -ECANCELED;
}

/* ID begins with the number of the attempt. Lines of another are counted anew. */
static void take_id(struct stream *s, const char *id)
{
    const char *last = s->request->last_line;
    size_t len = strcspn(id, ":");

    if (str_equal(last, id)) /* that of an event before */
        return;
    if (last && strncmp(last, id, len + 1) != 0)
        s->next.len = 0;
    xstr_set(&s->request->last_line, id);
}

static int on_event(void *userdata, const char *id, const char *event, const char *data, size_t len)
{
    struct stream *s = userdata;
    _cleanup_json_ json_t *json = NULL;
    int r = 0;

    s->progress = true;
    if (json_parse(data, len, &json, NULL) < 0)
        return -EBADMSG;
    if (id && *id)
        take_id(s, id);
    if (str_equal(event, "end"))
        s->ended = true;
    else if (str_equal(event, "message"))
        r = print_line(s, json);
    if (str_equal(event, "state") && s->request->on_state)
        s->request->on_state(s->request->userdata, json);
    return r;
}

static bool is_events(const struct log_request *q) { return q->follow || q->merged; }

static int on_bytes(void *userdata, const char *bytes, size_t n)
{
    struct stream *s = userdata;
    int r = 0;

    if (interrupt_count())
        return s->failed = -EINTR;
    if (is_events(s->request))
        r = sse_reader_feed(&s->reader, bytes, n, on_event, s);
    else
        r = put(s, bytes, n);
    if (fflush(stdout) == EOF)
        r = -EIO; /* whoever read our output has gone */
    if (r == 0 && s->request->on_beat)
        s->request->on_beat(s->request->userdata);
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
    add_number(&t, "rank", q->rank, 0);
    if (!resumed) {
        add_number(&t, "from", q->from, 0);
        add_number(&t, "tail", q->tail, 0);
    }
    add_number(&t, "limit", q->lines, 1);
    if (q->stream)
        text_addf(&t, "%sstream=%s", strchr(text_str(&t), '?') ? "&" : "?", q->stream);
    if (q->merged)
        text_addf(&t, "%smerged=true", strchr(t.data, '?') ? "&" : "?");
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
        .accept = is_events(q) ? "text/event-stream" : "text/plain",
        .on_body = on_bytes,
        .userdata = s,
        .timeout_ms = q->follow ? QUIET_LIMIT_MS : 0,
    };
    s->progress = false;
    s->failed = 0;
    text_clear(&s->reader.line);
    text_clear(&s->reader.data);
    int r = remote_call(s->cli, &call, NULL, err);
    switch (s->failed) {
    case -ECANCELED: /* enough lines */
        s->ended = true;
        return 0;
    case -EINTR:
        return error_set(err, -EINTR, "interrupted");
    case -EIO:
        return error_set(err, -EIO, "writing the log: %s", strerror(errno));
    default:
        return r;
    }
}

int log_print(struct cli *cli, struct log_request *q, struct error *err)
{
    struct stream s = { .cli = cli,
                        .request = q,
                        .reader = { .limit = LINE_BYTES_MAX },
                        .cleans = cli->out.tty && !q->raw,
                        .cleaner = { .utf8 = cli->out.utf8 } };
    int64_t since = 0;
    int r;

    for (;;) {
        r = connect_once(&s, err);
        if (s.progress)
            since = 0;
        if (!q->follow || s.ended || (r < 0 && !is_passing(r)))
            break;
        /* Cut, or the server ended: it says so when the log is over. */
        r = wait_for_server(cli, r < 0 ? r : -ECONNRESET, &since, err);
        if (r < 0)
            break;
    }
    sse_reader_done(&s.reader);
    vec_done(&s.next);
    end_output(&s);
    return r < 0 ? r : 0;
}
