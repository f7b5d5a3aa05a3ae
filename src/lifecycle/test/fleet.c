/* Machines that the engine reports: others on them, out of order, gone, and back. */
#include "lifecycle/test/world.h"

static const char two_cores[] =
    "{\"command\":[\"x\"],\"cpus\":2,\"env\":{\"NULL_SECONDS\":\"10\"}}";

static struct engine_machine machine(const char *name, unsigned others, const char *fault)
{
    return (struct engine_machine){
        .name = name, .node = world_node(), .fault = fault, .others_cores = others
    };
}

static void report(struct engine_machine a, struct engine_machine b)
{
    struct engine_machine machines[] = { a, b };

    world.proxy.engine.listener.fleet(world.lc, machines, b.name ? 2 : 1);
    for (size_t i = 0; i < 2; i++)
        node_free((struct node *) (uintptr_t) machines[i].node);
    pass_time(0);
}

static const struct engine_machine nobody;

static char *why(const struct id *id)
{
    _cleanup_json_ json_t *json = why_of(id);

    return xstrdup(json_get_str(json, "text", ""));
}

TEST(what_others_use_and_what_is_out_of_order_is_not_given_away)
{
    struct error err = { 0 };
    struct id id;

    world_open(4);
    report(machine("n1", 3, NULL), nobody);
    ok(submit_json(two_cores, "a", 0, &id, &err) == 0);
    pass_time(0);
    _cleanup_free_ char *busy = why(&id);
    is_str(busy, "needs 2 cores; 1 of 4 is free on node n1, 3 held by 0 jobs and by others outside "
                 "of Berth");
    report(machine("n1", 0, "drained: bad memory"), nobody);
    _cleanup_free_ char *drained = why(&id);
    is_str(drained, "node n1 takes no work: drained: bad memory");
    report(machine("n1", 2, NULL), nobody);
    ok(lifecycle_get(world.lc, &id)->state == WORKLOAD_RUNNING);
    ok(cpu_set_count(&lifecycle_get(world.lc, &id)->attempt->allocation->cpus) == 2);
    world_close();
}

TEST(a_machine_that_goes_keeps_its_jobs_and_one_that_comes_finds_them)
{
    struct error err = { 0 };
    struct id id;

    world_open(2);
    ok(submit_json(two_cores, "a", 0, &id, &err) == 0);
    pass_time(0);
    report(machine("n2", 0, NULL), nobody);
    ok(world.lc->nodes.len == 2 && world.lc->node_list.len == 2);
    is_str(use_find(world.lc, "n1")->node->fault, "the engine does not know it any more");
    pass_time(10 * US_PER_S);
    ok(lifecycle_get(world.lc, &id) == NULL);
    report(machine("n2", 0, NULL), nobody);
    ok(world.lc->nodes.len == 1 && !use_find(world.lc, "n1"));

    ok(submit_json(two_cores, "b", 0, &id, &err) == 0);
    pass_time(0);
    struct node_use *use = use_find(world.lc, "n2");
    ok(use && use->grants.len == 1);
    use->grants.len = 0;
    report(machine("n1", 0, NULL), nobody);
    ok(!use_find(world.lc, "n2"));
    report(machine("n1", 0, NULL), machine("n2", 0, NULL));
    ok(use_find(world.lc, "n2") && use_find(world.lc, "n2")->grants.len == 1);
    world_close();
}

TEST(a_cordon_outlives_a_report)
{
    world_open(2);
    struct node_use *use = use_find(world.lc, "n1");
    use->node->cordoned = true;
    struct id id = use->node->id;
    report(machine("n1", 0, NULL), nobody);
    ok(use_find(world.lc, "n1")->node->cordoned &&
       id_equal(&use_find(world.lc, "n1")->node->id, &id));
    world_close();
}

static struct node *node_with_gpus(void)
{
    struct node *node = world_node();

    for (unsigned i = 0; i < 4; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("GPU-%u", i),
                                             .model = xstrdup("H100"),
                                             .cdi = xasprintf("nvidia.com/gpu=%u", i),
                                             .numa = 0,
                                             .module = 1 + i,
                                             .island = 1 }));
    return node;
}

static void partition(const char *table)
{
    struct error err = { 0 };

    ok(lifecycle_partition(world.lc, &(struct partitioning){ "n1", table, "test" }, NULL, NULL,
                           &err) == 0);
    is_str(err.text, "");
    pass_time(0);
}

TEST(a_table_of_partitions_outlives_a_report_and_a_restart)
{
    struct engine_machine m = machine("n1", 0, NULL);
    struct error err = { 0 };
    struct id id;

    world_open(4);
    node_free((struct node *) (uintptr_t) m.node);
    m.node = node_with_gpus();
    report(m, nobody);
    ok(lifecycle_partition(world.lc, &(struct partitioning){ "n1", "1=1-5", "test" }, NULL, NULL,
                           &err) == -EINVAL);
    is_str(err.text, "table: partition 1 has module 5; the modules of node n1 are 1-4");
    ok(lifecycle_partition(world.lc, &(struct partitioning){ "n2", "none", "test" }, NULL, NULL,
                           &err) == -ENOENT);
    partition("1=1,2 2=3,4");
    ok(use_find(world.lc, "n1")->node->partitions.len == 2);
    /* No three are in one. */
    ok(submit_json("{\"command\":[\"x\"],\"gpus\":3}", "a", 0, &id, &err) == -EDOM);
    ok(strstr(err.text, "needs 3 GPUs in one partition: 4 are free, at most 2 together") != NULL);
    m.node = node_with_gpus();
    report(m, nobody);
    ok(use_find(world.lc, "n1")->node->partitions.len == 2);
    crash();
    m.node = node_with_gpus();
    report(m, nobody);
    ok(use_find(world.lc, "n1")->node->partitions.len == 2);
    partition(NULL);
    ok(use_find(world.lc, "n1")->node->partitions.len == 0);
    ok(submit_json("{\"command\":[\"x\"],\"gpus\":3}", "a", 0, &id, &err) == 0);
    world_close();
}

TEST(an_attempt_that_does_not_begin_says_why)
{
    struct error err = { 0 };
    struct id id;

    world_open(2);
    ok(submit_json(two_cores, "a", 0, &id, &err) == 0);
    pass_time(0);
    struct workload *w = lifecycle_get(world.lc, &id);
    struct id attempt = w->attempt->id;
    world.proxy.engine.listener.waits(world.lc, &attempt, "nobody answers");
    w->state = WORKLOAD_STARTING;
    _cleanup_free_ char *text = why(&id);
    is_str(text, "it begins on node n1, CPUs 0-1: nobody answers");
    w->state = WORKLOAD_RUNNING;
    world_close();
}

TAP_MAIN
