/* metrics.c - what a job uses: one of its tasks or all together, in the past and as it comes */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/fd.h"

#include <fcntl.h>
#include <string.h>

enum { HISTORY_BYTES_MAX = 8 << 20 };
#define LATE_US (15 * US_PER_S)

/* ---- one job ------------------------------------------------------------------------------------- */

struct reading {
    struct call *call;
    json_t *answer;
    char **paths; /* of each task */
    size_t n_paths;
    struct metrics_total *total; /* of many; NULL: of one, whose lines are */
    struct text lines;
};

static void reading_free(struct reading *r)
{
    json_decref(r->answer);
    for (size_t i = 0; i < r->n_paths; i++)
        free(r->paths[i]);
    free(r->paths);
    metrics_total_free(r->total);
    text_done(&r->lines);
    free(r);
}

typedef void (*line_f)(void *userdata, json_t *point);

/* Lines of JSON that were written whole; one that was not is the last. */
static void each_line(const struct text *lines, line_f line_read, void *userdata)
{
    for (const char *line = text_str(lines), *end; (end = strchr(line, '\n')); line = end + 1) {
        _cleanup_json_ json_t *point = NULL;
        if (json_parse(line, (size_t) (end - line), &point, NULL) >= 0)
            line_read(userdata, point);
    }
}

static void add_to_total(void *userdata, json_t *json)
{
    struct metrics_point point;

    if (metrics_point_from_json(json, &point) < 0)
        return;
    metrics_total_add(userdata, &point);
    metrics_point_done(&point);
}

static void add_to_list(void *userdata, json_t *json) { (void) json_array_append(userdata, json); }

/* One file after the other. */
static void read_history(void *item)
{
    struct reading *r = item;

    for (size_t i = 0; i < r->n_paths; i++) {
        text_clear(&r->lines);
        if (file_read(AT_FDCWD, r->paths[i], HISTORY_BYTES_MAX, &r->lines, NULL) < 0)
            text_clear(&r->lines);
        else if (r->total)
            each_line(&r->lines, add_to_total, r->total);
    }
}

static void answer_history(void *item)
{
    struct reading *r = item;
    struct call *call = r->call;
    json_t *history = r->total ? metrics_total_to_json(r->total) : json_array();
    json_t *answer = json_incref(r->answer);

    if (!r->total)
        each_line(&r->lines, add_to_list, history);
    json_put(answer, "history", history);
    reading_free(r);
    call_answer(call, 200, answer);
}

/* What is asked for: one task, or all of a gang. */
static void put_one(const struct api *api, const struct workload *w, const struct attempt *attempt,
                    size_t rank, json_t *answer)
{
    const struct metrics_task *task = task_metrics(api, attempt, rank);

    json_put_int(answer, "cores", workload_spec_task_cores(w->spec));
    json_put_int(answer, "memory",
                 attempt ? attempt_task_allocation(attempt, rank)->memory_bytes
                         : w->spec->memory_bytes);
    json_put(answer, "live", task && !attempt->ended_us ? metrics_live(task) : json_array());
    if (task && w->state == WORKLOAD_RUNNING && metrics_newest(task))
        json_put(answer, "limit", limit_to_json(metrics_task_limit(task)));
}

/* Who reports late must not make the newest seconds look idle. */
static int64_t all_known_until(const struct api *api, const struct attempt *attempt)
{
    int64_t newest_us = 0, until_us = 0;

    for (int pass = 0; pass < 2; pass++)
        for (size_t rank = 0; rank < attempt_n_tasks(attempt); rank++) {
            const struct metrics_task *task = task_metrics(api, attempt, rank);
            const struct metrics_point *point = task ? metrics_newest(task) : NULL;
            if (!point)
                continue;
            if (pass == 0 && point->time_us > newest_us)
                until_us = newest_us = point->time_us;
            if (pass == 1 && point->time_us < until_us && newest_us - point->time_us < LATE_US)
                until_us = point->time_us;
        }
    return until_us;
}

static json_t *live_of_all(const struct api *api, const struct attempt *attempt)
{
    int64_t until_us = attempt->ended_us ? 0 : all_known_until(api, attempt);
    int64_t minute_us = METRICS_LIVE_MAX * US_PER_S;

    if (until_us == 0)
        return json_array();
    _cleanup_(metrics_total_freep) struct metrics_total *total =
        metrics_total_new(until_us - minute_us, until_us, 1);
    for (size_t rank = 0; rank < attempt_n_tasks(attempt); rank++) {
        const struct metrics_task *task = task_metrics(api, attempt, rank);
        if (task)
            metrics_live_add(task, total);
    }
    return metrics_total_to_json(total);
}

static void put_all(const struct api *api, const struct workload *w, const struct attempt *attempt,
                    json_t *answer)
{
    put_sizes(w, attempt, answer);
    json_put(answer, "live", live_of_all(api, attempt));
    put_limit(api, w, answer);
}

static void add_paths(struct reading *r, const struct attempt *attempt, size_t first, size_t n)
{
    r->paths = xnew_n(char *, n);
    for (; r->n_paths < n; r->n_paths++)
        r->paths[r->n_paths] =
            attempt_path(r->call->api, attempt_task_id(attempt, first + r->n_paths), "metrics");
}

static bool asks_for_all(const struct call *call, const struct attempt *attempt)
{
    return attempt && attempt_n_tasks(attempt) > 1 && !json_object_get(call->query, "rank");
}

static void show_metrics(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    size_t rank = (size_t) json_get_int(call->query, "rank", 0);
    struct reading *r = xnew(struct reading);

    *r = (struct reading){ .call = call, .answer = json_object() };
    json_put_int(r->answer, "attempt", attempt ? attempt->number : 0);
    if (asks_for_all(call, attempt)) {
        put_all(call->api, w, attempt, r->answer);
        r->total =
            metrics_total_new(attempt->started_us ? attempt->started_us : attempt->created_us,
                              attempt->ended_us ? attempt->ended_us : clock_now_us(),
                              METRICS_PERIOD_S);
        add_paths(r, attempt, 0, attempt_n_tasks(attempt));
    } else {
        put_one(call->api, w, attempt, rank, r->answer);
        add_paths(r, attempt, rank, attempt ? 1 : 0);
    }
    pool_submit(call->api->options.pool, read_history, answer_history, r);
}

/* ---- as it comes --------------------------------------------------------------------------------- */

/* Points that a slow reader does not take are left out: the next one is fresher. */
struct metrics_stream {
    struct follower follower; /* first */
    struct metrics_stream *next, **link;
    struct api *api;
    struct http_request *req;
    size_t rank;     /* of the task */
    bool all;        /* of a gang: all tasks together */
    int64_t sent_us; /* time of the last point sent */
    const char *rule;
    char *limit_text; /* of all, that was sent last; NULL */
    bool wanted, ended;
    struct text out;
};

static void stream_free(struct metrics_stream *s)
{
    follower_remove(&s->follower);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    text_done(&s->out);
    free(s->limit_text);
    free(s);
}

static void add_json(struct metrics_stream *s, const char *event, json_t *json)
{
    _cleanup_free_ char *text = json_text(json);

    sse_format(&s->out, NULL, event, text, strlen(text));
    json_decref(json);
}

/* Of one task. */
static void add_point(struct metrics_stream *s, const struct metrics_task *task)
{
    const struct metrics_point *point = metrics_newest(task);

    if (!point || point->time_us <= s->sent_us)
        return;
    s->sent_us = point->time_us;
    add_json(s, NULL, metrics_newest_json(task));
    if (s->rule != metrics_task_limit(task)->rule)
        add_json(s, "limit", limit_to_json(metrics_task_limit(task)));
    s->rule = metrics_task_limit(task)->rule;
}

static void add_sum(struct metrics_stream *s, const struct workload *w)
{
    struct metrics_sum sum = { 0 };

    newest_of_all(s->api, w->attempt, &sum);
    if (sum.newest_us <= s->sent_us)
        return;
    s->sent_us = sum.newest_us;
    add_json(s, NULL, metrics_sum_to_json(&sum));
    _cleanup_json_ json_t *with_limit = json_object();
    put_limit(s->api, w, with_limit);
    json_t *limit = json_object_get(with_limit, "limit");
    if (limit && !str_equal(json_get_str(limit, "text", ""), s->limit_text))
        add_json(s, "limit", json_incref(limit));
    xstr_set(&s->limit_text, json_get_str(limit, "text", NULL));
}

static void add_news(struct metrics_stream *s)
{
    const struct workload *w = lifecycle_get(s->api->options.lifecycle, &s->follower.job);
    bool all = w && w->attempt && s->all && attempt_n_tasks(w->attempt) > 1;
    const struct metrics_task *task =
        w && w->attempt && !all && s->rank < attempt_n_tasks(w->attempt)
            ? task_metrics(s->api, w->attempt, s->rank)
            : NULL;

    if (all)
        add_sum(s, w);
    else if (task)
        add_point(s, task);
    if (!w || workload_state_is_final(w->state)) {
        sse_format(&s->out, NULL, "end", "{}", 2);
        s->ended = true;
    }
}

static void stream_step(struct metrics_stream *s)
{
    if (!s->wanted)
        return;
    if (!s->out.len)
        add_news(s);
    if (!s->out.len)
        return;
    _cleanup_text_ struct text out = s->out;
    struct http_request *req = s->req;
    bool last = s->ended;
    s->out = (struct text){ 0 };
    s->wanted = false;
    if (last)
        stream_free(s);
    http_send(req, out.data, out.len, last); /* may call proceed, or stop */
}

static void stream_wake(struct follower *follower)
{
    stream_step((struct metrics_stream *) follower);
}

static void stream_beat(struct follower *follower)
{
    struct metrics_stream *s = (struct metrics_stream *) follower;

    if (s->wanted && !s->out.len)
        text_add(&s->out, ":\n\n");
    stream_step(s);
}

static void proceed(void *userdata, struct http_request *req)
{
    struct metrics_stream *s = userdata;

    s->wanted = true;
    stream_step(s);
}

static void stop(void *userdata, struct http_request *req) { stream_free(userdata); }

void metrics_streams_step(void *userdata)
{
    struct api *api = userdata;

    for (struct metrics_stream *s = api->metrics_streams, *next; s; s = next) {
        next = s->next;
        stream_step(s);
    }
}

static void follow_metrics(struct call *call, const struct workload *w)
{
    struct metrics_stream *s = xnew(struct metrics_stream);
    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = s };

    *s = (struct metrics_stream){
        .follower = { .project = call->project,
                      .job = w->id,
                      .wake = stream_wake,
                      .beat = stream_beat },
        .api = call->api,
        .rank = (size_t) json_get_int(call->query, "rank", 0),
        .all = !json_object_get(call->query, "rank"),
        .next = call->api->metrics_streams,
        .link = &call->api->metrics_streams,
    };
    if (s->next)
        s->next->link = &s->next;
    call->api->metrics_streams = s;
    follower_add(call->api, &s->follower);
    s->req = call_take_request(call);
    s->api->answers[2]++;
    http_add_header(s->req, "Cache-Control", "no-store");
    http_respond_stream(s->req, 200, "text/event-stream", -1, &generator);
}

static void metrics_of(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    if (json_get_bool(call->query, "follow", false))
        follow_metrics(call, w);
    else
        show_metrics(call, w, attempt);
}

static void job_metrics(struct call *call) { attempt_find(call, metrics_of); }

const struct api_route metrics_routes[] = {
    { "job.metrics", job_metrics },
    { NULL, NULL },
};
