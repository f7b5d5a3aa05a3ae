/* tail.c - follow a log or its chart points as server-sent events
 *
 * The stream pulls: only when the client can take more (`wanted`) and nothing else is under way (`busy`)
 * one piece is read on the pool and sent. What wakes it while it waits: the file grows, an event of
 * the job, the beat. When the attempt is over and its file is read to the end, the next attempt
 * follows, or `end`.
 *
 * Of a job of many tasks all can be followed at once: a file each, what is new of them in the order of time
 * (tail-read.h).
 */
#include "api/internal.h"
#include "api/tail-read.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What the loop keeps of a file. */
struct source {
    struct tail *tail;
    struct file_watch *watch;
    bool dirty; /* something may be new there */
};

struct tail {
    struct follower follower; /* first */
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    char id[ID_TEXT_LEN + 1];
    bool only; /* one attempt, not those that follow */
    bool once; /* what is there now, and no more */
    struct source *sources;
    /* where the job stands */
    json_t *state;
    unsigned newest;       /* attempts begun */
    unsigned ran;          /* the last one that was told to be running */
    struct id *newest_ids; /* of the tasks that are read; NULL: there was no attempt yet */
    bool newest_over;      /* the newest of them has ended */
    bool job_over;
    /* the stream */
    bool wanted, busy, stale;
    struct tail_reader reader; /* the pool's while busy */
};

static void step(struct tail *t);

static void forget_watches(struct tail *t)
{
    for (size_t i = 0; i < t->reader.n_sources; i++) {
        file_watch_free(t->sources[i].watch);
        t->sources[i].watch = NULL;
    }
}

static void tail_free(struct tail *t)
{
    follower_remove(&t->follower);
    forget_watches(t);
    free(t->sources);
    free(t->newest_ids);
    json_decref(t->state);
    tail_reader_done(&t->reader);
    free(t);
}

/* ---- reading, on the pool ---- */

static void work(void *item)
{
    struct tail *t = item;

    tail_read(&t->reader);
}

static void worked(void *item)
{
    struct tail *t = item;

    t->busy = false;
    if (t->req)
        step(t);
    else
        tail_free(t);
}

/* ---- where the job stands ---- */

static void add_state(struct tail *t, const char *event, const json_t *state)
{
    _cleanup_free_ char *text = json_text(state);

    sse_format(&t->reader.out, NULL, event, text, strlen(text));
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
    for (size_t i = 0; i < t->reader.n_sources; i++)
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
            t->newest_ids = xnew_n(struct id, t->reader.n_sources);
        for (size_t i = 0;
             i < t->reader.n_sources && t->reader.sources[i].rank < attempt_n_tasks(w->attempt);
             i++)
            t->newest_ids[i] = *attempt_task_id(w->attempt, t->reader.sources[i].rank);
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

static void begin_attempt(struct tail *t, unsigned number, const struct id *tasks)
{
    forget_watches(t);
    tail_reader_begin(&t->reader, number, tasks);
    soil(t);
}

/* The stream may be over, and T gone, when this returns. */
static void send_out(struct tail *t, bool last)
{
    _cleanup_text_ struct text out = t->reader.out;
    struct http_request *req = t->req;

    t->reader.out = (struct text){ 0 };
    t->wanted = false;
    if (last)
        tail_free(t);
    http_send(req, text_str(&out), out.len, last);
}

/* Watched before it is read, so that nothing is missed between. */
static void watch_file(struct tail *t, size_t i)
{
    if (t->sources[i].watch || t->once)
        return;
    _cleanup_free_ char *path = attempt_path(t->api, &t->reader.sources[i].task, t->reader.file);
    t->sources[i].watch = file_watch_add(t->api->watches, path, grew, &t->sources[i]);
}

/* False: nothing may be new anywhere. */
static bool read_more(struct tail *t)
{
    for (size_t i = 0; i < t->reader.n_sources; i++) {
        if (!t->sources[i].dirty)
            continue;
        watch_file(t, i);
        t->sources[i].dirty = false;
        tail_reader_add(&t->reader, i);
    }
    if (t->reader.due.len == 0)
        return false;
    t->busy = true;
    t->reader.last = t->reader.number < t->newest || t->newest_over;
    pool_submit(t->api->options.pool, work, worked, t);
    return true;
}

/* The attempt at hand is read to its end: go on to the next, or tell that there is none. */
static void step_over(struct tail *t)
{
    if (!t->only && t->reader.number < t->newest) {
        for (size_t i = 0; i < t->reader.n_sources; i++)
            t->reader.sources[i].first_line = 0;
        begin_attempt(t, t->newest, t->newest_ids);
        (void) read_more(t);
    } else if (t->job_over || t->only || t->once) {
        add_state(t, "end", t->state);
        send_out(t, true);
    }
}

/* All that there will be of the attempt at hand, or of the job before its first. */
static bool is_read(const struct tail *t)
{
    if (t->reader.number == 0)
        return t->job_over || t->once;
    return tail_reader_at_end(&t->reader) && (t->reader.last || t->once);
}

static void step(struct tail *t)
{
    if (t->busy || !t->wanted)
        return;
    if (t->reader.out.len > 0) {
        send_out(t, false);
        return;
    }
    if (t->stale) {
        refresh(t);
        if (!t->busy)
            step(t);
        return;
    }
    if (t->reader.number == 0 && t->newest > 0 && t->newest_ids)
        begin_attempt(t, t->newest, t->newest_ids);
    if (!(t->reader.number > 0 && read_more(t)) && is_read(t))
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

    if (!t->busy && t->reader.out.len == 0)
        text_add(&t->reader.out, ":\n\n");
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
    forget_watches(t); /* the api may be gone when the pool comes back */
    if (!t->busy)
        tail_free(t);
}

/* ---- begin ---- */

static void make_sources(struct tail *t, const struct call *call, const struct tail_kind *kind,
                         size_t n_tasks)
{
    bool merged = json_get_bool(call->query, "merged", false) && n_tasks > 1;
    const struct tail_source template = {
        .rank = merged ? 0 : (size_t) json_get_int(call->query, "rank", 0),
        .first_line = (uint64_t) json_get_int(call->query, "from", 0),
        .last_lines = json_get_int(call->query, "tail", -1),
    };

    t->reader = (struct tail_reader){
        .file = kind->file, .json = kind->json, .merged = merged, .view = line_view_of(call->query)
    };
    tail_reader_init(&t->reader, t->api->options.state, &template, merged ? n_tasks : 1);
    t->sources = xnew_n(struct source, t->reader.n_sources);
    for (size_t i = 0; i < t->reader.n_sources; i++)
        t->sources[i].tail = t;
}

/* The client goes on where it was; another attempt may have begun meanwhile. */
static void resume(struct tail *t, const struct call *call, unsigned number)
{
    unsigned seen = 0;

    if (!tail_reader_resume(&t->reader, http_header_get(call->req, "Last-Event-ID"), &seen))
        return;
    for (size_t i = 0; i < t->reader.n_sources; i++) {
        t->reader.sources[i].last_lines = -1;
        if (seen != number)
            t->reader.sources[i].first_line = 0;
    }
}

static void begin_found(struct tail *t, const struct attempt *attempt)
{
    struct id *tasks = xnew_n(struct id, t->reader.n_sources);

    for (size_t i = 0; i < t->reader.n_sources; i++)
        tasks[i] = *attempt_task_id(attempt, t->reader.sources[i].rank);
    begin_attempt(t, attempt->number, tasks);
    free(tasks);
}

static size_t n_tasks_read(const struct workload *w, const struct attempt *attempt)
{
    if (w->spec &&
        w->spec->mpi) /* what mpirun's ranks print comes through it; Berth's agents print nothing */
        return 1;
    if (attempt)
        return attempt_n_tasks(attempt);
    return w->spec ? workload_spec_n_tasks(w->spec) : 1;
}

void tail_follow(struct call *call, const struct workload *w, const struct attempt *attempt,
                 const struct tail_kind *kind)
{
    struct tail *t = xnew(struct tail);

    t->api = call->api;
    t->only = json_object_get(call->query, "attempt") != NULL;
    t->once = !json_get_bool(call->query, "follow", false);
    make_sources(t, call, kind, n_tasks_read(w, attempt));
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
