#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <errno.h>

#define GIB (INT64_C(1) << 30)

/* CORES cores of two threads on two NUMA nodes, 64 GiB, two GPUs. */
static struct node *machine(const char *name, unsigned cores)
{
    struct node *node = xnew(struct node);

    node->name = xstrdup(name);
    node->memory_bytes = 64 * GIB;
    node->disk_bytes = 100 * GIB;
    for (unsigned i = 0; i < cores; i++) {
        struct core core = { .id = i, .numa = i * 2 / cores };
        cpu_siblings_add(&core.cpus, i);
        cpu_siblings_add(&core.cpus, cores + i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < 2; i++) {
        vec_push(&node->numas, ((struct numa_node){ .id = i, .memory_bytes = 32 * GIB }));
        vec_push(&node->gpus,
                 ((struct gpu){
                     .uuid = xasprintf("GPU-%u", i), .model = xstrdup("H200"), .numa = (int) i }));
    }
    return node;
}

static struct workload_spec specs[16];
static struct workload jobs[16];
static struct placement_request queue[16];

/* Job I of the queue asks for CORES and one GiB a core. */
static struct workload_spec *ask(unsigned i, unsigned cores)
{
    specs[i] = (struct workload_spec){ .cores = cores, .memory_bytes = cores * GIB };
    jobs[i] = (struct workload){ .spec = &specs[i] };
    jobs[i].id.bytes[15] = (uint8_t) i;
    queue[i] = (struct placement_request){ .workload = &jobs[i] };
    return &specs[i];
}

static struct placement_grant *granted;

/* A task that has these already. */
static struct allocation *has(unsigned i, const char *cpus, int64_t memory_bytes,
                              int64_t disk_bytes)
{
    static struct allocation all[2];
    static struct placement_grant grants[2];

    all[i] = (struct allocation){ .memory_bytes = memory_bytes, .disk_bytes = disk_bytes };
    ok(cpu_set_parse(cpus, &all[i].cpus) == 0);
    grants[i] = (struct placement_grant){ .allocation = &all[i] };
    granted = grants;
    return &all[i];
}

static struct placement_plan pass(const struct placement_node *nodes, size_t n_nodes,
                                  size_t n_queue)
{
    struct placement_snapshot snapshot = {
        .now_us = 1000,
        .nodes = nodes,
        .n_nodes = n_nodes,
        .queue = queue,
        .n_queue = n_queue,
    };
    struct placement_plan plan;
    placement_pass(&snapshot, &plan);
    return plan;
}

static void is_cpus(const struct cpu_set *set, const char *want)
{
    _cleanup_free_ char *text = cpu_set_format(set);
    is_str(text, want);
}

TEST(priority_then_time_then_id)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 2);
    struct placement_node taken = { .node = node };

    for (unsigned i = 0; i < 4; i++)
        ask(i, 1);
    jobs[3].priority = 1;
    jobs[0].eligible_us = 7;
    struct placement_plan plan = pass(&taken, 1, 4);
    ok(plan.decisions[0].request == 3 && plan.decisions[1].request == 1);
    ok(plan.n_decisions == 4 && !plan.decisions[2].allocations && !plan.decisions[3].allocations);
    is_cpus(&plan.decisions[0].allocations[0]->cpus, "0,2");
    is_cpus(&plan.decisions[1].allocations[0]->cpus, "1,3");
    placement_plan_done(&plan);
}

TEST(cores_of_a_task_share_a_numa_node)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 8);
    struct placement_node taken = { .node = node };

    ask(0, 3), ask(1, 1), ask(2, 4);
    struct placement_plan plan = pass(&taken, 1, 3);
    ok(plan.n_decisions == 3);
    is_cpus(&plan.decisions[0].allocations[0]->mems, "0");
    is_cpus(&plan.decisions[1].allocations[0]->cpus, "3,11");
    is_cpus(&plan.decisions[2].allocations[0]->mems, "1");
    placement_plan_done(&plan);

    ask(0, 1)->memory_bytes = 40 * GIB;
    plan = pass(&taken, 1, 1);
    is_cpus(&plan.decisions[0].allocations[0]->mems, "0-1");
    placement_plan_done(&plan);
}

TEST(who_waits_knows_why)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 4);
    (void) has(0, "0-1,4-5", 50 * GIB, 80 * GIB), (void) has(1, "2,6", 10 * GIB, 10 * GIB);
    struct placement_node taken = { .node = node, .grants = granted, .n_grants = 2 };

    ask(0, 2), ask(1, 1)->memory_bytes = 8 * GIB;
    ask(2, 9), ask(3, 1)->gpus = 3;
    ask(4, 1)->disk_bytes = 50 * GIB;
    ask(5, 1), ask(6, 1), ask(7, 1);
    jobs[7].eligible_us = 9001000, jobs[7].attempts = 1;
    struct placement_plan plan = pass(&taken, 1, 8);
    static const char *const texts[] = {
        "needs 2 cores; 1 of 4 is free on node n1, 3 held by 2 jobs",
        "needs 8 GiB of memory; 4 GiB of 64 GiB is free on node n1, the rest is held by 2 jobs",
        "no node can ever hold the job: it needs 9 cores; node n1 has 4",
        "no node can ever hold the job: it needs 3 GPUs; node n1 has 2 x H200",
        "needs 50 GiB of disk; 10 GiB of 100 GiB is free on node n1, the rest is held by 2 jobs",
        "starts on node n1",
        "1 job before it in the queue takes what is free",
        "attempt 1 failed; the next one begins in 9s",
    };
    ok(plan.n_decisions == 8);
    for (size_t i = 0; i < plan.n_decisions; i++)
        is_str(plan.decisions[i].text, texts[i]);
    ok(plan.decisions[2].rule == PLACEMENT_NEVER && plan.decisions[7].rule == PLACEMENT_BACKOFF);
    placement_plan_done(&plan);
}

static const char *but_the_last(void *userdata, const struct placement_request *request, size_t i)
{
    (void) userdata, (void) request;
    return i < 4 ? "booked for p1" : i < 5 ? "booked for p2" : NULL;
}

TEST(who_waits_for_booked_machines_knows_which_they_are)
{
    struct placement_node taken[6] = { 0 };
    struct node *nodes[6];

    for (unsigned i = 0; i < 6; i++) {
        _cleanup_free_ char *name = xasprintf("n%u", i + 1);
        taken[i].node = nodes[i] = machine(name, i < 5 ? 4 : 2);
    }
    ask(0, 3), ask(1, 2), ask(2, 3);
    specs[1].nodes = specs[2].nodes = 2;
    struct placement_snapshot snapshot = {
        .nodes = taken, .n_nodes = 6, .queue = queue, .n_queue = 3, .booked = but_the_last
    };
    struct placement_plan plan;
    placement_pass(&snapshot, &plan);
    static const char *const texts[] = {
        "nodes n[1-4] are booked for p1, the nearest of 6",
        "all begin at once: 2 nodes with room for 1 task each, and 1 of 6 has it; nodes n[1-4] are booked for p1",
        "all begin at once: 2 nodes with room for 1 task each, and 0 of 6 have it; nodes n[1-4] are booked for p1",
    };
    ok(plan.n_decisions == 3);
    for (size_t i = 0; i < plan.n_decisions; i++) {
        is_str(plan.decisions[i].text, texts[i]);
        ok(plan.decisions[i].rule == PLACEMENT_BOOKED);
    }
    placement_plan_done(&plan);
    for (unsigned i = 0; i < 6; i++)
        node_free(nodes[i]);
}

TEST(disk_that_files_lie_on_is_not_free)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 4);
    (void) has(0, "", 0, 30 * GIB);
    struct placement_node taken = {
        .node = node, .grants = granted, .n_grants = 1, .disk_used_bytes = 20 * GIB
    };

    /* 100 GiB: 20 of the task, which may have 10 more, and 40 of others. */
    node->disk_free_bytes = 40 * GIB;
    ask(0, 1)->disk_bytes = 31 * GIB;
    struct placement_plan plan = pass(&taken, 1, 1);
    ok(plan.decisions[0].rule == PLACEMENT_NO_DISK);
    is_str(plan.decisions[0].text, "needs 31 GiB of disk; 40 GiB of 100 GiB is free on node n1, "
                                   "10 GiB of it is kept for 1 job");
    placement_plan_done(&plan);
    ask(0, 1)->disk_bytes = 30 * GIB;
    plan = pass(&taken, 1, 1);
    ok(plan.decisions[0].rule == PLACEMENT_PLACED);
    placement_plan_done(&plan);
}

TEST(shared_tasks_of_one_org_share_and_of_two_do_not)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 4);
    struct placement_node taken = { .node = node };

    for (unsigned i = 0; i < 6; i++)
        ask(i, 1)->shared = true;
    queue[5].owner.bytes[0] = 9;
    struct placement_plan plan = pass(&taken, 1, 6);
    ok(plan.n_decisions == 6);
    is_cpus(&plan.decisions[3].allocations[0]->cpus, "0,4");
    is_cpus(&plan.decisions[4].allocations[0]->cpus, "0-1,4-5");
    ok(plan.decisions[4].allocations[0]->shared);
    is_cpus(&plan.decisions[5].allocations[0]->cpus, "2,6");
    placement_plan_done(&plan);
}

TEST(gpus_are_given_near_the_cores)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 8);
    char gpu[] = "GPU-0", *gone[] = { gpu, NULL };
    has(0, "", 0, 0)->gpus = gone;
    struct placement_node taken = { .node = node, .grants = granted, .n_grants = 1 };
    static char model[] = "H200", other[] = "B200";

    ask(0, 2)->gpus = 1, specs[0].gpu_model = model;
    ask(1, 2)->gpus = 1, specs[1].gpu_model = other;
    struct placement_plan plan = pass(&taken, 1, 2);
    is_str(plan.decisions[0].allocations[0]->gpus[0], "GPU-1");
    is_cpus(&plan.decisions[0].allocations[0]->mems, "1");
    is_str(plan.decisions[1].text,
           "no node can ever hold the job: it needs 1 GPU of model B200; node n1 has 2 x H200");
    placement_plan_done(&plan);
}

TEST(gpus_that_were_named_are_given_and_no_others)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 8);
    struct placement_node taken = { .node = node };
    static char name[] = "x.com/gpu=b", uuid[] = "x.com/gpu=GPU-0", none[] = "x.com/gpu=c";
    char *by_name[] = { name, NULL }, *both[] = { uuid, name, NULL }, *by_none[] = { none, NULL };

    node->gpus.items[0].cdi = xstrdup("x.com/gpu=a");
    node->gpus.items[1].cdi = xstrdup("x.com/gpu=b");
    ask(0, 2)->gpus = 1, specs[0].devices = by_name;
    ask(1, 2)->gpus = 2, specs[1].devices = both;
    ask(2, 2)->gpus = 1, specs[2].devices = by_none;
    struct placement_plan plan = pass(&taken, 1, 3);
    is_str(plan.decisions[0].allocations[0]->devices[0], "x.com/gpu=b");
    ok(!plan.decisions[1].allocations);
    is_str(plan.decisions[2].text, "no node can ever hold the job: it needs x.com/gpu=c; node n1 "
                                   "has x.com/gpu=a, x.com/gpu=b");
    placement_plan_done(&plan);
    ask(0, 2)->gpus = 2, specs[0].devices = both;
    plan = pass(&taken, 1, 1);
    is_str(plan.decisions[0].allocations[0]->gpus[0], "GPU-0");
    is_str(plan.decisions[0].allocations[0]->gpus[1], "GPU-1");
    placement_plan_done(&plan);
}

TEST(admission_names_what_is_missing)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 8);
    const struct node *nodes[] = { node };
    struct error err = { 0 };

    node->reserved_cores = 1;
    node->reserved_memory_bytes = 4 * GIB;
    ok(placement_can_ever_fit(nodes, 1, ask(0, 6), &err) == 0);
    ok(placement_can_ever_fit(nodes, 1, ask(0, 7), &err) == -EDOM);
    is_str(err.text, "no node can ever hold the job: it needs 7 cores; node n1 has 6");
    ask(0, 1)->memory_bytes = 61 * GIB;
    ok(placement_can_ever_fit(nodes, 1, &specs[0], &err) == -EDOM);
    is_str(err.text,
           "no node can ever hold the job: it needs 61 GiB of memory; node n1 has 60 GiB");
    node->reserved_memory_bytes = 100 * GIB;
    ok(placement_can_ever_fit(nodes, 1, &specs[0], &err) == -EDOM);
    is_str(err.text, "no node can ever hold the job: it needs 61 GiB of memory; node n1 has 0 B");
    ok(placement_can_ever_fit(NULL, 0, &specs[0], &err) == -EDOM);
}

TEST(a_cordoned_node_takes_nothing)
{
    _cleanup_(node_freep) struct node *a = machine("a", 4), *b = machine("b", 2);
    struct placement_node taken[] = { { .node = a }, { .node = b } };

    a->cordoned = true;
    ask(0, 1), ask(1, 2);
    struct placement_plan plan = pass(taken, 2, 2);
    is_str(plan.decisions[0].allocations[0]->node, "b");
    ok(plan.decisions[1].rule == PLACEMENT_BEHIND);
    placement_plan_done(&plan);
}

TEST(a_gang_is_placed_as_a_whole)
{
    _cleanup_(node_freep) struct node *a = machine("a", 4), *b = machine("b", 2);
    struct placement_node nodes[2] = { { .node = a }, { .node = b } };

    /* Two nodes with two tasks of a core each; the second such gang finds room on one node only. */
    for (unsigned i = 0; i < 2; i++) {
        ask(i, 1);
        specs[i].nodes = specs[i].tasks_per_node = 2;
    }
    struct placement_plan plan = pass(nodes, 2, 2);
    ok(plan.decisions[0].n_allocations == 4 && !plan.decisions[1].allocations);
    is_str(plan.decisions[0].allocations[1]->node, "a");
    is_str(plan.decisions[0].allocations[2]->node, "b");
    is_cpus(&plan.decisions[0].allocations[3]->cpus, "1,3");
    is_str(plan.decisions[0].text, "starts on nodes a to b");
    is_str(plan.decisions[1].text, "1 job before it in the queue takes what is free");
    placement_plan_done(&plan);

    (void) has(0, "0", 0, 0);
    nodes[1].grants = granted;
    nodes[1].n_grants = 1;
    plan = pass(nodes, 2, 1);
    ok(plan.decisions[0].rule == PLACEMENT_NO_CORES);
    is_str(
        plan.decisions[0].text,
        "all begin at once: 2 nodes with room for 2 tasks each, and 1 of 2 has it; b has room for 1: "
        "needs 2 cores; 1 of 2 is free on node b, 1 held by 1 job");
    placement_plan_done(&plan);
}

TEST(groups_share_the_only_machine)
{
    _cleanup_(node_freep) struct node *laptop = machine("n1", 4), *other = machine("n2", 4);
    struct placement_node taken = { .node = laptop };
    const struct node *nodes[2] = { laptop, other };
    struct error err = { 0 };

    ask(0, 1)->nodes = 2;
    specs[0].tasks_per_node = 2;
    struct placement_plan plan = pass(&taken, 1, 1);
    ok(plan.decisions[0].n_allocations == 4);
    is_cpus(&plan.decisions[0].allocations[3]->cpus, "3,7");
    placement_plan_done(&plan);
    specs[0].nodes = 3;
    ok(placement_can_ever_fit(nodes, 1, &specs[0], &err) == -EDOM);
    is_str(err.text,
           "nodes: all 6 tasks must run at once, and the only node n1 has room for 4 of them "
           "when it is empty");
    ok(placement_can_ever_fit(nodes, 2, &specs[0], &err) == -EDOM);
    is_str(err.text,
           "nodes: the job needs 3 nodes with room for 2 tasks each, and 2 of 2 have it when "
           "they are empty; the largest has room for 4");
    specs[0].nodes = 2;
    ok(placement_can_ever_fit(nodes, 2, &specs[0], &err) == 0);
}

TEST(mpi_takes_a_node_s_ranks_as_one_task)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 4);
    struct placement_node taken = { .node = node };

    ask(0, 1)->nodes = 2;
    specs[0].tasks_per_node = 2;
    specs[0].mpi = true;
    struct placement_plan plan = pass(&taken, 1, 1);
    ok(plan.decisions[0].n_allocations == 2);
    ok(plan.decisions[0].allocations[1]->memory_bytes == 2 * GIB);
    is_cpus(&plan.decisions[0].allocations[1]->cpus, "2-3,6-7");
    placement_plan_done(&plan);
}

/* The plan of a single request in words. */
static char *said(const struct placement_node *nodes, size_t n)
{
    struct placement_plan plan = pass(nodes, n, 1);
    char *text =
        xasprintf("%s: %s", placement_rule_name(plan.decisions[0].rule), plan.decisions[0].text);

    placement_plan_done(&plan);
    return text;
}

TEST(a_job_may_choose_its_machines)
{
    _cleanup_(node_freep) struct node *a = machine("n1", 2), *b = machine("n2", 2);
    struct placement_node taken[2] = { { .node = a }, { .node = b } };
    char n1[] = "n1", n2[] = "n2", n9[] = "n9", gpu[] = "gpu=a100|gpu=h100", fast[] = "fast";
    char *on[] = { n2, NULL }, *not [] = { n1, NULL }, *none[] = { n9, NULL };
    char *tags[] = { gpu, fast, NULL };
    const struct machine_rules rules[] = {
        { .names = on },
        { .without = not },
        { .tags = tags },
        { .names = none },
        { .tags = not, .without = on },
    };
    static const char *const texts[] = {
        "placed: starts on node n2",
        "placed: starts on node n2",
        "placed: starts on node n2",
        "never: on_nodes n9 leave no machine; there are n1, n2",
        "never: not_nodes n2 and node_tags n1 leave no machine; there are n1, n2",
    };

    a->tags = json_pack("{s:s}", "gpu", "h100");
    b->tags = json_pack("{s:s, s:s}", "gpu", "h100", "fast", "");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        ask(0, 1)->machines = rules[i];
        _cleanup_free_ char *text = said(taken, 2);
        is_str(text, texts[i]);
    }
    ask(0, 1)->machines = rules[0];
    b->cordoned = true;
    _cleanup_free_ char *text = said(taken, 2);
    is_str(text, "cordoned: node n2 is cordoned: it takes no new work, the nearest of 2");
}

TEST(a_machine_may_be_a_job_s_alone)
{
    _cleanup_(node_freep) struct node *a = machine("n1", 4), *b = machine("n2", 4);
    (void) has(0, "0,4", 0, 0);
    struct placement_node taken[2] = { { .node = a, .grants = granted, .n_grants = 1 },
                                       { .node = b } };

    ask(0, 1)->machines.exclusive = true;
    ask(1, 1), ask(2, 1)->machines.exclusive = true;
    struct placement_plan plan = pass(taken, 2, 3);
    is_str(plan.decisions[0].allocations[0]->node, "n2");
    is_cpus(&plan.decisions[0].allocations[0]->cpus, "0-7");
    is_str(plan.decisions[1].allocations[0]->node, "n1");
    ok(plan.decisions[2].rule == PLACEMENT_BEHIND);
    placement_plan_done(&plan);

    ask(0, 1)->machines.exclusive = true;
    _cleanup_free_ char *text = said(taken, 1);
    is_str(text, "not_empty: needs a machine to itself; node n1 has 1 job");
    taken[0].n_grants = 0;
    specs[0].nodes = 2;
    specs[0].tasks_per_node = 2;
    plan = pass(taken, 2, 1);
    ok(plan.decisions[0].n_allocations == 4);
    is_cpus(&plan.decisions[0].allocations[0]->cpus, "0,2,4,6");
    is_cpus(&plan.decisions[0].allocations[3]->cpus, "1,3,5,7");
    placement_plan_done(&plan);
}

/* The groups are on n2 and n3: nothing of n1, which has room but not to itself, is theirs. */
TEST(a_gang_with_machines_to_itself_leaves_the_others_alone)
{
    _cleanup_(node_freep) struct node *a = machine("n1", 4), *b = machine("n2", 4),
                                      *c = machine("n3", 4);
    (void) has(0, "0,4", 0, 0);
    struct placement_node taken[3] = { { .node = a, .grants = granted, .n_grants = 1 },
                                       { .node = b },
                                       { .node = c } };

    ask(0, 1)->machines.exclusive = true;
    specs[0].nodes = 2;
    struct placement_plan plan = pass(taken, 3, 1);
    ok(plan.n_decisions == 1 && plan.decisions[0].n_allocations == 2);
    is_str(plan.decisions[0].allocations[0]->node, "n2");
    is_str(plan.decisions[0].allocations[1]->node, "n3");
    placement_plan_done(&plan);
}

/* n1 and n3 stand in a leaf, n2 in another; where n4 stands nobody knows. */
TEST(a_gang_may_be_within_one_leaf)
{
    static const char *const leaves[] = { "l1", "l2", "l1" };
    static const char *const names[] = { "n1", "n2", "n3", "n4" };
    struct placement_node taken[4] = { 0 };
    struct node *nodes[4];
    struct error err;

    for (unsigned i = 0; i < 4; i++) {
        taken[i].node = nodes[i] = machine(names[i], 4);
        nodes[i]->site = xstrdup("a");
        nodes[i]->block = xstrdup("b");
        nodes[i]->tags = i < 3 ? json_pack("{s:s}", "leaf", leaves[i]) : NULL;
    }
    ask(0, 4)->machines.within = WITHIN_LEAF;
    specs[0].nodes = 2;
    struct placement_plan plan = pass(taken, 4, 1);
    ok(plan.n_decisions == 1 && plan.decisions[0].n_allocations == 2);
    is_str(plan.decisions[0].allocations[0]->node, "n1");
    is_str(plan.decisions[0].allocations[1]->node, "n3");
    placement_plan_done(&plan);

    nodes[2]->cordoned = true;
    _cleanup_free_ char *text = said(taken, 4);
    ok(strstr(text, "needs 2 nodes in one leaf: 3 are free, at most 1 in one leaf"));
    ok(placement_can_ever_fit((const struct node *const *) nodes, 4, &specs[0], &err) == 0);
    specs[0].nodes = 3;
    ok(placement_can_ever_fit((const struct node *const *) nodes, 4, &specs[0], &err) == -EDOM);
    ok(strstr(err.text,
              "within: the job needs 3 nodes in one leaf with room for 1 task each: 4 have "
              "it when they are empty, at most 2 in one leaf"));
    specs[0].machines.within = WITHIN_BLOCK;
    ok(placement_can_ever_fit((const struct node *const *) nodes, 4, &specs[0], &err) == 0);
    for (unsigned i = 0; i < 4; i++) { /* nothing is known but leaves */
        free(nodes[i]->site);
        free(nodes[i]->block);
        nodes[i]->site = nodes[i]->block = NULL;
    }
    ok(placement_can_ever_fit((const struct node *const *) nodes, 4, &specs[0], &err) == -EDOM);
    specs[0].nodes = 2;
    specs[0].machines.within = WITHIN_LEAF;
    ok(placement_can_ever_fit((const struct node *const *) nodes, 4, &specs[0], &err) == 0);
    for (unsigned i = 0; i < 4; i++)
        node_free(nodes[i]);
}

TAP_MAIN
