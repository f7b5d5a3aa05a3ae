/* stays.c - who is on a machine until when, as bookings count, and who has to leave */
#include "lifecycle/bookings.h"

#include "base/text.h"
#include "base/time.h"

#include <stdlib.h>

uint32_t booking_group(const struct project *project) { return project->range + 1; }

static int32_t milli(int64_t n) { return n < INT32_MAX / 1000 ? (int32_t) (n * 1000) : INT32_MAX; }

static int32_t mib(int64_t bytes)
{
    int64_t n = bytes >> 20;

    return n < INT32_MAX ? (int32_t) n : INT32_MAX;
}

/* What jobs may have of it. */
static struct room room_of(const struct node *node)
{
    size_t reserved = (size_t) node->reserved_cores * (node->numas.len ? node->numas.len : 1);
    struct room room = { 0 };

    room.cpu_milli = milli(node->cores.len > reserved ? (int64_t) (node->cores.len - reserved) : 0);
    room.memory_mib = mib(node->memory_bytes - node->reserved_memory_bytes);
    vec_foreach(&node->gpus, gpu)
        if (gpu->cdi && !gpu->fault)
            room.n_gpus++;
    return room;
}

bool booking_would_do(const struct node *node, const char *model)
{
    unsigned n = 0;

    if (!model)
        return true;
    vec_foreach(&node->gpus, gpu) {
        if (!gpu->cdi || gpu->fault)
            continue;
        if (!gpu_is_model(gpu, model))
            return false;
        n++;
    }
    return n > 0;
}

static unsigned count_gpus(const struct allocation *a)
{
    unsigned n = 0;

    while (a->gpus && a->gpus[n])
        n++;
    return n;
}

static unsigned count_cores(const struct node *node, const struct cpu_set *cpus)
{
    unsigned n = 0;

    vec_foreach(&node->cores, core)
        n += cpu_set_intersects(&core->cpus, cpus);
    return n;
}

static uint32_t share_of_task(const struct node *node, const struct room *room,
                              const struct workload_spec *spec, const struct allocation *a)
{
    struct ask ask = { .memory_mib = mib(a->memory_bytes + (1 << 20) - 1),
                       .gpus = (uint16_t) count_gpus(a),
                       .gpu_milli = CAPACITY_GPU };

    if (spec->machines.exclusive)
        return booking_size(room);
    ask.cpu_milli = a->shared ? milli(spec->cores) / (int32_t) PLACEMENT_SHARES_PER_CORE
                              : milli(count_cores(node, &a->cpus));
    return booking_share(room, &ask, 1);
}

/* When it is gone at the latest. */
static int64_t end_of(struct lifecycle *lc, const struct workload *w)
{
    int64_t now_us = lc_now(lc), grace_us = w->spec->grace_s * US_PER_S;
    int64_t since_us = w->attempt->started_us ? w->attempt->started_us : now_us;

    if (w->stop_requested)
        return now_us + grace_us;
    return w->spec->max_time_s ? since_us + w->spec->max_time_s * US_PER_S + grace_us : INT64_MAX;
}

static void add_stay(struct lifecycle *lc, const struct node *node, const struct room *room,
                     struct job *job, struct presence *ret)
{
    const struct workload *w = job->w;
    uint32_t all = booking_size(room), sum = 0;

    for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++) {
        const struct allocation *a = attempt_task_allocation(w->attempt, rank);
        if (str_equal(a->node, node->name))
            sum += share_of_task(node, room, w->spec, a);
    }
    if (sum == 0)
        return;
    const struct stay stay = {
        .group = booking_group(job->project),
        .from_us = w->attempt->started_us ? w->attempt->started_us : w->attempt->created_us,
        .until_us = end_of(lc, w),
        .preemptible = w->spec->preemptible && preempt_may(job),
        .milli = sum < all ? sum : all,
    };
    /* Who began last comes first: he loses least. */
    size_t at = ret->stays.len;
    vec_push(&ret->stays, stay);
    vec_push(&ret->jobs, job);
    for (; at > 0 && ret->stays.items[at - 1].from_us < stay.from_us; at--) {
        ret->stays.items[at] = ret->stays.items[at - 1];
        ret->jobs.items[at] = ret->jobs.items[at - 1];
    }
    ret->stays.items[at] = stay;
    ret->jobs.items[at] = job;
}

void presence_of(struct lifecycle *lc, const struct node *node, struct presence *ret)
{
    const struct room room = room_of(node);
    struct job *job;

    *ret = (struct presence){ .node = { .milli = booking_size(&room), .has_gpus = room.n_gpus > 0 },
                              .serves = !node->cordoned && !node->fault };
    map_foreach(lc->attempts, pos, job)
        add_stay(lc, node, &room, job, ret);
    ret->node.stays = ret->stays.items;
    ret->node.n_stays = ret->stays.len;
}

/* What keeps a job from beginning on NODE now; NULL: nothing. */
static const struct booking *obstacle(struct lifecycle *lc, const struct node *node,
                                      const struct planner_stay *job)
{
    const struct project *project = project_get(lc, &job->project);
    const struct room room = room_of(node);
    size_t place = booking_place(lc->bookings, node->name);
    int64_t now_us = lc_now(lc);
    struct ask ask = { .cpu_milli = milli(job->cores),
                       .memory_mib = mib(job->memory_bytes + (1 << 20) - 1),
                       .gpus = (uint16_t) job->gpus,
                       .gpu_milli = CAPACITY_GPU };
    struct presence here;

    if (!project || !calendar_has(lc->bookings->calendar, place))
        return NULL;
    if (job->shared)
        ask.cpu_milli /= (int32_t) PLACEMENT_SHARES_PER_CORE;
    const struct stay stay = {
        .group = booking_group(project),
        .from_us = now_us,
        .until_us = job->stays_us ? now_us + job->stays_us : INT64_MAX,
        .preemptible = job->preemptible,
        .milli = job->exclusive ? booking_size(&room) : booking_share(&room, &ask, job->tasks),
    };
    presence_of(lc, node, &here);
    const struct booking *b = calendar_obstacle(lc->bookings->calendar, place, &here.node, &stay);
    presence_done(&here);
    return b;
}

static const char *booked(void *userdata, const struct placement_request *request, size_t index)
{
    struct lifecycle *lc = userdata;
    const struct workload_spec *spec = request->workload->spec;
    const struct planner_stay job = {
        .project = request->workload->project,
        .tasks = spec->tasks_per_node,
        .cores = spec->cores,
        .gpus = spec->gpus,
        .memory_bytes = spec->memory_bytes,
        .shared = spec->shared,
        .exclusive = spec->machines.exclusive,
        .preemptible = spec->preemptible,
        .stays_us = spec->max_time_s ? (spec->max_time_s + spec->grace_s) * US_PER_S : 0,
    };
    const struct booking *b = obstacle(lc, lc->nodes.items[index].node, &job);

    vec_foreach(&lc->bookings->items, one)
        if (b && one->number == b->id)
            return one->words;
    return NULL;
}

bool bookings_allow(void *userdata, const char *node, const struct planner_stay *job)
{
    struct lifecycle *lc = userdata;
    const struct node_use *use = use_find(lc, node);

    return calendar_is_empty(lc->bookings->calendar) || !use || !obstacle(lc, use->node, job);
}

/* While nothing is booked, nobody needs to be asked about. */
static void ask_guard(struct lifecycle *lc, bool asked)
{
    const struct queue_order *q = &lc->queue;

    lc->bookings->is_asked = asked;
    planner_ask_guard(lc->planner, asked);
    for (size_t i = 0; i < q->len; i++)
        plan_submit(lc, live_get(lc, &q->items[q->head + i].workload->id));
}

void bookings_touch(struct lifecycle *lc)
{
    bool is_booked = !calendar_is_empty(lc->bookings->calendar);

    if (is_booked != lc->bookings->is_asked)
        ask_guard(lc, is_booked);
    /* Also those whose booking is over. */
    vec_foreach(&lc->bookings->names, name)
        planner_touch(lc->planner, *name);
}

bool bookings_watch(struct lifecycle *lc, struct placement_snapshot *snapshot)
{
    if (calendar_is_empty(lc->bookings->calendar))
        return false;
    snapshot->booked = booked;
    snapshot->booked_userdata = lc;
    return true;
}

void presence_done(struct presence *presence)
{
    vec_done(&presence->stays);
    vec_done(&presence->jobs);
}

static void vacate(struct lifecycle *lc, const struct node *node)
{
    struct presence here;
    size_t place = booking_place(lc->bookings, node->name);

    if (!calendar_has(lc->bookings->calendar, place))
        return;
    presence_of(lc, node, &here);
    _cleanup_free_ bool *leaves = xnew_n(bool, here.stays.len + 1);
    if (calendar_leave(lc->bookings->calendar, place, &here.node, lc_now(lc), leaves))
        for (size_t i = 0; i < here.jobs.len; i++) {
            const struct preemption why = { .actor = "system", .grace_s = -1 };
            struct job *job = here.jobs.items[i];
            if (leaves[i] && preempt_may(job))
                preempt(lc, job, &why, commit_new(lc, job));
        }
    presence_done(&here);
}

void stays_vacate(struct lifecycle *lc)
{
    if (!calendar_is_empty(lc->bookings->calendar))
        vec_foreach(&lc->nodes, use)
            vacate(lc, use->node);
}
