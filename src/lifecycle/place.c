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
                          const struct planner_start *d)
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
                          const struct planner_start *d)
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
    if (job->n_stopped)
        json_put_int(data, "stopped", job->n_stopped);
    job->n_stopped = 0;
    queue_leave(lc, job);
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
static void note_pass(struct lifecycle *lc, struct commit *c, int64_t now_us,
                      const struct planner_plan *plan)
{
    struct store_health health;
    struct event *event = xnew(struct event);
    json_t *data = json_object();

    store_health(lc->store, &health);
    json_put_int(data, "now_us", now_us);
    json_put_int(data, "policy", POLICY_VERSION);
    json_put_int(data, "snapshot_seq", (int64_t) health.seq);
    json_put_int(data, "queued", (int64_t) lc->queue.len);
    json_put_int(data, "placed", (int64_t) plan->starts.len);
    event->subject_kind = "placement";
    event->subject = lc_new_id(lc);
    event->type = "placement.pass";
    commit_event(c, event, "system", data);
    store_add_event(c->batch, event);
}

static void carry_out(struct lifecycle *lc, int64_t now_us, const struct planner_plan *plan)
{
    struct commit *c = commit_new(lc, NULL);

    note_pass(lc, c, now_us, plan);
    vec_foreach(&plan->starts, start)
        begin_attempt(lc, c, live_get(lc, &start->id), start);
    c->effect = started_committed;
    commit_send(c);
    /* While the disk works; the store answers on the loop, so C is still there. */
    vec_foreach(&c->started, job)
        act_prepare(lc, *job);
}

static void pass(struct lifecycle *lc)
{
    int64_t now_us = plan_now(lc), next_us;
    struct planner_plan plan;

    lc->pass_wanted = false;
    planner_pass(lc->planner, now_us, PASS_LIMIT, &plan);
    preempt_planned(lc, &plan);
    if (plan.starts.len > 0)
        carry_out(lc, now_us, &plan);
    if (plan.more)
        lc_want_pass(lc);
    planner_plan_done(&plan);
    next_us = planner_next_us(lc->planner, now_us);
    lc->plan_due_us = next_us == INT64_MAX ? INT64_MAX : lc_boot(lc) + next_us - now_us;
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
    if (lc->pass_wanted || boot_us >= lc->plan_due_us)
        pass(lc);
}

int64_t lifecycle_wait_us(const struct lifecycle *lc)
{
    int64_t due_us = lc->plan_due_us;

    if (lc->pass_wanted || lc->recheck.len > 0)
        return 0;
    if (lc->timers.len > 0 && lc->timers.items[0].due_us < due_us)
        due_us = lc->timers.items[0].due_us;
    if (due_us == INT64_MAX)
        return INT64_MAX;
    int64_t wait_us = due_us - lc_boot(lc);
    return wait_us > 0 ? wait_us : 0;
}
