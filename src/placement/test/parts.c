/* Parts of GPUs by property: over random arrivals, departures, faults and cordons no more than a whole of any GPU is given away, who
 * shares one is of one org and has a part, nobody waits for whom there is room, and in the end all of it is free again. */
#include "placement/planner.h"

#include "base/alloc.h"
#include "base/text.h"
#include "placement/test/machine.h"
#include "tests/random.h"
#include "tests/tap.h"

enum { NODES = 3, GPUS = 4, ORGS = 3, JOBS_MAX = 512, STEPS = 400 };

struct job {
    struct workload_spec spec;
    struct id id, org;
    struct allocation *allocation; /* NULL: it waits, or is over */
    bool waits;
};

static struct node *nodes[NODES];
static struct job jobs[JOBS_MAX];
static size_t n_jobs;
static struct planner *planner;
static int64_t now_us;

static struct node *machine(unsigned number)
{
    struct node *node = machine_of(number, 64, GPUS, number ? "H100" : "A100");

    for (unsigned i = 0; number == 2 && i < GPUS; i++)
        node->gpus.items[i].island = 1 + i / 2;
    return node;
}

/* ---- counted from what jobs were given alone ------------------------------------------------------------- */

static bool has(const struct job *job, const struct gpu *gpu)
{
    for (char **uuid = job->allocation ? job->allocation->gpus : NULL; uuid && *uuid; uuid++)
        if (str_equal(*uuid, gpu->uuid))
            return true;
    return false;
}

struct count {
    unsigned milli, whole, parts;
    const struct id *org;
    bool is_mixed;
};

static struct count count_of(const struct gpu *gpu)
{
    struct count count = { 0 };

    for (size_t i = 0; i < n_jobs; i++) {
        const struct job *job = &jobs[i];
        if (!has(job, gpu))
            continue;
        count.milli += job->spec.gpu_milli ? job->spec.gpu_milli : CAPACITY_GPU;
        *(job->spec.gpu_milli ? &count.parts : &count.whole) += 1;
        count.is_mixed |= count.org && !id_equal(count.org, &job->org);
        count.org = &job->org;
    }
    return count;
}

static void check_given(void)
{
    for (size_t n = 0; n < NODES; n++)
        vec_foreach(&nodes[n]->gpus, gpu) {
            struct count count = count_of(gpu);
            ok(count.milli <= CAPACITY_GPU && !count.is_mixed && (!count.whole || !count.parts));
        }
}

/* Is there a GPU that is shared by JOB's org, or nobody's, with enough left? Islands are not looked at. */
static bool has_room(const struct job *job)
{
    for (size_t n = 0; n < 2; n++)
        vec_foreach(&nodes[n]->gpus, gpu) {
            struct count count = count_of(gpu);
            if (!nodes[n]->cordoned && !gpu->fault && gpu_is_model(gpu, job->spec.gpu_model) &&
                !count.whole && (!count.org || id_equal(count.org, &job->org)) &&
                count.milli + job->spec.gpu_milli <= CAPACITY_GPU)
                return true;
        }
    return false;
}

/* ---- what happens ------------------------------------------------------------------------------------------ */

static void come(void)
{
    static const unsigned parts[] = { 1, 100, 250, 333, 500, 999, 0, 0 };
    static char model[] = "H100";
    struct job *job = &jobs[n_jobs];
    unsigned part = parts[random_below(8)];

    *job = (struct job){
        .spec = { .cores = 1,
                  .memory_bytes = GIB,
                  .gpus = part ? 1 : 1 + random_below(3),
                  .gpu_milli = part,
                  .gpu_model = random_below(4) ? NULL : model,
                  .nodes = 1,
                  .tasks_per_node = 1,
                  .max_time_s = random_below(2) ? 100 : 0 },
        .id = { { [0] = 1, [14] = (uint8_t) (n_jobs >> 8), [15] = (uint8_t) n_jobs } },
        .org = { { (uint8_t) (1 + random_below(ORGS)) } },
        .waits = true,
    };
    const struct planner_job one = {
        .id = job->id, .org = job->org, .project = job->org, .spec = &job->spec, .since_us = now_us
    };
    planner_submit(planner, &one, now_us);
    n_jobs++;
}

static void go(size_t i)
{
    if (!jobs[i].waits && !jobs[i].allocation)
        return;
    planner_end(planner, &jobs[i].id, now_us);
    allocation_free(jobs[i].allocation);
    jobs[i].allocation = NULL;
    jobs[i].waits = false;
}

static void pass(bool skips)
{
    struct planner_plan plan;

    planner_pass(planner, now_us, 0, &plan);
    ok(plan.stops.len == 0);
    vec_foreach(&plan.starts, start)
        for (size_t i = 0; i < n_jobs; i++)
            if (id_equal(&jobs[i].id, &start->id)) {
                ok(jobs[i].waits && start->allocations[0]->gpu_milli == jobs[i].spec.gpu_milli);
                jobs[i].allocation = allocation_copy(start->allocations[0]);
                jobs[i].waits = false;
            }
    planner_plan_done(&plan);
    check_given();
    for (size_t i = 0; i < n_jobs && skips; i++)
        ok(!jobs[i].waits || !jobs[i].spec.gpu_milli || !has_room(&jobs[i]));
}

static void change_machine(void)
{
    struct node *node = nodes[random_below(NODES)];
    struct gpu *gpu = &node->gpus.items[random_below(GPUS)];

    if (random_below(2))
        node->cordoned = !node->cordoned;
    else
        xstr_set(&gpu->fault, gpu->fault ? NULL : "it fell off the bus");
    planner_set_node(planner, node, 0);
}

static void live(const struct policy *policy)
{
    const struct planner_options options = { .score = &score_yield,
                                             .schedule = { .policy = policy } };

    planner = planner_new(&options);
    for (unsigned i = 0; i < NODES; i++)
        planner_set_node(planner, nodes[i] = machine(i), 0);
    for (int step = 0; step < STEPS && n_jobs < JOBS_MAX; step++) {
        now_us += 1000000;
        if (random_below(10) == 0)
            change_machine();
        if (random_below(3))
            come();
        if (n_jobs > 0 && random_below(2))
            go(random_below((unsigned) n_jobs));
        pass(policy == &policy_skip);
    }
    for (size_t i = 0; i < n_jobs; i++)
        go(i);
    n_jobs = 0;
}

/* Whole machines are to be had as at first. */
static void check_all_free(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i]->cordoned = false;
        vec_foreach(&nodes[i]->gpus, gpu)
            xstr_set(&gpu->fault, NULL);
        planner_set_node(planner, nodes[i], 0);
    }
    for (unsigned i = 0; i < NODES; i++) {
        const struct workload_spec all = {
            .cores = 64, .memory_bytes = 64 * GIB, .gpus = GPUS, .nodes = 1, .tasks_per_node = 1
        };
        const struct planner_job one = { .id = { { 2, (uint8_t) i } }, .spec = &all };
        planner_submit(planner, &one, now_us);
    }
    struct planner_plan plan;
    planner_pass(planner, now_us, 0, &plan);
    ok(plan.starts.len == NODES);
    planner_plan_done(&plan);
}

TEST(no_gpu_is_given_more_than_once_in_parts)
{
    static const struct policy *const all[] = { &policy_skip, &policy_easy, &policy_fair,
                                                &policy_las, &policy_conservative };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        live(all[i]);
        check_all_free();
        planner_free(planner);
        for (unsigned n = 0; n < NODES; n++)
            node_free(nodes[n]);
    }
}

TAP_MAIN
