/* slurm.c - tasks as Slurm jobs: Berth decides where, Slurm executes, confines and watches
 *
 * What becomes of a task comes home by its courier into STATE/attempts/ID, as files (docs/design/0014), and
 * news() says that one came. What does not come home that way is seen in the list of our jobs, which is read every
 * few seconds (poll.c). Slurm knows a job by its name, PREFIX-TASK: so it is found after a restart of either
 * side, and a submit whose answer was lost is looked for before it is repeated.
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "base/time.h"
#include "engine/local.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMMANDS_AT_ONCE 8
#define COMMAND_LIMIT_US (30 * US_PER_S)
#define FIRST_LIMIT_US   (10 * US_PER_S)
/* Between the end of a grace, when the supervisor is to have killed the container, and scancel. */
#define STOP_MARGIN_US (20 * US_PER_S)
/* Who asked for a stream waits for it half as long. */
#define STREAM_WAIT_US (60 * US_PER_S)

struct slurm *slurm_of(struct engine *engine) { return (struct slurm *) engine; }

struct slurm_task *slurm_find(const struct slurm *slurm, const struct id *task)
{
    return map_get(slurm->tasks, task, sizeof *task);
}

struct slurm_task *slurm_find_job(const struct slurm *slurm, uint32_t job)
{
    return map_get(slurm->jobs, &job, sizeof job);
}

void task_set_job(struct slurm_task *task, uint32_t job)
{
    struct map *jobs = task->slurm->jobs;

    if (task->job && map_get(jobs, &task->job, sizeof task->job) == task)
        (void) map_remove(jobs, &task->job, sizeof task->job);
    task->job = job;
    task->doubted = 0;
    if (job)
        (void) map_set(jobs, &job, sizeof job, task);
}

/* ---- reporting ----------------------------------------------------------------------------------- */

static void task_free(void *p)
{
    struct slurm_task *task = p;

    if (--task->shape.who->tasks == 0)
        task->shape.who->rounds = WHO_ROUNDS;
    watch_free(task->timer);
    if (task->token)
        explicit_bzero(task->token, strlen(task->token));
    free(task->token);
    free(task->shape.node);
    free(task->waits);
    free(task->failure);
    task_exit_free(task->ended);
    json_decref(task->orders);
    free(task);
}

static void obey_stop(struct slurm_task *task);

void task_enter(struct slurm_task *task, enum phase phase)
{
    task->phase = phase;
    task->phase_us = loop_now_us(task->slurm->loop);
    obey_stop(task);
}

void task_waits(struct slurm_task *task, const char *text)
{
    const struct engine_listener *listener = &task->slurm->engine.listener;

    if (task->reported || str_equal(task->waits, text))
        return;
    xstr_set(&task->waits, text);
    if (listener->waits)
        listener->waits(listener->userdata, &task->task, text);
}

static void report_started(struct slurm_task *task)
{
    const struct slurm *slurm = task->slurm;
    _cleanup_(task_started_freep) struct task_started *started = NULL;

    if (task->reported || directory_read_started(slurm->attempts, task->id, &started, NULL) < 0)
        return;
    task->launched = task->reported = true;
    task->lent = false;
    obey_stop(task);
    slurm->engine.listener.started(slurm->engine.listener.userdata, &task->task, started);
}

static void report_ready(const struct slurm_task *task)
{
    const struct engine_listener *listener = &task->slurm->engine.listener;
    _cleanup_(task_ready_freep) struct task_ready *ready = NULL;

    if (listener->ready && directory_read_ready(task->slurm->attempts, task->id, &ready, NULL) >= 0)
        listener->ready(listener->userdata, &task->task, ready->address);
}

static void report_ended(struct slurm_task *task, const struct task_exit *ex)
{
    struct slurm *slurm = task->slurm;

    (void) map_remove(slurm->tasks, &task->task, sizeof task->task);
    task_set_job(task, 0);
    slurm->engine.listener.ended(slurm->engine.listener.userdata, &task->task, ex);
    task_free(task);
}

void task_end(struct slurm_task *task, enum end_cause cause, const char *reason)
{
    struct task_exit ex = { .epoch = task->epoch,
                            .cause = task->stop_cause != END_NONE ? task->stop_cause : cause,
                            .exit_code = -1,
                            .reason = (char *) (uintptr_t) reason,
                            .ended_us = clock_now_us() };
    report_ended(task, &ex);
}

void task_end_as_came(struct slurm_task *task, enum end_cause cause, const char *reason)
{
    _cleanup_(task_exit_freep) struct task_exit *ex = take_ptr(task->ended);

    if (cause != END_NONE) {
        ex->cause = cause;
        xstr_set(&ex->reason, reason);
    }
    report_ended(task, ex);
}

/* Slurm's SIGTERM and somebody's are the same to a supervisor: was it scancel, a requeue, a time limit? */
static bool is_unexplained(const struct slurm_task *task, const struct task_exit *ex)
{
    return ex->cause == END_STOPPED && task->stop_cause == END_NONE && task->job;
}

bool task_look(struct slurm_task *task)
{
    int attempts = task->slurm->attempts;
    _cleanup_(task_exit_freep) struct task_exit *ex = NULL;
    struct error err = { 0 };

    if (directory_has(attempts, task->id, "started"))
        report_started(task);
    if (task->ended)
        return true;
    if (!directory_has(attempts, task->id, "exit.json"))
        return false;
    if (directory_read_exit(attempts, task->id, &ex, &err) < 0)
        task_end(task, END_SUPERVISOR_LOST, err.text);
    else if (is_unexplained(task, ex)) {
        task->ended = take_ptr(ex);
        task_unlinger(task);
        task_ask_why(task);
    } else
        report_ended(task, ex);
    return true;
}

/* ---- cancelling ---------------------------------------------------------------------------------- */

static void on_cancelled(void *userdata, const struct command_result *result)
{
    struct slurm *slurm = userdata;

    /* Whatever it said: the next list tells, and what is still there is asked for again. */
    if (result->code != 0)
        log_info("scancel failed; it is tried again", "reason", result->words);
    slurm_poll_soon(slurm);
}

void slurm_cancel_job(struct slurm *slurm, struct who *who, const struct id *task, uint32_t job)
{
    struct slurm_job_order order = { .task = *task, .job = job };

    (void) snprintf(order.account, sizeof order.account, "%s", who->name ? who->name : "");
    char **argv = slurm_job_arguments(&slurm->site, &order);
    const struct command command = { .argv = (const char *const *) argv,
                                     .order = who->name ? &order : NULL,
                                     .done = on_cancelled,
                                     .userdata = slurm };
    commands_run(slurm->commands, &command);
    slurm_words_free(argv);
}

void task_cancel(struct slurm_task *task)
{
    task->cancelled = true;
    if (task->job)
        slurm_cancel_job(task->slurm, task->shape.who, &task->named, task->job);
}

void slurm_set_away(struct slurm *slurm, const char *why)
{
    struct slurm_task *task;

    if (why && !slurm->away)
        log_warn("Slurm does not answer; what runs goes on", "reason", why);
    else if (!why && slurm->away)
        log_info("Slurm answers again");
    xstr_set(&slurm->away, why);
    if (!why)
        return;
    _cleanup_free_ char *text = xasprintf("Slurm does not answer: %s%s", why, slurm_hint(why));
    map_foreach(slurm->tasks, pos, task)
        task_waits(task, text);
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* ORDER is taken. */
static void order(struct slurm_task *task, json_t *order_json)
{
    struct slurm *slurm = task->slurm;
    int64_t now_us = clock_now_us();

    /* Above all that a server before this one gave. */
    slurm->serial = now_us > slurm->serial ? now_us : slurm->serial + 1;
    json_put_int(order_json, "serial", slurm->serial);
    (void) json_array_append_new(task->orders, order_json);
    if (slurm->engine.listener.ordered)
        slurm->engine.listener.ordered(slurm->engine.listener.userdata, &task->task);
}

/* Those up to AFTER have been heard. A stream that was not opened within its time is not waited for. */
static void forget_orders(struct slurm_task *task, int64_t after)
{
    int64_t late = clock_now_us() - STREAM_WAIT_US;

    for (size_t i = json_array_size(task->orders); i-- > 0;) {
        const json_t *one = json_array_get(task->orders, i);
        int64_t serial = json_get_int(one, "serial", 0);
        bool is_late = serial < late && str_equal(json_get_str(one, "op", NULL), "connect");
        if (serial <= after || is_late)
            (void) json_array_remove(task->orders, i);
    }
}

static json_t *slurm_orders(struct engine *engine, const struct id *id, int64_t after)
{
    struct slurm_task *task = slurm_find(slurm_of(engine), id);

    if (!task)
        return NULL;
    task->heard = true;
    forget_orders(task, after);
    return json_copy(task->orders);
}

static void slurm_go(struct engine *engine, const struct id *id, const struct task_go *go)
{
    struct slurm_task *task = slurm_find(slurm_of(engine), id);
    json_t *json = json_object();

    json_put_str(json, "op", "go");
    json_put(json, "peers", json_deep_copy(go->peers));
    json_put_str(json, "secret", go->secret);
    if (task)
        order(task, json);
    else
        json_decref(json);
}

static void slurm_signal(struct engine *engine, const struct id *id, int signo)
{
    struct slurm_task *task = slurm_find(slurm_of(engine), id);

    if (!task)
        return;
    json_t *json = json_object();
    json_put_str(json, "op", "signal");
    json_put_int(json, "signal", signo);
    order(task, json);
}

static void slurm_connect(struct engine *engine, const struct id *id, const char *stream)
{
    struct slurm_task *task = slurm_find(slurm_of(engine), id);

    if (!task)
        return;
    json_t *json = json_object();
    json_put_str(json, "op", "connect");
    json_put_str(json, "stream", stream);
    order(task, json);
}

/* The supervisor was told, and the job is still there. */
static void on_grace_over(void *userdata) { task_cancel(userdata); }

static void stop_running(struct slurm_task *task)
{
    json_t *json = json_object();
    int64_t wait_us = task->stop_grace_s * US_PER_S + STOP_MARGIN_US;

    json_put_str(json, "op", "stop");
    json_put_str(json, "cause", end_cause_name(task->stop_cause));
    json_put_int(json, "grace", task->stop_grace_s);
    order(task, json);
    watch_free(task->timer);
    task->timer = loop_timer(task->slurm->loop, wait_us, on_grace_over, task);
}

/* A stop that was asked for while nobody knew whether Slurm has the job waits until that is known. */
static void obey_stop(struct slurm_task *task)
{
    if (!task->stop_waits)
        return;
    if (task->reported || task->phase == PHASE_RUNNING || task->phase == PHASE_ASKED)
        stop_running(task);
    else if (task->phase == PHASE_QUEUED)
        task_cancel(task);
    else
        return;
    task->stop_waits = false;
}

static void slurm_stop(struct engine *engine, const struct id *id, enum end_cause cause,
                       int64_t grace_s)
{
    struct slurm_task *task = slurm_find(slurm_of(engine), id);

    if (!task || task->failure)
        return;
    task->stop_cause = cause;
    task->stop_grace_s = grace_s;
    task->stop_waits = true;
    obey_stop(task);
}

/* ---- the other operations -------------------------------------------------------------------------- */

/* ACCOUNT NULL: this process's own. */
static struct slurm_task *task_new(struct slurm *slurm, const struct task_spec *spec,
                                   const char *token, const char *account)
{
    struct slurm_task *task = xnew(struct slurm_task);
    const struct allocation *allocation = spec->allocation;

    task->slurm = slurm;
    task->task = task->named = spec->attempt;
    id_format(&spec->attempt, task->id);
    task->epoch = spec->epoch;
    task->token = xstrdup(token);
    task->shape = (struct slurm_shape){ .who = slurm_who(slurm, account),
                                        .project = spec->project,
                                        .node = xstrdup(allocation->node),
                                        .cpus = cpu_set_count(&allocation->cpus),
                                        .memory_bytes = allocation->memory_bytes,
                                        .limit_s = spec->workload_spec->max_time_s,
                                        .grace_s = spec->workload_spec->grace_s };
    for (char **gpu = allocation->gpus; gpu && *gpu; gpu++)
        task->shape.gpus++;
    task->shape.who->tasks++;
    if (spec->gang && spec->gang->world_size > 1)
        task->gang = spec->gang->attempt;
    task->orders = json_array();
    (void) map_set(slurm->tasks, &spec->attempt, sizeof(struct id), task);
    return task;
}

static void on_failure(void *userdata)
{
    struct slurm_task *task = userdata;
    _cleanup_free_ char *reason = xstrdup(task->failure);

    task_end(task, END_START_FAILED, reason);
}

/* Reported from the loop, as everything. */
static void fail_later(struct slurm_task *task, const char *reason)
{
    task->failure = xstrdup(reason);
    task->timer = loop_timer(task->slurm->loop, 0, on_failure, task);
}

static int check_account(const struct slurm *slurm, const struct task_spec *spec, struct error *err)
{
    if (!slurm->by_account || spec->account)
        return 0;
    return error_set(err, -EPERM,
                     "project '%s' has no account on the cluster; an administrator names one: "
                     "berth project update %s --account NAME",
                     spec->project_name, spec->project_name);
}

static void slurm_start(struct engine *engine, const struct task_spec *spec, const char *token)
{
    struct slurm *slurm = slurm_of(engine);
    struct error err = { 0 };

    if (slurm_find(slurm, &spec->attempt))
        return;
    struct slurm_task *task = task_new(slurm, spec, token, spec->account);
    int r = check_account(slurm, spec, &err);
    if (r >= 0)
        r = directory_make(slurm->attempts, spec, &err);
    if (r < 0)
        fail_later(task, err.text);
    else if (r > 0) /* somebody began it before */
        task_enter(task, PHASE_FIND);
    else if (!task_reuse(task))
        task_submit(task);
    if (r > 0)
        slurm_poll_soon(slurm);
}

static void on_look(void *userdata)
{
    struct slurm_task *task = userdata;

    watch_free(task->timer);
    task->timer = NULL;
    report_ready(task);
    (void) task_look(task);
}

/* What was submitted stays whose it was; where nothing was yet, it is the project's account now. */
static char *slurm_submitted_as(const struct slurm *slurm, const struct task_spec *spec)
{
    char id[ID_TEXT_LEN + 1];

    return directory_has(slurm->attempts, id_format(&spec->attempt, id), "spec.json")
               ? directory_account(slurm->attempts, id)
               : xstrdup(spec->account);
}

static void slurm_attach(struct engine *engine, const struct task_spec *spec, const char *token,
                         bool launched)
{
    struct slurm *slurm = slurm_of(engine);
    struct error err = { 0 };

    if (slurm_find(slurm, &spec->attempt))
        return;
    char *account = slurm_submitted_as(slurm, spec);
    struct slurm_task *task = task_new(slurm, spec, token, account);
    free(account);
    task->launched = launched;
    task->phase = PHASE_FIND;
    task_set_job(task, task_recorded_job(task));
    if (!launched && directory_make(slurm->attempts, spec, &err) < 0)
        fail_later(task, err.text);
    else
        task->timer = loop_timer(slurm->loop, 0, on_look, task);
    slurm_poll_soon(slurm);
}

static void slurm_news(struct engine *engine, const struct id *id)
{
    struct slurm_task *task = slurm_find(slurm_of(engine), id);

    if (!task || task->failure)
        return;
    task->heard = true;
    report_ready(task);
    (void) task_look(task);
}

static void slurm_sweep(struct engine *engine, const struct id *live, size_t n)
{
    struct slurm *slurm = slurm_of(engine);

    slurm->sweeps = true;
    slurm->local->ops->sweep(slurm->local, live, n);
}

static void on_deleted(void *userdata, const struct leftover *leftover, int r)
{
    struct slurm *slurm = userdata;

    slurm->engine.listener.deleted(slurm->engine.listener.userdata, leftover, r);
}

static void slurm_delete(struct engine *engine, const struct leftover *leftover)
{
    struct slurm *slurm = slurm_of(engine);

    slurm->local->ops->delete (slurm->local, leftover);
}

static void site_take(struct slurm_site *ret, const struct slurm_site *site)
{
    *ret = (struct slurm_site){
        .conf = xstrdup(site->conf),
        .bin = xstrdup(site->bin),
        .prefix = xstrdup(site->prefix),
        .partition = xstrdup(site->partition),
        .account = xstrdup(site->account),
        .program = xstrdup(site->program),
        .home_url = xstrdup(site->home_url),
        .home_ca = xstrdup(site->home_ca),
        .takes_next = site->takes_next,
    };
}

static void site_free(const struct slurm_site *site)
{
    const char *const texts[] = { site->conf,    site->bin,     site->prefix,   site->partition,
                                  site->account, site->program, site->home_url, site->home_ca };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free((char *) (uintptr_t) texts[i]);
}

static void slurm_free(struct engine *engine)
{
    struct slurm *slurm = slurm_of(engine);

    commands_free(slurm->commands);
    watch_free(slurm->poll_timer);
    slurm_lingering_free(slurm);
    map_free_with(slurm->tasks, task_free);
    map_free(slurm->jobs);
    slurm_fleet_free(slurm->fleet);
    engine_free(slurm->local);
    slurm_who_free(slurm);
    safe_close(slurm->attempts);
    site_free(&slurm->site);
    free(slurm->cache);
    free(slurm->accounts);
    free(slurm->uid);
    free(slurm->away);
    free(slurm);
}

static const struct engine_ops slurm_ops = {
    .name = "slurm",
    .whole_gpus = true,
    .start = slurm_start,
    .attach = slurm_attach,
    .go = slurm_go,
    .stop = slurm_stop,
    .signal = slurm_signal,
    .sweep = slurm_sweep,
    .delete = slurm_delete,
    .news = slurm_news,
    .orders = slurm_orders,
    .connect = slurm_connect,
    .linger = slurm_linger,
    .free = slurm_free,
};

/* ---- the engine ---------------------------------------------------------------------------------- */

static void on_poll(void *userdata) { slurm_poll(userdata); }

int engine_slurm_new(const struct engine_slurm_options *options, struct engine **ret,
                     struct error *err)
{
    struct commands_options commands = { .loop = options->loop,
                                         .conf = options->site.conf,
                                         .bin = options->site.bin,
                                         .local = options->local,
                                         .at_once = COMMANDS_AT_ONCE,
                                         .limit_us = FIRST_LIMIT_US };
    _cleanup_free_ char *path = xasprintf("%s/attempts", options->state);
    int attempts = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (attempts < 0) {
        int r = error_set(err, -errno, "%s: %s", path, strerror(errno));
        engine_free(options->local);
        return r;
    }

    struct slurm *slurm = xnew(struct slurm);
    slurm->engine.ops = &slurm_ops;
    slurm->loop = options->loop;
    slurm->local = options->local;
    slurm->local->listener = (struct engine_listener){ .deleted = on_deleted, .userdata = slurm };
    slurm->attempts = attempts;
    slurm->tasks = map_new();
    slurm->jobs = map_new();
    site_take(&slurm->site, &options->site);
    slurm->by_account = options->by_account;
    slurm->cache = xasprintf("%s/slurm-nodes", options->state);
    slurm->uid = xasprintf("%u", (unsigned) getuid());
    slurm->accounts = xasprintf("%s/slurm-accounts", options->state);
    slurm->poll_us = options->poll_us;
    slurm->reuse_us = options->reuse_us;
    slurm_who_load(slurm);
    slurm->gang_wait_us = options->gang_wait_us;
    slurm->fleet = slurm_fleet_new();
    int r = slurm_fleet_load(slurm, &commands, err);
    if (r < 0) {
        slurm_free(&slurm->engine);
        return r;
    }
    *ret = &slurm->engine;
    commands.limit_us = COMMAND_LIMIT_US;
    slurm->commands = commands_new(&commands);
    slurm->poll_timer = loop_timer(slurm->loop, 0, on_poll, slurm);
    return 0;
}
