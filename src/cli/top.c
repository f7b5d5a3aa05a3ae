/* top.c - berth top: what runs, what it uses of its hardware, and what limits it; or the tasks of one job */
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>

enum { BAR_WIDTH = 30, TITLE_WIDTH = 8 };

static const struct cli_flag flags[] = {
    { "once", NULL, NULL, "print it once, also on a terminal" },
    { "rank", NULL, "N", "of JOB only task N" },
    { NULL },
};

/* ---- the machine --------------------------------------------------------------------------------- */

static void add_bar(const struct cli *cli, double share, struct text *out)
{
    const struct term *term = &cli->out;
    int filled = (int) (share * BAR_WIDTH + 0.5);
    enum style style = share >= 0.9 ? STYLE_RED : share >= 0.6 ? STYLE_YELLOW : STYLE_GREEN;

    text_add_char(out, '[');
    text_add(out, style_begin(term, style));
    for (int i = 0; i < BAR_WIDTH; i++) {
        if (i == filled)
            text_add(out, style_end(term, style));
        text_add_char(out, i < filled ? '|' : ' ');
    }
    if (filled >= BAR_WIDTH)
        text_add(out, style_end(term, style));
    text_add(out, "] ");
}

static void add_title(const struct cli *cli, const char *title, struct text *out)
{
    text_addf(out, "%s%-*s%s", style_begin(&cli->out, STYLE_DIM), TITLE_WIDTH, title,
              style_end(&cli->out, STYLE_DIM));
}

static void add_gpu(const struct cli *cli, size_t i, const json_t *gpu, struct text *out)
{
    double busy = json_get_real(gpu, "busy", -1);
    int64_t used = json_get_int(gpu, "memory", 0), all = json_get_int(gpu, "memory_total", 0);
    double watts = json_get_real(gpu, "power", -1), degrees = json_get_real(gpu, "temperature", -1);
    char title[16], used_text[32], all_text[32];

    (void) snprintf(title, sizeof title, "gpu %zu", i);
    add_title(cli, title, out);
    add_bar(cli, busy < 0 ? 0 : busy, out);
    if (busy >= 0)
        text_addf(out, "%3.0f %%  ", busy * 100);
    text_addf(out, "%s of %s", bytes_to_str(used, used_text), bytes_to_str(all, all_text));
    if (watts >= 0)
        text_addf(out, "  %.0f W", watts);
    if (degrees >= 0)
        text_addf(out, "  %.0f C", degrees);
    text_add(out, "  ");
    text_add_clean(out, json_get_str(gpu, "model", ""));
    text_add_char(out, '\n');
}

static void add_node(const struct cli *cli, const json_t *node, struct text *out)
{
    const json_t *now = json_object_get(node, "now"), *gpu;
    double cores = (double) json_get_int(node, "cores", 1), busy = json_get_real(now, "cores", 0);
    int64_t memory = json_get_int(node, "memory", 1), used = json_get_int(now, "memory", 0);
    char used_text[32], memory_text[32];
    size_t i;

    style_add(out, &cli->out, STYLE_BOLD, json_get_str(node, "name", ""));
    text_add_char(out, '\n');
    if (!now) {
        text_add(out, "measuring\n");
        return;
    }
    add_title(cli, "cores", out);
    add_bar(cli, busy / cores, out);
    text_addf(out, "%.1f of %.0f busy, %.1f wait for a disk\n", busy, cores,
              json_get_real(now, "cores_waiting", 0));
    add_title(cli, "memory", out);
    add_bar(cli, (double) used / (double) memory, out);
    text_addf(out, "%s of %s\n", bytes_to_str(used, used_text), bytes_to_str(memory, memory_text));
    json_array_foreach(json_object_get(now, "gpus"), i, gpu)
        add_gpu(cli, i, gpu, out);
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

static void cell(struct table *table, enum style style, char *text)
{
    table_cell(table, style, text);
    free(text);
}

static char *rate_text(const json_t *now, const char *key)
{
    char text[32];

    return now ? xasprintf("%s/s", bytes_to_str(json_get_int(now, key, 0), text)) : xstrdup("-");
}

static char *gpus_text(const json_t *job, const json_t *now)
{
    const json_t *gpu;
    double busy = 0;
    size_t i;

    json_array_foreach(json_object_get(now, "gpus"), i, gpu)
        busy += json_get_real(gpu, "busy", 0);
    int64_t milli = 0;
    char buf[32];
    (void) json_get_milli(job, "gpus", &milli);
    if (i > 0)
        return xasprintf("%s: %.0f %%", milli_to_str(milli, buf), busy / (double) i * 100);
    return xstrdup(milli ? milli_to_str(milli, buf) : "-");
}

static char *runs_for(const json_t *job)
{
    int64_t started = 0;
    char text[32];

    if (time_parse(json_get_str(job, "started", ""), &started) < 0)
        return xstrdup("-");
    return xstrdup(seconds_to_str((clock_now_us() - started) / US_PER_S, text));
}

/* The cells that jobs and tasks have in common. */
static void add_use(struct table *table, const json_t *job)
{
    const json_t *now = json_object_get(job, "now"), *limit = json_object_get(job, "limit");
    char used[32], of[32];

    cell(table, STYLE_PLAIN,
         now ? xasprintf("%.2f/%lld", json_get_real(now, "cores", 0),
                         (long long) json_get_int(job, "cores", 0))
             : xstrdup("-"));
    cell(table, STYLE_PLAIN,
         now ? xasprintf("%s/%s", bytes_to_str(json_get_int(now, "memory", 0), used),
                         bytes_to_str(json_get_int(job, "memory", 0), of))
             : xstrdup("-"));
    cell(table, STYLE_PLAIN, rate_text(now, "read"));
    cell(table, STYLE_PLAIN, rate_text(now, "write"));
    cell(table, STYLE_PLAIN, gpus_text(job, now));
    cell(table, STYLE_PLAIN, runs_for(job));
    table_cell(table, STYLE_PLAIN, json_get_str(limit, "text", "-"));
}

static void use_columns(struct table *table)
{
    table_column(table, "CORES", true, 0);
    table_column(table, "MEMORY", true, 0);
    table_column(table, "READ", true, 0);
    table_column(table, "WRITE", true, 0);
    table_column(table, "GPUS", true, 0);
    table_column(table, "FOR", true, 0);
    table_column(table, "LIMIT", false, 16);
}

static void add_jobs(const struct cli *cli, const json_t *jobs, struct text *out)
{
    _cleanup_(table_freep) struct table *table = table_new();
    const json_t *job;
    size_t i;

    table_column(table, "JOB", false, 12);
    use_columns(table);
    json_array_foreach(jobs, i, job) {
        table_cell(table, STYLE_BOLD, json_get_str(job, "name", ""));
        add_use(table, job);
    }
    if (i == 0)
        text_add(out, "no job runs\n");
    else
        table_format(table, &cli->out, out);
}

static char *end_text(const json_t *task)
{
    const char *cause = json_get_str(task, "cause", NULL);

    if (!cause)
        return xstrdup(json_get_str(task, "started", NULL) ? "runs" : "begins");
    int64_t code = json_get_int(task, "exit_code", -1);
    return str_equal(cause, "exited") && code >= 0 ? xasprintf("exit %lld", (long long) code)
                                                   : xstrdup(cause);
}

static void add_tasks(const struct cli *cli, const json_t *top, struct text *out)
{
    _cleanup_(table_freep) struct table *table = table_new();
    const json_t *tasks = json_object_get(top, "tasks"), *job = json_object_get(top, "job"), *task;
    bool has_many = json_get_int(job, "tasks", 1) > 1;
    size_t i;

    table_column(table, "RANK", true, 0);
    table_column(table, "ROLE", false, 0);
    table_column(table, "NODE", false, 8);
    table_column(table, "STATE", false, 0);
    use_columns(table);
    json_array_foreach(tasks, i, task) {
        cell(table, STYLE_BOLD, xasprintf("%lld", (long long) json_get_int(task, "rank", 0)));
        table_cell(table, STYLE_PLAIN, json_get_str(task, "role", ""));
        table_cell(table, STYLE_PLAIN, json_get_str(task, "node", ""));
        cell(table, STYLE_PLAIN, end_text(task));
        add_use(table, task);
    }
    if (has_many) {
        table_cell(table, STYLE_BOLD, "all");
        table_cell(table, STYLE_PLAIN, "");
        table_cell(table, STYLE_PLAIN, "");
        table_cell(table, STYLE_PLAIN, "");
        add_use(table, job);
    }
    table_format(table, &cli->out, out);
}

/* ---- the command --------------------------------------------------------------------------------- */

struct asked {
    struct cli *cli;
    const struct args *args;
};

static int get_top(const struct asked *asked, json_t **ret, struct error *err)
{
    _cleanup_free_ char *target = NULL;
    const char *job = args_operand(asked->args, 0);
    int r = 0;

    if (job) {
        target = project_path(asked->cli, "jobs", job, "top", NULL);
        r = rank_add(asked->args, &target, err);
    } else {
        r = endpoint_target(asked->cli, asked->args->endpoint, asked->args, &target, err);
    }
    return r < 0 ? r : remote_get(asked->cli, target, ret, err);
}

static int draw(void *userdata, struct text *out, struct error *err)
{
    const struct asked *asked = userdata;
    struct cli *cli = asked->cli;
    _cleanup_json_ json_t *top = NULL;
    const json_t *node;
    size_t i;
    int r = get_top(asked, &top, err);

    if (r < 0)
        return r;
    if (json_object_get(top, "tasks")) {
        style_add(out, &cli->out, STYLE_BOLD,
                  json_get_str(json_object_get(top, "job"), "name", ""));
        text_add_char(out, '\n');
        add_tasks(cli, top, out);
        return 0;
    }
    json_array_foreach(json_object_get(top, "nodes"), i, node)
        add_node(cli, node, out);
    text_add_char(out, '\n');
    add_jobs(cli, json_object_get(top, "jobs"), out);
    return 0;
}

static int print_once(struct asked *asked, struct error *err)
{
    _cleanup_text_ struct text out = { 0 };
    int r = draw(asked, &out, err);

    if (r < 0)
        return r;
    print_text(&out);
    return CLI_OK;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct asked asked = { cli, args };
    _cleanup_json_ json_t *top = NULL;

    if (args_has(args, "rank") && !args_operand(args, 0))
        return error_set(err, -EINVAL, "--rank: say of which JOB");
    if (cli->output != OUTPUT_TABLE) {
        int r = get_top(&asked, &top, err);
        if (r < 0)
            return r;
        print_answer(cli, args_operand(args, 0) ? "job_top" : "top", top);
        return CLI_OK;
    }
    if (!cli->out.tty || args_has(args, "once"))
        return print_once(&asked, err);
    return live_run(cli, draw, &asked, err);
}

const struct command command_top = {
    .verb = "top",
    .endpoint = "top.show",
    .operands = "[JOB]",
    .summary =
        "Show what runs, what it uses of its hardware and what limits it, live; of JOB each task",
    .examples = "berth top                    live; q leaves\n"
                "berth top pair               the tasks of a job, and all together\n"
                "berth top --once\n"
                "berth top -o json | jq '.jobs[] | {name, limit}'",
    .flags = flags,
    .operands_max = 1,
    .run = run,
};
