/* place.c - ticks: timers, then one placement pass for all that changed since the last */
#include "lifecycle/internal.h"

#include "base/time.h"

#include <stdint.h>

/* Placements of one pass; the rest comes in the next tick, so that the loop breathes. */
enum { PASS_LIMIT = 512, POLICY_VERSION = 1 };

static void put_node(json_t *record, const struct node *node)
{
    json_put_str(record, "node", node->name);
    json_put_str(record, "kernel", node->kernel);
    json_put_str(record, "boot_id", node->boot_id);
    json_put_str(record, "driver", node->driver);
    json_put_str(record, "cpu_model", node->cpu_model);
}

/* The reproducibility record (DESIGN 6): the spec as it is run, and the hardware it is run on. */
json_t *record_make(const struct lifecycle *lc, const struct workload *w,
                    const struct allocation *allocation)
{
    json_t *record = workload_spec_to_json(w->spec);
    _cleanup_free_ char *cpus = cpu_set_format(&allocation->cpus);
    _cleanup_free_ char *mems = cpu_set_format(&allocation->mems);

    json_put_str(record, "berth", lc->settings.version);
    json_put_str(record, "cpus_allocated", cpus);
    json_put_str(record, "mems_allocated", mems);
    if (allocation->gpus) {
        json_t *gpus = json_array();
        for (char **gpu = allocation->gpus; *gpu; gpu++)
            (void) json_array_append_new(gpus, json_string(*gpu));
        json_put(record, "gpu_uuids", gpus);
    }
    json_put_str(record, "git_commit", w->spec->git_commit);
    for (size_t i = 0; i < lc->nodes.len; i++)
        if (str_equal(lc->nodes.items[i].node->name, allocation->node))
            put_node(record, lc->nodes.items[i].node);
    return record;
}

static void started_committed(struct lifecycle *lc, struct commit *c)
{
    for (size_t i = 0; i < c->started.len; i++)
        act_launch(lc, c->started.items[i], c->epochs.items[i]);
}

static const char *boot_id_of(struct lifecycle *lc, const struct allocation *allocation)
{
    const struct node_use *use = use_find(lc, allocation->node);

    return use ? use->node->boot_id : NULL;
}

/* The tasks of a gang: rank 0 is known by the attempt's id. */
static json_t *tasks_make(struct lifecycle *lc, const struct workload *w, const struct id *attempt,
                          const struct placement_decision *d)
{
    json_t *tasks = json_array();

    for (unsigned rank = 0; rank < d->n_allocations; rank++) {
        struct allocation *allocation = d->allocations[rank];
        _cleanup_free_ char *boot_id = xstrdup(boot_id_of(lc, allocation));
        struct task_place place;
        workload_spec_place(w->spec, rank, &place);
        struct attempt_task task = {
            .id = rank ? lc_new_id(lc) : *attempt,
            .node_rank = place.node_rank,
            .local_rank = place.local_rank,
            .role = place.role ? place.role->name : NULL,
            .role_rank = place.role_rank,
            .is_service = place.is_service,
            .allocation = allocation,
            .boot_id = boot_id,
        };
        (void) json_array_append_new(tasks, attempt_task_to_json(&task, rank));
    }
    return tasks;
}

static void begin_attempt(struct lifecycle *lc, struct commit *c, struct job *job,
                          const struct placement_decision *d)
{
    struct workload *w = job->w;
    struct id id = lc_new_id(lc);
    unsigned epoch = w->attempt ? w->attempt->epoch + 1 : 1;
    char text[ID_TEXT_LEN + 1];
    json_t *data = json_object();

    json_put_str(data, "attempt", id_format(&id, text));
    json_put_int(data, "number", w->attempts + 1);
    json_put_int(data, "epoch", epoch);
    json_put(data, "allocation", allocation_to_json(d->allocations[0]));
    json_put(data, "record", record_make(lc, w, d->allocations[0]));
    if (workload_spec_is_gang(w->spec))
        json_put(data, "tasks", tasks_make(lc, w, &id, d));
    queue_remove(lc, job);
    waits_leave(lc, job);
    commit_fold(c, job, EVENT_STARTING, "system", data);
    job->launched = false;
    live_begin_attempt(lc, job);
    use_take(lc, job);
    store_put_workload(c->batch, w);
    job->refs++;
    vec_push(&c->started, job);
    vec_push(&c->epochs, epoch);
}

/* A pass that placed something is an event of its own: with it a decision can be looked at later. */
static void note_pass(struct lifecycle *lc, struct commit *c,
                      const struct placement_snapshot *snapshot, unsigned n_placed)
{
    struct store_health health;
    struct event *event = xnew(struct event);
    json_t *data = json_object();

    store_health(lc->store, &health);
    json_put_int(data, "now_us", snapshot->now_us);
    json_put_int(data, "policy", POLICY_VERSION);
    json_put_int(data, "snapshot_seq", (int64_t) health.seq);
    json_put_int(data, "queued", (int64_t) snapshot->n_queue);
    json_put_int(data, "placed", n_placed);
    event->subject_kind = "placement";
    event->subject = lc_new_id(lc);
    event->type = "placement.pass";
    commit_event(c, event, "system", data);
    store_add_event(c->batch, event);
}

static void carry_out(struct lifecycle *lc, const struct placement_snapshot *snapshot,
                      const struct placement_plan *plan)
{
    struct job **jobs = xnew_n(struct job *, plan->n_decisions + 1);
    struct commit *c = commit_new(lc, NULL);

    /* The plan's indexes are of the queue as it was: resolve them before it changes. */
    for (size_t i = 0; i < plan->n_decisions; i++)
        jobs[i] = live_get(lc, &snapshot->queue[plan->decisions[i].request].workload->id);
    note_pass(lc, c, snapshot, (unsigned) plan->n_decisions);
    for (size_t i = 0; i < plan->n_decisions; i++)
        begin_attempt(lc, c, jobs[i], &plan->decisions[i]);
    free(jobs);
    c->effect = started_committed;
    commit_send(c);
    /* While the disk works; the store answers on the loop, so C is still there. */
    vec_foreach(&c->started, job)
        act_prepare(lc, *job);
}

static void pass_over(struct lifecycle *lc, struct placement_snapshot *snapshot)
{
    struct placement_node *nodes = use_snapshot(lc);
    int64_t now_us = lc_now(lc);
    struct placement_plan plan = { 0 };

    snapshot->now_us = now_us > lc->eligible_floor_us ? now_us : lc->eligible_floor_us;
    snapshot->nodes = nodes;
    snapshot->n_nodes = lc->nodes.len;
    /* Who begins is seen by the next that asks whether he is in a booking's way. */
    snapshot->limit = bookings_watch(lc, snapshot) ? 1 : PASS_LIMIT;
    if (snapshot->n_queue > 0)
        placement_pass(snapshot, &plan);
    if (plan.n_decisions > 0)
        carry_out(lc, snapshot, &plan);
    if (plan.n_decisions == snapshot->limit)
        lc_want_pass(lc);
    placement_plan_done(&plan);
    free(nodes);
}

static void pass_all(struct lifecycle *lc)
{
    struct placement_snapshot snapshot = {
        .queue = lc->queue.items + lc->queue.head,
        .n_queue = lc->queue.len,
        .ordered = true,
    };

    lc->pass_wanted = false;
    lc->arrived.len = 0;
    if (lc->queue.len > 0)
        pass_over(lc, &snapshot);
}

/* A long queue costs nothing while jobs only arrive. */
static void pass_arrived(struct lifecycle *lc)
{
    struct placement_request *queue = xnew_n(struct placement_request, lc->arrived.len);
    struct placement_snapshot snapshot = { .queue = queue };

    vec_foreach(&lc->arrived, id) {
        const struct job *job = live_get(lc, id);
        if (job && job->w->state == WORKLOAD_QUEUED)
            queue[snapshot.n_queue++] = (struct placement_request){ .workload = job->w,
                                                                    .owner = job->project->org,
                                                                    .held = job_hold(lc, job) };
    }
    lc->arrived.len = 0;
    pass_over(lc, &snapshot);
    free(queue);
}

static void fire(struct lifecycle *lc, const struct timer *timer)
{
    struct job *job = live_get(lc, &timer->workload);

    if (timer->kind == TIMER_ELIGIBLE) {
        if (timer->eligible_us > lc->eligible_floor_us)
            lc->eligible_floor_us = timer->eligible_us;
        lc_want_pass(lc);
    } else if (timer->kind == TIMER_IMAGE) {
        images_retry(lc, &timer->workload);
    } else if (timer->kind == TIMER_BOOKING) {
        bookings_fire(lc);
    } else if (timer->kind == TIMER_WAIT) {
        waits_recheck(lc, &timer->workload);
    } else if (job && !job->final && workload_has_live_attempt(job->w) &&
               job->w->attempt->epoch == timer->epoch && !job->w->stop_requested) {
        struct stop_order order = { END_MAX_TIME, "system", job->w->spec->grace_s, NULL };
        act_stop(lc, job, &order, commit_new(lc, job));
    }
}

void lifecycle_tick(struct lifecycle *lc)
{
    int64_t boot_us = lc_boot(lc);
    struct timer timer;

    while (timer_take(lc, boot_us, &timer))
        fire(lc, &timer);
    waits_tick(lc);
    if (lc->pass_wanted)
        pass_all(lc);
    else if (lc->arrived.len > 0)
        pass_arrived(lc);
}

int64_t lifecycle_wait_us(const struct lifecycle *lc)
{
    if (lc->pass_wanted || lc->arrived.len > 0 || lc->recheck.len > 0)
        return 0;
    if (lc->timers.len == 0)
        return INT64_MAX;
    int64_t wait_us = lc->timers.items[0].due_us - lc_boot(lc);
    return wait_us > 0 ? wait_us : 0;
}
