/* top.c - what jobs, their tasks and machines use now, and what limits them */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"

const struct metrics_task *task_metrics(const struct api *api, const struct attempt *attempt,
                                        size_t rank)
{
    return api->options.metrics && attempt
               ? metrics_find(api->options.metrics, attempt_task_id(attempt, rank))
               : NULL;
}

void newest_of_all(const struct api *api, const struct attempt *attempt, struct metrics_sum *sum)
{
    for (size_t rank = 0; rank < attempt_n_tasks(attempt); rank++) {
        const struct metrics_task *task = task_metrics(api, attempt, rank);
        const struct metrics_point *point = task ? metrics_newest(task) : NULL;
        if (point)
            metrics_sum_add_newest(sum, point);
    }
}

/* ---- limits -------------------------------------------------------------------------------------- */

json_t *limit_to_json(const struct metrics_limit *limit)
{
    return json_pack("{s:s,s:s}", "rule", limit->rule, "text", limit->text);
}

/* A verdict, and how many tasks have it; RANK is the first of them. */
struct verdict {
    const struct metrics_limit *limit;
    size_t rank, n;
};

/* What limits most tasks; those that nothing is known of yet do not count. */
static struct verdict common_limit(const struct api *api, const struct attempt *attempt)
{
    struct verdict verdicts[16] = { 0 }, most = { 0 };

    for (size_t rank = 0; rank < attempt_n_tasks(attempt); rank++) {
        const struct metrics_task *task = task_metrics(api, attempt, rank);
        const struct metrics_limit *limit = task ? metrics_task_limit(task) : NULL;
        if (!limit || !metrics_newest(task) || str_equal(limit->rule, "unknown"))
            continue;
        size_t i = 0;
        while (i < 15 && verdicts[i].limit && !str_equal(verdicts[i].limit->rule, limit->rule))
            i++;
        if (!verdicts[i].limit)
            verdicts[i] = (struct verdict){ limit, rank, 0 };
        if (++verdicts[i].n > most.n)
            most = verdicts[i];
    }
    return most;
}

static json_t *gang_limit(const struct api *api, const struct attempt *attempt)
{
    struct verdict most = common_limit(api, attempt);

    if (!most.limit)
        return NULL;
    _cleanup_free_ char *text = most.n == 1 ? xasprintf("rank %zu: %s", most.rank, most.limit->text)
                                            : xasprintf("rank %zu and %zu more: %s", most.rank,
                                                        most.n - 1, most.limit->text);
    return json_pack("{s:s,s:s}", "rule", most.limit->rule, "text", text);
}

void put_limit(const struct api *api, const struct workload *w, json_t *json)
{
    if (w->state != WORKLOAD_RUNNING || !w->attempt)
        return;
    const struct metrics_task *task = task_metrics(api, w->attempt, 0);
    json_t *limit = NULL;
    if (attempt_n_tasks(w->attempt) > 1)
        limit = gang_limit(api, w->attempt);
    else if (task && metrics_newest(task))
        limit = limit_to_json(metrics_task_limit(task));
    if (limit)
        json_put(json, "limit", limit);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

void put_sizes(const struct workload *w, const struct attempt *attempt, json_t *json)
{
    int64_t memory = 0;
    size_t n = attempt_n_tasks(attempt);

    for (size_t rank = 0; rank < n; rank++)
        memory += attempt_task_allocation(attempt, rank)->memory_bytes;
    json_put_int(json, "cores", (int64_t) n * workload_spec_task_cores(w->spec));
    json_put_int(json, "memory", memory);
    if (n > 1)
        json_put_int(json, "tasks", (int64_t) n);
}

static void put_now(const struct api *api, const struct attempt *attempt, json_t *json)
{
    const struct metrics_task *task = task_metrics(api, attempt, 0);
    struct metrics_sum sum = { 0 };

    if (attempt_n_tasks(attempt) == 1) {
        if (task)
            json_put(json, "now", metrics_newest_json(task));
        return;
    }
    newest_of_all(api, attempt, &sum);
    json_put(json, "now", metrics_sum_to_json(&sum));
}

/* W has an attempt. */
static json_t *job_use(const struct api *api, const struct workload *w)
{
    char id[ID_TEXT_LEN + 1], time[TIME_TEXT_LEN + 1];
    json_t *json = json_object();
    int64_t gpu_milli = 0;

    for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++)
        gpu_milli += allocation_gpu_milli(attempt_task_allocation(w->attempt, rank));
    json_put_str(json, "id", id_format(&w->id, id));
    json_put_str(json, "name", w->name);
    json_put_str(json, "node", attempt_task_allocation(w->attempt, 0)->node);
    put_sizes(w, w->attempt, json);
    json_put_milli(json, "gpus", gpu_milli);
    if (w->started_us)
        json_put_str(json, "started", time_format(w->started_us, time));
    if (workload_has_live_attempt(w))
        put_now(api, w->attempt, json);
    put_limit(api, w, json);
    return json;
}

static void put_end(const struct attempt_task *task, json_t *json)
{
    char time[TIME_TEXT_LEN + 1];

    json_put_str(json, "role", task->role);
    if (task->started_us)
        json_put_str(json, "started", time_format(task->started_us, time));
    if (task->ended_us)
        json_put_str(json, "ended", time_format(task->ended_us, time));
    if (task->cause != END_NONE)
        json_put_str(json, "cause", end_cause_name(task->cause));
    if (task->cause != END_NONE && task->exit_code >= 0)
        json_put_int(json, "exit_code", task->exit_code);
}

static json_t *task_use(const struct api *api, const struct workload *w, size_t rank)
{
    const struct metrics_task *task = task_metrics(api, w->attempt, rank);
    const struct allocation *allocation = attempt_task_allocation(w->attempt, rank);
    json_t *json = json_object();

    json_put_int(json, "rank", (int64_t) rank);
    json_put_str(json, "node", allocation->node);
    json_put_int(json, "cores", workload_spec_task_cores(w->spec));
    json_put_int(json, "memory", allocation->memory_bytes);
    json_put_milli(json, "gpus", allocation_gpu_milli(allocation));
    if (w->attempt->n_tasks)
        put_end(&w->attempt->tasks[rank], json);
    if (task && workload_has_live_attempt(w) && metrics_newest(task)) {
        json_put(json, "now", metrics_newest_json(task));
        json_put(json, "limit", limit_to_json(metrics_task_limit(task)));
    }
    return json;
}

/* What no event has said yet: a task that ended runs no longer, though the others do. */
static void put_news(const json_t *news, json_t *task)
{
    static const char *const keys[] = { "started", "ended", "cause", "exit_code" };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(news, keys[i]))
            json_put(task, keys[i], json_incref(json_object_get(news, keys[i])));
}

static json_t *news_of(const struct api *api, const struct workload *w)
{
    json_t *news = json_array();

    for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++)
        (void) json_array_append_new(news, json_object());
    lifecycle_put_tasks(api->options.lifecycle, w, news);
    return news;
}

static void show_job(struct call *call, const struct workload *w)
{
    const json_t *only = json_object_get(call->query, "rank");
    json_t *answer, *tasks = json_array();

    if (!w->attempt) {
        json_decref(tasks);
        call_refuse(call, -EBUSY, "%s has not begun yet", w->name);
        return;
    }
    if (!check_rank(call, w->attempt)) {
        json_decref(tasks);
        return;
    }
    _cleanup_json_ json_t *news = news_of(call->api, w);
    for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++) {
        if (only && (json_int_t) rank != json_integer_value(only))
            continue;
        json_t *task = task_use(call->api, w, rank);
        put_news(json_array_get(news, rank), task);
        (void) json_array_append_new(tasks, task);
    }
    answer = json_object();
    json_put(answer, "job", job_use(call->api, w));
    json_put(answer, "tasks", tasks);
    call_answer(call, 200, answer);
}

static void top_job(struct call *call) { job_find(call, show_job); }

/* ---- everything that runs ------------------------------------------------------------------------ */

struct top {
    const struct call *call;
    json_t *jobs;
};

static void add_job(void *userdata, const struct workload *w)
{
    struct top *top = userdata;

    if (!id_equal(&w->project, &top->call->project) || !tags_fit(top->call, w->tags) ||
        (w->state != WORKLOAD_RUNNING && w->state != WORKLOAD_STOPPING))
        return;
    (void) json_array_append_new(top->jobs, job_use(top->call->api, w));
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
            cpus += core->cpus.n;
        json_put_str(json, "name", nodes[i]->name);
        json_put_int(json, "cores", cpus);
        json_put_int(json, "memory", nodes[i]->memory_bytes);
        json_put_int(json, "gpus", (int64_t) nodes[i]->gpus.len);
        /* The local engine: its one node is the machine that is sampled. */
        if (i == 0 && api->options.metrics && !lifecycle_is_away(api->options.lifecycle))
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

const struct api_route top_routes[] = {
    { "top.show", top_show },
    { "top.job", top_job },
    { NULL, NULL },
};
