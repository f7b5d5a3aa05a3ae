/* queue.c - the replay */
#include "sim/queue.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "sim/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOB_TIME, JOB_DURATION, JOB_GPUS };
static const char *const job_columns[] = { "timestamp", "duration", "num_gpus", NULL };

enum { GPUS_MAX = 100000, JOBS_MAX = 10000000 };
#define DURATION_MAX_S (INT64_C(10) * 366 * 86400)

struct sim_job {
    size_t line;
    int64_t came_us, left_us; /* of its duration */
    int64_t duration_us;
    int64_t started_us, end_us; /* while it runs */
    int64_t lost_us;            /* at its start, before it goes on */
    int64_t wait_us;            /* when it has ended */
    unsigned gpus, preemptions;
    unsigned at; /* in RUNNING */
    bool runs;
};

struct replay {
    const struct queue_options *options;
    struct schedule *schedule;
    unsigned largest; /* GPUs of a machine */
    unsigned total;
    VEC(struct sim_job) jobs;
    VEC(struct sim_job *) running;
    struct schedule_acts acts;
    size_t n_submitted, n_ended;
    int64_t now_us;
    struct queue_figures figures;
};

static void replay_done(struct replay *x)
{
    schedule_free(x->schedule);
    vec_done(&x->jobs);
    vec_done(&x->running);
    vec_done(&x->acts);
}

/* ---- jobs ------------------------------------------------------------------------------------------- */

/* "12.0": the fraction is nothing that a scheduler sees. */
static int read_duration(const struct csv *csv, int64_t *ret, struct error *err)
{
    _cleanup_free_ char *text = xstrdup(csv_field(csv, JOB_DURATION));
    char *dot = strchr(text, '.');
    long long seconds;

    if (dot && dot != text && dot[1] && dot[1 + strspn(dot + 1, "0123456789")] == '\0')
        *dot = '\0';
    if (str_to_i64(text, 0, DURATION_MAX_S, &seconds) < 0)
        return csv_wrong(csv, JOB_DURATION, "seconds, at most ten years", err);
    *ret = (seconds ? seconds : 1) * US_PER_S;
    return 0;
}

static int read_time(const struct csv *csv, int64_t *ret, struct error *err)
{
    char text[32];
    const char *field = csv_field(csv, JOB_TIME);

    if (strlen(field) == 19 && field[10] == ' ') {
        (void) snprintf(text, sizeof text, "%.10sT%.8sZ", field, field + 11);
        field = text;
    }
    if (time_parse(field, ret) < 0)
        return csv_wrong(csv, JOB_TIME, "a time such as 2017-10-09 07:01:55", err);
    return 0;
}

static int read_job(struct replay *x, const struct csv *csv, struct error *err)
{
    struct sim_job job = { .line = csv_line(csv) };
    int64_t gpus;

    int r = read_time(csv, &job.came_us, err);
    if (r >= 0)
        r = read_duration(csv, &job.duration_us, err);
    if (r >= 0)
        r = csv_int(csv, JOB_GPUS, 0, GPUS_MAX, &gpus, err);
    if (r < 0)
        return r;
    if (job.came_us < x->options->from_us ||
        (x->options->to_us && job.came_us >= x->options->to_us))
        return 0;
    if (gpus > x->total)
        return csv_wrong(csv, JOB_GPUS, "no more than all machines have", err);
    if (x->jobs.len == JOBS_MAX)
        return csv_wrong(csv, JOB_TIME, "at most ten million jobs", err);
    job.gpus = (unsigned) gpus;
    job.left_us = job.duration_us;
    vec_push(&x->jobs, job);
    return 0;
}

static int compare_jobs(const void *pa, const void *pb)
{
    const struct sim_job *a = pa, *b = pb;

    if (a->came_us != b->came_us)
        return a->came_us < b->came_us ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static int read_jobs(struct replay *x, const struct pack_file *file, struct error *err)
{
    _cleanup_(csv_freep) struct csv *csv = NULL;
    int r = csv_new(file->file, file->name, job_columns, &csv, err);

    while (r >= 0 && (r = csv_next(csv, err)) > 0)
        r = read_job(x, csv, err);
    if (r >= 0 && x->jobs.len == 0)
        r = error_set(err, -EBADMSG, "%s: has no job of that time", file->name);
    if (r >= 0)
        qsort(x->jobs.items, x->jobs.len, sizeof *x->jobs.items, compare_jobs);
    return r;
}

/* ---- what happens ------------------------------------------------------------------------------------- */

/* Equal tasks, as few as will do. */
static unsigned tasks_of(const struct replay *x, unsigned gpus)
{
    unsigned tasks = gpus ? (gpus + x->largest - 1) / x->largest : 1;

    while (gpus % tasks)
        tasks++;
    return tasks;
}

static void submit(struct replay *x, struct sim_job *job)
{
    unsigned tasks = tasks_of(x, job->gpus);
    const struct schedule_job one = {
        .id = (uint64_t) (job - x->jobs.items),
        .ask = { .gpus = (uint16_t) (job->gpus / tasks),
                 .gpu_milli = job->gpus ? CAPACITY_GPU : 0 },
        .tasks = tasks,
        .preemptible = x->options->preemptible,
        .limit_us = x->options->knows_durations ? job->duration_us : 0,
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

static void start(struct replay *x, struct sim_job *job)
{
    job->runs = true;
    job->started_us = x->now_us;
    job->end_us = x->now_us + job->lost_us + job->left_us;
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

static void end(struct replay *x, struct sim_job *job)
{
    job->wait_us = x->now_us - job->came_us - job->duration_us;
    schedule_end(x->schedule, (uint64_t) (job - x->jobs.items), x->now_us);
    leave_running(x, job);
    x->n_ended++;
}

static int64_t next_moment(const struct replay *x)
{
    int64_t next_us = schedule_next_us(x->schedule, x->now_us);

    if (x->n_submitted < x->jobs.len && x->jobs.items[x->n_submitted].came_us < next_us)
        next_us = x->jobs.items[x->n_submitted].came_us;
    vec_foreach(&x->running, job)
        if ((*job)->end_us < next_us)
            next_us = (*job)->end_us;
    return next_us;
}

static void happen(struct replay *x)
{
    for (size_t i = 0; i < x->running.len;)
        if (x->running.items[i]->end_us <= x->now_us)
            end(x, x->running.items[i]);
        else
            i++;
    while (x->n_submitted < x->jobs.len && x->jobs.items[x->n_submitted].came_us <= x->now_us)
        submit(x, &x->jobs.items[x->n_submitted++]);
}

static void decide(struct replay *x)
{
    x->acts.len = 0;
    schedule_pass(x->schedule, x->now_us, &x->acts);
    x->figures.n_passes++;
    for (size_t i = 0; i < x->acts.len; i++) {
        struct sim_job *job = &x->jobs.items[x->acts.items[i].id];
        if (x->acts.items[i].verb == SCHEDULE_START)
            start(x, job);
        else
            stop(x, job);
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
    size_t n = x->jobs.len;
    _cleanup_free_ int64_t *waits = xnew_n(int64_t, n);
    struct queue_figures *f = &x->figures;
    int64_t waited_s = 0, turned_s = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sim_job *job = &x->jobs.items[i];
        waits[i] = job->wait_us;
        waited_s += job->wait_us / US_PER_S;
        turned_s += (job->wait_us + job->duration_us) / US_PER_S;
        int64_t ratio = job->wait_us / (job->duration_us / 1000 + 1);
        if (job->wait_us >= 86400 * US_PER_S && ratio > f->wait_ratio_max_thousandths)
            f->wait_ratio_max_thousandths = ratio;
    }
    qsort(waits, n, sizeof *waits, compare_waits);
    f->n_jobs = n;
    f->wait_mean_us = waited_s * US_PER_S / (int64_t) n;
    f->turnaround_mean_us = turned_s * US_PER_S / (int64_t) n;
    f->wait_p50_us = waits[n / 2];
    f->wait_p99_us = waits[n * 99 / 100];
    f->wait_max_us = waits[n - 1];
}

static int write_jobs(const struct replay *x, const struct pack_file *out, struct error *err)
{
    if (!out->file)
        return 0;
    (void) fputs("line,wait_s,duration_s,gpus,preemptions\n", out->file);
    vec_foreach(&x->jobs, job)
        (void) fprintf(out->file, "%zu,%lld,%lld,%u,%u\n", job->line,
                       (long long) (job->wait_us / US_PER_S),
                       (long long) (job->duration_us / US_PER_S), job->gpus, job->preemptions);
    if (fflush(out->file) != 0 || ferror(out->file))
        return error_set(err, -EIO, "%s: cannot be written: %s", out->name, strerror(errno));
    return 0;
}

static void build(struct replay *x)
{
    const struct schedule_options options = { .policy = x->options->policy,
                                              .guaranteed_us = x->options->guaranteed_us,
                                              .restart_us = x->options->restart_us,
                                              .patience_us = x->options->patience_us };
    struct capacity *capacity = capacity_new(x->options->score);

    for (unsigned g = 0; g < x->options->n_groups; g++) {
        const struct queue_machines *group = &x->options->groups[g];
        struct room size = { .n_gpus = (uint16_t) group->gpus, .model = 1 };
        for (unsigned i = 0; i < group->gpus; i++)
            size.gpu[i] = CAPACITY_GPU;
        for (unsigned i = 0; i < group->count; i++)
            (void) capacity_add(capacity, &size);
        x->total += group->count * group->gpus;
        x->largest = group->gpus > x->largest ? group->gpus : x->largest;
    }
    x->schedule = schedule_new(&options, capacity);
}

int queue_run(const struct queue_options *options, const struct pack_file *jobs,
              const struct pack_file *out, struct queue_figures *ret, struct error *err)
{
    _cleanup_(replay_done) struct replay x = { .options = options };

    build(&x);
    int r = read_jobs(&x, jobs, err);
    while (r >= 0 && x.n_ended < x.jobs.len) {
        int64_t next_us = next_moment(&x);
        if (next_us == INT64_MAX)
            return error_set(err, -EDEADLK, "%s:%zu: this job never starts", jobs->name,
                             x.jobs.items[x.n_ended].line);
        x.now_us = next_us;
        happen(&x);
        decide(&x);
    }
    if (r < 0)
        return r;
    count(&x);
    *ret = x.figures;
    return write_jobs(&x, out, err);
}
