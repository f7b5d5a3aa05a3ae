/* The local engine over a launcher and real supervisors: what it reports, also after restarts. */
#include "executor/test/host.h"

#include "engine/engine.h"
#include "tests/tap.h"

#include <signal.h>
#include <sys/file.h>

struct world {
    struct host host;
    struct loop *loop;
    struct engine *engine;
    unsigned started, ended;
    enum end_cause cause;
    int exit_code;
    char *reason;
};

static struct world w;

static void close_world(void)
{
    engine_free(w.engine);
    loop_free(w.loop);
    free(w.reason);
    w.host.launcher = -1;
    (void) waitpid(w.host.pid, NULL, 0);
    (void) remove_tree(AT_FDCWD, w.host.top, NULL);
    free(w.host.state);
    free(w.host.runtime);
}

static void on_started(void *userdata, const struct id *attempt, const struct task_started *started)
{
    (void) attempt;
    ok(userdata == &w && started->epoch == 1);
    w.started++;
}

static void on_ended(void *userdata, const struct id *attempt, const struct task_exit *ex)
{
    (void) attempt;
    ok(userdata == &w && ex->epoch == 1);
    w.ended++;
    w.cause = ex->cause;
    w.exit_code = ex->exit_code;
    xstr_set(&w.reason, ex->reason ? ex->reason : "");
}

static void open_engine(void)
{
    struct engine_local_options options = { .loop = w.loop,
                                            .state = w.host.state,
                                            .runtime = w.host.runtime,
                                            .launcher_fd = w.host.launcher };
    struct error err = { 0 };

    ok(set_nonblock(w.host.launcher, true) == 0);
    ok(engine_local_new(&options, &w.engine, &err) == 0);
    w.engine->listener =
        (struct engine_listener){ .started = on_started, .ended = on_ended, .userdata = &w };
}

__attribute__((constructor)) static void open_world(void)
{
    host_skip_unless_possible();
    host_open(&w.host);
    w.loop = loop_new();
    open_engine();
    (void) atexit(close_world);
}

/* The server ends and another one comes: a new launcher, a new engine, the same state. */
static void restart(void)
{
    struct error err = { 0 };

    engine_free(w.engine); /* closes the launcher's socket */
    (void) waitpid(w.host.pid, NULL, 0);
    ok(host_launch(&w.host, &err) == 0);
    open_engine();
}

static struct task_spec *make_task(const char *script)
{
    struct launcher_request r = { .attempt = id_new(),
                                  .project = { { 7 } },
                                  .workload = id_new(),
                                  .epoch = 1,
                                  .uid_base = UID_FIRST };
    _cleanup_json_ json_t *command = json_pack("{s:[s,s,s]}", "command", "sh", "-c", script);
    _cleanup_free_ char *fields = json_text(command);
    _cleanup_json_ json_t *json = make_spec(&r, fields);
    struct task_spec *spec = NULL;
    struct error err = { 0 };

    w.started = w.ended = 0;
    w.cause = END_NONE;
    ok(task_spec_from_json(json, &spec, &err) == 0);
    return spec;
}

static void await(const unsigned *counter)
{
    for (int i = 0; i < 3000 && !*counter; i++)
        loop_once(w.loop, 10);
    ok(*counter == 1);
}

static void kill_supervisor(const struct task_spec *spec)
{
    struct executor x = { 0 };
    _cleanup_free_ char *attempts = xasprintf("%s/attempts", w.host.state);

    x.attempts_fd = open(attempts, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(sweep_kill(&x, &spec->attempt, NULL) == 0);
    safe_close(x.attempts_fd);
}

static void is_end(enum end_cause cause, int code)
{
    is_str(end_cause_name(w.cause), end_cause_name(cause));
    ok(w.exit_code == code);
    if (tap_failures)
        printf("# %s\n", w.reason ? w.reason : "");
}

TEST(a_task_is_reported_once)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 5");

    w.engine->ops->start(w.engine, spec, NULL);
    w.engine->ops->start(w.engine, spec, NULL);
    await(&w.ended);
    ok(w.started == 1);
    is_end(END_EXITED, 5);
}

/* Below the state directory, in the attempt's folder of PARENT; owned by the caller. */
static char *path_of(const struct task_spec *spec, const char *parent, const char *file)
{
    char id[ID_TEXT_LEN + 1];

    return xasprintf("%s/%s/%s/%s", w.host.state, parent, id_format(&spec->attempt, id), file);
}

/* Its supervisor makes its files, and has the lock. */
static void prepare(const struct task_spec *spec)
{
    _cleanup_free_ char *layer = path_of(spec, "running", "");

    w.engine->ops->prepare(w.engine, spec);
    for (int i = 0; i < 3000 && access(layer, F_OK) < 0; i++)
        loop_once(w.loop, 10);
    ok(access(layer, F_OK) == 0);
}

/* Its supervisor is gone, and nothing of it has ever run. */
static void await_withdrawal(const struct task_spec *spec)
{
    _cleanup_free_ char *lock = path_of(spec, "attempts", "lock");
    _cleanup_free_ char *started = path_of(spec, "attempts", "started");
    _cleanup_free_ char *end = path_of(spec, "attempts", "exit.json");
    _cleanup_free_ char *layer = path_of(spec, "running", "");
    _cleanup_close_ int fd = open(lock, O_RDONLY | O_CLOEXEC);

    ok(fd >= 0 && flock(fd, LOCK_EX) == 0);
    ok(access(started, F_OK) < 0 && access(end, F_OK) < 0 && access(layer, F_OK) < 0);
}

TEST(a_task_may_be_prepared)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 5");

    prepare(spec);
    w.engine->ops->start(w.engine, spec, NULL);
    await(&w.ended);
    ok(w.started == 1);
    is_end(END_EXITED, 5);
}

TEST(what_is_prepared_ends_with_the_server)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 9");

    prepare(spec);
    restart();
    await_withdrawal(spec);
    w.engine->ops->attach(w.engine, spec, NULL, false);
    await(&w.ended);
    ok(w.started == 1);
    is_end(END_EXITED, 9);
}

TEST(what_is_prepared_may_be_cancelled)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 5");

    prepare(spec);
    w.engine->ops->cancel(w.engine, &spec->attempt);
    await_withdrawal(spec);
    ok(w.started == 0 && w.ended == 0);
}

TEST(a_prepared_task_starts_although_its_supervisor_was_killed)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 4");

    prepare(spec);
    kill_supervisor(spec);
    loop_once(w.loop, 1000);
    ok(w.ended == 0);
    w.engine->ops->start(w.engine, spec, NULL);
    await(&w.ended);
    ok(w.started == 1);
    is_end(END_EXITED, 4);
}

TEST(a_stop_reaches_a_task_that_is_only_starting)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("sleep 1000");

    w.engine->ops->start(w.engine, spec, NULL);
    w.engine->ops->stop(w.engine, &spec->attempt, END_STOPPED, 100);
    await(&w.ended);
    is_end(END_STOPPED, 143);
}

TEST(a_task_goes_on_over_a_restart)
{
    _cleanup_(task_spec_freep) struct task_spec *spec =
        make_task("trap 'exit 6' TERM; sleep 1000 & wait");

    w.engine->ops->start(w.engine, spec, NULL);
    await(&w.started);
    restart();
    w.started = 0;
    w.engine->ops->attach(w.engine, spec, NULL, true);
    await(&w.started);
    w.engine->ops->signal(w.engine, &spec->attempt, SIGTERM);
    await(&w.ended);
    is_end(END_EXITED, 6);
}

TEST(a_task_that_ended_meanwhile_is_reported)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 7");
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *done = NULL;

    w.engine->ops->start(w.engine, spec, NULL);
    restart(); /* before anything was heard of it */
    done = xasprintf("%s/attempts/%s/exit.json", w.host.state, id_format(&spec->attempt, id));
    w.engine->ops->attach(w.engine, spec, NULL, false);
    await(&w.ended);
    ok(access(done, F_OK) == 0);
    is_end(END_EXITED, 7);
}

TEST(a_task_that_was_never_launched_is_launched)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 8");

    w.engine->ops->attach(w.engine, spec, NULL, false);
    await(&w.ended);
    ok(w.started == 1);
    is_end(END_EXITED, 8);
}

TEST(a_killed_supervisor_is_a_lost_task)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("sleep 1000");

    w.engine->ops->start(w.engine, spec, NULL);
    await(&w.started);
    kill_supervisor(spec);
    await(&w.ended);
    is_end(END_SUPERVISOR_LOST, -1);
}

TEST(a_supervisor_killed_while_the_server_is_down_is_noticed)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("sleep 1000");

    w.engine->ops->start(w.engine, spec, NULL);
    await(&w.started);
    engine_free(w.engine);
    (void) waitpid(w.host.pid, NULL, 0);
    kill_supervisor(spec);
    ok(host_launch(&w.host, NULL) == 0);
    open_engine();
    w.engine->ops->attach(w.engine, spec, NULL, true);
    await(&w.ended);
    is_end(END_SUPERVISOR_LOST, -1);
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *left =
        xasprintf("%s/running/%s", w.host.state, id_format(&spec->attempt, id));
    ok(access(left, F_OK) < 0);
}

TEST(a_launcher_that_is_gone_loses_no_start)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = make_task("exit 3");

    (void) kill(w.host.pid, SIGKILL);
    (void) waitpid(w.host.pid, NULL, 0);
    w.engine->ops->start(w.engine, spec, NULL);
    loop_once(w.loop, 100);
    ok(w.ended == 0);
    restart();
    w.engine->ops->attach(w.engine, spec, NULL, false);
    await(&w.ended);
    is_end(END_EXITED, 3);
}

TAP_MAIN
