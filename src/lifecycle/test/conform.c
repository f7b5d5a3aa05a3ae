/* The cases of tests/system/conformance.sh that mean something in virtual time, on the null engine.
 *
 * It runs no process: output, charts, artifacts, images, ports and sessions, signals that a command handles and a
 * command that does not hear its grace cannot be had of it.
 */
#include "lifecycle/test/world.h"

#define JOB(env)            "{\"command\":[\"x\"],\"cpus\":1,\"env\":{" env "}}"
#define JOB_WITH(env, more) "{\"command\":[\"x\"],\"cpus\":1,\"env\":{" env "}," more "}"

static struct id begin(const char *spec, const char *name)
{
    struct error err = { 0 };
    struct id id = id_none;

    ok(submit_json(spec, name, 0, &id, &err) == 0);
    is_str(err.text, "");
    pass_time(0);
    return id;
}

static void ends_as(const struct id *id, const char *want)
{
    _cleanup_(workload_freep) struct workload *w = stored(id);
    _cleanup_free_ char *is = w ? xasprintf("%s %s/%d after %u", workload_state_name(w->state),
                                            end_cause_name(w->cause), w->exit_code, w->attempts)
                                : NULL;

    is_str(is, want);
}

TEST(a_job_ends_with_the_exit_code_of_its_command)
{
    world_open(4);
    struct id id = begin(JOB("\"NULL_SECONDS\":\"1\",\"NULL_EXIT\":\"3\""), "three");
    pass_time(2 * US_PER_S);
    ends_as(&id, "failed exited/3 after 1");
    verify();
    world_close();
}

TEST(what_cannot_be_started_says_so)
{
    world_open(4);
    struct id id = begin(JOB("\"NULL_START\":\"fail\""), "nothing");
    pass_time(2 * US_PER_S);
    ends_as(&id, "failed start_failed/-1 after 1");
    verify();
    world_close();
}

TEST(a_job_is_stopped)
{
    struct error err = { 0 };

    world_open(4);
    struct id id = begin(JOB("\"NULL_SECONDS\":\"600\""), "nice");
    ok(lifecycle_stop(world.lc, &id, "key:test", 20, NULL, NULL, &err) == 0);
    pass_time(1 * US_PER_S);
    ends_as(&id, "stopped stopped/143 after 1");
    verify();
    world_close();
}

TEST(a_job_that_runs_too_long_is_ended_as_that)
{
    world_open(4);
    struct id id =
        begin(JOB_WITH("\"NULL_SECONDS\":\"600\"", "\"max_time\":\"1s\",\"grace\":\"0s\""), "long");
    pass_time(120 * US_PER_S);
    ends_as(&id, "failed max_time/143 after 1");
    verify();
    world_close();
}

TEST(the_server_goes_and_comes_back_the_job_goes_on_once)
{
    world_open(4);
    struct id over = begin(JOB("\"NULL_SECONDS\":\"9\",\"NULL_EXIT\":\"6\""), "over");
    struct id away = begin(JOB("\"NULL_SECONDS\":\"1\",\"NULL_EXIT\":\"7\""), "away");
    engine_null_advance(world.proxy.null, world.now_us);
    crash();
    world.now_us += 2 * US_PER_S;
    pass_time(0);
    ends_as(&away, "failed exited/7 after 1");
    pass_time(9 * US_PER_S);
    ends_as(&over, "failed exited/6 after 1");
    verify();
    world_close();
}

TEST(a_machine_that_is_lost_the_job_is_tried_again)
{
    world_open(4);
    struct id id =
        begin(JOB_WITH("\"NULL_SECONDS\":\"5\"", "\"retries\":{\"max\":1,\"backoff\":0}"), "lost");
    reboot();
    pass_time(9 * US_PER_S);
    ends_as(&id, "succeeded exited/0 after 2");
    verify();
    world_close();
}

TEST(a_thousand_small_jobs_all_run_once_each)
{
    enum { MANY = 1000 };
    static struct id ids[MANY];
    struct error err = { 0 };

    world_open(4);
    for (size_t i = 0; i < MANY; i++)
        ok(submit_json(JOB("\"NULL_SECONDS\":\"1\""), NULL, 0, &ids[i], &err) == 0);
    pass_time(MANY * US_PER_S);
    for (size_t i = 0; i < MANY; i++)
        ends_as(&ids[i], "succeeded exited/0 after 1");
    verify();
    world_close();
}

TAP_MAIN
