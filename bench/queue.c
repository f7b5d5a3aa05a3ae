/* queue.c - what a scheduling pass costs while very many jobs wait, on one core
 *
 *     bench-queue MACHINES JOBS POLICY
 *
 * MACHINES of 8 GPUs are filled over two days by jobs of forty projects in eight orgs, of several hundred shapes, four priorities
 * and the limits that people declare; then JOBS more wait. The first pass sees them all for the first time; in the hundred that
 * follow 16 jobs have ended since the last one, and as many have come. Passes are cut into slices as the server's are. Prints one
 * line: machines, jobs, lines of equal jobs, bytes a queued job, of the first pass milliseconds, slices and the most of a slice,
 * of a later pass p50 and the most, and the most of a slice, microseconds to submit a job and to take one out of the queue, and a
 * sum of all decisions: two builds that decide alike print the same.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "bench/measure.h"
#include "placement/entry.h"
#include "placement/score.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { GPUS = 8, PASSES = 100, ENDED = 16, ORGS = 8, PROJECTS = 5, WORK = 100000 };

#define SECOND INT64_C(1000000)

/* Hours; in one of ten jobs something odd, in one of four nothing. */
static int64_t draw_limit(void)
{
    static const unsigned hours[] = { 1, 2, 4, 8, 12, 24, 24, 48, 72, 168 };

    if (random_below(4) == 0)
        return 0;
    if (random_below(10) == 0)
        return (60 + random_below(200000)) * SECOND;
    return hours[random_below(10)] * 3600 * SECOND;
}

static uint32_t projects[ORGS * PROJECTS];

static void found_projects(struct share *share)
{
    for (unsigned i = 0; i < ORGS; i++) {
        uint32_t org = share_add(share, SHARE_ROOT, 1 + i % 2);
        for (unsigned k = 0; k < PROJECTS; k++)
            projects[i * PROJECTS + k] = share_add(share, org, 1 + k % 3);
    }
}

static struct schedule_job draw(uint64_t id)
{
    static const uint16_t gpus[] = { 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 8, 8, 8, 0, 1, 1, 8 };
    static const uint16_t parts[] = { 100, 250, 500, 500, 810 };
    static const int32_t cores[] = { 2, 4, 6, 8, 12 };
    uint32_t kind = random_below(20);
    struct schedule_job job = { .id = id, .tasks = 1, .limit_us = draw_limit() };
    int32_t of_each = cores[random_below(5)];

    job.ask.gpus = gpus[kind];
    job.ask.gpu_milli = !gpus[kind] ? 0 : kind < 3 ? parts[random_below(5)] : CAPACITY_GPU;
    job.ask.cpu_milli = 1000 * of_each * (gpus[kind] ? gpus[kind] : 1);
    job.ask.memory_mib = job.ask.cpu_milli / 1000 * (2048 << random_below(3));
    if (kind == 19)
        job.tasks = 2u << random_below(6);
    job.priority = random_below(8) ? 0 : (int) random_below(4);
    job.preemptible = random_below(4) > 0;
    /* Some have many jobs. */
    job.group = projects[random_below(random_below(ORGS * PROJECTS) + 1)];
    return job;
}

struct bench {
    struct schedule *s;
    uint64_t n_jobs;
    int64_t now_us;
    struct schedule_acts acts;
    uint64_t decisions;
};

static void note_decisions(struct bench *b)
{
    vec_foreach(&b->acts, act) {
        b->decisions = hash_mix(b->decisions, act->id * 2 + act->verb);
        if (act->verb == SCHEDULE_START)
            b->decisions = hash_mix(b->decisions, act->places[0].node);
    }
}

/* Milliseconds of a pass. */
struct took {
    double all, most; /* of a slice */
    unsigned slices;
};

static struct took pass(struct bench *b)
{
    struct took took = { 0 };

    do {
        double began = clock_us();
        b->acts.len = 0;
        schedule_pass(b->s, b->now_us, &b->acts);
        double ms = (clock_us() - began) / 1e3;
        took.all += ms;
        took.most = ms > took.most ? ms : took.most;
        took.slices++;
        note_decisions(b);
    } while (schedule_is_cut(b->s));
    return took;
}

static double submit(struct bench *b, size_t n)
{
    double began = clock_us();

    for (size_t i = 0; i < n; i++) {
        const struct schedule_job job = draw(b->n_jobs++);
        schedule_submit(b->s, &job, b->now_us);
    }
    return (clock_us() - began) / (double) n;
}

static void build(struct bench *b, unsigned machines, const struct policy *policy)
{
    const struct schedule_options options = { policy, 600 * SECOND, 60 * SECOND,
                                              24 * 3600 * SECOND };
    struct capacity *c = capacity_new(&score_yield);
    struct room size = { .cpu_milli = 96000, .memory_mib = 786432, .n_gpus = GPUS, .model = 1 };

    for (unsigned i = 0; i < GPUS; i++)
        size.gpu[i] = CAPACITY_GPU;
    for (unsigned i = 0; i < machines; i++)
        (void) capacity_add(c, &size);
    b->s = schedule_new(&options, c);
    schedule_limit(b->s, WORK);
    found_projects(schedule_shares(b->s));
    b->now_us = INT64_C(1000000) * SECOND;
}

/* Until as many wait as have found no room: they leave. */
static void fill(struct bench *b, unsigned machines)
{
    do {
        (void) submit(b, machines / 12 + 1);
        (void) pass(b);
        b->now_us += 7200 * SECOND;
    } while (schedule_waiting(b->s) < machines / 4);
    for (uint64_t id = 0; id < b->n_jobs; id++) {
        const struct entry *entry = entry_find(b->s, id);
        if (entry && !entry_runs(entry))
            schedule_end(b->s, id, b->now_us);
    }
}

static int compare(const void *pa, const void *pb)
{
    const double *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

/* Returns the most of a slice. */
static double go_on(struct bench *b, double *took)
{
    double most = 0;

    for (size_t i = 0; i < PASSES; i++) {
        b->now_us += 10 * SECOND;
        for (unsigned n = 0; n < ENDED && b->s->running.len > 0; n++) {
            uint32_t at = random_below((uint32_t) b->s->running.len);
            schedule_end(b->s, b->s->running.items[at]->id, b->now_us);
        }
        (void) submit(b, ENDED);
        const struct took one = pass(b);
        took[i] = one.all;
        most = one.most > most ? one.most : most;
    }
    qsort(took, PASSES, sizeof *took, compare);
    return most;
}

/* Take a thousand out of the queue, from anywhere in it. */
static double leave(struct bench *b, uint64_t first)
{
    enum { LEAVE = 1000 };
    double began = clock_us();

    for (unsigned i = 0; i < LEAVE; i++)
        schedule_end(b->s, first + random_below((uint32_t) (b->n_jobs - first)), b->now_us);
    return (clock_us() - began) / LEAVE;
}

int main(int argc, char **argv)
{
    struct bench b = { 0 };
    double took[PASSES];
    long long machines, jobs;
    const struct policy *policy = argc == 4 ? policy_find(argv[3]) : NULL;

    if (!policy || str_to_i64(argv[1], 1, 1000000, &machines) < 0 ||
        str_to_i64(argv[2], 1, 10000000, &jobs) < 0) {
        (void) fputs("usage: bench-queue MACHINES JOBS POLICY\n", stderr);
        return 2;
    }
    build(&b, (unsigned) machines, policy);
    fill(&b, (unsigned) machines);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    uint64_t first = b.n_jobs;
    double submit_us = submit(&b, (size_t) jobs);
    size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    const struct took first_pass = pass(&b);
    size_t lines = b.s->n_lines;
    double most_ms = go_on(&b, took);
    double leave_us = leave(&b, first);
    (void) printf("%lld %lld %zu %.0f %.3f %u %.3f %.3f %.3f %.3f %.2f %.2f %016" PRIx64 "\n",
                  machines, jobs, lines, (double) bytes / (double) jobs, first_pass.all,
                  first_pass.slices, first_pass.most, took[PASSES / 2], took[PASSES - 1], most_ms,
                  submit_us, leave_us, b.decisions);
    schedule_free(b.s);
    vec_done(&b.acts);
    return 0;
}
