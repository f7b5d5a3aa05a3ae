/* act.c - the engine: what it is asked, what it reports, and what becomes of a job after that
 *
 * A report counts only if it is of the live attempt and of its epoch: what comes twice or late finds
 * no attempt, or another epoch, and is dropped.
 */
#include "lifecycle/internal.h"

#include "base/time.h"

#include <string.h>

static char *borrow(const char *s) { return (char *) (uintptr_t) s; }

enum handing { HAND_PREPARE, HAND_START, HAND_ATTACH };

/* The specification as task RANK has it: the command of its role, and ports are published by rank 0. */
static void specialize(const struct workload *w, size_t rank, struct workload_spec *ret)
{
    struct task_place place;

    *ret = *w->spec;
    workload_spec_place(w->spec, (unsigned) rank, &place);
    if (place.role && place.role->command)
        ret->command = place.role->command;
    ret->ports = xmemdup(w->spec->ports, (w->spec->n_ports + 1) * sizeof *ret->ports);
    for (size_t i = 0; rank > 0 && i < ret->n_ports; i++)
        ret->ports[i].published = false;
}

/* Ask the engine to do so with task RANK of the current attempt of JOB. */
static void hand_over_task(struct lifecycle *lc, struct job *job, size_t rank, enum handing how)
{
    const struct workload *w = job->w;
    struct workload_spec own;
    struct task_gang gang;
    char tree[SHA256_HEX_LEN + 1], token[TASK_TOKEN_LEN + 1];
    bool secrets = spec_has_secrets(w->spec);
    struct task_spec spec = {
        .attempt = *attempt_task_id(w->attempt, rank),
        .workload = w->id,
        .project = w->project,
        .project_name = job->project->name,
        .workload_name = w->name,
        .account = job->project->account,
        .number = w->attempt->number,
        .epoch = w->attempt->epoch,
        .uid_base = job_uid_base(lc, job),
        .range = job->project->range,
        .workload_spec = job->gang ? &own : w->spec,
        .allocation = (struct allocation *) (uintptr_t) attempt_task_allocation(w->attempt, rank),
        .gang = job->gang ? &gang : NULL,
        .network = w->spec->network ? w->spec->network : borrow(lc->settings.network_default),
        .publish_address = borrow(lc->settings.publish_address),
        .has_secrets = secrets,
        .api_socket = borrow(lc->settings.api_socket),
        .log_limit_bytes = lc->settings.log_limit_bytes,
        .resume = w->attempt->number > 1,
    };
    struct task_storage storage;
    struct task_push push = { 0 };
    spec.storage = storage_for(lc, spec.allocation->node, &storage);
    spec.push = lc->settings.push_storage && !spec.storage ? &push : NULL;
    const struct image_record *image = images_of(lc, w);
    struct task_image task_image;
    own.ports = NULL;
    if (job->gang) {
        specialize(w, rank, &own);
        gang_describe(w, rank, &gang);
    }
    if (image) {
        task_image = (struct task_image){
            .name = image->name,
            .digest = image->digest,
            .layers = image->layers,
            .n_layers = image->n_layers,
            .config = image->config,
        };
        images_describe_packed(lc, image, &task_image);
        spec.image = &task_image;
    }
    if (w->spec->source == SOURCE_WORKSPACE) {
        sha256_format(&w->spec->workspace, tree);
        spec.workspace_tree = tree;
    }
    bool called = secrets || lc->engine->ops->orders;
    if (called)
        lc->sources.token(lc->sources.userdata, &spec.attempt, spec.epoch, token);

    job->launched = how != HAND_PREPARE;
    if (how == HAND_ATTACH)
        lc->engine->ops->attach(lc->engine, &spec, called ? token : NULL,
                                w->attempt->started_us != 0);
    else if (how == HAND_START)
        lc->engine->ops->start(lc->engine, &spec, called ? token : NULL);
    else
        lc->engine->ops->prepare(lc->engine, &spec);
    explicit_bzero(token, sizeof token);
    free(own.ports);
}

/* All tasks; an engine that answers at once may have ended the attempt in between. */
static void hand_over(struct lifecycle *lc, struct job *job, enum handing how)
{
    unsigned epoch = job->w->attempt->epoch;
    size_t n = attempt_n_tasks(job->w->attempt);

    for (size_t rank = 0; rank < n; rank++) {
        if (!workload_has_live_attempt(job->w) || job->w->attempt->epoch != epoch)
            return;
        if (!job->gang || (gang_lives(job, rank) && !job->gang->tasks[rank].is_lost))
            hand_over_task(lc, job, rank, how);
    }
}

void act_attach(struct lifecycle *lc, struct job *job) { hand_over(lc, job, HAND_ATTACH); }

void act_prepare(struct lifecycle *lc, struct job *job)
{
    /* A gang makes all ready by itself. */
    if (lc->engine->ops->prepare && !spec_has_secrets(job->w->spec) && !job->gang)
        hand_over(lc, job, HAND_PREPARE);
}

void act_launch(struct lifecycle *lc, struct job *job, unsigned epoch)
{
    const struct workload *w = job->w;

    if (job->gone || !workload_has_live_attempt(w) || w->attempt->epoch != epoch || job->launched)
        return;
    if (!w->stop_requested) {
        hand_over(lc, job, HAND_START);
        return;
    }
    if (lc->engine->ops->cancel && !job->gang)
        lc->engine->ops->cancel(lc->engine, &w->attempt->id);
    act_lose(lc, job, w->stop_cause, "it was stopped before it began");
}

/* ---- the end of an attempt --------------------------------------------------------------------- */

static void queue_again(struct lifecycle *lc, struct commit *c, struct job *job, int64_t backoff_s)
{
    const struct workload *w = job->w;
    _cleanup_free_ char *text = workload_end_text(w->cause, w->exit_code, w->reason);
    /* Who made room for others does not go behind those that came meanwhile. */
    int64_t eligible_us =
        workload_is_preempted(w, w->cause) ? w->eligible_us : lc_now(lc) + backoff_s * US_PER_S;
    json_t *data = json_object();

    json_put_int(data, "eligible_us", eligible_us);
    json_put_int(data, "attempt", w->attempt->number);
    json_put_str(data, "cause", end_cause_name(w->cause));
    json_put_str(data, "reason", text);
    commit_fold(c, job, EVENT_QUEUED, "system", data);
    queue_insert(lc, job);
    struct timer timer = {
        .due_us = lc_boot(lc) + backoff_s * US_PER_S,
        .kind = TIMER_ELIGIBLE,
        .workload = w->id,
        .eligible_us = eligible_us,
    };
    timer_add(lc, &timer);
}

static void conclude(struct commit *c, struct job *job)
{
    const struct workload *w = job->w;
    json_t *data = json_object();

    json_put_str(data, "cause", end_cause_name(w->cause));
    if (w->exit_code >= 0)
        json_put_int(data, "exit_code", w->exit_code);
    json_put_str(data, "reason", w->reason);
    commit_fold(c, job, workload_outcome(w, w->cause, w->exit_code), "system", data);
}

void act_finish(struct lifecycle *lc, struct job *job, json_t *data,
                const struct manifest *artifacts)
{
    struct workload *w = job->w;
    struct commit *c = commit_new(lc, job);
    int64_t backoff_s = 0;

    use_give_back(lc, job);
    live_end_attempt(lc, job);
    job->launched = false;
    xstr_set(&job->waits, NULL);
    datasets_add_outputs(c, job, data);
    commit_fold(c, job, EVENT_ENDED, "system", data);
    bool retry = w->cause != END_EXITED || w->exit_code != 0;
    if (workload_is_preempted(w, w->cause) ||
        (retry && workload_may_retry(w, w->cause, &backoff_s))) {
        queue_again(lc, c, job, backoff_s);
    } else {
        run_times_note(lc, w);
        conclude(c, job);
    }
    store_put_workload(c->batch, w);
    if (artifacts)
        store_put_artifacts(c->batch, w, artifacts);
    commit_send(c);
    lc_want_pass(lc);
    for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++)
        task_changed(lc, attempt_task_id(w->attempt, rank));
}

void act_lose(struct lifecycle *lc, struct job *job, enum end_cause cause, const char *reason)
{
    json_t *data = json_object();

    json_put_str(data, "cause", end_cause_name(cause));
    json_put_str(data, "reason", reason);
    json_put_int(data, "ended_us", lc_now(lc));
    act_finish(lc, job, data, NULL);
}

/* ---- what the engine reports ------------------------------------------------------------------- */

/* The job of whose live attempt this is a task, if the epoch is its. */
static struct job *job_of(struct lifecycle *lc, const struct id *task, unsigned epoch,
                          size_t *ret_rank)
{
    struct job *job = live_task(lc, task, ret_rank);

    bool lives = job && job->launched && !job->ashore;

    return lives && job->w->attempt->epoch == epoch ? job : NULL;
}

/* How long the attempt has run: by the boot clock where its node and this server share one, because the
 * wall clock may have been set since. */
static int64_t run_time(struct lifecycle *lc, const struct workload *w)
{
    int64_t began_us = json_get_int(w->attempt->evidence, "started_boot_us", 0);
    int64_t passed_us = began_us > 0 ? lc_boot(lc) - began_us : lc_now(lc) - w->attempt->started_us;

    return passed_us > 0 ? passed_us : 0;
}

void act_arm_max_time(struct lifecycle *lc, const struct job *job)
{
    const struct workload *w = job->w;
    int64_t limit_us = w->spec->max_time_s * US_PER_S;

    if (limit_us == 0 || w->attempt->started_us == 0)
        return;
    int64_t passed_us = run_time(lc, w);
    struct timer timer = {
        .due_us = lc_boot(lc) + (passed_us < limit_us ? limit_us - passed_us : 0),
        .kind = TIMER_MAX_TIME,
        .workload = w->id,
        .epoch = w->attempt->epoch,
    };
    timer_add(lc, &timer);
}

static void on_disk(void *userdata, const struct id *attempt, int64_t bytes)
{
    struct lifecycle *lc = userdata;
    size_t rank = 0;
    struct job *job = live_task(lc, attempt, &rank);

    if (job)
        use_set_disk(lc, job, rank, bytes);
}

static void on_ready(void *userdata, const struct id *attempt, const char *address)
{
    struct lifecycle *lc = userdata;
    size_t rank = 0;
    struct job *job = live_task(lc, attempt, &rank);

    if (job && job->gang && job->launched)
        gang_ready(lc, job, rank, address);
}

static void on_waits(void *userdata, const struct id *attempt, const char *why)
{
    struct lifecycle *lc = userdata;
    struct job *job = live_task(lc, attempt, NULL);

    if (job)
        xstr_set(&job->waits, why);
}

void lifecycle_task_waits(struct lifecycle *lc, const struct id *task, const char *words)
{
    on_waits(lc, task, words);
}

static void on_started(void *userdata, const struct id *attempt, const struct task_started *started)
{
    struct lifecycle *lc = userdata;
    size_t rank = 0;
    struct job *job = job_of(lc, attempt, started->epoch, &rank);

    if (job)
        storage_saw(lc, attempt_task_allocation(job->w->attempt, rank)->node, started);
    if (job && job->gang)
        gang_started(lc, job, rank, started);
    if (!job || job->gang || job->w->attempt->started_us != 0)
        return;
    json_t *data = json_object();
    struct commit *c = commit_new(lc, job);
    xstr_set(&job->waits, NULL);
    json_put_int(data, "started_us", started->started_us);
    if (started->evidence)
        json_put(data, "evidence", json_deep_copy(started->evidence));
    commit_fold(c, job, EVENT_RUNNING, "system", data);
    store_put_workload(c->batch, job->w);
    c->later = true; /* a short job has its end in the same transaction */
    commit_send(c);
    act_arm_max_time(lc, job);
}

json_t *act_ended_data(const struct task_exit *ex)
{
    json_t *data = json_object();
    _cleanup_free_ char *both =
        ex->reason && ex->hint ? xasprintf("%s (%s)", ex->reason, ex->hint) : NULL;

    json_put_str(data, "cause",
                 end_cause_name(ex->cause == END_NONE ? END_SUPERVISOR_LOST : ex->cause));
    if (ex->exit_code >= 0)
        json_put_int(data, "exit_code", ex->exit_code);
    json_put_str(data, "reason", both ? both : ex->reason ? ex->reason : ex->hint);
    if (ex->started_us > 0)
        json_put_int(data, "started_us", ex->started_us);
    json_put_int(data, "ended_us", ex->ended_us);
    if (ex->artifacts)
        json_put(data, "artifacts", json_deep_copy(ex->artifacts));
    if (ex->usage)
        json_put(data, "usage", json_deep_copy(ex->usage));
    return data;
}

struct manifest *act_load_artifacts(struct lifecycle *lc, const json_t *artifacts, json_t *data)
{
    const char *hex = json_get_str(artifacts, "manifest", NULL);
    struct manifest *manifest = NULL;
    struct error err = { 0 };
    struct sha256 sum;

    if (!hex)
        return NULL;
    int r = sha256_parse(hex, &sum);
    if (r >= 0)
        r = lc->sources.load_manifest(lc->sources.userdata, &sum, &manifest, &err);
    if (r >= 0)
        return manifest;
    _cleanup_free_ char *reason =
        xasprintf("%s%sits artifacts are lost: %s", json_get_str(data, "reason", ""),
                  json_get_str(data, "reason", NULL) ? "; " : "",
                  err.code ? err.text : "their manifest has no digest");
    json_put_str(data, "reason", reason);
    return NULL;
}

static void on_ended(void *userdata, const struct id *attempt, const struct task_exit *ex)
{
    struct lifecycle *lc = userdata;
    size_t rank = 0;
    struct job *job = job_of(lc, attempt, ex->epoch, &rank);

    if (job && job->gang) {
        gang_ended(lc, job, rank, ex);
        return;
    }
    if (!job)
        return;
    json_t *data = act_ended_data(ex);
    const json_t *storage = ex->storage;
    landing_begin(lc, job, data, act_load_artifacts(lc, ex->artifacts, data), &storage);
}

static void on_fleet(void *userdata, const struct engine_machine *machines, size_t n)
{
    lifecycle_set_fleet(userdata, machines, n);
}

static void on_ordered(void *userdata, const struct id *task) { task_changed(userdata, task); }

static void on_next(void *userdata, const struct id *task, const struct id *next, const char *token)
{
    task_next(userdata, task, next, token);
}

static void on_deleted(void *userdata, const struct leftover *leftover, int r)
{
    forget_deleted(userdata, leftover, r);
}

void act_listen(struct lifecycle *lc)
{
    lc->engine->listener = (struct engine_listener){ .ready = on_ready,
                                                     .started = on_started,
                                                     .disk = on_disk,
                                                     .ended = on_ended,
                                                     .waits = on_waits,
                                                     .fleet = on_fleet,
                                                     .ordered = on_ordered,
                                                     .next = on_next,
                                                     .deleted = on_deleted,
                                                     .userdata = lc };
}

struct id *lifecycle_live_attempts(struct lifecycle *lc, size_t *ret_n, int64_t *ret_since_us)
{
    VEC(struct id) ids = { 0 };
    const struct job *job;

    *ret_since_us = INT64_MAX;
    map_foreach(lc->attempts, pos, job) {
        for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
            vec_push(&ids, *attempt_task_id(job->w->attempt, rank));
        if (job->w->attempt->created_us < *ret_since_us)
            *ret_since_us = job->w->attempt->created_us;
    }
    *ret_n = ids.len;
    return ids.items;
}

/* ---- stopping ---------------------------------------------------------------------------------- */

/* Every task that lives is told; one that ends meanwhile hears nothing of it. */
void act_stop_tasks(struct lifecycle *lc, struct job *job, int64_t grace_s)
{
    const struct workload *w = job->w;
    unsigned epoch = w->attempt->epoch;
    size_t n = attempt_n_tasks(w->attempt);

    for (size_t rank = 0; rank < n; rank++) {
        if (!workload_has_live_attempt(w) || w->attempt->epoch != epoch)
            return;
        if (!job->gang || gang_lives(job, rank))
            lc->engine->ops->stop(lc->engine, attempt_task_id(w->attempt, rank), w->stop_cause,
                                  grace_s);
    }
}

static void stop_committed(struct lifecycle *lc, struct commit *c)
{
    const struct workload *w = c->job->w;

    /* Not launched: the commit of `starting` came before this one and has seen the request. */
    if (workload_has_live_attempt(w) && w->attempt->epoch == c->epoch && c->job->launched)
        act_stop_tasks(lc, c->job, c->grace_s);
}

void act_stop(struct lifecycle *lc, struct job *job, const struct stop_order *order,
              struct commit *c)
{
    json_t *data = order->more ? order->more : json_object();

    json_put_str(data, "cause", end_cause_name(order->cause));
    json_put_str(data, "by", order->actor);
    json_put_int(data, "grace_s", order->grace_s);
    commit_fold(c, job, EVENT_STOP_REQUESTED, order->actor, data);
    store_put_workload(c->batch, job->w);
    c->epoch = job->w->attempt->epoch;
    c->grace_s = order->grace_s;
    c->effect = stop_committed;
    commit_send(c);
}
