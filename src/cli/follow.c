/* follow.c - the states of a job as they come, with the reason while it waits */
#include "cli/follow.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_FIRST_MS    20 /* between looks at the state; doubled up to */
#define LOOK_LAST_MS     1000
#define SECOND_CTRL_C_MS 3000
#define ASK_AGAIN_S      2

struct follower {
    struct cli *cli;
    struct cli twin; /* its own connection, for questions while the log streams */
    const char *id, *name;
    char *state;    /* that the server told last */
    char *shown;    /* the last line about it */
    bool open_line; /* it can be overwritten */
    int64_t asked_us;
    int64_t changed_us, running_us; /* boot clock; 0: not, or not yet */
};

static struct follower follower_begin(struct cli *cli, const char *id, const char *name)
{
    return (struct follower){
        .cli = cli,
        .twin = { .out = cli->out,
                  .err = cli->err,
                  .url = xstrdup(cli->url),
                  .key = xstrdup(cli->key),
                  .project = xstrdup(cli->project) },
        .id = id,
        .name = name,
    };
}

static void follower_end(struct follower *f)
{
    cli_done(&f->twin);
    free(f->state);
    free(f->shown);
}

int job_get(struct cli *cli, const char *name_or_id, json_t **ret, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", name_or_id, NULL);
    return remote_get(cli, target, ret, err);
}

int job_exit_code(const json_t *job)
{
    if (str_equal(json_get_str(job, "state", ""), "succeeded"))
        return 0;
    int64_t code = json_get_int(job, "exit_code", -1);
    return code > 0 && code < 256 ? (int) code : CLI_BROKEN;
}

/* ---- the line about the state -------------------------------------------------------------------- */

static void close_line(struct follower *f)
{
    if (f->open_line)
        (void) fputc('\n', stderr);
    f->open_line = false;
}

/* A reason that changes is written over the one before, on a terminal. */
static void show(struct follower *f, const char *state, const char *words)
{
    const struct term *term = &f->cli->err;
    _cleanup_text_ struct text clean = { 0 }, line = { 0 };
    _cleanup_free_ char *key = xasprintf("%s %s", state, words);

    if (str_equal(key, f->shown))
        return;
    bool same_state = f->shown && str_starts(f->shown, state);
    xstr_set(&f->shown, key);
    text_add_clean(&clean, words);
    text_addf(&line, "%s%-10s%s", style_begin(term, style_of_state(state)), state,
              style_end(term, style_of_state(state)));
    text_add_cut(&line, text_str(&clean), term->tty && term->width > 12 ? term->width - 11 : 400,
                 term->utf8);
    if (term->tty && f->open_line && same_state)
        (void) fprintf(stderr, "\r\033[K%s", line.data);
    else
        (void) fprintf(stderr, "%s%s", f->open_line ? "\n" : "", line.data);
    if (!term->tty)
        (void) fputc('\n', stderr);
    f->open_line = term->tty;
    (void) fflush(stderr);
}

static void show_waiting(struct follower *f, const char *state)
{
    _cleanup_free_ char *target = project_path(f->cli, "jobs", f->id, "why", NULL);
    _cleanup_json_ json_t *why = NULL;

    f->asked_us = clock_boot_us();
    if (remote_get(&f->twin, target, &why, NULL) < 0)
        return; /* the next look says what is wrong */
    int64_t position = json_get_int(why, "position", -1);
    const char *text = json_get_str(why, "text", "");
    if (!str_equal(json_get_str(why, "state", state), state))
        return; /* it went on meanwhile */
    _cleanup_free_ char *words =
        position > 0 ? xasprintf("%s (%lld before it in the queue)", text, (long long) position)
                     : xstrdup(text);
    show(f, state, words);
}

/* ", web at 127.0.0.1:40123" */
static void add_published(const json_t *ports, struct text *t)
{
    const char *name;
    json_t *at;

    json_object_foreach(json_mutable(ports), name, at)
        text_addf(t, ", %s at %s:%lld", name, json_get_str(at, "host", ""),
                  (long long) json_get_int(at, "port", 0));
}

static void show_running(struct follower *f)
{
    _cleanup_json_ json_t *job = NULL;

    if (job_get(&f->twin, f->id, &job, NULL) < 0)
        return;
    const json_t *attempt = json_object_get(job, "attempt");
    const json_t *allocation = json_object_get(attempt, "allocation");
    _cleanup_text_ struct text t = { 0 };
    char buf[32];

    text_addf(&t, "on %s",
              json_get_str(allocation, "node", json_get_str(job, "node", "this machine")));
    if (json_get_str(allocation, "cpus", NULL))
        text_addf(&t, ", CPUs %s", json_get_str(allocation, "cpus", ""));
    if (json_get_int(allocation, "memory", 0))
        text_addf(&t, ", %s", bytes_to_str(json_get_int(allocation, "memory", 0), buf));
    add_published(json_object_get(json_object_get(attempt, "evidence"), "ports"), &t);
    if (json_get_int(job, "attempts", 1) > 1)
        text_addf(&t, ", attempt %lld", (long long) json_get_int(job, "attempts", 1));
    else if (f->changed_us && f->running_us)
        text_addf(&t, ", %.2f s after the change", (double) (f->running_us - f->changed_us) / 1e6);
    show(f, "running", t.data);
}

static void show_state(struct follower *f)
{
    if (str_equal(f->state, "queued") || str_equal(f->state, "submitted") ||
        str_equal(f->state, "stopping"))
        show_waiting(f, f->state);
    else if (str_equal(f->state, "running"))
        show_running(f);
    else if (!state_is_final(f->state))
        show(f, f->state, "");
}

static void on_state(void *userdata, const json_t *state)
{
    struct follower *f = userdata;

    (void) fflush(stdout);
    xstr_set(&f->state, json_get_str(state, "state", ""));
    if (!f->running_us && str_equal(f->state, "running"))
        f->running_us = clock_boot_us();
    show_state(f);
    if (str_equal(f->state, "running"))
        close_line(f); /* the log comes next */
}

/* One that begins waits, too, while its machine fetches what it needs. */
static bool may_wait_long(const char *state)
{
    return str_equal(state, "queued") || str_equal(state, "starting");
}

/* Why it waits may change without a change of its own. */
static void on_beat(void *userdata)
{
    struct follower *f = userdata;

    if (may_wait_long(f->state) && clock_boot_us() - f->asked_us >= ASK_AGAIN_S * US_PER_S)
        show_waiting(f, f->state);
}

/* ---- Ctrl-C ---------------------------------------------------------------------------------------- */

static int stop_job(struct follower *f, struct error *err)
{
    _cleanup_free_ char *target = project_path(f->cli, "jobs", f->id, "stop", NULL);
    _cleanup_json_ json_t *body = json_object();

    print_note(f->cli, "stopping the job; Ctrl-C again leaves it");
    interrupt_release(); /* another one ends this program */
    return remote_post(&f->twin, target, body, NULL, err);
}

/* 1: go on (the job is being stopped), 0: detach, or a negative errno. */
static int interrupted(struct follower *f, struct error *err)
{
    close_line(f);
    print_note(f->cli, "detached: the job goes on. Ctrl-C again within %d seconds stops it.",
               SECOND_CTRL_C_MS / 1000);
    int64_t until = clock_boot_us() + SECOND_CTRL_C_MS * US_PER_MS;
    for (int64_t now = clock_boot_us(); now < until && interrupt_count() < 2; now = clock_boot_us())
        (void) poll(NULL, 0, (int) ((until - now) / US_PER_MS + 1));
    if (interrupt_count() < 2) {
        print_note(f->cli, "  berth logs -f %s   follows it again", f->name);
        print_note(f->cli, "  berth stop %s      stops it", f->name);
        return 0;
    }
    http_client_free(f->cli->client); /* what it was doing was given up */
    f->cli->client = NULL;
    int r = stop_job(f, err);
    return r < 0 ? r : 1;
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void add_artifacts(const json_t *job, const char *name, struct text *t)
{
    const json_t *artifacts = json_object_get(json_object_get(job, "attempt"), "artifacts");
    int64_t count = json_get_int(artifacts, "count", 0);
    char buf[32];

    if (count > 0)
        text_addf(t, ", %lld artifact%s (%s): berth artifacts %s", (long long) count,
                  count == 1 ? "" : "s", bytes_to_str(json_get_int(artifacts, "bytes", 0), buf),
                  name);
    if (json_get_int(artifacts, "skipped", 0) > 0)
        text_addf(t, "; %lld left out: links and special files",
                  (long long) json_get_int(artifacts, "skipped", 0));
}

static void add_duration(const json_t *job, struct text *t)
{
    int64_t started, ended;
    char buf[32];

    if (time_parse(json_get_str(job, "started", ""), &started) < 0 ||
        time_parse(json_get_str(job, "ended", ""), &ended) < 0)
        return;
    int64_t us = ended - started;
    if (us < 10 * US_PER_S)
        text_addf(t, "after %.1fs", (double) us / 1e6);
    else
        text_addf(t, "after %s", seconds_to_str(us / US_PER_S, buf));
}

void print_end(const struct cli *cli, const json_t *job)
{
    struct follower f = { .cli = (struct cli *) (uintptr_t) cli };
    const char *reason = json_get_str(job, "reason", NULL);
    _cleanup_text_ struct text t = { 0 };
    int64_t code = json_get_int(job, "exit_code", -1);

    add_duration(job, &t);
    if (code > 0)
        text_addf(&t, "%sexit code %lld", t.len ? ", " : "", (long long) code);
    if (reason)
        text_addf(&t, "%s%s", t.len ? ": " : "", reason);
    add_artifacts(job, json_get_str(job, "name", ""), &t);
    show(&f, json_get_str(job, "state", ""), text_str(&t));
    close_line(&f);
    free(f.shown);
}

/* ---- the way of a job ------------------------------------------------------------------------------ */

/* What a queued job waits for may change while its state does not. */
static void take_state(struct follower *f, const char *state)
{
    bool same = str_equal(f->state, state);

    xstr_set(&f->state, state);
    if (!same || str_equal(state, "queued"))
        show_state(f);
    else if (str_equal(state, "starting"))
        show_waiting(f, state);
}

static int add_exit_code(struct follower *f, json_t *array, struct error *err)
{
    int r = array_exit_code(f->cli, array, err);

    if (r >= 0)
        json_put_int(array, "exit_code", r);
    return r < 0 ? r : 0;
}

/* Look until the job has ended, telling its states. */
static int look_until_end(struct follower *f, json_t **ret, struct error *err)
{
    int64_t since = 0;

    for (int pause = LOOK_FIRST_MS;; pause = pause * 2 > LOOK_LAST_MS ? LOOK_LAST_MS : pause * 2) {
        _cleanup_json_ json_t *job = NULL;
        int r = job_get(f->cli, f->id, &job, err);
        if (r < 0 && is_passing(r))
            r = wait_for_server(f->cli, r, &since, err);
        if (r < 0)
            return r;
        if (job && state_is_final(json_get_str(job, "state", ""))) {
            *ret = take_ptr(job);
            return is_whole_array(*ret) ? add_exit_code(f, *ret, err) : 0;
        }
        if (job && is_whole_array(job)) {
            since = 0;
            show(f, json_get_str(job, "state", ""), json_get_str(job, "reason", ""));
        } else if (job) {
            since = 0;
            take_state(f, json_get_str(job, "state", ""));
        }
        (void) poll(NULL, 0, pause);
        if (interrupt_count())
            return error_set(err, -EINTR, "interrupted");
    }
}

int follow_job(struct cli *cli, const char *id, const char *name, struct error *err)
{
    return follow_changed(cli, id, name, 0, err);
}

/* LOG is NULL where there is not one log. */
static int follow(struct follower *f, struct log_request *log, struct error *err)
{
    _cleanup_json_ json_t *job = NULL;
    struct cli *cli = f->cli;
    int r;

    interrupt_catch();
    interrupt_beat(ASK_AGAIN_S);
    for (;;) {
        r = log ? log_print(cli, log, err) : 0;
        if (r == 0)
            r = look_until_end(f, &job, err);
        if (r != -EINTR || (r = interrupted(f, err)) <= 0)
            break;
    }
    close_line(f);
    interrupt_release();
    follower_end(f);
    if (r < 0)
        return r;
    if (!job)
        return 130;
    print_end(cli, job);
    return job_exit_code(job);
}

int follow_array(struct cli *cli, const char *id, const char *name, struct error *err)
{
    struct follower f = follower_begin(cli, id, name);

    return follow(&f, NULL, err);
}

int follow_changed(struct cli *cli, const char *id, const char *name, int64_t changed_us,
                   struct error *err)
{
    struct follower f = follower_begin(cli, id, name);
    struct log_request log = { .job = id,
                               .rank = -1,
                               .merged = true,
                               .from = -1,
                               .tail = -1,
                               .lines = -1,
                               .follow = true,
                               .on_state = on_state,
                               .on_beat = on_beat,
                               .userdata = &f };

    f.changed_us = changed_us;
    int r = follow(&f, &log, err);
    free(log.last_line);
    return r;
}

int wait_for_end(struct cli *cli, const char *id, json_t **ret, struct error *err)
{
    struct follower f = follower_begin(cli, id, id);

    interrupt_catch();
    int r = look_until_end(&f, ret, err);
    close_line(&f);
    interrupt_release();
    follower_end(&f);
    return r;
}
