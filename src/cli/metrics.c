/* metrics.c - berth job metrics: what a job used of its hardware, drawn over time */
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/plot.h"

#include "base/alloc.h"
#include "base/time.h"

#include <stdio.h>

#define GPUS_DRAWN 16

static const struct cli_flag flags[] = {
    { "follow", "f", NULL, "draw it again every second; q leaves" },
    { "attempt", NULL, "N", "of attempt N; the last when left out" },
    { "rank", NULL, "N", "of task N of a job that has many; all together when left out" },
    { NULL },
};

struct view {
    struct cli *cli;
    const struct args *args;
};

static int get_metrics(const struct view *v, json_t **ret, struct error *err)
{
    const char *attempt = args_get(v->args, "attempt");
    _cleanup_free_ char *path =
        project_path(v->cli, "jobs", args_operand(v->args, 0), "metrics", NULL);
    _cleanup_free_ char *target =
        xasprintf("%s%s%s", path, attempt ? "?attempt=" : "", attempt ? attempt : "");

    int r = rank_add(v->args, &target, err);
    return r < 0 ? r : remote_get(v->cli, target, ret, err);
}

/* ---- curves -------------------------------------------------------------------------------------- */

struct curve {
    const char *label, *key;
    double unit;
    int gpu; /* -1: of the job */
};

static void add_points(const json_t *points, const struct curve *curve, int64_t begun_us,
                       struct plot_series *series)
{
    const json_t *point;
    int64_t time_us = 0;
    size_t i;

    json_array_foreach(points, i, point) {
        if (time_parse(json_get_str(point, "time", ""), &time_us) < 0)
            continue;
        const json_t *of =
            curve->gpu < 0 ? point
                           : json_array_get(json_object_get(point, "gpus"), (size_t) curve->gpu);
        double y = json_get_real(of, curve->key, -1), x = (double) (time_us - begun_us) / 1e6;
        /* The last minute is there twice: the finer points follow the thinned ones. */
        if (y < 0 || (series->points.len && series->points.items[series->points.len - 1].x >= x))
            continue;
        const struct plot_point p = { x, y / curve->unit };
        vec_push(&series->points, p);
    }
}

static int64_t begun_of(const json_t *metrics)
{
    const json_t *first = json_array_get(json_object_get(metrics, "history"), 0);
    int64_t us = 0;

    if (!first)
        first = json_array_get(json_object_get(metrics, "live"), 0);
    (void) time_parse(json_get_str(first, "time", ""), &us);
    return us - (int64_t) (json_get_real(first, "seconds", 0) * 1e6);
}

/* One panel; nothing when there are no such points. */
static void add_panel(const struct cli *cli, const json_t *metrics, const char *title,
                      const struct curve *curves, size_t n, struct text *out)
{
    _cleanup_free_ struct plot_series *series = xnew_n(struct plot_series, n);
    const struct plot_options options = { title, cli->out.width ? cli->out.width : 80, 9,
                                          &cli->out };
    int64_t begun_us = begun_of(metrics);
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        series[i].label = xstrdup(curves[i].label);
        add_points(json_object_get(metrics, "history"), &curves[i], begun_us, &series[i]);
        add_points(json_object_get(metrics, "live"), &curves[i], begun_us, &series[i]);
        any |= series[i].points.len > 0;
    }
    if (any) {
        plot_format(series, n, &options, out);
        text_add_char(out, '\n');
    }
    for (size_t i = 0; i < n; i++) {
        free(series[i].label);
        vec_done(&series[i].points);
    }
}

static size_t count_gpus(const json_t *metrics)
{
    size_t n = 0, i;
    const json_t *point;

    json_array_foreach(json_object_get(metrics, "history"), i, point)
        if (json_array_size(json_object_get(point, "gpus")) > n)
            n = json_array_size(json_object_get(point, "gpus"));
    json_array_foreach(json_object_get(metrics, "live"), i, point)
        if (json_array_size(json_object_get(point, "gpus")) > n)
            n = json_array_size(json_object_get(point, "gpus"));
    return n < GPUS_DRAWN ? n : GPUS_DRAWN;
}

static void add_gpu_panel(const struct cli *cli, const json_t *metrics, const char *title,
                          struct curve what, struct text *out)
{
    struct curve curves[GPUS_DRAWN];
    char labels[GPUS_DRAWN][16];
    size_t n = count_gpus(metrics);

    for (size_t i = 0; i < n; i++) {
        (void) snprintf(labels[i], sizeof labels[i],
                        json_object_get(metrics, "tasks") ? "all" : "gpu %zu", i);
        curves[i] = what;
        curves[i].label = labels[i];
        curves[i].gpu = (int) i;
    }
    if (n > 0)
        add_panel(cli, metrics, title, curves, n, out);
}

static void add_panels(const struct cli *cli, const json_t *metrics, struct text *out)
{
    static const struct curve cores[] = { { "busy", "cores", 1, -1 },
                                          { "wait for a disk", "cores_waiting", 1, -1 } };
    static const struct curve memory[] = { { "in use", "memory", 1 << 20, -1 } };
    static const struct curve io[] = { { "read", "read", 1 << 20, -1 },
                                       { "write", "write", 1 << 20, -1 } };
    char cores_title[32];

    (void) snprintf(cores_title, sizeof cores_title, "cores, of %lld",
                    (long long) json_get_int(metrics, "cores", 0));
    add_gpu_panel(cli, metrics, "GPUs busy, %", (struct curve){ NULL, "busy", 0.01, 0 }, out);
    add_gpu_panel(cli, metrics, "GPU memory, GiB",
                  (struct curve){ NULL, "memory", (double) (1 << 30), 0 }, out);
    add_gpu_panel(cli, metrics, "GPU power, W", (struct curve){ NULL, "power", 1, 0 }, out);
    add_panel(cli, metrics, cores_title, cores, 2, out);
    add_panel(cli, metrics, "memory, MiB", memory, 1, out);
    add_panel(cli, metrics, "disk, MiB/s", io, 2, out);
}

static void add_all(const struct cli *cli, const char *job, const json_t *metrics, struct text *out)
{
    const char *limit = json_get_str(json_object_get(metrics, "limit"), "text", NULL);

    style_add(out, &cli->out, STYLE_BOLD, job);
    if (limit) {
        text_add(out, "  ");
        text_add_clean(out, limit);
    }
    text_add_char(out, '\n');
    size_t before = out->len;
    add_panels(cli, metrics, out);
    if (out->len == before)
        text_add(out, "nothing was measured: it ran for less than two seconds, or has not begun\n");
}

/* ---- the command --------------------------------------------------------------------------------- */

static int draw(void *userdata, struct text *out, struct error *err)
{
    const struct view *v = userdata;
    _cleanup_json_ json_t *metrics = NULL;
    int r = get_metrics(v, &metrics, err);

    if (r < 0)
        return r;
    add_all(v->cli, args_operand(v->args, 0), metrics, out);
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct view v = { cli, args };
    _cleanup_text_ struct text out = { 0 };
    _cleanup_json_ json_t *metrics = NULL;

    if (cli->output != OUTPUT_TABLE) {
        int r = get_metrics(&v, &metrics, err);
        if (r < 0)
            return r;
        print_json(cli, metrics);
        return CLI_OK;
    }
    if (args_has(args, "follow") && cli->out.tty)
        return live_run(cli, draw, &v, err);
    int r = draw(&v, &out, err);
    if (r < 0)
        return r;
    print_text(&out);
    return CLI_OK;
}

const struct command command_job_metrics = {
    .noun = "job",
    .verb = "metrics",
    .operands = "JOB",
    .summary = "Draw what a job uses of its hardware, and say what limits it",
    .examples = "berth job metrics tiny-gpt\n"
                "berth job metrics -f tiny-gpt        live\n"
                "berth job metrics --rank 2 pair      one task of many\n"
                "berth job metrics -o json tiny-gpt | jq '.live[-1]'",
    .flags = flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
