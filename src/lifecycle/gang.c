/* gang.c - an attempt of many tasks: ready, go, the first failure, and the end of all
 *
 * What an engine reports of a single task is kept here until it says something about the attempt. Only
 * four moments are events: all begin (job.starting), all run (job.running), the first one failed or only
 * services are left (job.stop_requested), and all have ended (job.ended). Whatever lies between is said
 * again by the engine after a restart.
 */
#include "lifecycle/internal.h"

#include "base/alloc.h"
#include "base/time.h"

#include <string.h>

enum { MASTER_PORT = 29500 };

struct gang *gang_new(const struct attempt *attempt)
{
    struct gang *gang = xnew(struct gang);

    gang->n = attempt->n_tasks;
    gang->failed_rank = attempt->failed_rank;
    gang->tasks = xnew_n(struct gang_task, gang->n);
    for (size_t rank = 0; rank < gang->n; rank++)
        if (attempt->tasks[rank].cause != END_NONE)
            gang->tasks[rank].end = attempt_task_to_json(&attempt->tasks[rank], rank);
    return gang;
}

void gang_free(struct gang *gang)
{
    if (!gang)
        return;
    for (size_t rank = 0; rank < gang->n; rank++) {
        free(gang->tasks[rank].address);
        json_decref(gang->tasks[rank].evidence);
        json_decref(gang->tasks[rank].end);
        json_decref(gang->tasks[rank].artifacts);
        json_decref(gang->tasks[rank].storage);
    }
    free(gang->tasks);
    free(gang);
}

bool gang_lives(const struct job *job, size_t rank) { return !job->gang->tasks[rank].end; }

static unsigned tasks_of_role(const struct attempt *a, const char *role)
{
    unsigned n = 0;

    for (size_t i = 0; i < a->n_tasks; i++)
        n += str_equal(a->tasks[i].role, role);
    return n;
}

void gang_describe(const struct workload *w, size_t rank, struct task_gang *ret)
{
    const struct attempt *a = w->attempt;
    const struct attempt_task *task = &a->tasks[rank];
    struct task_place place;

    workload_spec_place(w->spec, (unsigned) rank, &place);
    *ret = (struct task_gang){
        .attempt = a->id,
        .rank = (unsigned) rank,
        .world_size = (unsigned) a->n_tasks,
        .local_rank = task->local_rank,
        .local_size = place.local_size,
        .node_rank = task->node_rank,
        .n_nodes = w->spec->nodes,
        .role = task->role,
        .role_rank = task->role_rank,
        .role_size = task->role ? tasks_of_role(a, task->role) : 0,
        .is_service = task->is_service,
        .master_port = MASTER_PORT,
    };
}

/* ---- ready, go ----------------------------------------------------------------------------------- */

static json_t *list_peers(const struct job *job)
{
    const struct attempt *a = job->w->attempt;
    json_t *peers = json_array();

    for (size_t rank = 0; rank < job->gang->n; rank++) {
        struct task_peer peer = { .task = a->tasks[rank].id,
                                  .node = a->tasks[rank].allocation->node,
                                  .address = job->gang->tasks[rank].address };
        gang_describe(job->w, rank, &peer.gang);
        (void) json_array_append_new(peers, task_peer_to_json(&peer));
    }
    return peers;
}

/* Not the token of a task: none has this epoch. */
static void gang_secret(struct lifecycle *lc, const struct attempt *a,
                        char ret[static TASK_TOKEN_LEN + 1])
{
    lc->sources.token(lc->sources.userdata, &a->id, a->epoch | 1U << 31, ret);
}

static void let_go(struct lifecycle *lc, struct job *job)
{
    _cleanup_json_ json_t *peers = list_peers(job);
    char secret[TASK_TOKEN_LEN + 1];
    struct task_go go = { .peers = peers, .secret = secret };

    gang_secret(lc, job->w->attempt, secret);
    job->gang->goes = true;
    for (size_t rank = 0; rank < job->gang->n; rank++)
        if (gang_lives(job, rank) && job->gang->tasks[rank].started_us == 0)
            lc->engine->ops->go(lc->engine, &job->w->attempt->tasks[rank].id, &go);
    explicit_bzero(secret, sizeof secret);
}

void gang_ready(struct lifecycle *lc, struct job *job, size_t rank, const char *address)
{
    struct gang *gang = job->gang;

    xstr_set(&gang->tasks[rank].address, address);
    for (size_t i = 0; i < gang->n; i++)
        if (!gang->tasks[i].address)
            return;
    if (!job->w->stop_requested && !gang->goes)
        let_go(lc, job);
}

/* ---- all run ------------------------------------------------------------------------------------- */

static json_t *started_tasks(const struct gang *gang)
{
    json_t *all = json_array();

    for (size_t rank = 0; rank < gang->n; rank++) {
        const struct gang_task *task = &gang->tasks[rank];
        if (task->started_us == 0)
            continue;
        json_t *item = json_object();
        json_put_int(item, "rank", (int64_t) rank);
        json_put_time(item, "started", task->started_us);
        if (task->evidence)
            json_put(item, "evidence", json_deep_copy(task->evidence));
        (void) json_array_append_new(all, item);
    }
    return all;
}

static bool all_have_started(const struct gang *gang, int64_t *ret_last_us)
{
    *ret_last_us = 0;
    for (size_t rank = 0; rank < gang->n; rank++) {
        if (gang->tasks[rank].started_us == 0)
            return false;
        if (gang->tasks[rank].started_us > *ret_last_us)
            *ret_last_us = gang->tasks[rank].started_us;
    }
    return true;
}

static void note_started(struct lifecycle *lc, struct job *job)
{
    const struct gang *gang = job->gang;
    int64_t last_us = 0;

    if (job->w->attempt->started_us != 0 || job->w->stop_requested ||
        !all_have_started(gang, &last_us))
        return;
    json_t *data = json_object();
    struct commit *c = commit_new(lc, job);
    xstr_set(&job->waits, NULL);
    json_put_int(data, "started_us", last_us);
    if (gang->tasks[0].evidence)
        json_put(data, "evidence", json_deep_copy(gang->tasks[0].evidence));
    json_put(data, "tasks", started_tasks(gang));
    commit_fold(c, job, EVENT_RUNNING, "system", data);
    store_put_workload(c->batch, job->w);
    c->later = true;
    commit_send(c);
    act_arm_max_time(lc, job);
}

void gang_started(struct lifecycle *lc, struct job *job, size_t rank,
                  const struct task_started *started)
{
    struct gang_task *task = &job->gang->tasks[rank];

    if (task->started_us != 0 || task->end)
        return;
    task->started_us = started->started_us;
    if (started->evidence)
        task->evidence = json_deep_copy(started->evidence);
    note_started(lc, job);
}

/* ---- the first failure --------------------------------------------------------------------------- */

static enum end_cause cause_of(const struct gang_task *task)
{
    return end_cause_parse(json_get_str(task->end, "cause", "none"));
}

static int code_of(const struct gang_task *task)
{
    return (int) json_get_int(task->end, "exit_code", -1);
}

static bool succeeded(const struct gang_task *task)
{
    return cause_of(task) == END_EXITED && code_of(task) == 0;
}

static bool others_live(const struct job *job)
{
    for (size_t rank = 0; rank < job->gang->n; rank++)
        if (gang_lives(job, rank))
            return true;
    return false;
}

static bool only_services_live(const struct job *job)
{
    for (size_t rank = 0; rank < job->gang->n; rank++)
        if (gang_lives(job, rank) && !job->w->attempt->tasks[rank].is_service)
            return false;
    return true;
}

/* Is what task RANK ended with the reason for the end of all? */
static void judge(struct job *job, size_t rank)
{
    const struct gang_task *task = &job->gang->tasks[rank];

    if (!job->w->stop_requested && job->gang->failed_rank < 0 && !succeeded(task) &&
        cause_of(task) != END_MAX_TIME)
        job->gang->failed_rank = (int) rank;
}

/* RANK has ended and others live: must they end, too? */
static void judge_others(struct lifecycle *lc, struct job *job, size_t rank)
{
    const struct gang_task *task = &job->gang->tasks[rank];
    struct stop_order order = { END_GANG, "system", job->w->spec->grace_s, NULL };

    if (job->w->stop_requested || (succeeded(task) && !only_services_live(job)))
        return;
    if (cause_of(task) == END_MAX_TIME)
        order.cause = END_MAX_TIME;
    order.more = json_object();
    if (job->gang->failed_rank == (int) rank) {
        json_t *tasks = json_array();
        (void) json_array_append_new(tasks, json_deep_copy(task->end));
        json_put(order.more, "tasks", tasks);
        json_put_int(order.more, "failed_rank", (int64_t) rank);
    }
    act_stop(lc, job, &order, commit_new(lc, job));
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* "rank 2 (worker 1) on node n1 was the first to fail: REASON"; owned by the caller. */
static char *failure_text(const struct job *job, size_t rank)
{
    const struct attempt_task *task = &job->w->attempt->tasks[rank];
    const char *reason = json_get_str(job->gang->tasks[rank].end, "reason", NULL);
    _cleanup_free_ char *role =
        task->role ? xasprintf(" (%s %u)", task->role, task->role_rank) : xstrdup("");

    return xasprintf("rank %zu%s on node %s was the first to fail%s%s", rank, role,
                     task->allocation->node, reason ? ": " : "", reason ? reason : "");
}

/* The task that says how the attempt ended: the first that failed, else one that was preempted or stopped. */
static size_t decisive_rank(const struct job *job)
{
    if (job->gang->failed_rank >= 0)
        return (size_t) job->gang->failed_rank;
    /* Of a gang that makes room a task may fail because another has gone before it. */
    for (size_t rank = 0; rank < job->gang->n; rank++)
        if (cause_of(&job->gang->tasks[rank]) == END_PREEMPTED)
            return rank;
    for (size_t rank = 0; rank < job->gang->n; rank++)
        if (!succeeded(&job->gang->tasks[rank]) && cause_of(&job->gang->tasks[rank]) != END_GANG)
            return rank;
    for (size_t rank = 0; rank < job->gang->n; rank++)
        if (succeeded(&job->gang->tasks[rank]))
            return rank;
    return 0;
}

static void put_end(const struct job *job, json_t *data)
{
    size_t rank = decisive_rank(job);
    const struct gang_task *task = &job->gang->tasks[rank];
    bool failed = job->gang->failed_rank >= 0;
    _cleanup_free_ char *text = failed ? failure_text(job, rank) : NULL;

    json_put_str(data, "cause", end_cause_name(cause_of(task)));
    if (code_of(task) >= 0)
        json_put_int(data, "exit_code", code_of(task));
    json_put_str(data, "reason", failed ? text : json_get_str(task->end, "reason", NULL));
}

static int64_t time_of(const json_t *json, const char *key)
{
    int64_t us = 0;

    return time_parse(json_get_str(json, key, ""), &us) < 0 ? 0 : us;
}

static void put_tasks(const struct gang *gang, json_t *data)
{
    json_t *tasks = json_array();
    int64_t started_us = 0, ended_us = 0;

    for (size_t rank = 0; rank < gang->n; rank++) {
        int64_t started = time_of(gang->tasks[rank].end, "started");
        int64_t ended = time_of(gang->tasks[rank].end, "ended");
        if (started > 0 && (started_us == 0 || started < started_us))
            started_us = started;
        if (ended > ended_us)
            ended_us = ended;
        (void) json_array_append_new(tasks, json_deep_copy(gang->tasks[rank].end));
    }
    json_put(data, "tasks", tasks);
    if (started_us > 0)
        json_put_int(data, "started_us", started_us);
    json_put_int(data, "ended_us", ended_us);
}

/* Of all together; it ran as long as the longest. */
static void put_usage(const struct gang *gang, json_t *data)
{
    static const char *const sums[] = { "memory_peak_bytes", "log_bytes", "log_lines",
                                        "chart_points" };
    json_t *usage = json_object();
    double cpu = 0, longest = 0;

    for (size_t rank = 0; rank < gang->n; rank++) {
        const json_t *one = json_object_get(gang->tasks[rank].end, "usage");
        double duration = json_number_value(json_object_get(one, "duration_seconds"));
        cpu += json_number_value(json_object_get(one, "cpu_seconds"));
        longest = duration > longest ? duration : longest;
        for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
            if (json_object_get(one, sums[i]))
                json_put_int(usage, sums[i],
                             json_get_int(usage, sums[i], 0) + json_get_int(one, sums[i], 0));
    }
    json_put(usage, "cpu_seconds", json_real(cpu));
    json_put(usage, "duration_seconds", json_real(longest));
    json_put(data, "usage", usage);
}

static void add_reason(json_t *data, size_t rank, const char *why)
{
    const char *before = json_get_str(data, "reason", NULL);
    _cleanup_free_ char *reason =
        xasprintf("%s%sthe artifacts of rank %zu's machine are left out: %s", before ? before : "",
                  before ? "; " : "", rank, why);

    json_put_str(data, "reason", reason);
}

/* What RANK's machine has, next to what others had. */
static void merge_artifacts(struct manifest **all, struct manifest *more, size_t rank, json_t *data)
{
    json_t *artifacts = json_object_get(data, "artifacts");
    struct error err = { 0 };

    if (manifest_merge(all, more, &err) < 0)
        add_reason(data, rank, err.text);
    manifest_free(more);
    json_put_int(artifacts, "count", (int64_t) (*all)->n);
    json_put_int(artifacts, "bytes", (*all)->size_bytes);
    (void) json_object_del(artifacts, "manifest"); /* that of one of them */
}

/* What the last task of each machine to end has collected there; of two files of one name that of the lower
 * rank is kept. */
static struct manifest *put_artifacts(struct lifecycle *lc, const struct gang *gang, json_t *data)
{
    struct manifest *all = NULL;

    for (size_t rank = 0; rank < gang->n; rank++) {
        const json_t *artifacts = gang->tasks[rank].artifacts;
        if (!artifacts)
            continue;
        if (!all)
            json_put(data, "artifacts", json_deep_copy(artifacts));
        struct manifest *one = act_load_artifacts(lc, artifacts, data);
        if (all && one)
            merge_artifacts(&all, one, rank, data);
        else if (one)
            all = one;
    }
    return all;
}

static void finish(struct lifecycle *lc, struct job *job)
{
    json_t *data = json_object();

    put_end(job, data);
    if (job->gang->failed_rank >= 0)
        json_put_int(data, "failed_rank", job->gang->failed_rank);
    put_tasks(job->gang, data);
    put_usage(job->gang, data);
    const json_t **storage = xnew_n(const json_t *, job->gang->n);
    for (size_t rank = 0; rank < job->gang->n; rank++)
        storage[rank] = job->gang->tasks[rank].storage;
    landing_begin(lc, job, data, put_artifacts(lc, job->gang, data), storage);
    free(storage);
}

static json_t *end_of(const struct gang *gang, size_t rank, const struct task_exit *ex)
{
    _cleanup_json_ json_t *all = act_ended_data(ex);
    static const char *const kept[] = { "cause", "exit_code", "reason", "usage" };
    int64_t started_us = ex->started_us > 0 ? ex->started_us : gang->tasks[rank].started_us;
    json_t *end = json_object();

    json_put_int(end, "rank", (int64_t) rank);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(all, kept[i]))
            json_put(end, kept[i], json_incref(json_object_get(all, kept[i])));
    json_put_time(end, "started", started_us);
    json_put_time(end, "ended", ex->ended_us);
    if (gang->tasks[rank].evidence)
        json_put(end, "evidence", json_incref(gang->tasks[rank].evidence));
    return end;
}

void gang_ended(struct lifecycle *lc, struct job *job, size_t rank, const struct task_exit *ex)
{
    struct gang_task *task = &job->gang->tasks[rank];

    if (ex->artifacts && !task->artifacts)
        task->artifacts = json_deep_copy(ex->artifacts);
    if (ex->storage && !task->storage)
        task->storage = json_deep_copy(ex->storage);
    if (!task->end) {
        task->end = end_of(job->gang, rank, ex);
        task_changed(lc, attempt_task_id(job->w->attempt, rank));
        if (task->started_us == 0)
            task->started_us = ex->started_us;
        note_started(lc, job);
        judge(job, rank);
        if (others_live(job))
            judge_others(lc, job, rank);
    }
    if (!others_live(job) && !job->ashore)
        finish(lc, job);
}

void gang_lose(struct lifecycle *lc, struct job *job)
{
    unsigned epoch = job->w->attempt->epoch;
    struct task_exit ex = {
        .epoch = epoch, .cause = END_NODE_LOST, .exit_code = -1, .ended_us = lc_now(lc)
    };

    for (size_t rank = 0; job->gang && job->w->attempt->epoch == epoch && rank < job->gang->n;
         rank++)
        if (job->gang->tasks[rank].is_lost && gang_lives(job, rank))
            gang_ended(lc, job, rank, &ex);
}

void lifecycle_put_tasks(struct lifecycle *lc, const struct workload *w, json_t *tasks)
{
    const struct job *job = live_get(lc, &w->id);
    json_t *item;
    size_t rank;

    if (!job || !job->gang)
        return;
    json_array_foreach(tasks, rank, item) {
        const struct gang_task *task = rank < job->gang->n ? &job->gang->tasks[rank] : NULL;
        if (!task)
            return;
        json_put_time(item, "started", task->started_us);
        if (task->evidence)
            json_put(item, "evidence", json_deep_copy(task->evidence));
        if (task->end)
            (void) json_object_update(item, task->end);
    }
}
