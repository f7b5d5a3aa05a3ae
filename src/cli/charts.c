/* charts.c - berth charts: loss curves in the terminal, live with --follow */
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/plot.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POINTS_PER_PAGE "10000"
#define PAGES_MAX       100
#define REDRAW_US       (200 * US_PER_MS)

static const struct cli_flag flags[] = {
    { "follow", "f", NULL, "draw again as points come, until the attempt has ended" },
    { "chart", "c", "NAME", "only this chart; may be a pattern such as '*loss'" },
    { "attempt", NULL, "N", "of attempt N; the last when left out" },
    { "rank", NULL, "N",
      "of task N of a job that has many, or a line for each with `all`; of the first when left out" },
    { "width", NULL, "N", "columns; the terminal's when left out" },
    { "height", NULL, "N", "rows of each curve; 12 when left out" },
    { NULL },
};

/* Charts that differ only in labels, or in a last word after '_', '/' or '-', are drawn together. */
struct panel {
    char *title;
    VEC(struct plot_series) series;
};

struct board {
    struct cli *cli;
    const struct args *args;
    unsigned width, height;
    VEC(struct panel) panels;
    struct sse_reader reader;
    char *last_id;
    int64_t drawn_us;
    unsigned drawn_lines;
    bool changed, ended;
};

static void board_done(struct board *b)
{
    vec_foreach(&b->panels, p) {
        vec_foreach(&p->series, s) {
            free(s->label);
            vec_done(&s->points);
        }
        vec_done(&p->series);
        free(p->title);
    }
    vec_done(&b->panels);
    sse_reader_done(&b->reader);
    free(b->last_id);
}

/* ---- points --------------------------------------------------------------------------------------- */

/* "train_loss" and "loss/train" are both about loss. */
static char *title_of(const char *chart)
{
    static const char *const halves[] = { "train",      "training", "val", "valid",
                                          "validation", "eval",     "test" };

    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        size_t len = strlen(halves[i]), all = strlen(chart);
        if (all <= len + 1)
            continue;
        if (strncmp(chart, halves[i], len) == 0 && strchr("_-/.", chart[len]))
            return xstrdup(chart + len + 1);
        if (strcmp(chart + all - len, halves[i]) == 0 && strchr("_-/.", chart[all - len - 1]))
            return xstrndup(chart, all - len - 1);
    }
    return xstrdup(chart);
}

/* The chart's name and its labels: "loss split=train". */
static char *label_of(const json_t *point)
{
    struct text t = { 0 };
    const char *key;
    json_t *value;

    text_add(&t, json_get_str(point, "chart", ""));
    json_object_foreach(json_mutable(point), key, value) {
        if (str_equal(key, "chart") || str_equal(key, "x") || str_equal(key, "y") ||
            str_equal(key, "t"))
            continue;
        _cleanup_free_ char *s = format_value(NULL, "", value);
        text_addf(&t, " %s=%s", key, s);
    }
    return text_take(&t);
}

static struct panel *panel_of(struct board *b, const char *chart)
{
    _cleanup_free_ char *title = title_of(chart);

    vec_foreach(&b->panels, p)
        if (str_equal(p->title, title))
            return p;
    struct panel panel = { .title = take_ptr(title) };
    vec_push(&b->panels, panel);
    return &b->panels.items[b->panels.len - 1];
}

static struct plot_series *series_of(struct panel *panel, const char *label)
{
    vec_foreach(&panel->series, s)
        if (str_equal(s->label, label))
            return s;
    struct plot_series series = { .label = xstrdup(label) };
    vec_push(&panel->series, series);
    return &panel->series.items[panel->series.len - 1];
}

static void add_point(struct board *b, const json_t *point)
{
    const char *chart = json_get_str(point, "chart", ""), *only = args_get(b->args, "chart");
    _cleanup_free_ char *label = label_of(point);

    if (only && !str_glob(only, chart))
        return;
    struct plot_series *s = series_of(panel_of(b, chart), label);
    struct plot_point p = { json_get_real(point, "x", (double) s->points.len),
                            json_get_real(point, "y", 0) };
    vec_push(&s->points, p);
    b->changed = true;
}

/* ---- drawing ---------------------------------------------------------------------------------------- */

static void draw(struct board *b)
{
    _cleanup_text_ struct text out = { 0 };
    unsigned lines = 0;

    if (b->drawn_lines)
        text_addf(&out, "\033[%uA\033[J", b->drawn_lines);
    size_t start = out.len;
    vec_foreach(&b->panels, p) {
        const struct plot_options o = { p->title, b->width, b->height, &b->cli->out };
        plot_format(p->series.items, p->series.len, &o, &out);
        text_add_char(&out, '\n');
    }
    for (size_t i = start; i < out.len; i++)
        lines += out.data[i] == '\n';
    print_text(&out);
    b->changed = false;
    b->drawn_us = clock_boot_us();
    b->drawn_lines = b->cli->out.tty ? lines : 0;
}

static char *chart_target(const struct board *b, const char *chart, const char *query)
{
    const char *job = args_operand(b->args, 0), *attempt = args_get(b->args, "attempt");
    _cleanup_free_ char *path = project_path(b->cli, "jobs", job, "charts", chart, NULL);
    const char *sep = *query ? "&" : "";
    char *target = attempt ? xasprintf("%s?%s%sattempt=%s", path, query, sep, attempt)
                           : xasprintf("%s%s%s", path, *query ? "?" : "", query);

    (void) ranks_add(b->args, &target, NULL); /* checked before */
    return target;
}

static int read_chart(struct board *b, const char *chart, struct error *err)
{
    _cleanup_text_ struct text query = { 0 };
    int r = 0;

    text_add(&query, "limit=" POINTS_PER_PAGE);
    for (int page = 0; page < PAGES_MAX; page++) {
        _cleanup_json_ json_t *points = NULL;
        _cleanup_free_ char *target = chart_target(b, chart, query.data);
        size_t i;
        const json_t *point;
        r = remote_get(b->cli, target, &points, err);
        if (r < 0)
            return r;
        json_array_foreach(json_object_get(points, "items"), i, point)
            add_point(b, point);
        const json_t *next = json_object_get(points, "next");
        if (!next || json_is_null(next))
            break;
        _cleanup_free_ char *cursor =
            json_is_string(next) ? xstrdup(json_string_value(next)) : json_text(next);
        text_clear(&query);
        text_add(&query, "limit=" POINTS_PER_PAGE "&cursor=");
        url_encode(&query, cursor, false);
    }
    return r;
}

/* Of many tasks each has its own item in the list. */
static bool was_listed(const json_t *list, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++) {
        const json_t *chart = json_array_get(json_object_get(list, "items"), i);
        if (str_equal(json_get_str(chart, "name", ""), name))
            return true;
    }
    return false;
}

static int read_all(struct board *b, json_t **ret_list, struct error *err)
{
    _cleanup_json_ json_t *list = NULL;
    _cleanup_free_ char *target = chart_target(b, NULL, "");
    size_t i;
    const json_t *chart;
    int r = remote_get(b->cli, target, &list, err);

    if (r < 0)
        return r;
    json_array_foreach(json_object_get(list, "items"), i, chart) {
        const char *name = json_get_str(chart, "name", "");
        const char *only = args_get(b->args, "chart");
        if ((only && !str_glob(only, name)) || was_listed(list, i, name))
            continue;
        r = read_chart(b, name, err);
        if (r < 0)
            return r;
    }
    *ret_list = take_ptr(list);
    return 0;
}

/* ---- live --------------------------------------------------------------------------------------------- */

static int on_event(void *userdata, const char *id, const char *event, const char *data, size_t len)
{
    struct board *b = userdata;
    _cleanup_json_ json_t *point = NULL;

    if (str_equal(event, "end")) {
        b->ended = true;
        return 0;
    }
    if (id && *id)
        xstr_set(&b->last_id, id);
    if (str_equal(event, "message") && json_parse(data, len, &point, NULL) == 0)
        add_point(b, point);
    return 0;
}

static int on_bytes(void *userdata, const char *bytes, size_t n)
{
    struct board *b = userdata;

    if (interrupt_count())
        return -EINTR;
    int r = sse_reader_feed(&b->reader, bytes, n, on_event, b);
    if (b->changed && clock_boot_us() - b->drawn_us > REDRAW_US)
        draw(b);
    return r;
}

static int follow_once(struct board *b, struct error *err)
{
    _cleanup_free_ char *target = chart_target(b, NULL, "follow=true");
    const struct remote_call call = {
        .method = "GET",
        .target = target,
        .accept = "text/event-stream",
        .last_event_id = b->last_id,
        .on_body = on_bytes,
        .userdata = b,
        .timeout_ms = 60000,
    };

    int r = remote_call(b->cli, &call, NULL, err);
    return interrupt_count() ? error_set(err, -EINTR, "interrupted") : r;
}

static int follow(struct board *b, struct error *err)
{
    int64_t since = 0;
    int r;

    interrupt_catch();
    for (;;) {
        r = follow_once(b, err);
        if (b->changed)
            draw(b);
        if (r == 0 || !is_passing(r))
            break;
        r = wait_for_server(b->cli, r, &since, err);
        if (r < 0)
            break;
    }
    interrupt_release();
    return r == -EINTR ? 130 : r;
}

static int dimension(const struct args *args, const char *flag, unsigned otherwise, unsigned *ret,
                     struct error *err)
{
    const char *value = args_get(args, flag);
    long long n = otherwise;

    if (value && str_to_i64(value, 3, 1000, &n) < 0)
        return error_set(err, -EINVAL, "--%s %.40s: not a number from 3 to 1000", flag, value);
    *ret = (unsigned) n;
    return 0;
}

static int print_once(struct board *b, struct error *err)
{
    _cleanup_json_ json_t *list = NULL;
    int r = read_all(b, &list, err);

    if (r < 0)
        return r;
    if (b->cli->output != OUTPUT_TABLE)
        print_answer(b->cli, "chart", list);
    else if (!b->changed)
        print_note(b->cli,
                   "no chart points: a line such as {\"chart\": \"loss\", \"y\": 2.31} on stdout "
                   "is one");
    else
        draw(b);
    return CLI_OK;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct board b = { .cli = cli, .args = args };
    _cleanup_free_ char *rank = xstrdup("");
    int r = dimension(args, "width", cli->out.width ? cli->out.width : 80, &b.width, err);

    if (r == 0)
        r = dimension(args, "height", 12, &b.height, err);
    if (r == 0)
        r = ranks_add(args, &rank, err);
    if (r == 0)
        r = args_has(args, "follow") ? follow(&b, err) : print_once(&b, err);
    board_done(&b);
    return r;
}

const struct command command_charts = {
    .verb = "charts",
    .operands = "JOB",
    .summary = "Draw the curves of a job: loss and whatever else it printed as chart lines",
    .examples = "berth charts tiny-gpt\n"
                "berth charts -f tiny-gpt            live\n"
                "berth charts -c '*loss' tiny-gpt\n"
                "berth charts --rank all pair        a line for each task\n"
                "berth charts -o json tiny-gpt       least, greatest and last values",
    .flags = flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
