/* supervise.c - one attempt, from its lock to its end: PID 1 of its own PID and mount namespace */
#include "executor/gang-view.h"
#include "executor/internal.h"
#include "executor/session.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define SPEC_MAX (8 << 20)

const struct mode mode_machine = {
    .name = "privileged", .own_groups = true, .own_ids = true, .own_devices = true
};

const struct mode mode_node = { .name = "privileged", .own_ids = true, .own_devices = true };

uid_t supervisor_uid(const struct supervisor *s, uid_t uid)
{
    return s->spec->uid_base + (s->x->mode->own_ids ? uid : 0);
}

gid_t supervisor_gid(const struct supervisor *s, gid_t gid)
{
    return s->spec->uid_base + (s->x->mode->own_ids ? gid : 0);
}

/* Standard descriptors of its own: the server's must not stay open for as long as jobs run. */
static void become_supervisor(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; null >= 0 && i < 3; i++)
        (void) dup2(null, i);
    safe_close(null);
    (void) setsid();
    (void) umask(022);
    (void) prctl(PR_SET_NAME, "berth-supervise", 0, 0, 0);
    (void) signal(SIGPIPE, SIG_IGN);
}

/* Readers that probe the lock hold it for a moment. */
static int take_lock(struct supervisor *s, struct error *err)
{
    s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (s->lock < 0)
        return error_set(err, -errno, "lock: %s", strerror(errno));
    for (int i = 0; i < 20; i++) {
        if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
            return 0;
        (void) nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    }
    return error_set(err, -EBUSY, "the attempt has a supervisor already");
}

static int check_spec(const struct supervisor *s, struct error *err)
{
    const struct launcher_request *want = &s->launch->request;
    const struct task_spec *spec = s->spec;

    if (!id_equal(&spec->attempt, &want->attempt) || !id_equal(&spec->project, &want->project) ||
        !id_equal(&spec->workload, &want->workload) || spec->epoch != want->epoch ||
        spec->uid_base != want->uid_base || spec->range != want->range)
        return error_set(err, -EPERM, "spec.json is not what was asked for");
    if (!spec->image && (!spec->workload_spec->command || !spec->workload_spec->command[0]))
        return error_set(err, -EINVAL, "the job has no command");
    return 0;
}

static int read_spec(struct supervisor *s, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;

    int r = file_read(s->dir, "spec.json", SPEC_MAX, &text, err);
    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &json, err);
    if (r >= 0)
        r = task_spec_from_json(json, &s->spec, err);
    return r < 0 ? r : check_spec(s, err);
}

/* What was opened in the launcher's mount namespace cannot be mounted in this one. */
static int reopen(const struct executor *x, const char *name, int *fd, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", x->state, name);

    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int reopen_all(struct executor *x, struct error *err)
{
    int r = reopen(x, ".", &x->state_fd, err);
    if (r >= 0)
        r = reopen(x, "attempts", &x->attempts_fd, err);
    if (r >= 0)
        r = reopen(x, "running", &x->running_fd, err);
    return r;
}

/* -EBUSY, -EEXIST: not ours to run; nothing is to be reported. */
static int take_attempt(struct supervisor *s, struct error *err)
{
    s->dir = open_beneath_nosymlink(s->x->attempts_fd, s->name, O_RDONLY | O_DIRECTORY, 0);
    if (s->dir < 0)
        return error_set(err, s->dir, "attempts/%s: %s", s->name, strerror(-s->dir));
    int r = take_lock(s, err);
    if (r < 0)
        return r;
    if (faccessat(s->dir, "exit.json", F_OK, 0) == 0)
        return error_set(err, -EEXIST, "the attempt has ended before");
    if (faccessat(s->dir, "started", F_OK, 0) == 0)
        return error_set(err, -EEXIST, "the attempt has run before");
    return 0;
}

static void on_child(void *userdata, const struct signalfd_siginfo *info)
{
    struct supervisor *s = userdata;
    int status;
    pid_t pid;

    (void) info;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != s->container.pid) {
            (void) sessions_reap(s->sessions, pid, status);
            continue;
        }
        s->status = status;
        if (s->in_step) {
            loop_stop(s->loop, 0);
            continue;
        }
        s->ended = true;
        if (pump_is_done(s->pump))
            loop_stop(s->loop, 0);
        else /* all writers are dead; what is in the pipes comes at once */
            timer_set(s->drain_timer, 2 * 1000000);
    }
}

static void on_drained(void *userdata)
{
    struct supervisor *s = userdata;

    loop_stop(s->loop, 0);
}

static void on_kill(void *userdata) { container_signal(userdata, SIGKILL); }

static void on_term(void *userdata) { container_signal(userdata, SIGTERM); }

static void on_max_time(void *userdata)
{
    struct supervisor *s = userdata;

    supervisor_stop(s, END_MAX_TIME, s->spec->workload_spec->grace_s);
}

void supervisor_stop(struct supervisor *s, enum end_cause cause, int64_t grace_s)
{
    int checkpoint = s->spec->workload_spec->checkpoint_signal;
    int64_t grace_us = grace_s > 0 ? grace_s * 1000000 : 0;

    if (s->cause == END_NONE)
        s->cause = cause;
    else if (grace_us > 0)
        return; /* being stopped; only a shorter grace changes anything */
    timer_set(s->kill_timer, grace_us);
    if (checkpoint && grace_us > 0) {
        /* Half of the time is for the checkpoint, unless it is done before. */
        container_signal(s, checkpoint);
        timer_set(s->term_timer, grace_us / 2);
    } else {
        on_term(s);
    }
}

static void make_timers(struct supervisor *s)
{
    s->term_timer = loop_timer(s->loop, 0, on_term, s);
    s->kill_timer = loop_timer(s->loop, 0, on_kill, s);
    s->max_timer = loop_timer(s->loop, 0, on_max_time, s);
    s->drain_timer = loop_timer(s->loop, 0, on_drained, s);
    timer_clear(s->term_timer);
    timer_clear(s->kill_timer);
    timer_clear(s->max_timer);
    timer_clear(s->drain_timer);
}

static int report_started(struct supervisor *s, struct error *err)
{
    struct task_started started = {
        .epoch = s->spec->epoch,
        .started_us = s->started_us,
        .boot_id = (char *) (uintptr_t) clock_boot_id(),
        .evidence = container_evidence(s),
    };
    _cleanup_json_ json_t *json = task_started_to_json(&started);
    _cleanup_free_ char *text = json_text(json);

    json_decref(started.evidence);
    int r = file_replace(s->dir, "started", 0644, text, strlen(text), false, err);
    if (r < 0)
        return r;
    s->reported_start = true;
    control_send(s->control, "started");
    return 0;
}

static int prepare(struct supervisor *s, struct error *err)
{
    if (s->launch->net_error.code) {
        *err = s->launch->net_error;
        return err->code;
    }
    int r = blob_store_open(s->x->state, &s->blobs, err);
    if (r >= 0)
        r = rootfs_make(s, err);
    if (r >= 0)
        r = devices_make(s, err);
    if (r >= 0 && s->spec->has_secrets)
        r = s->launch->secrets >= 0 ? secrets_read(s->launch->secrets, &s->secrets, err)
                                    : secrets_fetch(s->spec, s->launch->token, &s->secrets, err);
    if (r < 0)
        return r;
    s->launch->token = safe_close(s->launch->token);
    s->launch->secrets = safe_close(s->launch->secrets);
    return relays_new(s, &s->relays, err);
}

static void make_environment(struct supervisor *s)
{
    const struct environment_facts facts = { .image = &s->image->config,
                                             .edits = &s->edits,
                                             .home = s->user.home,
                                             .secrets = s->secrets,
                                             .gang = s->gang_env };

    s->env = environment_make(s->spec, &facts);
    json_decref(s->secrets);
    s->secrets = NULL;
}

/* Nothing of the job has run; its directory is as one that was never started. */
static _Noreturn void withdraw(struct supervisor *s)
{
    rootfs_remove(s);
    _exit(0);
}

static int run(struct supervisor *s, struct error *err)
{
    int r = prepare(s, err);
    if ((s->launch->request.flags & LAUNCHER_HOLD) && !control_await_go(s->control))
        withdraw(s);
    if (r >= 0 && s->spec->gang)
        r = gang_await_go(s, err);
    if (r < 0)
        return r;
    make_environment(s);
    r = loader_cache_make(s, err);
    if (r >= 0 && s->spec->workload_spec->source == SOURCE_GIT)
        r = container_clone_source(s, err);
    if (r >= 0)
        r = container_start(s, err);
    if (r < 0)
        return r;

    pump_start(s->pump);
    if (s->spec->workload_spec->max_time_s > 0)
        timer_set(s->max_timer, s->spec->workload_spec->max_time_s * 1000000);
    supervisor_watch_disk(s);
    r = report_started(s, err);
    if (r < 0)
        return r;
    (void) loop_run(s->loop);
    return 0;
}

static int begin(struct supervisor *s, struct error *err)
{
    int r = read_spec(s, err);
    if (r < 0)
        return r;
    s->hostname = s->spec->gang
                      ? gang_hostname(s->spec->gang)
                      : xstrdup(s->spec->workload_name ? s->spec->workload_name : "berth");
    s->own_netns = network_own();
    s->loop = loop_new();
    (void) loop_signal(s->loop, SIGCHLD, on_child, s);
    make_timers(s);
    s->sessions = sessions_new(s);
    r = control_new(s, s->launch->peer, &s->control, err);
    if (r >= 0)
        r = pump_new(s, &s->pump, err);
    return r;
}

_Noreturn void supervise(struct executor *x, struct launch *launch)
{
    struct supervisor s = { .x = x,
                            .launch = launch,
                            .dir = -1,
                            .lock = -1,
                            .own_netns = -1,
                            .artifacts = -1,
                            .container = { .pidfd = -1 } };
    struct error err = { 0 };

    become_supervisor();
    id_format(&launch->request.attempt, s.name);
    int r = reopen_all(x, &err);
    if (r >= 0)
        r = take_attempt(&s, &err);
    if (r < 0)
        _exit(1);
    r = begin(&s, &err);
    if (r >= 0)
        r = run(&s, &err);
    supervisor_finish(&s, r < 0 ? &err : NULL);
    _exit(0);
}
