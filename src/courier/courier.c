/* courier.c - one task's way home and back: what has come is carried by one thread, orders are awaited by
 * another, and this loop holds both to the life of the supervisor */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/pool.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_US     INT64_C(50000)    /* what comes meanwhile goes together */
#define RETRY_MIN_US INT64_C(100000)   /* home is away: */
#define RETRY_MAX_US INT64_C(10000000) /* twice as long each time, up to this */
#define ORDERS_S     30
#define START_WAIT_S 600               /* for a home that is away at the start */
#define END_WAIT_US  INT64_C(20000000) /* for a supervisor that has said its last word */

/* Work of one thread, and what became of it. */
struct errand {
    struct courier *courier;
    int r;
    struct error err;
};

struct courier {
    char *spool, *task, *gpus;
    struct courier_layers layers;
    enum end_cause stopped; /* before it began; END_NONE: it was not */
    int64_t results_wait_us, grace_s;
    int held;           /* the spool, for this task */
    struct home home;   /* of who carries */
    struct home orders; /* of who awaits orders */
    struct blob_store *blobs;
    struct task_spec *spec;
    struct carrier carrier;

    struct loop *loop;
    struct watch *signals[2];
    struct pool *pool;
    int peer, pidfd, changes; /* CHANGES: inotify */
    struct watch *change_watch, *peer_watch, *end_watch, *batch, *limit, *order_timer;
    struct errand carrying, awaiting;
    bool is_machine, goes_on;
    bool busy;        /* something is being carried */
    bool again;       /* more has come meanwhile */
    bool due;         /* the batch timer runs */
    bool expired;     /* what is not home soon stays here */
    bool gone;        /* the supervisor has ended */
    bool listens;     /* for orders */
    int64_t again_us; /* how long that may wait */
    int64_t retry_us, order_retry_us, serial;
    json_t *answer; /* the last orders */
    struct courier_options options;
    struct streams *streams;
    struct figures *figures;
    struct error why;
};

int courier_new(const struct courier_options *options, struct courier **ret, struct error *err)
{
    _cleanup_(courier_freep) struct courier *c = xnew(struct courier);

    c->options = *options;
    c->spool = xstrdup(options->spool);
    c->task = xstrdup(options->task);
    c->gpus = xstrdup(options->gpus);
    c->is_machine = options->is_machine;
    c->layers = options->layers;
    c->goes_on = options->goes_on;
    c->results_wait_us = options->results_wait_s * 1000000;
    c->carrier = (struct carrier){ .home = &c->home, .dir = -1 };
    c->changes = c->held = -1;
    int r = home_open(options, &c->home, err);
    if (r >= 0)
        r = home_open(options, &c->orders, err);
    if (r >= 0)
        r = blob_store_open(c->spool, &c->blobs, err);
    if (r < 0)
        return r;
    r = c->held = spool_hold(c->spool, c->task, err);
    if (r < 0)
        return r;
    c->carrier.blobs = c->blobs;
    *ret = take_ptr(c);
    return 0;
}

/* Threads may still be waiting for home: what they use stays until the process ends. */
static struct courier *volatile abandoned;

void courier_free(struct courier *c)
{
    if (!c)
        return;
    if (c->pool) {
        abandoned = c;
        return;
    }
    c->held = spool_release(c->spool, c->task, c->held);
    home_close(&c->home);
    home_close(&c->orders);
    blob_store_close(c->blobs);
    safe_close(c->changes);
    safe_close(c->carrier.dir);
    task_spec_free(c->spec);
    courier_next_done(&c->carrier.next);
    free(c->carrier.piece);
    text_done(&c->carrier.points);
    free(c->spool);
    free(c->task);
    free(c->gpus);
    free(c);
}

/* ---- before the start ---------------------------------------------------------------------------- */

static int fetch_spec(struct courier *c, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    int r = home_call_json(&c->home, &(struct home_request){ .method = "GET", .target = "spec" },
                           &json, err);

    if (r >= 0)
        r = task_spec_from_json(json, &c->spec, err);
    if (r < 0)
        return r;
    char id[ID_TEXT_LEN + 1];
    if (!str_equal(id_format(&c->spec->attempt, id), c->task))
        return error_set(err, -EPROTO, "home speaks of another task, %s", id);
    c->spec->is_away = true;
    if (!c->is_machine) /* one uid is everybody */
        c->spec->uid_base = c->spec->range = 0;
    c->grace_s = c->spec->workload_spec->grace_s;
    return 0;
}

/* Once: what a supervisor wrote before is not run again, here or by home. */
static int make_directory(struct courier *c, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/attempts/%s", c->spool, c->task);
    _cleanup_json_ json_t *json = task_spec_to_json(c->spec);
    _cleanup_free_ char *text = json_text(json);
    _cleanup_free_ char *parent = xasprintf("%s/attempts", c->spool);
    int r = mkdir_all(AT_FDCWD, parent, 0711, err);

    if (r >= 0 && mkdir(path, 0711) < 0)
        r = error_set(err, -errno, "%s: %s", path, strerror(errno));
    if (r < 0)
        return r;
    c->carrier.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->carrier.dir < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    return file_replace(c->carrier.dir, "spec.json", 0600, text, strlen(text), false, err);
}

static int fetch_secrets(struct courier *c, int fd, struct error *err)
{
    _cleanup_free_ char *target = xasprintf("/v1/attempts/%s/secrets", c->task);
    struct http_response response = { 0 };

    if (!c->spec->has_secrets)
        return 0;
    int r = home_get(&c->home, target, &response, err);
    if (r >= 0)
        r = write_full(fd, text_str(&response.body), response.body.len);
    if (response.body.data)
        explicit_bzero(response.body.data, response.body.len);
    http_response_done(&response);
    return r < 0 ? error_context(err, r, "secrets") : 0;
}

static int fetch_once(struct courier *c, void *userdata, struct error *err)
{
    const int *secrets = userdata;
    int r = c->spec ? 0 : fetch_spec(c, err);

    const struct content content = { &c->home, c->blobs, c->spool };
    if (r >= 0)
        r = content_fetch(&content, c->spec, err);
    if (r >= 0 && c->spec->image && c->layers.has) /* else it will not begin anyway */
        r = layers_fetch(&c->home, &c->orders, c->spool, &c->layers, c->spec->image, &c->stopped,
                         err);
    /* Of a file that came to several machines nobody could say later who has changed it. */
    if (r >= 0 && c->spec->resume && (!c->spec->gang || c->spec->gang->n_nodes == 1))
        r = artifacts_fetch(&content, &c->spec->artifacts, err);
    if (r >= 0 && c->spec->push)
        r = storage_fetch(&content, c->spec->push, err);
    if (r >= 0)
        r = fetch_secrets(c, *secrets, err);
    return r;
}

int64_t courier_longer(int64_t wait_us)
{
    wait_us = wait_us ? wait_us * 2 : RETRY_MIN_US;
    return wait_us < RETRY_MAX_US ? wait_us : RETRY_MAX_US;
}

/* Until WORK is done, or home was away for too long. */
static int insist(struct courier *c,
                  int (*work)(struct courier *c, void *userdata, struct error *err), void *userdata,
                  struct error *err)
{
    int64_t until_us = clock_boot_us() + START_WAIT_S * INT64_C(1000000), wait_us = 0;
    int r;

    while ((r = work(c, userdata, err)) == -EAGAIN && clock_boot_us() < until_us) {
        wait_us = courier_longer(wait_us);
        (void) nanosleep(&(struct timespec){ .tv_sec = wait_us / 1000000,
                                             .tv_nsec = wait_us % 1000000 * 1000 },
                         NULL);
    }
    return r;
}

int courier_fetch(struct courier *c, int secrets, const struct task_spec **ret, struct error *err)
{
    int r = insist(c, fetch_once, &secrets, err);

    if (r >= 0)
        r = task_spec_take_gpus(c->spec, c->gpus, err);
    if (r >= 0)
        r = make_directory(c, err);
    if (r >= 0)
        *ret = c->spec;
    return r;
}

static int say_end(struct courier *c, void *userdata, struct error *err)
{
    const struct text *text = userdata;
    const struct home_request request = {
        .method = "PUT", .target = "files/exit.json", .body = text->data, .body_len = text->len
    };
    _cleanup_json_ json_t *answer = NULL;

    return home_call_json(&c->home, &request, &answer, err);
}

int courier_refuse(struct courier *c, const struct error *why, struct error *err)
{
    if (!c->spec)
        return error_set(err, why->code ? why->code : -EIO, "%s", why->text);
    struct task_exit ex = { .epoch = c->spec->epoch,
                            .cause = c->stopped ? c->stopped : END_START_FAILED,
                            .exit_code = -1,
                            .reason = (char *) (uintptr_t) why->text,
                            .ended_us = clock_now_us() };
    _cleanup_json_ json_t *json = task_exit_to_json(&ex);
    _cleanup_text_ struct text text = { 0 };
    _cleanup_free_ char *bytes = json_text(json);

    text_add(&text, bytes);
    return insist(c, say_end, &text, err);
}

/* ---- the supervisor ------------------------------------------------------------------------------ */

static void give_up(struct courier *c, int code, const struct error *why)
{
    if (!c->why.code) {
        c->why = *why;
        c->why.code = code;
    }
    if (c->pidfd >= 0)
        (void) pidfd_signal(c->pidfd, SIGKILL);
    loop_stop(c->loop, code);
}

/* The list of peers goes by a file: it may be long. */
static void write_peers(struct courier *c, const json_t *peers)
{
    _cleanup_free_ char *text = json_text(peers);
    struct error err = { 0 };

    if (file_replace(c->carrier.dir, "peers", 0644, text, strlen(text), false, &err) < 0)
        give_up(c, err.code, &err);
}

static void order(struct courier *c, const json_t *json)
{
    _cleanup_free_ char *text = json_text(json);

    (void) send(c->peer, text, strlen(text), MSG_NOSIGNAL);
}

/* The batch system wants the step to end: so does its time limit, and whoever cancels the job there. */
static void on_signal(void *userdata, const struct signalfd_siginfo *info)
{
    struct courier *c = userdata;
    _cleanup_json_ json_t *stop = json_pack("{s:s,s:s,s:I}", "op", "stop", "cause", "stopped",
                                            "grace", (json_int_t) c->grace_s);

    (void) info;
    c->goes_on = false;
    order(c, stop);
}

/* ---- the way home -------------------------------------------------------------------------------- */

static void carry_now(struct courier *c);

static void carry_later(struct courier *c, int64_t after_us)
{
    if (c->busy) {
        c->again_us = !c->again || after_us < c->again_us ? after_us : c->again_us;
        c->again = true;
        return;
    }
    if (c->due && after_us > 0)
        return;
    c->due = true;
    timer_set(c->batch, after_us);
}

static void expire(struct courier *c)
{
    loop_stop(c->loop, error_set(&c->why, -ETIMEDOUT, "results could not be brought home: %s",
                                 c->carrying.err.text));
}

static void figures_due(void *userdata) { carry_later(userdata, 0); }

static void carried(void *userdata)
{
    struct errand *errand = userdata;
    struct courier *c = errand->courier;

    c->busy = false;
    if (errand->r == -EAGAIN && c->expired) {
        expire(c);
        return;
    }
    if (errand->r == -EAGAIN) {
        c->again = false;
        c->retry_us = courier_longer(c->retry_us);
        carry_later(c, c->retry_us);
        return;
    }
    c->retry_us = 0;
    if (c->carrier.started && !c->gone)
        figures_start(c->figures, figures_due, c);
    figures_set_wait(c->figures, c->carrier.points_wait_s);
    if (errand->r < 0) {
        give_up(c, errand->r, &errand->err);
        return;
    }
    if (c->carrier.over) {
        if (c->gone)
            loop_stop(c->loop, 0);
        else
            timer_set(c->limit, END_WAIT_US);
        return;
    }
    if (c->gone && !c->again) {
        loop_stop(c->loop,
                  error_set(&c->why, -ECHILD, "the supervisor ended without an end of the task"));
        return;
    }
    if (c->again) {
        c->again = false;
        carry_later(c, c->again_us);
    }
}

static void carry_work(void *userdata)
{
    struct errand *errand = userdata;

    errand->err = (struct error){ 0 };
    errand->r = carry(&errand->courier->carrier, &errand->err);
}

static void carry_now(struct courier *c)
{
    c->busy = true;
    c->carrier.goes_on = c->goes_on;
    if (!c->carrier.points.len)
        figures_take(c->figures, &c->carrier.points);
    pool_submit(c->pool, carry_work, carried, &c->carrying);
}

static void on_batch(void *userdata)
{
    struct courier *c = userdata;

    c->due = false;
    if (!c->busy)
        carry_now(c);
}

static void on_change(void *userdata, uint32_t events)
{
    struct courier *c = userdata;
    char bytes[4096];

    (void) events;
    while (read(c->changes, bytes, sizeof bytes) > 0)
        ;
    carry_later(c, BATCH_US);
}

/* Its news only say that a file is there, and one looks anyway. */
static void on_gone(struct courier *c)
{
    c->gone = true;
    figures_stop(c->figures);
    if (c->carrier.over) {
        loop_stop(c->loop, 0);
        return;
    }
    timer_set(c->limit, c->results_wait_us);
    carry_later(c, 0);
}

static void on_news(void *userdata, uint32_t events)
{
    struct courier *c = userdata;
    char bytes[1024];

    (void) events;
    ssize_t n = recv(c->peer, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        watch_free(c->peer_watch);
        c->peer_watch = NULL;
        if (c->pidfd < 0)
            on_gone(c);
        return;
    }
    carry_later(c, 0);
}

static void on_end(void *userdata, uint32_t events)
{
    struct courier *c = userdata;

    (void) events;
    watch_free(c->end_watch);
    c->end_watch = NULL;
    on_gone(c);
}

/* Not before the last try is over. */
static void on_limit(void *userdata)
{
    struct courier *c = userdata;

    c->expired = true;
    if (c->carrier.over)
        loop_stop(c->loop, 0);
    else if (!c->busy && !c->due)
        expire(c);
}

/* ---- orders -------------------------------------------------------------------------------------- */

static void await_orders(struct courier *c);

static void obey(struct courier *c)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(c->answer, "orders"), i, item) {
        int64_t serial = json_get_int(item, "serial", 0);
        if (serial <= c->serial)
            continue;
        c->serial = serial;
        if (str_equal(json_get_str(item, "op", NULL), "connect")) {
            streams_open(c->streams, json_get_str(item, "stream", NULL));
            continue;
        }
        json_t *peers = json_object_get(item, "peers");
        if (peers)
            write_peers(c, peers);
        (void) json_object_del(item, "peers");
        order(c, item);
    }
}

static void orders_came(void *userdata)
{
    struct errand *errand = userdata;
    struct courier *c = errand->courier;

    if (errand->r == -ESTALE) { /* after its end that is no news */
        if (!c->carrier.said_end)
            give_up(c, errand->r, &errand->err);
        return;
    }
    if (errand->r >= 0)
        obey(c);
    c->order_retry_us = errand->r >= 0 ? 0 : courier_longer(c->order_retry_us);
    if (c->gone)
        return;
    if (c->order_retry_us)
        timer_set(c->order_timer, c->order_retry_us);
    else
        await_orders(c);
}

static void orders_work(void *userdata)
{
    struct errand *errand = userdata;
    struct courier *c = errand->courier;
    _cleanup_free_ char *target =
        xasprintf("orders?wait=%d&after=%lld", ORDERS_S, (long long) c->serial);
    const struct home_request request = { .method = "GET",
                                          .target = target,
                                          .timeout_ms = (ORDERS_S + 15) * 1000 };

    json_decref(c->answer);
    c->answer = NULL;
    errand->err = (struct error){ 0 };
    errand->r = home_call_json(&c->orders, &request, &c->answer, &errand->err);
}

static void await_orders(struct courier *c)
{
    pool_submit(c->pool, orders_work, orders_came, &c->awaiting);
}

static void on_order_timer(void *userdata) { await_orders(userdata); }

/* ---- the life of it ------------------------------------------------------------------------------ */

static struct watch *timer(struct courier *c, loop_timer_f callback)
{
    struct watch *w = loop_timer(c->loop, 0, callback, c);

    timer_clear(w);
    return w;
}

static int begin(struct courier *c, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", c->carrier.dir);

    c->loop = loop_new();
    c->batch = timer(c, on_batch);
    c->limit = timer(c, on_limit);
    c->order_timer = timer(c, on_order_timer);
    c->carrying.courier = c->awaiting.courier = c;
    c->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (c->changes < 0 ||
        inotify_add_watch(c->changes, path, IN_MODIFY | IN_MOVED_TO | IN_CREATE) < 0)
        return error_set(err, -errno, "watching the task's directory: %s", strerror(errno));
    c->change_watch = loop_watch(c->loop, c->changes, EPOLLIN, on_change, c);
    c->peer_watch = loop_watch(c->loop, c->peer, EPOLLIN, on_news, c);
    if (c->pidfd >= 0)
        c->end_watch = loop_watch(c->loop, c->pidfd, EPOLLIN, on_end, c);
    c->signals[0] = loop_signal(c->loop, SIGTERM, on_signal, c);
    c->signals[1] = loop_signal(c->loop, SIGINT, on_signal, c);
    c->streams = streams_new(c->loop, &c->options, c->carrier.dir);
    c->figures = figures_new(c->loop, &c->options, c->spec, c->carrier.dir);
    c->pool = pool_new(c->loop, 2);
    await_orders(c);
    carry_later(c, 0);
    return 0;
}

/* What is home needs no copy here; what is not stays. */
static void forget(struct courier *c, int r)
{
    _cleanup_free_ char *attempt = xasprintf("%s/attempts/%s", c->spool, c->task);
    _cleanup_free_ char *running = xasprintf("%s/running/%s", c->spool, c->task);

    (void) remove_tree(AT_FDCWD, running, NULL);
    if (r == 0 || r == -ESTALE)
        (void) remove_tree(AT_FDCWD, attempt, NULL);
    c->held = spool_release(c->spool, c->task, c->held);
    spool_tidy(c->spool, &c->layers);
}

/* It is gone when this returns. One of the launcher's goes when nobody holds the other end. */
static void end_supervisor(struct courier *c)
{
    char bytes[1024];

    if (c->pidfd < 0) {
        (void) shutdown(c->peer, SHUT_WR);
        while (recv(c->peer, bytes, sizeof bytes, 0) > 0)
            ;
        return;
    }
    (void) pidfd_signal(c->pidfd, SIGKILL);
    (void) waitid(P_PIDFD, (id_t) c->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
}

int courier_run(struct courier *c, int pidfd, int peer, struct error *err)
{
    c->pidfd = pidfd;
    c->peer = peer;
    int r = begin(c, err);
    if (r < 0)
        return r;
    r = loop_run(c->loop);
    if (r < 0)
        *err = c->why;
    end_supervisor(c);
    if (r != -ESTALE)
        streams_finish(c->streams);
    forget(c, r);
    return r;
}

void courier_take_next(struct courier *c, struct courier_next *ret)
{
    *ret = c->carrier.next;
    c->carrier.next = (struct courier_next){ 0 };
}
