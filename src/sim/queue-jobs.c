/* queue-jobs.c - jobs as a table says */
#include "sim/queue-jobs.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"
#include "sim/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOB_TIME,
    JOB_DURATION,
    JOB_GPUS,
    JOB_ORG,
    JOB_PROJECT,
    JOB_USER,
    JOB_PRIORITY,
    JOB_LIMIT,
    JOB_PREEMPTIBLE,
    JOB_CRASHES,
    JOB_CRASH_AFTER
};
static const char *const job_columns[] = { "timestamp",    "duration", "num_gpus",     "?org",
                                           "?project",     "?user",    "?priority",    "?limit",
                                           "?preemptible", "?crashes", "?crash_after", NULL };

enum { GPUS_MAX = 100000, JOBS_MAX = 2000000, PRIORITY_MAX = 1000, CRASHES_MAX = 10000 };
#define DURATION_MAX_S (INT64_C(10) * 366 * 86400)

void queue_jobs_done(struct queue_jobs *jobs)
{
    vec_done(&jobs->list);
    queue_groups_done(&jobs->groups);
}

/* "12.0": the fraction is nothing that a scheduler sees. */
static int read_seconds(const struct csv *csv, unsigned column, int64_t *ret, struct error *err)
{
    _cleanup_free_ char *text = xstrdup(csv_field(csv, column));
    char *dot = strchr(text, '.');
    long long seconds;

    if (dot && dot != text && dot[1] && dot[1 + strspn(dot + 1, "0123456789")] == '\0')
        *dot = '\0';
    if (str_to_i64(text, 0, DURATION_MAX_S, &seconds) < 0)
        return csv_wrong(csv, column, "seconds, at most ten years", err);
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

static int read_group(struct queue_jobs *jobs, const struct csv *csv, uint32_t *ret,
                      struct error *err)
{
    *ret = 0;
    for (unsigned column = JOB_ORG; column <= JOB_USER; column++) {
        if (!csv_has(csv, column))
            continue;
        const char *name = csv_field(csv, column);
        if (strlen(name) > QUEUE_GROUP_NAME_MAX || strpbrk(name, "/=,"))
            return csv_wrong(csv, column, "a name without '/', '=' and ',', at most 100 bytes",
                             err);
        *ret = queue_groups_add(&jobs->groups, *ret, name);
        if (!*ret)
            return csv_wrong(csv, column, "one of at most 100,000 names", err);
    }
    return 0;
}

/* Who crashes, but does not say how often, does so once. */
static int read_crashes(const struct csv *csv, struct queue_job *job, struct error *err)
{
    int64_t crashes = 0;
    int r = 0;

    if (*csv_field(csv, JOB_CRASH_AFTER)) {
        crashes = 1;
        r = read_seconds(csv, JOB_CRASH_AFTER, &job->crash_after_us, err);
    }
    if (r >= 0 && *csv_field(csv, JOB_CRASHES))
        r = csv_int(csv, JOB_CRASHES, 0, CRASHES_MAX, &crashes, err);
    if (r >= 0 && crashes > 0 && !job->crash_after_us)
        return csv_wrong(csv, JOB_CRASH_AFTER, "seconds, for a job that crashes", err);
    job->crashes = (unsigned) crashes;
    return r;
}

/* Columns that may be missing, or their fields empty. */
static int read_rest(const struct queue_options *options, const struct csv *csv,
                     struct queue_job *job, struct error *err)
{
    const char *preemptible = csv_field(csv, JOB_PREEMPTIBLE);
    int64_t priority = 0;
    int r = 0;

    job->limit_us = options->knows_durations ? job->duration_us : 0;
    job->preemptible = options->preemptible;
    if (*csv_field(csv, JOB_PRIORITY))
        r = csv_int(csv, JOB_PRIORITY, -PRIORITY_MAX, PRIORITY_MAX, &priority, err);
    if (r >= 0 && *csv_field(csv, JOB_LIMIT))
        r = read_seconds(csv, JOB_LIMIT, &job->limit_us, err);
    if (r >= 0)
        r = read_crashes(csv, job, err);
    job->priority = (int) priority;
    if (r < 0 || !*preemptible)
        return r;
    if (!str_equal(preemptible, "yes") && !str_equal(preemptible, "no"))
        return csv_wrong(csv, JOB_PREEMPTIBLE, "yes or no", err);
    job->preemptible = str_equal(preemptible, "yes") && options->preemptible;
    return r;
}

/* How many tasks of so many GPUs all machines hold while they are empty. */
static uint64_t room_for(const struct queue_sizes *sizes, unsigned gpus)
{
    uint64_t n = 0;

    for (unsigned i = gpus; i <= CAPACITY_GPUS_MAX; i++)
        n += (uint64_t) sizes->machines[i] * (i / gpus);
    return n;
}

/* As few equal tasks as will do; 0: all machines do not hold them. */
static unsigned tasks_of(const struct queue_sizes *sizes, unsigned gpus)
{
    if (gpus == 0)
        return 1;
    for (unsigned tasks = (gpus + CAPACITY_GPUS_MAX - 1) / CAPACITY_GPUS_MAX; tasks <= gpus;
         tasks++)
        if (gpus % tasks == 0 && room_for(sizes, gpus / tasks) >= tasks)
            return tasks;
    return 0;
}

static int read_job(struct queue_jobs *jobs, const struct queue_options *options,
                    const struct queue_sizes *sizes, const struct csv *csv, struct error *err)
{
    struct queue_job job = { .line = csv_line(csv) };
    int64_t gpus;

    int r = read_time(csv, &job.came_us, err);
    if (r >= 0)
        r = read_seconds(csv, JOB_DURATION, &job.duration_us, err);
    if (r >= 0)
        r = csv_int(csv, JOB_GPUS, 0, GPUS_MAX, &gpus, err);
    if (r < 0 || job.came_us < options->from_us ||
        (options->to_us && job.came_us >= options->to_us))
        return r;
    job.tasks = tasks_of(sizes, (unsigned) gpus);
    if (!job.tasks)
        return csv_wrong(csv, JOB_GPUS, "no more than all machines have", err);
    if (jobs->list.len == JOBS_MAX)
        return csv_wrong(csv, JOB_TIME, "at most two million jobs", err);
    job.gpus = (unsigned) gpus;
    r = read_rest(options, csv, &job, err);
    if (r >= 0)
        r = read_group(jobs, csv, &job.group, err);
    if (r < 0)
        return r;
    if (job.limit_us && job.duration_us > job.limit_us) {
        job.duration_us = job.limit_us;
        jobs->n_cut++;
    }
    vec_push(&jobs->list, job);
    return 0;
}

static int compare_jobs(const void *pa, const void *pb)
{
    const struct queue_job *a = pa, *b = pb;

    if (a->came_us != b->came_us)
        return a->came_us < b->came_us ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

int queue_jobs_read(const struct queue_options *options, const struct queue_sizes *sizes,
                    const struct pack_file *file, struct queue_jobs *ret, struct error *err)
{
    _cleanup_(csv_freep) struct csv *csv = NULL;
    int r = csv_new(file->file, file->name, job_columns, &csv, err);

    while (r >= 0 && (r = csv_next(csv, err)) > 0)
        r = read_job(ret, options, sizes, csv, err);
    if (r >= 0 && ret->list.len == 0)
        r = error_set(err, -EBADMSG, "%s: has no job of that time", file->name);
    if (r >= 0)
        qsort(ret->list.items, ret->list.len, sizeof *ret->list.items, compare_jobs);
    return r;
}
