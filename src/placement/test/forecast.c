/* Forecasts: who starts when, and what that rests on. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)
#define NOW    (INT64_C(1700000000) * SECOND)

static struct id id_of(unsigned n) { return (struct id){ { [0] = 1, [15] = (uint8_t) n } }; }

static void add_node(struct snapshot *s, const char *name, unsigned cores)
{
    struct node *node = xnew(struct node);

    node->name = xstrdup(name);
    node->memory_bytes = INT64_C(64) << 30;
    vec_push(&node->numas, ((struct numa_node){ .id = 0, .memory_bytes = node->memory_bytes }));
    for (unsigned i = 0; i < cores; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    vec_push(&s->nodes, ((struct snapshot_node){ .node = node }));
}

/* MAX_TIME_S 0: it declares none. */
static struct snapshot_job *add_job(struct snapshot *s, unsigned cores, int64_t max_time_s)
{
    struct snapshot_job job = { .id = id_of((unsigned) s->jobs.len + 1),
                                .project = id_of(200),
                                .since_us = NOW - 1000 * SECOND + (int64_t) s->jobs.len };
    _cleanup_json_ json_t *json = json_pack("{s:i, s:i, s:I}", "cpus", (int) cores, "memory", 4096,
                                            "max_time", (json_int_t) max_time_s);

    ok(workload_wishes_from_json(json, &job.spec, NULL) == 0);
    vec_push(&s->jobs, job);
    return &s->jobs.items[s->jobs.len - 1];
}

/* It runs on n1, on CORES cores from FIRST, since RAN_S. */
static void run_job(struct snapshot_job *job, unsigned first, int64_t ran_s)
{
    struct allocation *a = xnew(struct allocation);

    a->node = xstrdup("n1");
    for (unsigned i = 0; i < job->spec->cores; i++)
        cpu_set_add(&a->cpus, first + i);
    cpu_set_add(&a->mems, 0);
    a->memory_bytes = job->spec->memory_bytes;
    vec_push(&job->allocations, a);
    job->started_us = NOW - ran_s * SECOND;
}

static struct snapshot *world(void)
{
    struct snapshot *s = snapshot_new();

    s->now_us = NOW;
    s->options.policy = &policy_skip;
    add_node(s, "n1", 4);
    return s;
}

/* Job I starts in SECONDS; -1: that is not known. */
static void starts(const struct forecast *f, size_t i, int64_t seconds, enum forecast_basis basis)
{
    int64_t start_us = f->starts[i].start_us;

    ok(start_us == (seconds < 0 ? INT64_MAX : NOW + seconds * SECOND));
    ok(f->starts[i].basis == basis);
    if (start_us != INT64_MAX && start_us != NOW + seconds * SECOND)
        printf("# job %zu starts in %lld s\n", i, (long long) ((start_us - NOW) / SECOND));
}

TEST(follows_declared_times_one_after_the_other)
{
    _cleanup_(snapshot_freep) struct snapshot *s = world();
    struct forecast f;

    run_job(add_job(s, 3, 600), 0, 100);
    (void) add_job(s, 1, 50);
    (void) add_job(s, 4, 300);
    (void) add_job(s, 2, 0);
    forecast_run(s, &forecast_defaults, &f);
    ok(f.starts[0].start_us == NOW - 100 * SECOND);
    starts(&f, 1, 0, FORECAST_NOW);
    starts(&f, 2, 500, FORECAST_DECLARED);
    starts(&f, 3, 800, FORECAST_DECLARED);
    ok(!f.is_cut && f.passes >= 3);
    forecast_done(&f);
}

TEST(goes_by_what_ran_lately_where_nothing_is_declared)
{
    _cleanup_(snapshot_freep) struct snapshot *s = world();
    struct forecast f;

    for (int i = 1; i <= 9; i++)
        history_note(s->history, &(struct id){ { [0] = 1, [15] = 200 } }, i * 100 * SECOND, 0);
    run_job(add_job(s, 4, 0), 0, 250);
    (void) add_job(s, 4, 0);
    (void) add_job(s, 4, 60);
    forecast_run(s, &forecast_defaults, &f);
    /* Of 300 to 900 the median is 600, of all 500. */
    starts(&f, 1, 350, FORECAST_HISTORY);
    starts(&f, 2, 850, FORECAST_HISTORY);
    forecast_done(&f);
}

/* Jobs of the project run as large a part of what they declare as PERCENT says. */
static void runs_part_of_declared(int percent, int64_t first_s, enum forecast_basis basis)
{
    _cleanup_(snapshot_freep) struct snapshot *s = world();
    struct forecast f;

    for (int i = 0; i < HISTORY_ENOUGH; i++)
        history_note(s->history, &(struct id){ { [0] = 1, [15] = 200 } }, percent * SECOND,
                     100 * SECOND);
    run_job(add_job(s, 4, 1000), 0, 100);
    (void) add_job(s, 4, 1000);
    forecast_run(s, &forecast_defaults, &f);
    starts(&f, 1, first_s, basis);
    forecast_done(&f);
}

TEST(who_declares_more_than_it_runs_is_known)
{
    runs_part_of_declared(30, 200, FORECAST_HISTORY);
    runs_part_of_declared(97, 900, FORECAST_DECLARED);
    runs_part_of_declared(5, 900, FORECAST_DECLARED); /* none ran as long as this one has */
}

TEST(says_so_when_it_cannot_be_known)
{
    _cleanup_(snapshot_freep) struct snapshot *s = world();
    struct forecast f;

    run_job(add_job(s, 2, 0), 0, 250);
    (void) add_job(s, 4, 10);
    (void) add_job(s, 2, 10);
    add_job(s, 1, 10)->held = xstrdup("its image is pulled");
    (void) add_job(s, 5, 10);
    forecast_run(s, &forecast_defaults, &f);
    starts(&f, 1, -1, FORECAST_UNKNOWN);
    starts(&f, 2, 0, FORECAST_NOW);
    starts(&f, 3, -1, FORECAST_UNKNOWN);
    starts(&f, 4, -1, FORECAST_UNKNOWN);
    forecast_done(&f);
}

TEST(who_is_over_its_time_ends_at_any_moment)
{
    _cleanup_(snapshot_freep) struct snapshot *s = world();
    struct forecast f;

    run_job(add_job(s, 4, 60), 0, 90);
    (void) add_job(s, 4, 10);
    forecast_run(s, &forecast_defaults, &f);
    starts(&f, 1, 0, FORECAST_DECLARED);
    forecast_done(&f);
}

TEST(looks_no_further_than_it_is_told)
{
    _cleanup_(snapshot_freep) struct snapshot *s = world();
    struct forecast f;

    for (int i = 0; i < 50; i++)
        (void) add_job(s, 4, 100);
    forecast_run(s, &(const struct forecast_options){ 1000 * SECOND, 1000 }, &f);
    starts(&f, 10, 1000, FORECAST_DECLARED);
    starts(&f, 11, -1, FORECAST_UNKNOWN);
    ok(!f.is_cut);
    forecast_done(&f);
    forecast_run(s, &(const struct forecast_options){ 1000000 * SECOND, 5 }, &f);
    starts(&f, 40, -1, FORECAST_UNKNOWN);
    ok(f.is_cut);
    forecast_done(&f);
}

TAP_MAIN
