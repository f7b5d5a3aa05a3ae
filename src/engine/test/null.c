#include "engine/engine.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"
#include "tests/tap.h"

/* What was reported, as "+1@0 -1@5:exited/0 …". */
static struct text heard;

static void on_started(void *userdata, const struct id *attempt, const struct task_started *started)
{
    text_addf(&heard, " +%d@%d", attempt->bytes[0], (int) (started->started_us / US_PER_S));
}

static void on_ended(void *userdata, const struct id *attempt, const struct task_exit *ex)
{
    text_addf(&heard, " -%d@%d:%s/%d", attempt->bytes[0], (int) (ex->ended_us / US_PER_S),
              end_cause_name(ex->cause), ex->exit_code);
}

static void heard_is(const char *want)
{
    is_str(text_str(&heard), want);
    text_clear(&heard);
}

static char seconds_name[] = "NULL_SECONDS", exit_name[] = "NULL_EXIT", start_name[] = "NULL_START";

/* Start or attach attempt N that runs for SECONDS and ends with EXIT. */
static void begin(struct engine *engine, uint8_t n, char *seconds, char *exit, bool attach)
{
    struct env_var env[] = { { seconds_name, seconds, false },
                             { exit_name, exit, false },
                             { start_name, exit, false } };
    struct workload_spec spec = { .env = env, .n_env = 3 };
    struct allocation allocation = { 0 };
    struct task_spec task = {
        .attempt = { { n } }, .epoch = 1, .workload_spec = &spec, .allocation = &allocation
    };

    if (attach)
        engine->ops->attach(engine, &task, NULL, true);
    else
        engine->ops->start(engine, &task, NULL);
}

TEST(attempts_live_in_virtual_time)
{
    _cleanup_(engine_freep) struct engine *engine = NULL;
    char five[] = "5", two[] = "2", zero[] = "0", killed[] = "137", fail[] = "fail";

    ok(engine_null_new(&engine) == 0);
    engine->listener = (struct engine_listener){ .started = on_started, .ended = on_ended };
    ok(engine_null_next(engine) == INT64_MAX);
    begin(engine, 1, five, zero, false);
    begin(engine, 2, two, killed, false);
    begin(engine, 3, two, fail, false);
    begin(engine, 1, five, zero, false);
    ok(engine_null_next(engine) == 0);
    engine_null_advance(engine, 0);
    heard_is(" +1@0 +2@0 -3@0:start_failed/-1");
    engine_null_advance(engine, 4 * US_PER_S);
    heard_is(" -2@2:signaled/137");
    engine->ops->stop(engine, &(struct id){ { 1 } }, END_MAX_TIME, 0);
    ok(engine_null_next(engine) == 4 * US_PER_S);
    engine_null_advance(engine, 9 * US_PER_S);
    heard_is(" -1@4:max_time/143");

    /* Said again to whoever attaches; unknown attempts that ran are lost. */
    begin(engine, 2, two, killed, true);
    begin(engine, 4, two, zero, true);
    engine_null_advance(engine, 9 * US_PER_S);
    heard_is(" -2@2:signaled/137 -4@9:supervisor_lost/-1");

    begin(engine, 5, two, zero, false);
    begin(engine, 6, two, zero, false);
    engine->ops->sweep(engine, &(struct id){ { 6 } }, 1);
    engine_null_advance(engine, 20 * US_PER_S);
    heard_is(" +6@9 -6@11:exited/0");
    text_done(&heard);
}

static void on_ready(void *userdata, const struct id *attempt, const char *address)
{
    text_addf(&heard, " ?%d@%s", attempt->bytes[0], address);
}

static void begin_peer(struct engine *engine, uint8_t n, bool attach)
{
    static char exit_of_1[] = "NULL_EXIT_1", three[] = "3", two[] = "2", zero[] = "0";
    struct env_var env[] = { { seconds_name, two, false },
                             { exit_name, zero, false },
                             { exit_of_1, three, false } };
    struct workload_spec spec = { .env = env, .n_env = 3 };
    struct allocation allocation = { 0 };
    struct task_gang gang = { .rank = n, .world_size = 2 };
    struct task_spec task = { .attempt = { { n } },
                              .epoch = 1,
                              .workload_spec = &spec,
                              .allocation = &allocation,
                              .gang = &gang };

    if (attach)
        engine->ops->attach(engine, &task, NULL, false);
    else
        engine->ops->start(engine, &task, NULL);
}

TEST(a_gang_is_ready_before_it_goes)
{
    _cleanup_(engine_freep) struct engine *engine = NULL;
    static const struct task_go go = { 0 };

    ok(engine_null_new(&engine) == 0);
    engine->listener =
        (struct engine_listener){ .ready = on_ready, .started = on_started, .ended = on_ended };
    begin_peer(engine, 0, false);
    begin_peer(engine, 1, false);
    engine->ops->go(engine, &(struct id){ { 1 } }, &go);
    engine_null_advance(engine, 5 * US_PER_S);
    heard_is(" ?0@127.0.0.1 ?1@127.0.0.1");
    ok(engine_null_next(engine) == INT64_MAX);

    begin_peer(engine, 1, true);
    engine->ops->go(engine, &(struct id){ { 1 } }, &go);
    engine->ops->go(engine, &(struct id){ { 1 } }, &go);
    engine_null_advance(engine, 6 * US_PER_S);
    begin_peer(engine, 1, true);
    engine->ops->go(engine, &(struct id){ { 0 } }, &go);
    engine_null_advance(engine, 20 * US_PER_S);
    heard_is(" ?1@127.0.0.1 +1@5 ?1@127.0.0.1 +1@5 +0@6 -1@7:exited/3 -0@8:exited/0");
    text_done(&heard);
}

TAP_MAIN
