/* forecast.c - a planner in virtual time */
#include "placement/forecast.h"

#include "base/alloc.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/time.h"
#include "placement/planner-snapshot.h"

#include <stdlib.h>

/* Who is known to run at least so much of what it declared runs all of it. */
enum { TRUE_PERCENT = 95 };

const struct forecast_options forecast_defaults = {
    .horizon_us = INT64_C(30) * 86400 * US_PER_S,
    .passes_max = 20000,
};

const char *forecast_basis_name(enum forecast_basis basis)
{
    static const char *const names[] = {
        [FORECAST_NOW] = "now",
        [FORECAST_DECLARED] = "declared",
        [FORECAST_HISTORY] = "history",
        [FORECAST_UNKNOWN] = "unknown",
    };

    return names[basis];
}

/* A job on its way. */
struct course {
    int64_t end_us;            /* while it runs; INT64_MAX: not known */
    int64_t left_us;           /* while it waits after it was stopped; 0: it has not begun */
    int64_t started_us;        /* while it runs: when it began last */
    int64_t ran_us;            /* in all, before that */
    bool leaves;               /* at the end it waits again */
    enum forecast_basis basis; /* of its end */
    size_t at;                 /* in ENDS, from 1; 0: it is not there */
};

struct run {
    const struct snapshot *snapshot;
    struct planner *planner;
    struct map *indexes; /* job's id -> its course */
    struct course *courses;
    VEC(size_t) ends; /* a heap of those that run and end, the first to end first */
    size_t n_waiting; /* jobs of the snapshot that have not started yet */
    int64_t now_us;
    enum forecast_basis basis;
    struct forecast *ret;
};

/* ---- who ends next ---------------------------------------------------------------------------------- */

static bool ends_before(const struct run *x, const size_t *a, const size_t *b)
{
    const struct course *ca = &x->courses[*a], *cb = &x->courses[*b];

    return ca->end_us != cb->end_us ? ca->end_us < cb->end_us : *a < *b;
}

static void put(const struct run *x, size_t *items, size_t at, size_t job)
{
    items[at] = job;
    x->courses[job].at = at + 1;
}

HEAP(end, size_t, const struct run *, ends_before, put)

static void await_end(struct run *x, size_t job)
{
    if (x->courses[job].end_us == INT64_MAX)
        return;
    vec_push(&x->ends, job);
    end_up(x, x->ends.items, x->ends.len - 1, job);
}

static void forget_end(struct run *x, size_t job)
{
    size_t at = x->courses[job].at;

    if (at == 0 || x->ends.len == 0)
        return;
    size_t last = x->ends.items[--x->ends.len];
    x->courses[job].at = 0;
    if (last != job)
        end_sift(x, x->ends.items, x->ends.len, at - 1, last);
}

/* ---- how long they run ------------------------------------------------------------------------------ */

/* When a job ends that runs since STARTED_US: when it said, unless such jobs are known to end sooner. */
static void set_end(struct run *x, size_t job, int64_t started_us)
{
    const struct snapshot_job *one = &x->snapshot->jobs.items[job];
    struct course *course = &x->courses[job];
    int64_t max_us = one->spec->max_time_s * US_PER_S, ran_us = x->now_us - started_us;
    int64_t left_us = history_left_us(x->snapshot->history, &one->project, ran_us, max_us);
    bool is_sooner = max_us == 0 || ran_us + left_us < max_us / 100 * TRUE_PERCENT;

    course->end_us = INT64_MAX;
    if (left_us >= 0 && is_sooner) {
        course->end_us = x->now_us + left_us;
        course->basis = FORECAST_HISTORY;
    } else if (max_us > 0) {
        course->end_us = started_us + max_us;
        course->basis = FORECAST_DECLARED;
    }
    /* Whoever is over its time ends at any moment. */
    if (course->end_us < x->now_us)
        course->end_us = x->now_us;
}

static void go_on(struct run *x, size_t job)
{
    struct course *course = &x->courses[job];

    course->started_us = x->now_us;
    if (course->left_us > 0)
        course->end_us = x->now_us + course->left_us + x->snapshot->options.restart_us;
    else
        set_end(x, job, x->now_us);
    await_end(x, job);
}

/* ---- what happens ----------------------------------------------------------------------------------- */

static size_t index_of(const struct run *x, const struct id *id)
{
    const struct course *course = map_get(x->indexes, id, sizeof *id);

    return (size_t) (course - x->courses);
}

static void start(struct run *x, size_t job)
{
    struct forecast_start *result = &x->ret->starts[job];

    if (result->start_us == INT64_MAX) {
        result->start_us = x->now_us;
        result->basis = x->basis;
        x->n_waiting--;
    }
    go_on(x, job);
}

/* It has left, and waits in its old place. */
static void wait_again(struct run *x, size_t job)
{
    struct course *course = &x->courses[job];
    struct snapshot_job again = x->snapshot->jobs.items[job];

    again.started_us = again.eligible_us = again.claimed_us = 0;
    again.claim = 0;
    again.leaves = course->leaves = false;
    again.ran_us = course->ran_us;
    again.waits_since_us = x->now_us;
    planner_add(x->planner, &again, x->now_us);
}

/* In virtual time nobody needs a while to end. */
static void stop(struct run *x, size_t job)
{
    struct course *course = &x->courses[job];

    forget_end(x, job);
    course->left_us = course->end_us == INT64_MAX ? 0 : course->end_us - x->now_us + 1;
    course->ran_us += x->now_us - course->started_us;
    x->ret->starts[job].stops++;
    wait_again(x, job);
}

/* It is on its way out already. */
static void leave(struct run *x, size_t job)
{
    const struct snapshot_job *one = &x->snapshot->jobs.items[job];
    struct course *course = &x->courses[job];
    int64_t grace_us = one->spec->grace_s > 0 ? one->spec->grace_s * US_PER_S : 0;

    course->left_us = course->end_us == INT64_MAX ? 0 : course->end_us - x->now_us + 1;
    course->leaves = true;
    if (course->end_us > x->now_us + grace_us)
        course->end_us = x->now_us + grace_us;
    course->basis = FORECAST_DECLARED;
}

static void decide(struct run *x)
{
    bool again = true;

    while (again) {
        struct planner_plan plan;
        planner_pass(x->planner, x->now_us, 0, &plan);
        vec_foreach(&plan.starts, one)
            start(x, index_of(x, &one->id));
        vec_foreach(&plan.stops, one)
            stop(x, index_of(x, &one->id));
        again = plan.stops.len > 0 || plan.more;
        planner_plan_done(&plan);
        x->ret->passes++;
    }
}

static void end_those_due(struct run *x)
{
    while (x->ends.len > 0 && x->courses[x->ends.items[0]].end_us <= x->now_us) {
        size_t job = x->ends.items[0];
        if (x->courses[job].basis > x->basis)
            x->basis = x->courses[job].basis;
        forget_end(x, job);
        planner_end(x->planner, &x->snapshot->jobs.items[job].id, x->now_us);
        if (x->courses[job].leaves)
            wait_again(x, job);
    }
}

static int64_t next_moment(const struct run *x)
{
    int64_t next_us = planner_next_us(x->planner, x->now_us);

    if (x->ends.len > 0 && x->courses[x->ends.items[0]].end_us < next_us)
        next_us = x->courses[x->ends.items[0]].end_us;
    return next_us > x->now_us ? next_us : x->now_us + 1;
}

static void begin(struct run *x)
{
    for (size_t i = 0; i < x->snapshot->jobs.len; i++) {
        const struct snapshot_job *job = &x->snapshot->jobs.items[i];
        struct forecast_start *start = &x->ret->starts[i];
        (void) map_set(x->indexes, &job->id, sizeof job->id, &x->courses[i]);
        x->courses[i].started_us = job->started_us;
        x->courses[i].ran_us = job->ran_us;
        if (job->started_us) {
            start->start_us = job->started_us;
            set_end(x, i, job->started_us);
            if (job->leaves)
                leave(x, i);
            await_end(x, i);
        } else {
            *start = (struct forecast_start){ INT64_MAX, FORECAST_UNKNOWN, 0 };
            x->n_waiting++;
        }
    }
}

void forecast_run(const struct snapshot *s, const struct forecast_options *options,
                  struct forecast *ret)
{
    struct run x = {
        .snapshot = s,
        .planner = planner_from_snapshot(s),
        .indexes = map_new(),
        .courses = xnew_n(struct course, s->jobs.len + 1),
        .now_us = s->now_us,
        .ret = ret,
    };
    int64_t until_us = s->now_us + options->horizon_us;

    *ret = (struct forecast){ .starts = xnew_n(struct forecast_start, s->jobs.len + 1),
                              .n = s->jobs.len };
    begin(&x);
    while (x.n_waiting > 0 && x.now_us <= until_us && !ret->is_cut) {
        end_those_due(&x);
        decide(&x);
        x.now_us = next_moment(&x);
        ret->is_cut = ret->passes >= options->passes_max && x.n_waiting > 0;
    }
    planner_free(x.planner);
    map_free(x.indexes);
    vec_done(&x.ends);
    free(x.courses);
}

void forecast_done(struct forecast *forecast)
{
    free(forecast->starts);
    forecast->starts = NULL;
    forecast->n = 0;
}
