/* metrics.c - what jobs and machines use: now, in the past, and as it comes */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/fd.h"

#include <fcntl.h>
#include <string.h>

enum { HISTORY_BYTES_MAX = 8 << 20 };

/* NULL: it has no numbers. */
static const struct metrics_task *task_of(const struct api *api, const struct attempt *attempt,
                                          size_t rank)
{
    return api->options.metrics && attempt
               ? metrics_find(api->options.metrics, attempt_task_id(attempt, rank))
               : NULL;
}

static json_t *limit_to_json(const struct metrics_limit *limit)
{
    return json_pack("{s:s,s:s}", "rule", limit->rule, "text", limit->text);
}

void put_limit(const struct api *api, const struct workload *w, json_t *json)
{
    const struct metrics_task *task =
        w->state == WORKLOAD_RUNNING ? task_of(api, w->attempt, 0) : NULL;

    if (task && metrics_newest(task))
        json_put(json, "limit", limit_to_json(metrics_task_limit(task)));
}

/* ---- one job ------------------------------------------------------------------------------------- */

struct reading {
    struct call *call;
    json_t *answer;
    char *path;
    struct text lines;
};

static void reading_free(struct reading *r)
{
    json_decref(r->answer);
    free(r->path);
    text_done(&r->lines);
    free(r);
}

static void read_history(void *item)
{
    struct reading *r = item;

    if (file_read(AT_FDCWD, r->path, HISTORY_BYTES_MAX, &r->lines, NULL) < 0)
        text_clear(&r->lines);
}

/* Lines of JSON that were written whole; one that was not is the last. */
static void answer_history(void *item)
{
    struct reading *r = item;
    struct call *call = r->call;
    json_t *history = json_array(), *answer = json_incref(r->answer);

    for (const char *line = text_str(&r->lines), *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *point = NULL;
        if (json_parse(line, (size_t) (end - line), &point, NULL) >= 0)
            (void) json_array_append_new(history, point);
    }
    json_put(answer, "history", history);
    reading_free(r);
    call_answer(call, 200, answer);
}

static void show_metrics(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    const struct metrics_task *task =
        task_of(call->api, attempt, (size_t) json_get_int(call->query, "rank", 0));
    struct reading *r = xnew(struct reading);

    r->call = call;
    r->answer = json_object();
    r->path = attempt ? attempt_path(call->api, task_asked(call, attempt), "metrics")
                      : xstrdup("/dev/null");
    json_put_int(r->answer, "attempt", attempt ? attempt->number : 0);
    json_put_int(r->answer, "cores", w->spec->cores);
    json_put_int(r->answer, "memory", w->spec->memory_bytes);
    json_put(r->answer, "live", task && !attempt->ended_us ? metrics_live(task) : json_array());
    put_limit(call->api, w, r->answer);
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
    int64_t sent_us; /* time of the last point sent */
    const char *rule;
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
    free(s);
}

static void add_json(struct metrics_stream *s, const char *event, json_t *json)
{
    _cleanup_free_ char *text = json_text(json);

    sse_format(&s->out, NULL, event, text, strlen(text));
    json_decref(json);
}

static void add_news(struct metrics_stream *s)
{
    const struct workload *w = lifecycle_get(s->api->options.lifecycle, &s->follower.job);
    const struct metrics_task *task = w ? task_of(s->api, w->attempt, s->rank) : NULL;
    const struct metrics_point *point = task ? metrics_newest(task) : NULL;

    if (point && point->time_us > s->sent_us) {
        s->sent_us = point->time_us;
        add_json(s, NULL, metrics_newest_json(task));
        if (s->rule != metrics_task_limit(task)->rule)
            add_json(s, "limit", limit_to_json(metrics_task_limit(task)));
        s->rule = metrics_task_limit(task)->rule;
    }
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

/* ---- everything that runs ------------------------------------------------------------------------ */

struct top {
    const struct call *call;
    json_t *jobs;
};

static void add_job(void *userdata, const struct workload *w)
{
    struct top *top = userdata;
    const struct metrics_task *task = task_of(top->call->api, w->attempt, 0);
    char id[ID_TEXT_LEN + 1], time[TIME_TEXT_LEN + 1];

    if (!id_equal(&w->project, &top->call->project) || !tags_fit(top->call, w->tags) ||
        (w->state != WORKLOAD_RUNNING && w->state != WORKLOAD_STOPPING))
        return;
    json_t *json = json_object();
    json_put_str(json, "id", id_format(&w->id, id));
    json_put_str(json, "name", w->name);
    json_put_str(json, "node", w->attempt->allocation->node);
    json_put_int(json, "cores", w->spec->cores);
    json_put_int(json, "memory", w->spec->memory_bytes);
    json_put_int(json, "gpus", w->spec->gpus);
    if (w->started_us)
        json_put_str(json, "started", time_format(w->started_us, time));
    if (task)
        json_put(json, "now", metrics_newest_json(task));
    put_limit(top->call->api, w, json);
    (void) json_array_append_new(top->jobs, json);
}

static json_t *nodes_to_json(const struct api *api)
{
    const struct node *const *nodes;
    json_t *array = json_array();
    size_t n;

    lifecycle_nodes(api->options.lifecycle, &nodes, &n);
    for (size_t i = 0; i < n; i++) {
        json_t *json = json_object();
        unsigned cpus = 0;
        vec_foreach(&nodes[i]->cores, core)
            cpus += cpu_set_count(&core->cpus);
        json_put_str(json, "name", nodes[i]->name);
        json_put_int(json, "cores", cpus);
        json_put_int(json, "memory", nodes[i]->memory_bytes);
        json_put_int(json, "gpus", (int64_t) nodes[i]->gpus.len);
        /* The local engine: its one node is the machine that is sampled. */
        if (i == 0 && api->options.metrics)
            json_put(json, "now", metrics_machine(api->options.metrics));
        (void) json_array_append_new(array, json);
    }
    return array;
}

static void top_show(struct call *call)
{
    struct top top = { .call = call, .jobs = json_array() };
    json_t *answer = json_object();

    lifecycle_each_attempt(call->api->options.lifecycle, add_job, &top);
    json_put(answer, "jobs", top.jobs);
    json_put(answer, "nodes", nodes_to_json(call->api));
    call_answer(call, 200, answer);
}

const struct api_route metrics_routes[] = {
    { "job.metrics", job_metrics },
    { "top.show", top_show },
    { NULL, NULL },
};

/* ---- for Prometheus ------------------------------------------------------------------------------ */

struct figures {
    const struct api *api;
    struct text *out;
    const char *name;
    double (*value)(const struct metrics_point *point);
};

static void add_label(struct text *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            text_add_char(out, '\\');
        if (*value == '\n')
            text_add(out, "\\n");
        else
            text_add_char(out, *value);
    }
}

static void add_job_figure(void *userdata, const struct workload *w)
{
    const struct figures *f = userdata;
    const struct metrics_task *task = task_of(f->api, w->attempt, 0);
    const struct metrics_point *point = task ? metrics_newest(task) : NULL;
    char id[ID_TEXT_LEN + 1], project[ID_TEXT_LEN + 1];

    if (!point || f->value(point) < 0)
        return;
    text_addf(f->out, "%s{project=\"%s\",job=\"%s\",name=\"", f->name,
              id_format(&w->project, project), id_format(&w->id, id));
    add_label(f->out, w->name);
    text_addf(f->out, "\"} %.6g\n", f->value(point));
}

static double cores_of(const struct metrics_point *p) { return p->cores; }
static double waiting_of(const struct metrics_point *p) { return p->cores_waiting; }
static double memory_of(const struct metrics_point *p) { return (double) p->memory_bytes; }
static double read_of(const struct metrics_point *p) { return p->read_rate; }
static double write_of(const struct metrics_point *p) { return p->write_rate; }

static double gpu_busy_of(const struct metrics_point *p)
{
    double sum = 0;

    for (unsigned i = 0; i < p->n_gpus; i++)
        sum += p->gpus[i].busy > 0 ? p->gpus[i].busy : 0;
    return p->n_gpus ? sum / p->n_gpus : -1;
}

static void add_jobs(const struct api *api, struct text *out)
{
    static const struct {
        const char *name, *help;
        double (*value)(const struct metrics_point *point);
    } families[] = {
        { "berth_job_cores_busy", "Busy cores of a running job.", cores_of },
        { "berth_job_cores_waiting", "Its cores that wait for a disk.", waiting_of },
        { "berth_job_memory_bytes", "Memory that it uses.", memory_of },
        { "berth_job_read_bytes_per_second", "What it reads from disks.", read_of },
        { "berth_job_write_bytes_per_second", "What it writes to disks.", write_of },
        { "berth_job_gpu_busy_ratio", "How busy its GPUs are.", gpu_busy_of },
    };

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct figures f = { api, out, families[i].name, families[i].value };
        text_addf(out, "# HELP %s %s\n# TYPE %s gauge\n", f.name, families[i].help, f.name);
        lifecycle_each_attempt(api->options.lifecycle, add_job_figure, &f);
    }
}

static double gpu_busy(const struct gpu_state *gpu)
{
    return gpu->busy_percent < 0 ? -1 : gpu->busy_percent / 100.0;
}
static double gpu_memory(const struct gpu_state *gpu) { return (double) gpu->memory_used_bytes; }
static double gpu_power(const struct gpu_state *gpu) { return gpu->power_w; }
static double gpu_temperature(const struct gpu_state *gpu) { return gpu->temperature_c; }
static double gpu_errors(const struct gpu_state *gpu) { return (double) gpu->xids; }

static void add_gpus(const struct gpu_report *report, struct text *out)
{
    static const struct {
        const char *name, *help;
        double (*value)(const struct gpu_state *gpu);
        const char *type;
    } families[] = {
        { "berth_gpu_busy_ratio", "Part of the time in which something ran on it.", gpu_busy,
          "gauge" },
        { "berth_gpu_memory_used_bytes", "Memory in use.", gpu_memory, "gauge" },
        { "berth_gpu_power_watts", "Power that it takes.", gpu_power, "gauge" },
        { "berth_gpu_temperature_celsius", "Temperature.", gpu_temperature, "gauge" },
        { "berth_gpu_errors_total", "Errors that the driver reported by number (XID).", gpu_errors,
          "counter" },
    };

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const char *name = families[i].name;
        text_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, families[i].help, name,
                  families[i].type);
        for (unsigned k = 0; k < report->n; k++) {
            const struct gpu_state *gpu = &report->gpus[k];
            if (families[i].value(gpu) < 0)
                continue;
            text_addf(out, "%s{gpu=\"%s\",index=\"%u\",model=\"", name, gpu->uuid, gpu->index);
            add_label(out, gpu->model);
            text_addf(out, "\"} %.6g\n", families[i].value(gpu));
        }
    }
}

void add_metrics(const struct api *api, struct text *out)
{
    const struct gpu_report *report =
        api->options.metrics ? metrics_gpus(api->options.metrics) : NULL;

    if (api->options.metrics)
        add_jobs(api, out);
    if (report)
        add_gpus(report, out);
}
