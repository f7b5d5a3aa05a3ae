/* cp.c - berth cp: files between here and a running job
 *
 * On both sides the same code (os/copy.h) makes and takes the archive. Here it runs on a thread, with a
 * pipe to the loop that carries the connection.
 */
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/session.h"

#include "base/alloc.h"
#include "os/copy.h"
#include "os/fd.h"
#include "os/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOW_US    100000
#define PIPE_BYTES (1 << 20)

/* "JOB:PATH"; a path here has a '/' before any ':'. "-" is our input or output. */
struct place {
    char *job; /* NULL: here */
    const char *path;
};

static const struct cli_flag flags[] = { RANK_FLAG, { NULL } };

struct copy {
    struct cli *cli;
    const struct args *args;
    struct place from, to;
    char *name; /* last part of FROM's path; ".": what is in it */
    struct loop *loop;
    struct pool *pool;
    struct session *session;
    struct progress progress;
    struct watch *timer, *signals[2];
    int ours, theirs; /* ends of the pipe: the loop's and the thread's */
    struct copy_count count;
    int result; /* of the thread */
    struct error err;
    struct text errors; /* what the other side said */
    bool working, connected, interrupted;
};

static bool inward(const struct copy *c) { return c->to.job != NULL; }

static bool is_stream(const struct place *place)
{
    return !place->job && str_equal(place->path, "-");
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void work(void *item)
{
    struct copy *c = item;

    if (inward(c))
        c->result = is_stream(&c->from) ? copy_send_bytes(0, c->theirs, &c->count, &c->err)
                                        : copy_send(c->from.path, c->theirs, &c->count, &c->err);
    else
        c->result = is_stream(&c->to)
                        ? copy_receive_bytes(c->theirs, 1, &c->count, &c->err)
                        : copy_receive(c->to.path, c->name, c->theirs, &c->count, &c->err);
    c->theirs = safe_close(c->theirs);
}

static void stop_when_done(struct copy *c)
{
    if (!c->working && !c->connected)
        loop_stop(c->loop, 0);
}

static void worked(void *item)
{
    struct copy *c = item;
    int code;
    struct error err;

    c->working = false;
    /* Without the whole of it there is nothing more to send or to take. */
    if (c->result < 0 && c->session && !session_ended(c->session, &code, &err)) {
        session_free(c->session);
        c->session = NULL;
        c->connected = false;
    }
    stop_when_done(c);
}

static int start_work(struct copy *c, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(err, -errno, "pipe: %s", strerror(errno));
    (void) fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
    c->ours = ends[inward(c) ? 0 : 1];
    c->theirs = ends[inward(c) ? 1 : 0];
    c->working = true;
    pool_submit(c->pool, work, worked, c);
    return 0;
}

/* ---- the connection ------------------------------------------------------------------------------ */

static int output(void *userdata, enum channel channel, const char *bytes, size_t len)
{
    struct copy *c = userdata;

    if (channel == CHANNEL_ERR && c->errors.len < 4096)
        text_add_bytes(&c->errors, bytes, len);
    /* Blocking is meant: the disk sets the pace. A failure is the thread's to tell. */
    if (channel == CHANNEL_OUT && c->ours >= 0 && write_full(c->ours, bytes, len) < 0)
        c->ours = safe_close(c->ours);
    return 0;
}

static void started(void *userdata)
{
    struct copy *c = userdata;

    if (inward(c))
        session_feed(c->session, c->ours);
}

/* The pipe's end tells the thread; what it had is not lost. */
static void ended(void *userdata)
{
    struct copy *c = userdata;

    c->ours = safe_close(c->ours);
    c->connected = false;
    stop_when_done(c);
}

static void on_timer(void *userdata)
{
    struct copy *c = userdata;

    c->progress.total = c->count.total;
    progress_show(&c->progress, c->count.bytes);
    timer_set(c->timer, SHOW_US);
}

static void on_signal(void *userdata, const struct signalfd_siginfo *info)
{
    struct copy *c = userdata;

    /* The thread may wait for our input or output for ever; there is nothing half here to remove. */
    if (is_stream(&c->from) || is_stream(&c->to)) {
        progress_end(&c->progress);
        _exit(128 + (int) info->ssi_signo);
    }
    c->interrupted = true;
    loop_stop(c->loop, 0);
}

static int open_session(struct copy *c, struct error *err)
{
    const struct session_io io = {
        .output = output, .started = started, .ended = ended, .userdata = c
    };
    const char *job = inward(c) ? c->to.job : c->from.job;
    _cleanup_free_ char *target = project_path(c->cli, "jobs", job, "copy", NULL);
    _cleanup_json_ json_t *first = json_object();

    int r = rank_add(c->args, &target, err);
    if (r < 0)
        return r;
    json_put_str(first, "direction", inward(c) ? "in" : "out");
    json_put_str(first, "path", inward(c) ? c->to.path : c->from.path);
    if (inward(c))
        json_put_str(first, "name", c->name);
    r = session_open(c->cli, c->loop, target, first, &io, &c->session, err);
    c->connected = r >= 0;
    return r;
}

/* All has arrived: what was left out? */
static int tell_skipped(struct copy *c)
{
    if (c->errors.len)
        print_note(c->cli, "in the job: %s", c->errors.data);
    if (inward(c) && c->count.skipped)
        print_note(c->cli, "%lld left out: neither files, directories nor symbolic links",
                   (long long) c->count.skipped);
    return CLI_OK;
}

/* The first thing that went wrong: what the job said, then what happened here. */
static int judge(struct copy *c, struct error *err)
{
    struct error other = { 0 };
    int code = 0;
    bool over = c->session && session_ended(c->session, &code, &other);

    while (c->errors.len && c->errors.data[c->errors.len - 1] == '\n')
        c->errors.data[--c->errors.len] = '\0';
    if (c->interrupted)
        return 130;
    if (over && code > 0 && c->errors.len)
        return error_set(err, -EIO, "in the job: %s", c->errors.data);
    if (over && other.code) {
        *err = other;
        return code < 0 ? code : -EIO;
    }
    if (c->result < 0) {
        *err = c->err;
        return c->result == -ENOENT ? -EINVAL : c->result;
    }
    return over && code == 0 ? tell_skipped(c) : error_set(err, -EIO, "the copy is not complete");
}

static void copy_done(struct copy *c)
{
    session_free(c->session);
    c->session = NULL;
    c->ours = safe_close(c->ours);
    pool_free(c->pool);
    watch_free(c->timer);
    watch_free(c->signals[0]);
    watch_free(c->signals[1]);
    loop_once(c->loop, 0); /* what was deferred */
    loop_free(c->loop);
    text_done(&c->errors);
    free(c->name);
    free(c->from.job);
    free(c->to.job);
}

static int transfer(struct copy *c, struct error *err)
{
    c->loop = loop_new();
    (void) signal(SIGPIPE, SIG_IGN);
    c->signals[0] = loop_signal(c->loop, SIGINT, on_signal, c);
    c->signals[1] = loop_signal(c->loop, SIGTERM, on_signal, c);
    c->pool = pool_new(c->loop, 1);
    int r = open_session(c, err);
    if (r >= 0)
        r = start_work(c, err);
    if (r < 0)
        return r;
    progress_begin(&c->progress, &c->cli->err, "copying", 0);
    if (!is_stream(&c->to) || !isatty(1)) /* one line would run into the other */
        c->timer = loop_timer(c->loop, SHOW_US, on_timer, c);
    (void) loop_run(c->loop);
    progress_end(&c->progress);
    return judge(c, err);
}

/* ---- the command --------------------------------------------------------------------------------- */

static struct place parse_place(const char *text)
{
    size_t len = strcspn(text, ":/");
    struct place place = { .path = text };

    if (text[len] == ':' && len > 0) {
        place.job = xstrndup(text, len);
        place.path = text[len + 1] ? text + len + 1 : ".";
    }
    return place;
}

/* Of "a/b/" it is "b"; of "a/b/.", "..", "/" and "" it is ".". */
static char *last_part(const char *path)
{
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/')
        len--;
    size_t begin = len;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    char *name = xstrndup(path + begin, len - begin);
    if (!*name || str_equal(name, ".."))
        xstr_set(&name, ".");
    return name;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct copy c = { .cli = cli, .args = args, .ours = -1, .theirs = -1 };
    int r = 0;

    c.from = parse_place(args_operand(args, 0));
    c.to = parse_place(args_operand(args, 1));
    c.name = is_stream(&c.from) ? xstrdup(".") : last_part(c.from.path);
    if (!c.from.job == !c.to.job)
        r = error_set(err, -EINVAL, "one of the two must be JOB:PATH, and only one");
    else if (!cli->project)
        r = error_set(err, -EINVAL, "no project is chosen: use --project NAME, or berth init");
    else if (inward(&c) && !is_stream(&c.from) && access(c.from.path, R_OK) < 0)
        r = error_set(err, -EINVAL, "%.200s: %s", c.from.path, strerror(errno));
    if (r == 0 && !cli->dry_run)
        r = transfer(&c, err);
    if (c.loop) {
        copy_done(&c);
    } else {
        free(c.name);
        free(c.from.job);
        free(c.to.job);
    }
    return r;
}

const struct command command_cp = {
    .verb = "cp",
    .operands = "JOB:PATH|PATH|- JOB:PATH|PATH|-",
    .summary =
        "Copy files and directories into a running job or out of it; - is our input or output",
    .examples = "berth cp tiny-gpt:/artifacts/checkpoint.npz .\n"
                "berth cp data tiny-gpt:/storage/\n"
                "berth cp config/. tiny-gpt:.\n"
                "zcat words.gz | berth cp - tiny-gpt:words\n"
                "berth cp tiny-gpt:/artifacts - | tar tv",
    .flags = flags,
    .operands_min = 2,
    .operands_max = 2,
    .goes_in = true,
    .run = run,
};
