/* run-watch.c - berth run --watch: a change ends the run and begins the next
 *
 *     change -> quiet -> packed -> not the same? -> stop the run ----------> it has ended -> submit -> follow
 *                                               \-> send what is new --/
 *
 * A child follows each run, so that this loop only waits: for changes, for the child, for Ctrl-C.
 */
#include "cli/follow.h"
#include "cli/run.h"
#include "cli/spec.h"
#include "cli/watch.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 6
#define GRACE_S   2 /* for a run that nobody wants any more */

struct run_watch {
    struct cli *cli;
    json_t *request;
    bool stops; /* a change ends the run; else the run ends first */
    struct loop *loop;
    struct watched *watched;
    struct watch *signals[3];
    struct pack pack;   /* as it was sent last */
    bool waiting;       /* PACK was not run yet */
    int64_t changed_us; /* what made it necessary */
    char *job, *name;   /* id and name of the run */
    struct process follower;
    struct watch *end; /* of the follower */
    bool stopping, unreachable;
    int signo; /* ends us */
};

static void say(const struct run_watch *r, const char *word, const char *text)
{
    (void) fprintf(stderr, "%s%-10s%s%s\n", style_begin(&r->cli->err, STYLE_BOLD), word,
                   style_end(&r->cli->err, STYLE_BOLD), text);
}

static bool is_running(const struct run_watch *r) { return r->follower.pid > 0; }

static void say_watching(const struct run_watch *r)
{
    if (!r->waiting && !r->signo)
        say(r, "watching", "a change runs it again; Ctrl-C ends");
}

/* ---- one run ------------------------------------------------------------------------------------- */

/* In the child. Ctrl-C is the parent's. */
static int follow(void *userdata)
{
    const struct run_watch *r = userdata;
    struct error err = { 0 };
    sigset_t set;

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGINT);
    (void) sigprocmask(SIG_BLOCK, &set, NULL);
    int code = follow_changed(r->cli, r->job, r->name, r->changed_us, &err);
    if (code < 0)
        print_error(r->cli, err.text);
    return code < 0 ? CLI_BROKEN : code;
}

static void drop_follower(struct run_watch *r)
{
    watch_free(r->end);
    r->end = NULL;
    if (r->follower.pid > 0)
        (void) process_wait(&r->follower);
    r->stopping = false;
    xstr_set(&r->job, NULL);
    xstr_set(&r->name, NULL);
}

static void on_end(void *userdata, uint32_t events);

static int start_follower(struct run_watch *r, struct error *err)
{
    http_client_free(r->cli->client); /* one connection has one process */
    r->cli->client = NULL;
    int code = process_fork(follow, r, &r->follower, err);
    if (code >= 0)
        r->end = loop_watch(r->loop, r->follower.pidfd, EPOLLIN, on_end, r);
    return code;
}

static int start_run(struct run_watch *r, struct error *err)
{
    _cleanup_json_ json_t *job = NULL;

    spec_set_workspace(r->request, &r->pack);
    int code = run_submit(r->cli, r->request, &job, err);
    if (code < 0)
        return code;
    r->waiting = r->unreachable = false;
    run_tell_job(r->cli, job);
    xstr_set(&r->job, json_get_str(job, "id", ""));
    xstr_set(&r->name, json_get_str(job, "name", ""));
    return start_follower(r, err);
}

/* What passes is tried again for as long as it takes, and said once. */
static void take_failure(struct run_watch *r, int code, const struct error *err)
{
    if (is_passing(code)) {
        if (!r->unreachable)
            print_note(r->cli, "%s; trying again", err->text);
        r->unreachable = true;
        watched_look_again(r->watched);
        return;
    }
    r->waiting = false;
    print_error(r->cli, err->text);
    say_watching(r);
}

static void go_on(struct run_watch *r)
{
    struct error err = { 0 };
    int code = start_run(r, &err);

    if (code < 0)
        take_failure(r, code, &err);
}

static void on_end(void *userdata, uint32_t events)
{
    struct run_watch *r = userdata;

    (void) events;
    drop_follower(r);
    if (r->signo)
        loop_stop(r->loop, 0);
    else if (r->waiting)
        go_on(r);
    else
        say_watching(r);
}

/* 0 also when it has ended by itself. */
static int stop_run(struct run_watch *r, struct error *err)
{
    _cleanup_free_ char *target = project_path(r->cli, "jobs", r->job, "stop", NULL);
    _cleanup_json_ json_t *body = json_object();

    if (r->stopping)
        return 0;
    if (!r->signo)
        json_put_int(body, "grace", GRACE_S);
    int code = remote_post(r->cli, target, body, NULL, err);
    r->stopping = code >= 0;
    return code == -EEXIST ? 0 : code;
}

/* ---- changes ------------------------------------------------------------------------------------- */

static int send_pack(struct run_watch *r, const struct pack *pack, struct error *err)
{
    size_t files = 0;
    int64_t bytes = 0;
    int code = pack_send(r->cli, pack, &files, &bytes, err);

    if (code >= 0)
        run_tell_pack(r->cli, pack, files, bytes);
    return code;
}

/* PACK (taken on success) differs from what was sent last. The run stops while files are sent. */
static int take_change(struct run_watch *r, struct pack *pack, int64_t changed_us,
                       struct error *err)
{
    _cleanup_text_ struct text names = { 0 };

    manifest_add_changes(&names, r->pack.manifest, pack->manifest, NAMES_MAX);
    if (!r->unreachable)
        say(r, "changed", text_str(&names));
    int code = is_running(r) && r->stops ? stop_run(r, err) : 0;
    if (code >= 0)
        code = send_pack(r, pack, err);
    if (code < 0)
        return code;
    pack_done(&r->pack);
    r->pack = *pack;
    *pack = (struct pack){ .dirfd = -1 };
    if (!r->waiting)
        r->changed_us = changed_us;
    r->waiting = true;
    if (!is_running(r))
        go_on(r);
    else if (!r->stops)
        say(r, "watching", "it runs again when this run has ended");
    return 0;
}

static void on_changed(void *userdata)
{
    struct run_watch *r = userdata;
    struct pack pack = { .dirfd = -1 };
    struct error err = { 0 };
    int64_t changed_us = watched_changed_us(r->watched);

    if (r->signo)
        return;
    int code = watched_pack(r->watched, &pack, &err);
    if (code >= 0 && !str_equal(pack.digest, r->pack.digest))
        code = take_change(r, &pack, changed_us ? changed_us : clock_boot_us(), &err);
    else if (code >= 0 && r->waiting && !is_running(r))
        go_on(r);
    pack_done(&pack);
    if (code == -ENOENT) /* it is being written */
        watched_look_again(r->watched);
    else if (code < 0)
        take_failure(r, code, &err);
}

static void on_signal(void *userdata, const struct signalfd_siginfo *info)
{
    struct run_watch *r = userdata;
    bool again = r->signo != 0;
    struct error err = { 0 };

    r->signo = (int) info->ssi_signo;
    r->waiting = false;
    if (!is_running(r) || again) {
        loop_stop(r->loop, 0);
        return;
    }
    print_note(r->cli, "stopping the job; Ctrl-C again leaves it");
    if (stop_run(r, &err) < 0) {
        print_error(r->cli, err.text);
        loop_stop(r->loop, 0);
    }
}

/* ---- begin and end ------------------------------------------------------------------------------- */

static int begin(struct run_watch *r, const char *directory, struct error *err)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

    r->loop = loop_new();
    int code = watched_open(r->loop, directory, on_changed, r, &r->watched, err);
    if (code >= 0)
        code = watched_pack(r->watched, &r->pack, err);
    if (code >= 0)
        code = send_pack(r, &r->pack, err);
    for (size_t i = 0; i < 3 && code >= 0; i++)
        r->signals[i] = loop_signal(r->loop, signals[i], on_signal, r);
    return code < 0 ? code : start_run(r, err);
}

static void run_watch_done(struct run_watch *r)
{
    watch_free(r->end);
    r->end = NULL;
    process_kill(&r->follower);
    drop_follower(r);
    watched_free(r->watched);
    for (size_t i = 0; i < 3; i++)
        watch_free(r->signals[i]);
    if (r->loop)
        loop_once(r->loop, 0); /* what was deferred */
    loop_free(r->loop);
    pack_done(&r->pack);
}

int run_watch(struct cli *cli, json_t *request, const char *directory, bool stops,
              struct error *err)
{
    struct run_watch r = {
        .cli = cli, .request = request, .stops = stops, .follower.pidfd = -1, .pack.dirfd = -1
    };
    int code = begin(&r, directory, err);

    if (code >= 0) {
        (void) loop_run(r.loop);
        code = 128 + r.signo;
    }
    run_watch_done(&r);
    return code;
}
