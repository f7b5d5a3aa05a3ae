/* local.c - tasks on this machine, each under a supervisor of its own
 *
 * The engine writes spec.json and asks the launcher; from then on it listens. News come over a socket
 * pair that was given to the supervisor at its start, or over its `sock` after the server was
 * restarted; they only say which file to read. When a connection ends without news, the directory
 * tells what is so (DESIGN 5b):
 *
 *     exit.json            the attempt has ended
 *     locked               it has a supervisor: connect
 *     free, not started    launch (again)
 *     free, started        the supervisor was lost: clean up, then say so
 *     free, with peers     the same: they know where it was, and not where another would be
 *
 * Without a launcher nothing is begun and nothing is called lost: the next server, which has one, looks
 * at the same directories.
 */
#include "engine/local.h"

#include "base/alloc.h"
#include "base/map.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define LAUNCHES_MAX    3
#define CONNECTS_MAX    1000
#define CONNECT_WAIT_US 20000

/* An order to Slurm. */
struct slurm_asked {
    uint64_t serial;
    local_ordered_f done;
    void *userdata;
};

struct local {
    struct engine engine;
    struct loop *loop;
    int attempts;
    struct launcher *launcher;
    bool launcher_is_gone;
    struct map *tasks;            /* by id */
    VEC(struct leftover) deletes; /* asked for */
    uint64_t orders_given;
    VEC(struct slurm_asked) orders; /* not answered yet */
};

struct task {
    struct local *local;
    struct launcher_request request;
    char id[ID_TEXT_LEN + 1];
    char *token;
    int peer;
    struct watch *watch;
    struct watch *timer; /* to look again */
    bool held;           /* prepared: the supervisor waits for `go`, and nobody for a report */
    bool launched;       /* the command ran, as far as is known */
    char *secret;        /* of a gang that goes: its peers are written */
    bool reported;       /* started() was called */
    bool asked;          /* the launcher owes an answer */
    bool lost;           /* and it is the one to the clean-up */
    unsigned launches, connects;
    enum end_cause stop_cause; /* asked for while nobody listened */
    int64_t stop_grace_s;
    struct task_exit end; /* reported once the clean-up is done */
};

static void look(struct task *task);

static struct local *local_of(struct engine *engine) { return (struct local *) engine; }

/* ---- reporting ----------------------------------------------------------------------------------- */

static void task_free(void *p)
{
    struct task *task = p;

    watch_free(task->watch);
    watch_free(task->timer);
    safe_close(task->peer);
    if (task->token)
        explicit_bzero(task->token, strlen(task->token));
    free(task->token);
    if (task->secret)
        explicit_bzero(task->secret, strlen(task->secret));
    free(task->secret);
    free(task->end.reason);
    free(task);
}

static void report_started(struct task *task)
{
    struct local *local = task->local;
    _cleanup_(task_started_freep) struct task_started *started = NULL;

    task->launched = true;
    if (task->reported || directory_read_started(local->attempts, task->id, &started, NULL) < 0)
        return;
    task->reported = true;
    local->engine.listener.started(local->engine.listener.userdata, &task->request.attempt,
                                   started);
}

static void report_ready(struct task *task)
{
    const struct engine_listener *listener = &task->local->engine.listener;
    _cleanup_(task_ready_freep) struct task_ready *ready = NULL;

    if (listener->ready && directory_read_ready(task->local->attempts, task->id, &ready, NULL) >= 0)
        listener->ready(listener->userdata, &task->request.attempt, ready->address);
}

/* The task is gone afterwards. */
static void report_ended(struct task *task, const struct task_exit *ex)
{
    struct local *local = task->local;

    (void) map_remove(local->tasks, &task->request.attempt, sizeof(struct id));
    local->engine.listener.ended(local->engine.listener.userdata, &task->request.attempt, ex);
    task_free(task);
}

/* What a held task failed at, its start finds again. */
static void drop(struct task *task)
{
    (void) map_remove(task->local->tasks, &task->request.attempt, sizeof(struct id));
    task_free(task);
}

static void fail(struct task *task, enum end_cause cause, const char *reason)
{
    if (task->held) {
        drop(task);
        return;
    }
    struct task_exit ex = { .epoch = task->request.epoch,
                            .cause = cause,
                            .exit_code = -1,
                            .reason = (char *) (uintptr_t) reason,
                            .ended_us = clock_now_us() };

    report_ended(task, &ex);
}

static void finish(struct task *task)
{
    _cleanup_(task_exit_freep) struct task_exit *ex = NULL;
    struct error err = { 0 };

    if (directory_has(task->local->attempts, task->id, "started"))
        report_started(task);
    if (directory_read_exit(task->local->attempts, task->id, &ex, &err) < 0)
        fail(task, END_SUPERVISOR_LOST, err.text);
    else
        report_ended(task, ex);
}

/* ---- the supervisor's connection ------------------------------------------------------------------ */

static void hang_up(struct task *task)
{
    watch_free(task->watch);
    task->watch = NULL;
    task->peer = safe_close(task->peer);
}

static void send_order(struct task *task, json_t *order)
{
    _cleanup_free_ char *text = json_text(order);

    json_decref(order);
    (void) send(task->peer, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_go(struct task *task)
{
    json_t *order = json_object();

    json_put_str(order, "op", "go");
    json_put_str(order, "secret", task->secret);
    send_order(task, order);
}

static void send_stop(struct task *task)
{
    json_t *order = json_object();

    json_put_str(order, "op", "stop");
    json_put_str(order, "cause", end_cause_name(task->stop_cause));
    json_put_int(order, "grace", task->stop_grace_s);
    send_order(task, order);
}

/* {"event":"disk","bytes":N} */
static void report_disk(struct task *task, const char *packet, size_t len)
{
    const struct engine_listener *listener = &task->local->engine.listener;
    _cleanup_json_ json_t *news = NULL;

    if (listener->disk && json_parse(packet, len, &news, NULL) >= 0)
        listener->disk(listener->userdata, &task->request.attempt, json_get_int(news, "bytes", 0));
}

static void on_news(void *userdata, uint32_t events)
{
    struct task *task = userdata;
    char packet[256];

    (void) events;
    for (;;) {
        ssize_t n = recv(task->peer, packet, sizeof packet - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        packet[n] = '\0';
        if (strstr(packet, "\"exit\"")) {
            task->held ? drop(task) : finish(task);
            return;
        }
        if (strstr(packet, "\"ready\""))
            report_ready(task);
        if (strstr(packet, "\"started\""))
            report_started(task);
        if (strstr(packet, "\"disk\""))
            report_disk(task, packet, (size_t) n);
    }
    hang_up(task);
    /* Not before the launcher's answer: it may say why there is nobody. */
    if (!task->asked)
        look(task);
}

static void listen_to(struct task *task, int peer)
{
    task->peer = peer;
    task->watch = loop_watch(task->local->loop, peer, EPOLLIN, on_news, task);
    if (task->secret)
        send_go(task);
    if (task->stop_cause != END_NONE)
        send_stop(task);
}

static void on_timer(void *userdata) { look(userdata); }

static void look_later(struct task *task, int64_t after_us)
{
    if (!task->timer)
        task->timer = loop_timer(task->local->loop, after_us, on_timer, task);
    else
        timer_set(task->timer, after_us);
}

/* ---- the launcher ---------------------------------------------------------------------------------- */

static void ask(struct task *task, enum launcher_op op, int fd, int token)
{
    task->request.op = op;
    task->request.flags = (token >= 0 ? LAUNCHER_HAS_TOKEN : 0) | (task->held ? LAUNCHER_HOLD : 0);
    task->asked = true;
    launcher_ask(task->local->launcher, &task->request, (const int[2]){ fd, token });
}

/* A pipe holds the token until the supervisor reads it: it is never on disk. */
static int token_pipe(const char *token)
{
    int fds[2];

    if (!token)
        return -1;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int r = write_full(fds[1], token, strlen(token));
    safe_close(fds[1]);
    if (r >= 0)
        return fds[0];
    safe_close(fds[0]);
    return r;
}

static void launch(struct task *task)
{
    int pair[2];

    if (task->local->launcher_is_gone)
        return;
    if (task->launches++ >= LAUNCHES_MAX) {
        fail(task, END_START_FAILED, "the supervisor ended before the container was made");
        return;
    }
    int token = token_pipe(task->token);
    if ((task->token && token < 0) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        safe_close(token);
        fail(task, END_START_FAILED, strerror(errno));
        return;
    }
    listen_to(task, pair[0]);
    ask(task, LAUNCHER_START, pair[1], token);
}

/* The supervisor is gone and exit.json is not there. */
static void lose(struct task *task)
{
    _cleanup_(task_started_freep) struct task_started *started = NULL;

    if (task->local->launcher_is_gone)
        return;
    task->end = (struct task_exit){ .epoch = task->request.epoch,
                                    .cause = END_SUPERVISOR_LOST,
                                    .exit_code = -1,
                                    .ended_us = clock_now_us() };
    if (directory_read_started(task->local->attempts, task->id, &started, NULL) >= 0) {
        task->end.started_us = started->started_us;
        if (started->boot_id && !str_equal(started->boot_id, clock_boot_id()))
            task->end.cause = END_NODE_LOST;
    }
    task->lost = true;
    ask(task, LAUNCHER_CLEAN, -1, -1);
}

static void connect_again(struct task *task)
{
    int peer = directory_connect(task->local->attempts, task->id);

    if (peer >= 0)
        listen_to(task, peer);
    else if (task->connects++ <
             CONNECTS_MAX) /* it has the lock and will listen soon, or is ending */
        look_later(task, CONNECT_WAIT_US);
    else if (!task->local->launcher_is_gone)
        ask(task, LAUNCHER_KILL, -1, -1);
}

/* What is so? See the head of this file. */
static void look(struct task *task)
{
    if (task->held) { /* the supervisor is gone, or the launcher */
        drop(task);
        return;
    }
    int attempts = task->local->attempts;
    bool locked = directory_is_locked(attempts, task->id);

    if (directory_has(attempts, task->id, "exit.json"))
        finish(task);
    else if (locked)
        connect_again(task);
    else if (task->launched || directory_has(attempts, task->id, "started") ||
             directory_has(attempts, task->id, "peers"))
        lose(task);
    else
        launch(task);
}

static void on_cleaned(struct task *task, const struct launcher_answer *answer)
{
    if (answer->code == -EBUSY) { /* somebody probes the lock at this moment */
        task->lost = false;
        free(task->end.reason);
        task->end.reason = NULL;
        look_later(task, CONNECT_WAIT_US);
        return;
    }
    if (answer->code < 0) {
        free(task->end.reason);
        task->end.reason = xstrdup(answer->text);
    }
    report_ended(task, &task->end);
}

static void on_deleted(struct local *local, const struct launcher_answer *answer)
{
    size_t i = 0;

    while (i < local->deletes.len &&
           !(id_equal(&local->deletes.items[i].workload, &answer->workload) &&
             id_equal(&local->deletes.items[i].attempt, &answer->attempt)))
        i++;
    if (i == local->deletes.len)
        return;
    struct leftover leftover = local->deletes.items[i];
    vec_remove(&local->deletes, i);
    local->engine.listener.deleted(local->engine.listener.userdata, &leftover, answer->code);
}

/* ---- orders to Slurm ------------------------------------------------------------------------------- */

static void take_order(struct local *local, size_t i, int code, const char *text)
{
    struct slurm_asked asked = local->orders.items[i];

    vec_remove(&local->orders, i);
    asked.done(asked.userdata, code, text);
}

static void on_ordered(struct local *local, const struct launcher_answer *answer)
{
    for (size_t i = 0; i < local->orders.len; i++)
        if (local->orders.items[i].serial == answer->serial) {
            take_order(local, i, answer->code, answer->text);
            return;
        }
}

static void fail_orders(struct local *local)
{
    while (local->orders.len > 0)
        take_order(local, 0, -EPIPE, "the launcher of the server has ended");
}

void local_forget_orders(struct engine *engine, const void *userdata)
{
    struct local *local = local_of(engine);

    for (size_t i = local->orders.len; i-- > 0;)
        if (local->orders.items[i].userdata == userdata)
            vec_remove(&local->orders, i);
}

int local_order(struct engine *engine, const struct slurm_job_order *order, int out,
                local_ordered_f done, void *userdata, struct error *err)
{
    struct local *local = local_of(engine);
    _cleanup_close_ int file = memfd_create("order", MFD_CLOEXEC);
    _cleanup_close_ int copy = fcntl(out, F_DUPFD_CLOEXEC, 0);

    if (local->launcher_is_gone)
        return error_set(err, -EPIPE, "the launcher of the server has ended");
    if (file < 0 || copy < 0 || write_full(file, order, sizeof *order) < 0)
        return error_set(err, -errno, "an order to Slurm: %s", strerror(errno));
    struct launcher_request request = { .op = LAUNCHER_SLURM, .serial = ++local->orders_given };
    vec_push(&local->orders, ((struct slurm_asked){ request.serial, done, userdata }));
    launcher_ask(local->launcher, &request, (const int[2]){ take_fd(&file), take_fd(&copy) });
    return 0;
}

static void on_answer(void *userdata, const struct launcher_answer *answer)
{
    struct local *local = userdata;

    if (!answer) {
        local->launcher_is_gone = true;
        fail_orders(local);
        return;
    }
    if (answer->op == LAUNCHER_SLURM) {
        on_ordered(local, answer);
        return;
    }
    if (answer->op == LAUNCHER_DELETE) {
        on_deleted(local, answer);
        return;
    }
    struct task *task = map_get(local->tasks, &answer->attempt, sizeof(struct id));
    if (!task || !task->asked)
        return;
    task->asked = false;
    if (task->lost)
        on_cleaned(task, answer);
    else if (answer->op == LAUNCHER_START && answer->code < 0)
        fail(task, END_START_FAILED, answer->text);
    else if (task->peer < 0)
        look(task);
}

/* ---- operations -------------------------------------------------------------------------------------- */

static struct task *task_new(struct local *local, const struct task_spec *spec, const char *token)
{
    struct task *task = xnew(struct task);

    task->local = local;
    task->request = (struct launcher_request){ .attempt = spec->attempt,
                                               .project = spec->project,
                                               .workload = spec->workload,
                                               .epoch = spec->epoch,
                                               .uid_base = spec->uid_base,
                                               .range = spec->range };
    id_format(&spec->attempt, task->id);
    task->token = xstrdup(token);
    task->peer = -1;
    (void) map_set(local->tasks, &spec->attempt, sizeof(struct id), task);
    return task;
}

static struct task *task_find(struct local *local, const struct id *attempt)
{
    return map_get(local->tasks, attempt, sizeof *attempt);
}

static void on_directory_failed(void *userdata)
{
    struct task *task = userdata;

    fail(task, END_START_FAILED, task->end.reason);
}

static void local_prepare(struct engine *engine, const struct task_spec *spec)
{
    struct local *local = local_of(engine);

    if (task_find(local, &spec->attempt))
        return;
    struct task *task = task_new(local, spec, NULL);
    task->held = true;
    if (directory_make(local->attempts, spec, NULL) == 0)
        launch(task);
    else
        drop(task);
}

static void local_cancel(struct engine *engine, const struct id *attempt)
{
    struct task *task = task_find(local_of(engine), attempt);

    if (task && task->held)
        drop(task);
}

static void let_go(struct task *task)
{
    task->held = false;
    send_go(task);
}

static void local_start(struct engine *engine, const struct task_spec *spec, const char *token)
{
    struct local *local = local_of(engine);
    struct error err = { 0 };

    struct task *task = task_find(local, &spec->attempt);
    if (task) {
        if (task->held)
            let_go(task);
        return;
    }
    task = task_new(local, spec, token);
    int r = directory_make(local->attempts, spec, &err);
    if (r < 0) {
        task->end.reason = xstrdup(err.text);
        task->timer = loop_timer(local->loop, 0, on_directory_failed, task);
    } else if (r > 0) {
        look_later(task, 0);
    } else {
        launch(task);
    }
}

static void local_attach(struct engine *engine, const struct task_spec *spec, const char *token,
                         bool launched)
{
    struct local *local = local_of(engine);
    struct error err = { 0 };

    if (task_find(local, &spec->attempt))
        return;
    struct task *task = task_new(local, spec, token);
    task->launched = launched;
    if (!launched && directory_make(local->attempts, spec, &err) < 0) {
        task->end.reason = xstrdup(err.text);
        task->timer = loop_timer(local->loop, 0, on_directory_failed, task);
        return;
    }
    look_later(task, 0);
}

static void local_stop(struct engine *engine, const struct id *attempt, enum end_cause cause,
                       int64_t grace_s)
{
    struct task *task = task_find(local_of(engine), attempt);

    if (!task)
        return;
    task->stop_cause = cause;
    task->stop_grace_s = grace_s;
    if (task->peer >= 0)
        send_stop(task);
}

static void local_go(struct engine *engine, const struct id *attempt, const struct task_go *go)
{
    struct local *local = local_of(engine);
    struct task *task = task_find(local, attempt);
    struct error err = { 0 };

    if (!task || task->launched)
        return;
    if (directory_write_peers(local->attempts, task->id, go->peers, &err) < 0) {
        local_stop(engine, attempt, END_START_FAILED, 0);
        return;
    }
    xstr_set(&task->secret, go->secret);
    if (task->peer >= 0)
        send_go(task);
}

static void local_signal(struct engine *engine, const struct id *attempt, int signo)
{
    struct task *task = task_find(local_of(engine), attempt);
    if (!task || task->peer < 0)
        return;
    json_t *order = json_object();

    json_put_str(order, "op", "signal");
    json_put_int(order, "signal", signo);
    send_order(task, order);
}

static void local_sweep(struct engine *engine, const struct id *live, size_t n)
{
    struct local *local = local_of(engine);
    struct launcher_request request = { .op = LAUNCHER_SWEEP, .count = (uint32_t) n };
    int fd = memfd_create("live", MFD_CLOEXEC);

    if (fd < 0 || write_full(fd, live, n * sizeof *live) < 0 || local->launcher_is_gone) {
        safe_close(fd);
        return;
    }
    launcher_ask(local->launcher, &request, (const int[2]){ fd, -1 });
}

static void local_delete(struct engine *engine, const struct leftover *leftover)
{
    struct local *local = local_of(engine);
    struct launcher_request request = { .op = LAUNCHER_DELETE,
                                        .attempt = leftover->attempt,
                                        .project = leftover->project,
                                        .workload = leftover->workload };

    vec_push(&local->deletes, *leftover);
    launcher_ask(local->launcher, &request, (const int[2]){ -1, -1 });
}

static void local_free(struct engine *engine)
{
    struct local *local = local_of(engine);

    map_free_with(local->tasks, task_free);
    vec_done(&local->deletes);
    vec_done(&local->orders);
    launcher_free(local->launcher);
    safe_close(local->attempts);
    free(local);
}

static const struct engine_ops local_ops = {
    .name = "local",
    .start = local_start,
    .prepare = local_prepare,
    .cancel = local_cancel,
    .attach = local_attach,
    .go = local_go,
    .stop = local_stop,
    .signal = local_signal,
    .sweep = local_sweep,
    .delete = local_delete,
    .free = local_free,
};

int engine_local_new(const struct engine_local_options *options, struct engine **ret,
                     struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/attempts", options->state);
    int attempts = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (attempts < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));

    struct local *local = xnew(struct local);
    local->engine.ops = &local_ops;
    local->loop = options->loop;
    local->attempts = attempts;
    local->tasks = map_new();
    local->launcher = launcher_new(options->loop, options->launcher_fd, on_answer, local);
    *ret = &local->engine;
    return 0;
}
