/* charts.c - the chart points of a job: what charts there are, pages of points, points as they come */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192 };

/* Of many tasks, one file after the other. A cursor is then RANK << RANK_SHIFT | LINE. */
enum { RANK_SHIFT = 40 };

struct scan {
    struct call *call;
    char **paths;
    size_t n_paths, at; /* AT: whose turn it is */
    bool merged;
    char *chart; /* NULL: a summary of all */
    uint64_t cursor, limit;
    json_t *items;      /* array */
    struct map *charts; /* name to its summary in items, borrowed */
    uint64_t line;
    bool more;
};

static void scan_free(struct scan *s)
{
    for (size_t i = 0; i < s->n_paths; i++)
        free(s->paths[i]);
    free(s->paths);
    free(s->chart);
    json_decref(s->items);
    map_free(s->charts);
    free(s);
}

static void summarise(struct scan *s, const char *name, json_t *point)
{
    _cleanup_free_ char *key = xasprintf("%zu %s", s->at, name);
    json_t *chart = map_get_str(s->charts, key);
    double y = json_get_real(point, "y", 0);

    if (!chart) {
        chart = json_object();
        json_put_str(chart, "name", name);
        if (s->merged)
            json_put_int(chart, "rank", (int64_t) s->at);
        json_put_int(chart, "points", 0);
        json_put(chart, "first", json_incref(point));
        json_put(chart, "minimum", json_real(y));
        json_put(chart, "maximum", json_real(y));
        map_set_str(s->charts, key, chart);
        (void) json_array_append_new(s->items, chart);
    }
    json_put_int(chart, "points", json_get_int(chart, "points", 0) + 1);
    json_put(chart, "last", json_incref(point));
    if (y < json_get_real(chart, "minimum", 0))
        json_put(chart, "minimum", json_real(y));
    if (y > json_get_real(chart, "maximum", 0))
        json_put(chart, "maximum", json_real(y));
}

/* false: enough. */
static bool take_line(struct scan *s, const char *bytes, size_t len)
{
    _cleanup_json_ json_t *point = NULL;
    uint64_t line = s->line++;

    if (line < s->cursor || json_parse(bytes, len, &point, NULL) < 0)
        return true;
    const char *name = json_get_str(point, "chart", NULL);
    if (!name || (s->chart && strcmp(name, s->chart) != 0))
        return true;
    if (!s->chart) {
        summarise(s, name, point);
        return true;
    }
    if (json_array_size(s->items) == s->limit) {
        s->line = line;
        s->more = true;
        return false;
    }
    if (s->merged && !json_object_get(point, "rank"))
        json_put_int(point, "rank", (int64_t) s->at);
    (void) json_array_append(s->items, point);
    return true;
}

/* false: enough. */
static bool scan_file(struct scan *s, const char *path)
{
    FILE *file = fopen(path, "re");
    char buf[LINE_MAX_BYTES];
    bool go_on = true;

    while (file && go_on && fgets(buf, sizeof buf, file)) {
        size_t len = strlen(buf);
        if (len == 0 || buf[len - 1] != '\n') /* being written, or none of ours */
            break;
        go_on = take_line(s, buf, len - 1);
    }
    if (file)
        (void) fclose(file);
    return go_on;
}

static void scan(void *item)
{
    struct scan *s = item;

    s->at = s->cursor >> RANK_SHIFT;
    s->cursor &= (UINT64_C(1) << RANK_SHIFT) - 1;
    while (s->at < s->n_paths && scan_file(s, s->paths[s->at])) {
        s->at++;
        s->line = s->cursor = 0;
    }
}

static void scanned(void *item)
{
    struct scan *s = item;
    struct call *call = s->call;
    json_t *answer = json_object();
    char next[24];

    json_put(answer, "items", json_incref(s->items));
    if (s->more) {
        (void) snprintf(next, sizeof next, "%llu",
                        (unsigned long long) ((uint64_t) s->at << RANK_SHIFT | s->line));
        json_put_str(answer, "next", next);
    }
    scan_free(s);
    call_answer(call, 200, answer);
}

static void add_paths(struct scan *s, const struct attempt *attempt)
{
    const struct api *api = s->call->api;
    size_t n = s->merged ? attempt_n_tasks(attempt) : 1;

    s->paths = xnew_n(char *, n);
    for (; s->n_paths < n; s->n_paths++) {
        const struct id *task =
            s->merged ? attempt_task_id(attempt, s->n_paths) : task_asked(s->call, attempt);
        s->paths[s->n_paths] = attempt_path(api, task, "charts");
    }
}

static void scan_charts(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    struct scan *s = xnew(struct scan);

    *s = (struct scan){ .call = call,
                        .chart = xstrdup(call_param(call, "chart")),
                        .merged = attempt && attempt_n_tasks(attempt) > 1 &&
                                  json_get_bool(call->query, "merged", false),
                        .cursor = (uint64_t) json_get_int(call->query, "cursor", 0),
                        .limit = (uint64_t) json_get_int(call->query, "limit", 1000),
                        .items = json_array(),
                        .charts = map_new() };
    if (attempt)
        add_paths(s, attempt);
    pool_submit(call->api->options.pool, scan, scanned, s);
}

static void charts_of(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    static const struct tail_kind kind = { .file = "charts", .json = true };

    if (json_get_bool(call->query, "follow", false))
        tail_follow(call, w, attempt, &kind);
    else
        scan_charts(call, w, attempt);
}

static void chart_list(struct call *call) { attempt_find(call, charts_of); }

static void chart_points(struct call *call) { attempt_find(call, scan_charts); }

const struct api_route chart_routes[] = {
    { "chart.list", chart_list },
    { "chart.points", chart_points },
    { NULL, NULL },
};
