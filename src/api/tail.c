/* tail.c - follow a log or its chart points as server-sent events
 *
 * The stream pulls: only when the client can take more (`wanted`) and nothing else is under way (`busy`)
 * one piece is read on the pool and sent. What wakes it while it waits: the file grows, an event of
 * the job, the beat. When the attempt is over and its file is read to the end, the next attempt
 * follows, or `end`.
 *
 * Of a job of many tasks all, or the first MERGED_MAX, can be followed at once: a file each, pieces of them in turn. The id of a
 * line says then how far each of them has come.
 */
#include "api/internal.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 1 << 16, LINE_PIECE = 1 << 15, MERGED_MAX = 64 };

/* The file of one task. */
struct source {
    struct tail *tail;
    size_t rank;
    char *path;
    struct file_watch *watch;
    bool dirty;
    uint64_t first_line; /* to begin with */
    int64_t last_lines;  /* only so many at first; -1: all */
    /* belongs to the pool while the tail is busy with it */
    int fd;
    int64_t offset;
    uint64_t line;
    bool at_end;
};

struct tail {
    struct follower follower; /* first */
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    struct tail_kind kind;
    char id[ID_TEXT_LEN + 1];
    bool only;       /* one attempt, not those that follow */
    unsigned number; /* attempt that is read; 0: none yet */
    bool once;       /* what is there now, and no more */
    bool merged;     /* all tasks; each line says whose it is */
    struct source *sources;
    size_t n_sources, next; /* NEXT: whose turn it is */
    /* where the job stands */
    json_t *state;
    unsigned newest;       /* attempts begun */
    unsigned ran;          /* the last one that was told to be running */
    struct id *newest_ids; /* of the tasks that are read; NULL: there was no attempt yet */
    bool newest_over;      /* the newest of them has ended */
    bool job_over;
    /* the stream */
    bool wanted, busy, stale;
    struct text out;
    /* belongs to the pool while busy */
    struct source *reading;
    bool last;
    char *buf;
};

static void step(struct tail *t);

static void tail_free(struct tail *t)
{
    follower_remove(&t->follower);
    for (size_t i = 0; i < t->n_sources; i++) {
        file_watch_free(t->sources[i].watch);
        if (t->sources[i].fd >= 0)
            close(t->sources[i].fd);
        free(t->sources[i].path);
    }
    free(t->sources);
    free(t->newest_ids);
    json_decref(t->state);
    text_done(&t->out);
    free(t->buf);
    free(t);
}

/* ---- reading, on the pool ---- */

/* "ATTEMPT:LINE", or where each of all tasks goes on: "ATTEMPT:LINE.LINE.…". */
static void add_id(struct tail *t, const struct source *src)
{
    text_addf(&t->out, "id: %u:", t->number);
    if (!t->merged)
        text_addf(&t->out, "%llu", (unsigned long long) src->line);
    for (size_t i = 0; t->merged && i < t->n_sources; i++)
        text_addf(&t->out, "%s%llu", i ? "." : "",
                  (unsigned long long) t->sources[i].line + (&t->sources[i] == src));
    text_add_char(&t->out, '\n');
}

static void add_line(struct tail *t, struct source *src, const char *s, size_t len, bool part)
{
    if (!part)
        add_id(t, src);
    if (t->kind.json) {
        text_add(&t->out, "data: ");
        text_add_bytes(&t->out, s, len);
    } else {
        text_add(&t->out, "data: {");
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
static size_t add_lines(struct tail *t, struct source *src, size_t n, bool last)
{
    size_t at = 0;

    while (at < n) {
        const char *s = t->buf + at;
        const char *feed = memchr(s, '\n', n - at);
        size_t len = feed ? (size_t) (feed - s) : n - at;
        if (len > LINE_PIECE && !t->kind.json) {
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

static void open_file(struct source *src)
{
    struct line_file f;

    line_file_open(src->path, &f);
    if (src->last_lines >= 0) {
        uint64_t count = line_file_count(&f), want = (uint64_t) src->last_lines;
        src->first_line = count > want ? count - want : 0;
        src->last_lines = -1;
    }
    src->offset = line_file_find(&f, src->first_line);
    src->line = src->first_line;
    src->fd = take_fd(&f.fd);
    line_file_done(&f);
}

static void work(void *item)
{
    struct tail *t = item;
    struct source *src = t->reading;

    if (src->fd < 0)
        open_file(src);
    ssize_t n = src->fd >= 0 ? pread(src->fd, t->buf, PIECE, src->offset) : 0;
    bool more = n == PIECE;
    size_t used = n > 0 ? add_lines(t, src, (size_t) n, t->last && !more) : 0;

    /* A line of JSON larger than the buffer cannot be: the supervisor bounds them. Pass it over. */
    if (more && used == 0)
        used = (size_t) n;
    src->offset += (int64_t) used;
    src->at_end = !more;
}

static void worked(void *item)
{
    struct tail *t = item;

    t->busy = false;
    if (!t->req) {
        tail_free(t);
        return;
    }
    if (!t->reading->at_end)
        t->reading->dirty = true;
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
    bool is_stopping = str_equal(json_get_str(t->state, "state", ""), "stopping") &&
                       json_get_int(t->state, "attempt", 0) == w->attempts;
    if (w->state == WORKLOAD_RUNNING || is_stopping)
        return; /* that is its state, or was before one that was told */
    _cleanup_json_ json_t *state = json_object();
    json_put_str(state, "state", workload_state_name(WORKLOAD_RUNNING));
    json_put_int(state, "attempt", w->attempts);
    add_state(t, "state", state);
}

static void soil(struct tail *t)
{
    for (size_t i = 0; i < t->n_sources; i++)
        t->sources[i].dirty = true;
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
        if (!t->newest_ids)
            t->newest_ids = xnew_n(struct id, t->n_sources);
        for (size_t i = 0; i < t->n_sources && t->sources[i].rank < attempt_n_tasks(w->attempt);
             i++)
            t->newest_ids[i] = *attempt_task_id(w->attempt, t->sources[i].rank);
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
    soil(t);
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
        soil(t);
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
    struct source *src = userdata;

    src->dirty = true;
    step(src->tail);
}

static void begin_source(struct source *src, const struct id *task)
{
    file_watch_free(src->watch);
    src->watch = NULL;
    if (src->fd >= 0)
        close(src->fd);
    src->fd = -1;
    free(src->path);
    src->path = attempt_path(src->tail->api, task, src->tail->kind.file);
    src->at_end = false;
    src->dirty = true;
}

static void begin_attempt(struct tail *t, unsigned number, const struct id *tasks)
{
    for (size_t i = 0; i < t->n_sources; i++) {
        begin_source(&t->sources[i], &tasks[i]);
        t->sources[i].line = t->sources[i].first_line;
    }
    t->number = number;
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

static void read_more(struct tail *t, struct source *src)
{
    if (!src->watch) /* before reading, so that nothing is missed between */
        src->watch = file_watch_add(t->api->watches, src->path, grew, src);
    src->dirty = false;
    t->reading = src;
    t->busy = true;
    t->last = t->number < t->newest || t->newest_over;
    pool_submit(t->api->options.pool, work, worked, t);
}

/* Something may be new there; the files take turns. NULL: nothing is. */
static struct source *next_dirty(struct tail *t)
{
    for (size_t i = 0; i < t->n_sources; i++) {
        struct source *src = &t->sources[(t->next + i) % t->n_sources];
        if (!src->dirty)
            continue;
        t->next = (t->next + i + 1) % t->n_sources;
        return src;
    }
    return NULL;
}

static bool all_at_end(const struct tail *t)
{
    for (size_t i = 0; i < t->n_sources; i++)
        if (!t->sources[i].at_end)
            return false;
    return true;
}

/* The attempt at hand is read to its end: go on to the next, or tell that there is none. */
static void step_over(struct tail *t)
{
    if (!t->only && t->number < t->newest) {
        for (size_t i = 0; i < t->n_sources; i++)
            t->sources[i].first_line = 0;
        begin_attempt(t, t->newest, t->newest_ids);
        struct source *src = next_dirty(t);
        if (src)
            read_more(t, src);
    } else if (t->job_over || t->only || t->once) {
        add_state(t, "end", t->state);
        send_out(t, true);
    }
}

/* All that there will be of the attempt at hand, or of the job before its first. */
static bool is_read(const struct tail *t)
{
    if (t->number == 0)
        return t->job_over || t->once;
    return all_at_end(t) && (t->last || t->once);
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
    if (t->number == 0 && t->newest > 0 && t->newest_ids)
        begin_attempt(t, t->newest, t->newest_ids);
    struct source *src = t->number > 0 ? next_dirty(t) : NULL;
    if (src)
        read_more(t, src);
    else if (is_read(t))
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
    soil(t);
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
    for (size_t i = 0; i < t->n_sources; i++) { /* the api may be gone when the pool comes back */
        file_watch_free(t->sources[i].watch);
        t->sources[i].watch = NULL;
    }
    if (!t->busy)
        tail_free(t);
}

/* ---- begin ---- */

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

/* Where the client is, by the id of the last event that it has: the attempt, and where its files go on. */
static bool read_last_id(struct tail *t, const char *text, unsigned *ret_attempt)
{
    long long attempt, line;

    if (!text || !strchr(text, ':') || !read_number(&text, ':', UINT_MAX, &attempt))
        return false;
    for (size_t i = 0; i < t->n_sources; i++) {
        if (!read_number(&text, t->merged ? '.' : '\0', INT64_MAX - 1, &line))
            return false;
        t->sources[i].first_line = (uint64_t) line + !t->merged;
    }
    *ret_attempt = (unsigned) attempt;
    return true;
}

static void make_sources(struct tail *t, const struct call *call, size_t n_tasks)
{
    t->merged = t->merged && n_tasks > 1;
    t->n_sources = t->merged ? (n_tasks < MERGED_MAX ? n_tasks : MERGED_MAX) : 1;
    t->sources = xnew_n(struct source, t->n_sources);
    for (size_t i = 0; i < t->n_sources; i++)
        t->sources[i] = (struct source){
            .tail = t,
            .rank = t->merged ? i : (size_t) json_get_int(call->query, "rank", 0),
            .first_line = (uint64_t) json_get_int(call->query, "from", 0),
            .last_lines = json_get_int(call->query, "tail", -1),
            .fd = -1,
        };
}

/* The client goes on where it was; another attempt may have begun meanwhile. */
static void resume(struct tail *t, const struct call *call, unsigned number)
{
    unsigned seen = 0;

    if (!read_last_id(t, http_header_get(call->req, "Last-Event-ID"), &seen))
        return;
    for (size_t i = 0; i < t->n_sources; i++) {
        t->sources[i].last_lines = -1;
        if (seen != number)
            t->sources[i].first_line = 0;
    }
}

static void begin_found(struct tail *t, const struct attempt *attempt)
{
    struct id *tasks = xnew_n(struct id, t->n_sources);

    for (size_t i = 0; i < t->n_sources; i++)
        tasks[i] = *attempt_task_id(attempt, t->sources[i].rank);
    begin_attempt(t, attempt->number, tasks);
    free(tasks);
}

void tail_follow(struct call *call, const struct workload *w, const struct attempt *attempt,
                 const struct tail_kind *kind)
{
    struct tail *t = xnew(struct tail);

    t->api = call->api;
    t->kind = *kind;
    t->buf = xcalloc(1, PIECE);
    t->only = json_object_get(call->query, "attempt") != NULL;
    /* What mpirun's ranks print comes through it; Berth's agents print nothing. */
    t->merged = json_get_bool(call->query, "merged", false) && !(w->spec && w->spec->mpi);
    t->once = !json_get_bool(call->query, "follow", false);
    make_sources(t, call,
                 attempt   ? attempt_n_tasks(attempt)
                 : w->spec ? workload_spec_n_tasks(w->spec)
                           : 1);
    id_format(&w->id, t->id);
    t->follower =
        (struct follower){ .project = w->project, .job = w->id, .wake = wake, .beat = beat };
    resume(t, call, attempt ? attempt->number : 0);
    if (attempt)
        begin_found(t, attempt);
    learn(t, w);
    t->stale = true; /* W may be a copy without its attempt */
    follower_add(t->api, &t->follower);

    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = t };
    t->req = call_take_request(call);
    t->api->answers[2]++;
    http_add_header(t->req, "Cache-Control", "no-store");
    http_respond_stream(t->req, 200, "text/event-stream", -1, &generator);
}
