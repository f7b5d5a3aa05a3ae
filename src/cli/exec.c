/* exec.c - berth exec: a command in a running job, as if it were typed there */
#include "cli/commands.h"
#include "cli/session.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

static const struct cli_flag flags[] = {
    { "tty", "t", NULL, "on a terminal; so it is anyway when input and output are one" },
    { "no-tty", "T", NULL, "not on a terminal" },
    { "stdin", "i", NULL, "send our input; so it is anyway on a terminal" },
    RANK_FLAG,
    { "workdir", "w", "DIR", "begin there; the job's own directory when left out" },
    { NULL },
};

/* One terminal: what was set is put back, however we end. */
static struct termios saved;
static bool is_raw;

static void restore_terminal(void)
{
    if (is_raw)
        (void) tcsetattr(0, TCSANOW, &saved);
    is_raw = false;
}

static void make_raw(void)
{
    struct termios raw;

    if (tcgetattr(0, &saved) < 0)
        return;
    raw = saved;
    cfmakeraw(&raw);
    is_raw = tcsetattr(0, TCSANOW, &raw) == 0;
    (void) atexit(restore_terminal);
}

struct exec {
    struct cli *cli;
    struct session *session;
    struct loop *loop;
    bool tty, stdin;
    struct watch *signals[5];
    unsigned interrupts;
    int signo; /* ended us */
};

static json_t *terminal_size(void)
{
    struct winsize size = { 0 };

    if (ioctl(0, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    return json_pack("{s:i,s:i}", "rows", (int) size.ws_row, "columns", (int) size.ws_col);
}

/* Those that would hold our own output; blocking is meant. */
static int output(void *userdata, enum channel channel, const char *bytes, size_t len)
{
    (void) userdata;
    return write_full(channel == CHANNEL_ERR ? 2 : 1, bytes, len);
}

static void started(void *userdata)
{
    struct exec *x = userdata;

    if (x->tty)
        make_raw();
    if (x->stdin)
        session_feed(x->session, 0);
}

static void ended(void *userdata)
{
    struct exec *x = userdata;

    loop_stop(x->loop, 0);
}

static void on_resize(void *userdata, const struct signalfd_siginfo *info)
{
    struct exec *x = userdata;
    json_t *json = json_object();

    (void) info;
    json_put(json, "size", terminal_size());
    session_order(x->session, json);
}

/* Ctrl-C is the command's; pressed again while it goes on, it is ours. */
static void on_signal(void *userdata, const struct signalfd_siginfo *info)
{
    struct exec *x = userdata;

    if (info->ssi_signo == SIGINT && ++x->interrupts == 1) {
        session_order(x->session, json_pack("{s:i}", "signal", SIGINT));
        return;
    }
    x->signo = (int) info->ssi_signo;
    loop_stop(x->loop, 0);
}

static json_t *make_request(const struct exec *x, const struct args *args)
{
    json_t *request = json_object();
    const char *term = getenv("TERM");

    if (args->operands.len > 1) {
        json_t *command = json_array();
        for (size_t i = 1; i < args->operands.len; i++)
            (void) json_array_append_new(command,
                                         json_string_lossy(args->operands.items[i],
                                                           strlen(args->operands.items[i])));
        json_put(request, "command", command);
    }
    json_put(request, "tty", json_boolean(x->tty));
    json_put(request, "stdin", json_boolean(x->stdin));
    if (args_has(args, "workdir"))
        json_put_str(request, "workdir", args_get(args, "workdir"));
    if (x->tty)
        json_put(request, "size", terminal_size());
    if (x->tty && term && *term)
        json_put_str(request, "term", term);
    return request;
}

static void watch_signals(struct exec *x)
{
    static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

    (void) signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        x->signals[i] = loop_signal(x->loop, ours[i], on_signal, x);
    if (x->tty)
        x->signals[4] = loop_signal(x->loop, SIGWINCH, on_resize, x);
}

static int follow(struct exec *x, const char *target, const json_t *request, struct error *err)
{
    const struct session_io io = {
        .output = output, .started = started, .ended = ended, .userdata = x
    };
    int code = 0;

    x->loop = loop_new();
    int r = session_open(x->cli, x->loop, target, request, &io, &x->session, err);
    if (r < 0)
        return r;
    watch_signals(x);
    (void) loop_run(x->loop);
    restore_terminal();
    if (x->signo)
        return 128 + x->signo;
    if (!session_ended(x->session, &code, err))
        return CLI_BROKEN;
    if (code >= 0 && err->code) {
        print_error(x->cli, err->text);
        return code;
    }
    if (code == -ECONNRESET) {
        print_error(x->cli, err->text);
        return CLI_BROKEN;
    }
    return code;
}

static void exec_done(struct exec *x)
{
    session_free(x->session);
    for (size_t i = 0; i < sizeof x->signals / sizeof *x->signals; i++)
        watch_free(x->signals[i]);
    if (x->loop)
        loop_once(x->loop, 0); /* what was deferred */
    loop_free(x->loop);
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    const char *job = args_operand(args, 0);
    bool terminal = isatty(0) && isatty(1);
    struct exec x = { .cli = cli };

    if (args_has(args, "tty") && args_has(args, "no-tty"))
        return error_set(err, -EINVAL, "--tty and --no-tty exclude each other");
    x.tty = args_has(args, "tty") || (terminal && !args_has(args, "no-tty"));
    x.stdin = args_has(args, "stdin") || x.tty || args->operands.len == 1;
    if (!cli->project)
        return error_set(err, -EINVAL, "no project is chosen: use --project NAME, or berth init");
    _cleanup_free_ char *target = project_path(cli, "jobs", job, "exec", NULL);
    int r = rank_add(args, &target, err);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *request = make_request(&x, args);
    if (cli->dry_run) {
        print_json(cli, request);
        return CLI_OK;
    }
    r = follow(&x, target, request, err);
    exec_done(&x);
    return r;
}

const struct command command_exec = {
    .verb = "exec",
    .operands = "JOB [-- COMMAND [ARG]...]",
    .summary = "Run a command in a running job, a shell when none is given; give its exit code",
    .examples = "berth exec tiny-gpt\n"
                "berth exec tiny-gpt -- nvidia-smi\n"
                "berth exec tiny-gpt -- sh -c 'ls -l /artifacts | tail -3'\n"
                "tar c data | berth exec -i tiny-gpt -- tar x -C /storage",
    .flags = flags,
    .operands_min = 1,
    .operands_max = UINT_MAX,
    .takes_command = 2,
    .goes_in = true,
    .run = run,
};
