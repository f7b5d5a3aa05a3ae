/* queue.c - the replay */
#include "sim/queue.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "sim/machines.h"
#include "sim/queue-bookings.h"
#include "sim/queue-jobs.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_job {
    const struct queue_job *spec;
    int64_t left_us;            /* of its duration */
    int64_t started_us, end_us; /* while it runs */
    int64_t lost_us;            /* at its start, before it goes on */
    int64_t wait_us;            /* when it has ended */
    unsigned preemptions;
    unsigned crashes, stopped;   /* others for it, since it crashed and did not run for long */
    const struct choice *places; /* while it runs; borrowed */
    unsigned at;                 /* in RUNNING */
    bool runs;
};

struct replay {
    const struct queue_options *options;
    struct schedule *schedule;
    struct machines_read machines;
    struct queue_sizes sizes;
    struct queue_jobs table;
    struct queue_bookings bookings;
    struct sim_job *jobs; /* one each of the table's */
    size_t n_jobs;
    VEC(struct sim_job *) running;
    struct schedule_acts acts;
    size_t n_submitted, n_ended;
    int64_t now_us;
    struct queue_figures figures;
};

static void replay_done(struct replay *x)
{
    schedule_free(x->schedule);
    queue_jobs_done(&x->table);
    machines_read_done(&x->machines);
    queue_bookings_done(&x->bookings);
    free(x->jobs);
    vec_done(&x->running);
    vec_done(&x->acts);
}

/* ---- what happens ------------------------------------------------------------------------------------- */

static void submit(struct replay *x, struct sim_job *job)
{
    const struct queue_job *spec = job->spec;
    const struct schedule_job one = {
        .id = (uint64_t) (job - x->jobs),
        .ask = { .gpus = (uint16_t) (spec->gpus / spec->tasks),
                 .gpu_milli = spec->gpus ? CAPACITY_GPU : 0 },
        .tasks = spec->tasks,
        .priority = spec->priority,
        .group = spec->group,
        .preemptible = spec->preemptible,
        .limit_us = spec->limit_us,
    };

    schedule_submit(x->schedule, &one, x->now_us);
}

static void leave_running(struct replay *x, struct sim_job *job)
{
    struct sim_job *last = x->running.items[--x->running.len];

    x->running.items[job->at] = last;
    last->at = job->at;
    job->runs = false;
}

static bool crashes_next(const struct sim_job *job) { return job->crashes < job->spec->crashes; }

static void start(struct replay *x, struct sim_job *job)
{
    job->runs = true;
    job->started_us = x->now_us;
    job->end_us = x->now_us + job->lost_us + job->left_us;
    if (crashes_next(job) && x->now_us + job->spec->crash_after_us < job->end_us)
        job->end_us = x->now_us + job->spec->crash_after_us;
    job->at = (unsigned) x->running.len;
    vec_push(&x->running, job);
}

/* What it did is kept, but for what the restart costs. */
static void stop(struct replay *x, struct sim_job *job)
{
    int64_t ran_us = x->now_us - job->started_us - job->lost_us;

    if (ran_us > 0)
        job->left_us -= ran_us;
    job->lost_us = x->options->restart_us;
    job->preemptions++;
    x->figures.n_preemptions++;
    leave_running(x, job);
}

/* It comes back at once, and begins where it did when it started. */
static void crash(struct replay *x, struct sim_job *job)
{
    if (x->now_us - job->started_us >= SCHEDULE_STEADY_US)
        job->stopped = 0;
    x->figures.n_looping += job->crashes++ == 0;
    x->figures.n_crashes++;
    schedule_requeue(x->schedule, (uint64_t) (job - x->jobs), x->now_us);
    leave_running(x, job);
}

static void end(struct replay *x, struct sim_job *job)
{
    job->wait_us = x->now_us - job->spec->came_us - job->spec->duration_us;
    schedule_end(x->schedule, (uint64_t) (job - x->jobs), x->now_us);
    leave_running(x, job);
    x->n_ended++;
}

static int64_t next_moment(const struct replay *x)
{
    int64_t next_us = schedule_next_us(x->schedule, x->now_us);

    if (x->n_submitted < x->n_jobs && x->jobs[x->n_submitted].spec->came_us < next_us)
        next_us = x->jobs[x->n_submitted].spec->came_us;
    if (queue_bookings_next_us(&x->bookings) < next_us)
        next_us = queue_bookings_next_us(&x->bookings);
    vec_foreach(&x->running, job)
        if ((*job)->end_us < next_us)
            next_us = (*job)->end_us;
    return next_us;
}

static bool crashes_now(const struct replay *x, const struct sim_job *job)
{
    return crashes_next(job) && x->now_us < job->started_us + job->lost_us + job->left_us;
}

static void happen(struct replay *x)
{
    for (size_t i = 0; i < x->running.len;)
        if (x->running.items[i]->end_us > x->now_us)
            i++;
        else if (crashes_now(x, x->running.items[i]))
            crash(x, x->running.items[i]);
        else
            end(x, x->running.items[i]);
    while (x->n_submitted < x->n_jobs && x->jobs[x->n_submitted].spec->came_us <= x->now_us)
        submit(x, &x->jobs[x->n_submitted++]);
    queue_bookings_make(&x->bookings, x->now_us);
}

/* Others were stopped for JOB. */
static void count_stopped(struct replay *x, struct sim_job *job, unsigned n)
{
    if (job->crashes == 0)
        return;
    job->stopped += n;
    if (job->stopped > x->figures.stopped_max)
        x->figures.stopped_max = job->stopped;
}

static uint64_t others_on(const void *userdata, uint32_t group, size_t node)
{
    const struct replay *x = userdata;
    uint64_t milli = 0;

    vec_foreach(&x->running, job) {
        const struct queue_job *spec = (*job)->spec;
        bool is_own = share_is_below(schedule_shares(x->schedule), spec->group, group);
        for (unsigned i = 0; !is_own && i < spec->tasks; i++)
            if ((*job)->places[i].node == node)
                milli += (uint64_t) (spec->gpus / spec->tasks) * CAPACITY_GPU;
    }
    return milli;
}

static void decide(struct replay *x)
{
    unsigned n_stopped = 0;

    x->acts.len = 0;
    schedule_pass(x->schedule, x->now_us, &x->acts);
    x->figures.n_passes++;
    for (size_t i = 0; i < x->acts.len; i++) {
        struct sim_job *job = &x->jobs[x->acts.items[i].id];
        if (x->acts.items[i].verb == SCHEDULE_STOP) {
            stop(x, job);
            n_stopped++;
            continue;
        }
        job->places = x->acts.items[i].places;
        start(x, job);
        count_stopped(x, job, n_stopped);
        n_stopped = 0;
    }
}

/* ---- figures ------------------------------------------------------------------------------------------ */

static int compare_waits(const void *pa, const void *pb)
{
    const int64_t *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

static void count(struct replay *x)
{
    size_t n = x->n_jobs;
    assert(n > 0);
    _cleanup_free_ int64_t *waits = xnew_n(int64_t, n);
    struct queue_figures *f = &x->figures;
    int64_t waited_s = 0, turned_s = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sim_job *job = &x->jobs[i];
        waits[i] = job->wait_us;
        waited_s += job->wait_us / US_PER_S;
        turned_s += (job->wait_us + job->spec->duration_us) / US_PER_S;
        int64_t ratio = job->wait_us / (job->spec->duration_us / 1000 + 1);
        if (job->wait_us >= 86400 * US_PER_S && ratio > f->wait_ratio_max_thousandths)
            f->wait_ratio_max_thousandths = ratio;
    }
    qsort(waits, n, sizeof *waits, compare_waits);
    f->n_jobs = n;
    f->n_cut = x->table.n_cut;
    f->wait_mean_us = waited_s * US_PER_S / (int64_t) n;
    f->turnaround_mean_us = turned_s * US_PER_S / (int64_t) n;
    f->wait_p50_us = waits[n / 2];
    f->wait_p99_us = waits[n * 99 / 100];
    f->wait_max_us = waits[n - 1];
}

static void count_groups(struct replay *x)
{
    const struct queue_groups *groups = &x->table.groups;
    struct queue_figures *f = &x->figures;

    f->n_groups = groups->list.len;
    f->groups = xnew_n(struct queue_group_figures, f->n_groups + 1);
    for (size_t i = 0; i < f->n_groups; i++) {
        f->groups[i].path = xstrdup(groups->list.items[i].path);
        f->groups[i].weight = groups->list.items[i].weight;
    }
    for (const struct sim_job *job = x->jobs; job < x->jobs + x->n_jobs; job++)
        for (uint32_t g = job->spec->group; g; g = queue_groups_at(groups, g)->parent) {
            struct queue_group_figures *one = &f->groups[g - 1];
            one->n_jobs++;
            one->ran_us += job->spec->duration_us * job->spec->gpus;
            one->wait_mean_us += job->wait_us / US_PER_S; /* in seconds until all are counted */
            one->wait_max_us = job->wait_us > one->wait_max_us ? job->wait_us : one->wait_max_us;
        }
    for (size_t i = 0; i < f->n_groups;
         i++) /* of one that something is booked for there may be no job */
        if (f->groups[i].n_jobs > 0)
            f->groups[i].wait_mean_us =
                f->groups[i].wait_mean_us * US_PER_S / (int64_t) f->groups[i].n_jobs;
}

void queue_figures_done(struct queue_figures *figures)
{
    for (size_t i = 0; i < figures->n_groups; i++)
        free(figures->groups[i].path);
    free(figures->groups);
    for (size_t i = 0; i < figures->n_bookings; i++)
        queue_booking_done(&figures->bookings[i]);
    free(figures->bookings);
    *figures = (struct queue_figures){ 0 };
}

static int write_jobs(const struct replay *x, const struct pack_file *out, struct error *err)
{
    if (!out->file)
        return 0;
    (void) fputs("line,wait_s,duration_s,gpus,preemptions\n", out->file);
    for (const struct sim_job *job = x->jobs; job < x->jobs + x->n_jobs; job++)
        (void) fprintf(out->file, "%zu,%lld,%lld,%u,%u\n", job->spec->line,
                       (long long) (job->wait_us / US_PER_S),
                       (long long) (job->spec->duration_us / US_PER_S), job->spec->gpus,
                       job->preemptions);
    if (fflush(out->file) != 0 || ferror(out->file))
        return error_set(err, -EIO, "%s: cannot be written: %s", out->name, strerror(errno));
    return 0;
}

static void add_machines(struct replay *x, struct capacity *capacity)
{
    for (unsigned g = 0; g < x->options->n_groups; g++) {
        const struct queue_machines *group = &x->options->groups[g];
        struct room size = { .n_gpus = (uint16_t) group->gpus, .model = 1 };
        for (unsigned i = 0; i < group->gpus; i++)
            size.gpu[i] = CAPACITY_GPU;
        for (unsigned i = 0; i < group->count; i++)
            (void) capacity_add(capacity, &size);
    }
}

static int build(struct replay *x, struct error *err)
{
    const struct queue_options *o = x->options;
    const struct schedule_options options = { .policy = o->policy,
                                              .guaranteed_us = o->guaranteed_us,
                                              .restart_us = o->restart_us,
                                              .patience_us = o->patience_us,
                                              .half_life_us = o->half_life_us,
                                              .notice_us = o->notice_us,
                                              .depth = o->depth,
                                              .backoff_us = o->backoff_us };
    struct capacity *capacity = capacity_new(o->score);
    int r = 0;

    if (o->nodes)
        r = machines_read(&x->machines, o->nodes, capacity, err);
    add_machines(x, capacity);
    for (size_t i = 0; i < capacity_len(capacity); i++)
        if (!capacity_is_closed(capacity, i))
            x->sizes.machines[capacity_size(capacity, i)->n_gpus]++;
    x->schedule = schedule_new(&options, capacity);
    return r;
}

/* The schedule counts groups in the same way: both number them from 1 on. */
static void add_groups(struct replay *x)
{
    struct share *share = schedule_shares(x->schedule);

    vec_foreach(&x->table.groups.list, group)
        (void) share_add(share, group->parent, group->weight);
}

static void prepare(struct replay *x)
{
    add_groups(x);
    x->bookings.schedule = x->schedule;
    x->n_jobs = x->table.list.len;
    x->jobs = xnew_n(struct sim_job, x->n_jobs);
    for (size_t i = 0; i < x->n_jobs; i++) {
        x->jobs[i].spec = &x->table.list.items[i];
        x->jobs[i].left_us = x->jobs[i].spec->duration_us;
    }
}

int queue_run(const struct queue_options *options, const struct pack_file *jobs,
              const struct pack_file *out, struct queue_figures *ret, struct error *err)
{
    _cleanup_(replay_done) struct replay x = { .options = options };

    int r = build(&x, err);
    if (r >= 0)
        r = queue_jobs_read(options, &x.sizes, jobs, &x.table, err);
    if (r >= 0)
        r = queue_bookings_read(&x.bookings, options->bookings, options->n_bookings,
                                &x.table.groups, err);
    if (r >= 0 && options->weights)
        r = queue_groups_weigh(&x.table.groups, options->weights, err);
    if (r >= 0)
        prepare(&x);
    while (r >= 0 && x.n_ended < x.n_jobs) {
        int64_t next_us = next_moment(&x);
        if (next_us == INT64_MAX)
            return error_set(err, -EDEADLK, "%s:%zu: this job never starts", jobs->name,
                             x.jobs[x.n_ended].spec->line);
        x.now_us = next_us;
        happen(&x);
        decide(&x);
        queue_bookings_look(&x.bookings, x.now_us, others_on, &x);
    }
    if (r < 0)
        return r;
    r = write_jobs(&x, out, err);
    if (r < 0)
        return r;
    count(&x);
    count_groups(&x);
    x.figures.bookings = x.bookings.list.items;
    x.figures.n_bookings = x.bookings.list.len;
    x.bookings = (struct queue_bookings){ 0 };
    *ret = x.figures;
    return 0;
}
