/* eta.c - how good the times are that jobs which wait are told
 *
 *     bench-eta MACHINES POLICY DECLARED <JOBS
 *
 * MACHINES of 8 GPUs; JOBS are lines "SECOND DURATION GPUS PROJECT" in the order in which they come. DECLARED: `true` (each says how
 * long it runs), `over` (1 to 10 times as long, in whole hours), `none`. Every six hours a forecast is made as the server makes it; prints for each
 * basis: its name, how many starts were told, the median and the ninth decile of how many seconds they were wrong, the median
 * wait that was left, and how many of 1,000 began sooner than told, within a minute, and later.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"
#include "bench/measure.h"
#include "placement/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS = 8, CORES = 64, EVERY_S = 6 * 3600, MINUTE_S = 60 };

#define GIB   (INT64_C(1) << 30)
#define BEGIN (INT64_C(1500000000) * US_PER_S)

struct job {
    int64_t came_us, duration_us, started_us;
    struct workload_spec *spec;
    struct id project;
    bool runs;
};

/* What was told, and what became of it. */
struct told {
    size_t job;
    int64_t at_us, start_us;
    enum forecast_basis basis;
};

struct bench {
    struct planner_options options;
    struct planner *planner;
    struct history *history;
    VEC(struct job) jobs;
    VEC(size_t) running;
    VEC(struct told) told;
    size_t n_came;
    int64_t now_us, look_us;
};

static struct node *machine(unsigned number)
{
    struct node *node = xnew(struct node);

    node->name = xasprintf("n%u", number);
    node->memory_bytes = 512 * GIB;
    node->disk_bytes = node->disk_free_bytes = 4096 * GIB;
    vec_push(&node->numas, ((struct numa_node){ .id = 0, .memory_bytes = 512 * GIB }));
    for (unsigned i = 0; i < CORES; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < GPUS; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("n%u-GPU-%u", number, i),
                                             .index = i,
                                             .model = xstrdup("P100") }));
    return node;
}

static int64_t limit_of(int64_t duration_s, const char *declared)
{
    if (str_equal(declared, "true"))
        return duration_s;
    if (str_equal(declared, "none"))
        return 0;
    return (duration_s * (1 + random_below(10)) / 3600 + 1) * 3600;
}

static void read_jobs(struct bench *b, const char *declared)
{
    long long came, duration;
    unsigned gpus, project;

    while (scanf("%lld %lld %u %u", &came, &duration, &gpus, &project) == 4) { // NOLINT
        struct workload_spec *spec = xnew(struct workload_spec);
        spec->command = xnew_n(char *, 1);
        spec->nodes = gpus > GPUS ? (gpus + GPUS - 1) / GPUS : 1;
        spec->tasks_per_node = 1;
        spec->gpus = gpus > GPUS ? GPUS : gpus;
        spec->cores = spec->gpus;
        spec->memory_bytes = spec->gpus * GIB;
        spec->max_time_s = limit_of(duration, declared);
        vec_push(&b->jobs, ((struct job){ .came_us = BEGIN + came * US_PER_S,
                                          .duration_us = (duration ? duration : 1) * US_PER_S,
                                          .spec = spec,
                                          .project = id_of(3, project) }));
    }
}

static void come(struct bench *b)
{
    const struct job *job = &b->jobs.items[b->n_came];

    planner_submit(b->planner,
                   &(const struct planner_job){ .id = id_of(1, (unsigned) b->n_came++),
                                                .org = id_of(2, 0),
                                                .project = job->project,
                                                .spec = job->spec,
                                                .since_us = b->now_us },
                   b->now_us);
}

static int64_t end_of(const struct job *job) { return job->started_us + job->duration_us; }

static void end_those_due(struct bench *b)
{
    for (size_t i = b->running.len; i-- > 0;) {
        const struct job *job = &b->jobs.items[b->running.items[i]];
        if (end_of(job) > b->now_us)
            continue;
        const struct id id = id_of(1, (unsigned) b->running.items[i]);
        planner_end(b->planner, &id, b->now_us);
        history_note(b->history, &job->project, job->duration_us, job->spec->max_time_s * US_PER_S);
        vec_remove(&b->running, i);
    }
}

static void decide(struct bench *b)
{
    struct planner_plan plan;
    bool more = true;

    while (more) {
        planner_pass(b->planner, b->now_us, 0, &plan);
        vec_foreach(&plan.starts, start) {
            size_t number = number_of(&start->id);
            b->jobs.items[number].started_us = b->now_us;
            vec_push(&b->running, number);
        }
        more = plan.more;
        planner_plan_done(&plan);
    }
}

static void describe(void *userdata, struct snapshot_job *ret)
{
    const struct bench *b = userdata;
    const struct job *job = &b->jobs.items[number_of(&ret->id)];

    ret->project = job->project;
    ret->spec = workload_wishes_copy(job->spec);
}

static void look(struct bench *b)
{
    const struct forecast_options ahead = { INT64_C(30) * 86400 * US_PER_S, 2000 };
    struct snapshot *s = snapshot_new();
    struct forecast forecast;

    s->now_us = b->now_us;
    s->options = b->options.schedule;
    s->score = b->options.score;
    history_free(s->history);
    s->history = history_copy(b->history);
    planner_tell(b->planner, &(const struct snapshot_source){ describe, b }, s);
    forecast_run(s, &ahead, &forecast);
    for (size_t i = 0; i < s->jobs.len; i++)
        if (!s->jobs.items[i].started_us)
            vec_push(&b->told,
                     ((struct told){ number_of(&s->jobs.items[i].id), b->now_us,
                                     forecast.starts[i].start_us, forecast.starts[i].basis }));
    forecast_done(&forecast);
    snapshot_free(s);
}

static int64_t next_moment(const struct bench *b)
{
    int64_t next_us = planner_next_us(b->planner, b->now_us);

    if (b->n_came < b->jobs.len && b->jobs.items[b->n_came].came_us < next_us)
        next_us = b->jobs.items[b->n_came].came_us;
    vec_foreach(&b->running, job)
        if (end_of(&b->jobs.items[*job]) < next_us)
            next_us = end_of(&b->jobs.items[*job]);
    if (b->look_us < next_us)
        next_us = b->look_us;
    return next_us > b->now_us ? next_us : b->now_us + 1;
}

static void run(struct bench *b)
{
    while (b->n_came < b->jobs.len || b->running.len > 0) {
        b->now_us = next_moment(b);
        end_those_due(b);
        while (b->n_came < b->jobs.len && b->jobs.items[b->n_came].came_us <= b->now_us)
            come(b);
        decide(b);
        if (b->now_us < b->look_us)
            continue;
        b->look_us += EVERY_S * US_PER_S;
        if (b->n_came < b->jobs.len)
            look(b);
    }
}

static int compare(const void *pa, const void *pb)
{
    const int64_t *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

static void say(const struct bench *b, enum forecast_basis basis)
{
    _cleanup_free_ int64_t *wrong = xnew_n(int64_t, b->told.len + 1),
                           *left = xnew_n(int64_t, b->told.len + 1);
    size_t n = 0, sooner = 0, later = 0;

    vec_foreach(&b->told, one) {
        int64_t began_us = b->jobs.items[one->job].started_us;
        if (one->basis != basis)
            continue;
        int64_t off_s = one->start_us == INT64_MAX ? 0 : (began_us - one->start_us) / US_PER_S;
        sooner += off_s < -MINUTE_S;
        later += off_s > MINUTE_S;
        wrong[n] = off_s < 0 ? -off_s : off_s;
        left[n++] = (began_us - one->at_us) / US_PER_S;
    }
    if (n == 0)
        return;
    qsort(wrong, n, sizeof *wrong, compare);
    qsort(left, n, sizeof *left, compare);
    (void) printf("%s %zu %lld %lld %lld %zu %zu %zu\n", forecast_basis_name(basis), n,
                  (long long) wrong[n / 2], (long long) wrong[n * 9 / 10], (long long) left[n / 2],
                  sooner * 1000 / n, (n - sooner - later) * 1000 / n, later * 1000 / n);
}

int main(int argc, char **argv)
{
    struct bench b = { .now_us = BEGIN, .look_us = BEGIN + EVERY_S * US_PER_S };
    const struct policy *policy = argc == 4 ? policy_find(argv[2]) : NULL;
    long long machines;

    if (!policy || str_to_i64(argv[1], 1, 10000, &machines) < 0) {
        (void) fputs("usage: bench-eta MACHINES POLICY true|over|none <JOBS\n", stderr);
        return 2;
    }
    b.options = (struct planner_options){ &score_yield,
                                          { .policy = policy,
                                            .patience_us = INT64_C(86400) * US_PER_S,
                                            .half_life_us = INT64_C(7) * 86400 * US_PER_S } };
    b.planner = planner_new(&b.options);
    b.history = history_new();
    for (unsigned i = 0; i < machines; i++)
        planner_set_node(b.planner, machine(i), 0);
    read_jobs(&b, argv[3]);
    run(&b);
    for (int basis = FORECAST_NOW; basis <= FORECAST_UNKNOWN; basis++)
        say(&b, (enum forecast_basis) basis);
    planner_free(b.planner);
    return 0;
}
