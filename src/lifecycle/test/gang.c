/* Jobs of many tasks: they begin and end as one, also over restarts. */
#include "lifecycle/test/world.h"

#define SPEC(tasks, env)                                                                           \
    "{\"command\":\"true\",\"cpus\":1,\"tasks_per_node\":" tasks ",\"env\":{" env "}}"

static struct id submit(const char *spec)
{
    struct error err = { 0 };
    struct id id = { 0 };

    if (submit_json(spec, "gang", 0, &id, &err) < 0)
        is_str(err.text, "");
    return id;
}

static const struct workload *live(const struct id *id)
{
    const struct workload *w = lifecycle_get(world.lc, id);

    ok(w != NULL);
    return w;
}

/* How it ended: "state cause/exit: reason". */
static void is_end(const struct id *id, const char *want)
{
    _cleanup_(workload_freep) struct workload *w = stored(id);
    _cleanup_free_ char *text =
        !w ? NULL
           : xasprintf("%s %s/%d: %s", workload_state_name(w->state), end_cause_name(w->cause),
                       w->exit_code, w->reason ? w->reason : "");

    is_str(text, want);
}

TEST(all_begin_and_all_end)
{
    world_open(4);
    struct id id = submit(SPEC("4", "\"NULL_SECONDS\":\"5\",\"NULL_SECONDS_2\":\"9\""));
    pass_time(US_PER_S);
    const struct workload *w = live(&id);
    ok(w->state == WORKLOAD_RUNNING && w->attempt->n_tasks == 4 && world.proxy.n_starts == 4);
    ok(id_equal(&w->attempt->tasks[0].id, &w->attempt->id));
    ok(w->attempt->tasks[3].started_us != 0 && w->attempt->tasks[3].local_rank == 3);
    /* The engine's proxy has seen that no two have a core in common. */
    verify();
    pass_time(6 * US_PER_S);
    ok(live(&id)->state == WORKLOAD_RUNNING);
    pass_time(4 * US_PER_S);
    is_end(&id, "succeeded exited/0: ");
    ok(world.proxy.running.len == 0);
    verify();
    world_close();
}

TEST(the_first_failure_ends_all_and_is_named)
{
    world_open(4);
    struct id id =
        submit(SPEC("4", "\"NULL_SECONDS\":\"50\",\"NULL_SECONDS_2\":\"9\",\"NULL_EXIT_2\":\"7\""));
    pass_time(8 * US_PER_S);
    ok(live(&id)->state == WORKLOAD_RUNNING);
    pass_time(2 * US_PER_S);
    is_end(&id, "failed exited/7: rank 2 on node n1 was the first to fail");
    _cleanup_(workload_freep) struct workload *w = stored(&id);
    ok(w->attempt->failed_rank == 2 && w->attempt->tasks[2].cause == END_EXITED);
    ok(w->attempt->tasks[0].cause == END_GANG && w->attempt->tasks[0].ended_us != 0);
    verify();
    world_close();
}

TEST(a_task_that_cannot_start_is_the_cause)
{
    world_open(4);
    struct id id = submit(SPEC("3", "\"NULL_SECONDS\":\"50\",\"NULL_START_1\":\"fail\""));
    pass_time(2 * US_PER_S);
    is_end(&id, "failed start_failed/-1: rank 1 on node n1 was the first to fail");
    ok(world.proxy.running.len == 0);
    verify();
    world_close();
}

TEST(a_gang_waits_until_all_of_it_fits)
{
    world_open(3);
    struct id one = submit(SPEC("2", "\"NULL_SECONDS\":\"5\""));
    struct id two = submit(SPEC("2", "\"NULL_SECONDS\":\"5\""));
    pass_time(2 * US_PER_S);
    ok(live(&one)->state == WORKLOAD_RUNNING && live(&two)->state == WORKLOAD_QUEUED);
    _cleanup_json_ json_t *why = why_of(&two);
    is_str(
        json_get_str(why, "text", ""),
        "all 2 tasks begin at once, and there is room for 1: needs 2 cores; 1 of 3 is free on node n1, "
        "2 held by 2 jobs");
    pass_time(5 * US_PER_S);
    ok(live(&two)->state == WORKLOAD_RUNNING);
    struct error err = { 0 };
    struct id never;
    ok(submit_json(SPEC("4", ""), "never", 0, &never, &err) == -EDOM);
    ok(strstr(err.text, "all 4 tasks must run at once") != NULL);
    world_close();
}

TEST(services_end_with_the_last_of_the_others)
{
    world_open(4);
    struct id id = submit("{\"command\":\"true\",\"cpus\":1,\"tasks_per_node\":3,"
                          "\"roles\":[{\"name\":\"ps\"},{\"name\":\"worker\",\"count\":2}],"
                          "\"env\":{\"NULL_SECONDS\":\"5\",\"NULL_SECONDS_0\":\"5000\"}}");
    pass_time(6 * US_PER_S);
    is_end(&id, "succeeded exited/0: ");
    _cleanup_(workload_freep) struct workload *w = stored(&id);
    ok(w->attempt->tasks[0].cause == END_GANG && w->attempt->failed_rank == -1);
    is_str(w->attempt->tasks[2].role, "worker");
    ok(w->attempt->tasks[2].role_rank == 1);
    verify();
    world_close();
}

TEST(a_failed_service_ends_all)
{
    world_open(4);
    struct id id =
        submit("{\"command\":\"true\",\"cpus\":1,\"tasks_per_node\":2,"
               "\"roles\":[{\"name\":\"ps\"},{\"name\":\"worker\"}],"
               "\"env\":{\"NULL_SECONDS\":\"50\",\"NULL_SECONDS_0\":\"5\",\"NULL_EXIT_0\":\"2\"}}");
    pass_time(6 * US_PER_S);
    is_end(&id, "failed exited/2: rank 0 (ps 0) on node n1 was the first to fail");
    world_close();
}

TEST(a_stop_and_max_time_are_no_failures_of_a_rank)
{
    world_open(4);
    struct id id = submit(SPEC("3", "\"NULL_SECONDS\":\"50\""));
    pass_time(2 * US_PER_S);
    ok(lifecycle_stop(world.lc, &id, "key:me", -1, NULL, NULL, NULL) == 0);
    pass_time(2 * US_PER_S);
    is_end(&id, "stopped stopped/143: ");

    id = submit("{\"command\":\"true\",\"cpus\":1,\"tasks_per_node\":2,\"max_time\":5,"
                "\"env\":{\"NULL_SECONDS\":\"50\"}}");
    pass_time(9 * US_PER_S);
    is_end(&id, "failed max_time/143: the job ran longer than its max_time");
    verify();
    world_close();
}

TEST(a_gang_is_tried_again_as_a_whole)
{
    world_open(4);
    struct id id =
        submit("{\"command\":\"true\",\"cpus\":1,\"tasks_per_node\":2,"
               "\"retries\":{\"max\":1,\"backoff\":1},"
               "\"env\":{\"NULL_SECONDS\":\"50\",\"NULL_SECONDS_1\":\"3\",\"NULL_EXIT_1\":\"9\"}}");
    pass_time(5 * US_PER_S);
    const struct workload *w = live(&id);
    ok(w->attempts == 2 && w->state == WORKLOAD_RUNNING && !w->stop_requested);
    ok(w->attempt->failed_rank == -1);
    pass_time(5 * US_PER_S);
    is_end(&id, "failed exited/9: rank 1 on node n1 was the first to fail");
    verify();
    world_close();
}

/* A server that is killed at any moment changes nothing of how it ends. */
TEST(a_restart_at_any_moment_changes_nothing)
{
    for (int step = 0; step < 24; step++) {
        world_open(4);
        struct id id = submit(
            SPEC("4", "\"NULL_SECONDS\":\"6\",\"NULL_SECONDS_3\":\"4\",\"NULL_EXIT_3\":\"3\""));
        for (int i = 0; i < step % 12; i++) {
            engine_null_advance(world.proxy.null, world.now_us);
            if (i % 2)
                settle();
            lifecycle_tick(world.lc);
            if (i > 6)
                world.now_us += US_PER_S;
        }
        if (step >= 12)
            settle();
        crash();
        pass_time(20 * US_PER_S);
        is_end(&id, "failed exited/3: rank 3 on node n1 was the first to fail");
        verify();
        world_close();
    }
}

TEST(a_reboot_loses_all_of_it)
{
    world_open(4);
    struct id id = submit(SPEC("3", "\"NULL_SECONDS\":\"50\""));
    pass_time(2 * US_PER_S);
    reboot();
    pass_time(2 * US_PER_S);
    is_end(&id, "failed node_lost/-1: rank 0 on node n1 was the first to fail");
    verify();
    world_close();
}

TAP_MAIN
