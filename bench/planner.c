/* planner.c - what a server's planner costs over machines in all detail, on one core
 *
 *     bench-planner MACHINES JOBS POLICY
 *
 * MACHINES of two sockets with 64 cores each, 8 GPUs and 8 NICs, 32 a leaf, are filled over two days by jobs of forty projects in
 * eight orgs, of several hundred shapes; then JOBS more wait. Prints lines of a figure's name, its value and its unit.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "bench/measure.h"
#include "placement/placement.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    GPUS = 8,
    CORES = 128,
    ORGS = 8,
    PROJECTS = 40,
    ROUNDS = 20,
    CHANGED = 64,
    SPECS_MAX = 2000000,
    STEP = 1500,
    ORDERED = 20000
};

#define GIB    (INT64_C(1) << 30)
#define SECOND INT64_C(1000000)

static struct node *machine(unsigned number)
{
    struct node *node = xnew(struct node);

    node->name = xasprintf("gpu-%05u", number);
    node->kernel = xstrdup("6.1.0-18-amd64");
    node->boot_id = xasprintf("f3b0c442-98fc-4c14-9afb-%012u", number);
    node->address = xasprintf("10.%u.%u.%u", number >> 16, number >> 8 & 255, number & 255);
    node->driver = xstrdup("550.54.15");
    node->cpu_model = xstrdup("Intel(R) Xeon(R) Platinum 8481C");
    node->block = xasprintf("block-%u", number / 512);
    node->leaf = xasprintf("leaf-%u", number / 32);
    node->memory_bytes = 2048 * GIB;
    node->disk_bytes = node->disk_free_bytes = 8192 * GIB;
    node->reserved_cores = 1;
    for (unsigned i = 0; i < CORES; i++) {
        struct core core = { .id = i, .socket = i / 64, .numa = i / 64 };
        cpu_siblings_add(&core.cpus, i);
        cpu_siblings_add(&core.cpus, i + CORES);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < 2; i++)
        vec_push(&node->numas, ((struct numa_node){ .id = i, .memory_bytes = 1024 * GIB }));
    for (unsigned i = 0; i < GPUS; i++) {
        struct gpu gpu = { .uuid = xasprintf("GPU-%08x-0000-4c14-9afb-%012u", i, number),
                           .vendor = xstrdup("nvidia"),
                           .model = xstrdup("NVIDIA H100 80GB HBM3"),
                           .pci = xasprintf("0000:%02x:00.0", 16 + i),
                           .cdi = xasprintf("nvidia.com/gpu=%u", i),
                           .index = i,
                           .numa = (int) (i / 4),
                           .memory_bytes = 80 * GIB,
                           .module = i + 1,
                           .island = 1,
                           .pcie = xasprintf("pci0000:%02x/0000:%02x:01.0", i, i) };
        vec_push(&node->gpus, gpu);
        vec_push(&node->nics, ((struct nic){ .name = xasprintf("mlx5_%u", i),
                                             .pcie = xstrdup(gpu.pcie),
                                             .numa = gpu.numa,
                                             .gbps = 400,
                                             .rdma = true }));
    }
    return node;
}

struct bench {
    struct planner *planner;
    struct node **nodes;
    unsigned machines;
    struct workload_spec *specs[SPECS_MAX]; /* by number of the job, which is in its id */
    unsigned came;
    VEC(struct id) running; /* or ended since */
    int64_t now_us;
    const struct policy *policy;
};

static int64_t draw_limit_s(void)
{
    static const unsigned hours[] = { 1, 2, 4, 8, 12, 24, 24, 48, 72, 168 };

    if (random_below(4) == 0)
        return 0;
    return random_below(10) ? hours[random_below(10)] * 3600 : 60 + random_below(200000);
}

static struct workload_spec *draw_spec(void)
{
    static const uint8_t gpus[] = { 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 8, 8, 8, 0, 1, 1, 8 };
    static const uint16_t parts[] = { 100, 250, 500, 500, 810 };
    static const uint8_t cores[] = { 2, 4, 6, 8, 12 };
    uint32_t kind = random_below(20);
    unsigned of_each = cores[random_below(5)], whole = gpus[kind] ? gpus[kind] : 1;
    struct workload_spec *spec = xnew(struct workload_spec);

    spec->cores = of_each * whole;
    spec->memory_bytes = spec->cores * ((int64_t) 2 << random_below(3)) * GIB;
    spec->disk_bytes = 10 * GIB;
    spec->gpus = gpus[kind];
    spec->gpu_milli = gpus[kind] == 1 && kind < 3 ? parts[random_below(5)] : 0;
    spec->gpu_model = spec->gpus ? xstrdup("H100") : NULL;
    spec->nodes = kind == 19 ? 2u << random_below(6) : 1;
    spec->tasks_per_node = 1;
    spec->max_time_s = draw_limit_s();
    spec->grace_s = 30;
    spec->command = xnew_n(char *, 1);
    spec->preemptible = random_below(4) > 0;
    return spec;
}

static void submit(struct bench *b, struct workload_spec *spec)
{
    unsigned project = random_below(random_below(PROJECTS) + 1);
    const struct planner_job job = { .id = id_of(1, ++b->came),
                                     .org = id_of(2, project % ORGS),
                                     .project = id_of(3, project),
                                     .user = id_of(4, project * 16 + random_below(16)),
                                     .spec = spec,
                                     .priority = random_below(8) ? 0 : (int) random_below(4),
                                     .since_us = b->now_us,
                                     .eligible_us = b->now_us };

    b->specs[b->came] = spec;
    planner_submit(b->planner, &job, b->now_us);
}

/* Milliseconds of all slices, and of the longest. */
struct took {
    double all, most;
    unsigned slices, starts, stops;
};

static struct took pass(struct bench *b)
{
    struct took took = { 0 };
    struct planner_plan plan;
    bool more;

    do {
        double began = clock_us();
        planner_pass(b->planner, b->now_us, 512, &plan);
        double ms = (clock_us() - began) / 1e3;
        took.all += ms;
        took.most = ms > took.most ? ms : took.most;
        took.slices++;
        took.starts += (unsigned) plan.starts.len;
        took.stops += (unsigned) plan.stops.len;
        vec_foreach(&plan.starts, one)
            vec_push(&b->running, one->id);
        vec_foreach(&plan.stops, one)
            planner_end(b->planner, &one->id, b->now_us);
        more = plan.more || plan.stops.len > 0;
        planner_plan_done(&plan);
    } while (more);
    return took;
}

static void end_one(struct bench *b)
{
    uint32_t at = random_below((uint32_t) b->running.len);

    planner_end(b->planner, &b->running.items[at], b->now_us);
    b->running.items[at] = b->running.items[--b->running.len];
}

static size_t heap(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void say(const char *what, double value, const char *unit)
{
    (void) printf("%-44s %12.3f %s\n", what, value, unit);
    (void) fflush(stdout);
}

static void build(struct bench *b)
{
    const struct planner_options options = { &score_yield,
                                             { .policy = b->policy,
                                               .guaranteed_us = 600 * SECOND,
                                               .patience_us = 24 * 3600 * SECOND,
                                               .half_life_us = 7 * 86400 * SECOND } };
    size_t before = heap();

    b->nodes = xnew_n(struct node *, b->machines);
    for (unsigned i = 0; i < b->machines; i++)
        b->nodes[i] = machine(i);
    double per_gpu = (double) b->machines * GPUS;
    say("memory of what is known of machines", (double) (heap() - before) / per_gpu, "B/GPU");
    before = heap();
    double began = clock_us();
    b->planner = planner_new(&options);
    for (unsigned i = 0; i < b->machines; i++)
        planner_set_node(b->planner, b->nodes[i], 0);
    say("to tell of a machine", (clock_us() - began) / b->machines, "us");
    say("memory of the planner, empty machines", (double) (heap() - before) / per_gpu, "B/GPU");
}

static void fill(struct bench *b)
{
    struct took took = { 0 };
    size_t before = heap();

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned n = b->machines / 6 + 1;
        while (n-- > 0)
            submit(b, draw_spec());
        const struct took one = pass(b);
        took.all += one.all;
        took.most = one.most > took.most ? one.most : took.most;
        took.starts += one.starts;
        took.slices += one.slices;
        b->now_us += 7200 * SECOND;
    }
    say("jobs started while machines are filled", took.starts, "");
    say("a start, with all that is looked at", took.all * 1e3 / took.starts, "us");
    say("the longest slice meanwhile", took.most, "ms");
    say("memory of the planner, filled", (double) (heap() - before) / b->machines / GPUS, "B/GPU");
}

static void queue(struct bench *b, unsigned jobs)
{
    struct workload_spec **specs = xnew_n(struct workload_spec *, jobs);

    for (unsigned i = 0; i < jobs; i++)
        specs[i] = draw_spec();
    size_t before = heap();
    double began = clock_us();
    for (unsigned i = 0; i < jobs; i++)
        submit(b, specs[i]);
    say("to submit a job", (clock_us() - began) / jobs, "us");
    say("memory of the planner for a queued job", (double) (heap() - before) / jobs, "B");
    const struct took took = pass(b);
    say("the first pass", took.all, "ms");
    say("of it slices", took.slices, "");
    say("the longest of them", took.most, "ms");
    free(specs);
}

static int compare(const void *pa, const void *pb)
{
    const double *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

static void go_on(struct bench *b)
{
    double all[ROUNDS], most = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        b->now_us += 10 * SECOND;
        for (unsigned n = 0; n < CHANGED; n++)
            end_one(b);
        for (unsigned n = 0; n < CHANGED; n++)
            submit(b, draw_spec());
        const struct took took = pass(b);
        all[i] = took.all;
        most = took.most > most ? took.most : most;
    }
    qsort(all, ROUNDS, sizeof *all, compare);
    say("a pass after 64 ended and 64 came, median", all[ROUNDS / 2], "ms");
    say("the longest slice of these", most, "ms");
}

static void describe(void *userdata, struct snapshot_job *job)
{
    const struct bench *b = userdata;

    job->project = id_of(3, 0);
    job->name = xstrdup("train-llama");
    job->spec = workload_wishes_copy(b->specs[number_of(&job->id)]);
}

/* All that changed since the last time, in steps as a server tells it. */
static void tell(struct bench *b, struct mirror *mirror, const char *what)
{
    const struct snapshot_source source = { describe, b };
    struct mirror_news news = { 0 };
    struct took took = { 0 };
    bool is_whole = false;

    while (!is_whole) {
        double began = clock_us();
        is_whole = planner_tell_news(b->planner, &source, STEP, &news);
        double ms = (clock_us() - began) / 1e3;
        took.all += ms;
        took.most = ms > took.most ? ms : took.most;
    }
    say(what, took.all, "ms");
    say("the longest step of it", took.most, "ms");
    news.rest->now_us = b->now_us;
    news.rest->score = &score_yield;
    news.rest->options.policy = b->policy;
    double began = clock_us();
    mirror_take(mirror, &news);
    say("to take it in, beside the loop", (clock_us() - began) / 1e3, "ms");
}

/* In which jobs go. */
static void order(struct bench *b)
{
    struct planner_ids ids = { 0 };
    double began = clock_us();

    planner_order(b->planner, b->now_us, ORDERED, &ids);
    say("the order of those that wait, beside the loop", (clock_us() - began) / 1e3, "ms");
    vec_done(&ids);
}

static void look(struct bench *b)
{
    struct mirror *mirror = mirror_new();
    size_t before = heap();

    tell(b, mirror, "to tell a mirror all there is");
    say("memory of the mirror, a GPU", (double) (heap() - before) / b->machines / GPUS, "B");
    go_on(b);
    tell(b, mirror, "to tell it what changed since");
    struct snapshot *s = mirror_snapshot(mirror);
    const struct id asked = s->jobs.items[s->jobs.len - 1].id;
    const struct expectation_question question = { .asked = &asked, .n_asked = 1 };
    double began = clock_us();
    struct expectation *expectation = expectation_new(s, &question);
    say("to look why all wait, beside the loop", (clock_us() - began) / 1e3, "ms");
    expectation_free(expectation);
    mirror_free(mirror);
}

int main(int argc, char **argv)
{
    static struct bench b = { .now_us = INT64_C(1000000) * SECOND };
    long long machines, jobs;

    b.policy = argc == 4 ? policy_find(argv[3]) : NULL;
    if (!b.policy || str_to_i64(argv[1], 1, 100000, &machines) < 0 ||
        str_to_i64(argv[2], 1, 1000000, &jobs) < 0) {
        (void) fputs("usage: bench-planner MACHINES JOBS POLICY\n", stderr);
        return 2;
    }
    b.machines = (unsigned) machines;
    build(&b);
    fill(&b);
    queue(&b, (unsigned) jobs);
    go_on(&b);
    order(&b);
    look(&b);
    return 0;
}
