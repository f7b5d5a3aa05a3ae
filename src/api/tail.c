/* tail.c - follow a log or its chart points as server-sent events
 *
 * The stream pulls: only when the client can take more (`wanted`) and nothing else is under way (`busy`)
 * one piece is read on the pool and sent. What wakes it while it waits: the file grows, an event of
 * the job, the beat. When the attempt is over and its file is read to the end, the next attempt
 * follows, or `end`.
 */
#include "api/internal.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 1 << 16, LINE_PIECE = 1 << 15 };

struct tail {
    struct follower follower; /* first */
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    struct tail_kind kind;
    char id[ID_TEXT_LEN + 1];
    bool only;           /* one attempt, not those that follow */
    unsigned number;     /* attempt that is read; 0: none yet */
    uint64_t first_line; /* to begin with */
    int64_t last_lines;  /* only so many at first; -1: all */
    char *path;
    struct file_watch *watch;
    /* where the job stands */
    json_t *state;
    size_t rank;     /* of the task */
    unsigned newest; /* attempts begun */
    unsigned ran;    /* the last one that was told to be running */
    struct id newest_id;
    bool newest_over; /* the newest of them has ended */
    bool job_over;
    /* the stream */
    bool wanted, busy, dirty, stale;
    struct text out;
    /* belongs to the pool while busy */
    int fd;
    int64_t offset;
    uint64_t line;
    bool last, at_end;
    char *buf;
};

static void step(struct tail *t);

static void tail_free(struct tail *t)
{
    follower_remove(&t->follower);
    file_watch_free(t->watch);
    json_decref(t->state);
    text_done(&t->out);
    if (t->fd >= 0)
        close(t->fd);
    free(t->path);
    free(t->buf);
    free(t);
}

/* ---- reading, on the pool ---- */

static void add_line(struct tail *t, const char *s, size_t len, bool part)
{
    if (!part)
        text_addf(&t->out, "id: %u:%llu\n", t->number, (unsigned long long) t->line);
    if (t->kind.json) {
        text_add(&t->out, "data: ");
        text_add_bytes(&t->out, s, len);
    } else {
        text_addf(&t->out, "data: {\"line\":%llu,\"text\":", (unsigned long long) t->line);
        text_add_json_string(&t->out, s, len);
        text_add(&t->out, part ? ",\"part\":true}" : "}");
    }
    text_add(&t->out, "\n\n");
    if (!part)
        t->line++;
}

/* Turns N bytes of the buffer into events; returns how many were used. */
static size_t add_lines(struct tail *t, size_t n, bool last)
{
    size_t at = 0;

    while (at < n) {
        const char *s = t->buf + at;
        const char *feed = memchr(s, '\n', n - at);
        size_t len = feed ? (size_t) (feed - s) : n - at;
        if (len > LINE_PIECE && !t->kind.json) {
            add_line(t, s, LINE_PIECE, true);
            at += LINE_PIECE;
            continue;
        }
        if (!feed && !last)
            break;
        add_line(t, s, len, false);
        at += len + (feed != NULL);
    }
    return at;
}

static void open_file(struct tail *t)
{
    struct line_file f;

    line_file_open(t->path, &f);
    if (t->last_lines >= 0) {
        uint64_t count = line_file_count(&f), want = (uint64_t) t->last_lines;
        t->first_line = count > want ? count - want : 0;
        t->last_lines = -1;
    }
    t->offset = line_file_find(&f, t->first_line);
    t->line = t->first_line;
    t->fd = take_fd(&f.fd);
    line_file_done(&f);
}

static void work(void *item)
{
    struct tail *t = item;

    if (t->fd < 0)
        open_file(t);
    ssize_t n = t->fd >= 0 ? pread(t->fd, t->buf, PIECE, t->offset) : 0;
    bool more = n == PIECE;
    size_t used = n > 0 ? add_lines(t, (size_t) n, t->last && !more) : 0;

    /* A line of JSON larger than the buffer cannot be: the supervisor bounds them. Pass it over. */
    if (more && used == 0)
        used = (size_t) n;
    t->offset += (int64_t) used;
    t->at_end = !more;
}

static void worked(void *item)
{
    struct tail *t = item;

    t->busy = false;
    if (!t->req) {
        tail_free(t);
        return;
    }
    if (!t->at_end)
        t->dirty = true;
    step(t);
}

/* ---- where the job stands ---- */

static void add_state(struct tail *t, const char *event, const json_t *state)
{
    _cleanup_free_ char *text = json_text(state);

    sse_format(&t->out, NULL, event, text, strlen(text));
}

/* An attempt may begin and end between two looks; that it ran is told nevertheless, before its lines. */
static void tell_running(struct tail *t, const struct workload *w)
{
    bool ran = w->state == WORKLOAD_RUNNING || w->started_us > 0;

    if (!ran || t->ran >= w->attempts)
        return;
    t->ran = w->attempts;
    if (w->state == WORKLOAD_RUNNING)
        return; /* that is its state */
    _cleanup_json_ json_t *state = json_object();
    json_put_str(state, "state", workload_state_name(WORKLOAD_RUNNING));
    json_put_int(state, "attempt", w->attempts);
    add_state(t, "state", state);
}

static void learn(struct tail *t, const struct workload *w)
{
    json_t *state = json_object();

    json_put_str(state, "state", workload_state_name(w->state));
    json_put_int(state, "attempt", w->attempts);
    json_put_str(state, "reason", w->reason);
    if (workload_state_is_final(w->state))
        json_put_int(state, "exit_code", w->exit_code);
    t->job_over = workload_state_is_final(w->state);
    t->newest = w->attempts;
    if (w->attempt) {
        t->newest_id = *attempt_task_id(w->attempt, t->rank);
        t->newest_over = w->attempt->ended_us > 0 || t->job_over;
    }
    tell_running(t, w);
    if (!t->state || !json_equal(t->state, state)) {
        json_decref(t->state);
        t->state = json_incref(state);
        if (!t->job_over)
            add_state(t, "state", t->state);
    }
    json_decref(state);
    t->dirty = true;
}

static void stored(void *userdata, int r, struct workload **items, size_t n,
                   const struct error *err)
{
    struct tail *t = userdata;

    t->busy = false;
    if (!t->req) {
        tail_free(t);
        return;
    }
    if (r == 0 && n == 1) {
        learn(t, items[0]);
    } else { /* deleted meanwhile */
        t->job_over = t->newest_over = true;
        t->dirty = true;
    }
    step(t);
}

static void refresh(struct tail *t)
{
    const struct workload *w = lifecycle_get(t->api->options.lifecycle, &t->follower.job);

    t->stale = false;
    if (w) {
        learn(t, w);
        return;
    }
    t->busy = true;
    store_find_workload(t->api->options.store, &t->follower.project, t->id, stored, t);
}

/* ---- steps ---- */

static void grew(void *userdata)
{
    struct tail *t = userdata;

    t->dirty = true;
    step(t);
}

static void begin_attempt(struct tail *t, unsigned number, const struct id *id)
{
    file_watch_free(t->watch);
    t->watch = NULL;
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    free(t->path);
    t->path = attempt_path(t->api, id, t->kind.file);
    t->number = number;
    t->at_end = false;
    t->dirty = true;
}

/* The stream may be over, and T gone, when this returns. */
static void send_out(struct tail *t, bool last)
{
    _cleanup_text_ struct text out = t->out;
    struct http_request *req = t->req;

    t->out = (struct text){ 0 };
    t->wanted = false;
    if (last)
        tail_free(t);
    http_send(req, text_str(&out), out.len, last);
}

static void read_more(struct tail *t)
{
    if (!t->watch) /* before reading, so that nothing is missed between */
        t->watch = file_watch_add(t->api->watches, t->path, grew, t);
    t->dirty = false;
    t->busy = true;
    t->last = t->number < t->newest || t->newest_over;
    pool_submit(t->api->options.pool, work, worked, t);
}

/* The attempt at hand is read to its end: go on to the next, or tell that there is none. */
static void step_over(struct tail *t)
{
    if (!t->only && t->number < t->newest) {
        t->first_line = 0;
        begin_attempt(t, t->newest, &t->newest_id);
        read_more(t);
    } else if (t->job_over || t->only) {
        add_state(t, "end", t->state);
        send_out(t, true);
    }
}

static void step(struct tail *t)
{
    if (t->busy || !t->wanted)
        return;
    if (t->out.len > 0) {
        send_out(t, false);
        return;
    }
    if (t->stale) {
        refresh(t);
        if (!t->busy)
            step(t);
        return;
    }
    if (t->number == 0 && t->newest > 0)
        begin_attempt(t, t->newest, &t->newest_id);
    if (t->number > 0 && t->dirty)
        read_more(t);
    else if (t->number == 0 ? t->job_over : t->at_end && t->last)
        step_over(t);
}

static void wake(struct follower *follower)
{
    struct tail *t = (struct tail *) follower;

    t->stale = true;
    step(t);
}

static void beat(struct follower *follower)
{
    struct tail *t = (struct tail *) follower;

    if (!t->busy && t->out.len == 0)
        text_add(&t->out, ":\n\n");
    t->dirty = true;
    step(t);
}

static void proceed(void *userdata, struct http_request *req)
{
    struct tail *t = userdata;

    t->wanted = true;
    step(t);
}

static void stop(void *userdata, struct http_request *req)
{
    struct tail *t = userdata;

    t->req = NULL;
    t->wanted = false;
    follower_remove(&t->follower);
    file_watch_free(t->watch); /* the api may be gone when the pool comes back */
    t->watch = NULL;
    if (!t->busy)
        tail_free(t);
}

/* ---- begin ---- */

/* "ATTEMPT:LINE" of the last event that the client has. */
static bool read_last_id(const char *text, unsigned *ret_attempt, uint64_t *ret_line)
{
    const char *colon = text ? strchr(text, ':') : NULL;
    long long attempt, line;

    if (!colon || colon - text > 10)
        return false;
    _cleanup_free_ char *first = xstrndup(text, (size_t) (colon - text));
    if (str_to_i64(first, 0, UINT_MAX, &attempt) < 0 ||
        str_to_i64(colon + 1, 0, INT64_MAX - 1, &line) < 0)
        return false;
    *ret_attempt = (unsigned) attempt;
    *ret_line = (uint64_t) line + 1;
    return true;
}

void tail_follow(struct call *call, const struct workload *w, const struct attempt *attempt,
                 const struct tail_kind *kind)
{
    struct tail *t = xnew(struct tail);
    const char *last_id = http_header_get(call->req, "Last-Event-ID");
    unsigned seen = 0;

    t->api = call->api;
    t->kind = *kind;
    t->fd = -1;
    t->buf = xcalloc(1, PIECE);
    t->only = json_object_get(call->query, "attempt") != NULL;
    t->first_line = (uint64_t) json_get_int(call->query, "from", 0);
    t->last_lines = json_get_int(call->query, "tail", -1);
    t->rank = (size_t) json_get_int(call->query, "rank", 0);
    id_format(&w->id, t->id);
    t->follower =
        (struct follower){ .project = w->project, .job = w->id, .wake = wake, .beat = beat };
    if (attempt)
        begin_attempt(t, attempt->number, attempt_task_id(attempt, t->rank));
    if (read_last_id(last_id, &seen, &t->first_line)) {
        t->last_lines = -1;
        if (seen != t->number)
            t->first_line = 0; /* another attempt has begun meanwhile */
    }
    learn(t, w);
    t->stale = true; /* W may be a copy without its attempt */
    follower_add(t->api, &t->follower);

    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = t };
    t->req = call_take_request(call);
    t->api->answers[2]++;
    http_add_header(t->req, "Cache-Control", "no-store");
    http_respond_stream(t->req, 200, "text/event-stream", -1, &generator);
}
