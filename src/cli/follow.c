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

struct follower {
    struct cli *cli;
    const char *id, *name;
    char *shown;            /* the last line about the state */
    bool open_line;         /* it can be overwritten */
    bool stopping;          /* Ctrl-C was pressed twice */
    struct log_request log; /* of the attempt that is followed */
    int64_t logged;         /* attempts whose log was printed to the end */
};

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

    if (remote_get(f->cli, target, &why, NULL) < 0)
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

static void show_running(struct follower *f, const json_t *job)
{
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
    if (json_get_int(job, "attempts", 1) > 1)
        text_addf(&t, ", attempt %lld", (long long) json_get_int(job, "attempts", 1));
    show(f, "running", t.data);
}

/* ---- Ctrl-C ---------------------------------------------------------------------------------------- */

static int stop_job(struct follower *f, struct error *err)
{
    _cleanup_free_ char *target = project_path(f->cli, "jobs", f->id, "stop", NULL);
    _cleanup_json_ json_t *body = json_object();

    close_line(f);
    print_note(f->cli, "stopping the job");
    http_client_free(f->cli->client); /* what it was doing was given up */
    f->cli->client = NULL;
    f->stopping = true;
    interrupt_release(); /* a third one ends this program */
    return remote_post(f->cli, target, body, NULL, err);
}

/* 1: go on (the job is being stopped), 0: detach, or a negative errno. */
static int interrupted(struct follower *f, struct error *err)
{
    close_line(f);
    print_note(f->cli, "\ndetached: the job goes on. Ctrl-C again within %d seconds stops it.",
               SECOND_CTRL_C_MS / 1000);
    int64_t until = clock_boot_us() + SECOND_CTRL_C_MS * US_PER_MS;
    for (int64_t now = clock_boot_us(); now < until && interrupt_count() < 2; now = clock_boot_us())
        (void) poll(NULL, 0, (int) ((until - now) / US_PER_MS + 1));
    if (interrupt_count() < 2) {
        print_note(f->cli, "berth logs -f %s   follows it again\nberth stop %s      stops it",
                   f->name, f->name);
        return 0;
    }
    int r = stop_job(f, err);
    return r < 0 ? r : 1;
}

/* ---- the way of a job ------------------------------------------------------------------------------ */

static bool is_pending(const char *state)
{
    return str_equal(state, "submitted") || str_equal(state, "queued") ||
           str_equal(state, "starting");
}

static void show_state(struct follower *f, const char *state, const json_t *job)
{
    if (str_equal(state, "queued") || str_equal(state, "submitted"))
        show_waiting(f, state);
    else if (str_equal(state, "running"))
        show_running(f, job);
    else if (!state_is_final(state))
        show(f, state, "");
}

/* Look until the job is beyond its pending states (RUNNING_IS_ENOUGH) or has ended. */
static int look_until(struct follower *f, bool running_is_enough, json_t **ret, struct error *err)
{
    int64_t since = 0;

    for (int pause = LOOK_FIRST_MS;; pause = pause * 2 > LOOK_LAST_MS ? LOOK_LAST_MS : pause * 2) {
        _cleanup_json_ json_t *job = NULL;
        int r = job_get(f->cli, f->id, &job, err);
        if (r < 0 && is_passing(r))
            r = wait_for_server(f->cli, r, &since, err);
        if (r < 0)
            return r;
        if (job) {
            const char *state = json_get_str(job, "state", "");
            since = 0;
            show_state(f, state, job);
            if (state_is_final(state) || (running_is_enough && !is_pending(state))) {
                *ret = take_ptr(job);
                return 0;
            }
        }
        (void) poll(NULL, 0, pause);
        if (interrupt_count() && !f->stopping)
            return error_set(err, -EINTR, "interrupted");
    }
}

static void add_artifacts(const json_t *job, const char *name, struct text *t)
{
    const json_t *artifacts = json_object_get(json_object_get(job, "attempt"), "artifacts");
    int64_t count = json_get_int(artifacts, "count", 0);
    char buf[32];

    if (count > 0)
        text_addf(t, ", %lld artifact%s (%s): berth artifacts %s", (long long) count,
                  count == 1 ? "" : "s", bytes_to_str(json_get_int(artifacts, "bytes", 0), buf),
                  name);
}

void print_end(const struct cli *cli, const json_t *job)
{
    struct follower f = { .cli = (struct cli *) (uintptr_t) cli };
    const char *state = json_get_str(job, "state", ""), *reason = json_get_str(job, "reason", NULL);
    _cleanup_text_ struct text t = { 0 };
    int64_t started, ended;
    char buf[32];

    int64_t code = json_get_int(job, "exit_code", -1);
    if (time_parse(json_get_str(job, "started", ""), &started) == 0 &&
        time_parse(json_get_str(job, "ended", ""), &ended) == 0)
        text_addf(&t, "after %s",
                  ended - started < US_PER_S ? "less than a second"
                                             : seconds_to_str((ended - started) / US_PER_S, buf));
    if (code > 0)
        text_addf(&t, "%sexit code %lld", t.len ? ", " : "", (long long) code);
    if (reason)
        text_addf(&t, "%s%s", t.len ? ": " : "", reason);
    add_artifacts(job, json_get_str(job, "name", ""), &t);
    show(&f, state, text_str(&t));
    close_line(&f);
    free(f.shown);
}

/* The log of attempt N from where it was left. */
static int follow_log(struct follower *f, int64_t n, struct error *err)
{
    if (f->log.attempt != n) {
        xstr_set(&f->log.last_line, NULL);
        f->log = (struct log_request){
            .job = f->id, .attempt = (int) n, .from = -1, .tail = -1, .lines = -1, .follow = true
        };
    }
    close_line(f);
    int r = log_print(f->cli, &f->log, err);
    if (r == 0 || r == -ENOENT) { /* without a log: it ended before it had one */
        f->logged = n;
        return 0;
    }
    return r;
}

static int follow_once(struct follower *f, json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *job = NULL;
    int r = look_until(f, true, &job, err);

    while (r == 0 && json_get_int(job, "attempts", 0) > f->logged) {
        r = follow_log(f, json_get_int(job, "attempts", 0), err);
        json_decref(job);
        job = NULL;
        if (r == 0)
            r = look_until(f, true, &job, err);
    }
    if (r == 0 && !state_is_final(json_get_str(job, "state", ""))) {
        json_decref(job);
        job = NULL;
        r = look_until(f, false, &job, err);
    }
    if (r == 0)
        *ret = take_ptr(job);
    return r;
}

int follow_job(struct cli *cli, const char *id, const char *name, struct error *err)
{
    struct follower f = { .cli = cli, .id = id, .name = name };
    _cleanup_json_ json_t *job = NULL;
    int r;

    interrupt_catch();
    while ((r = follow_once(&f, &job, err)) == -EINTR) {
        r = interrupted(&f, err);
        if (r <= 0)
            break;
    }
    close_line(&f);
    interrupt_release();
    free(f.shown);
    free(f.log.last_line);
    if (r < 0)
        return r;
    if (!job)
        return 130;
    print_end(cli, job);
    return job_exit_code(job);
}

int wait_for_end(struct cli *cli, const char *id, json_t **ret, struct error *err)
{
    struct follower f = { .cli = cli, .id = id, .name = id };
    int r;

    interrupt_catch();
    r = look_until(&f, false, ret, err);
    close_line(&f);
    interrupt_release();
    free(f.shown);
    return r;
}
