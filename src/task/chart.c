/* chart.c - is a line of stdout a chart point? */
#include "task/task.h"

#include "base/alloc.h"
#include "base/map.h"

#include <string.h>

#define CHARTS_MAX     1000 /* counters kept; charts beyond must say x themselves */
#define CHART_NAME_MAX 200
#define LABELS_MAX     16

struct chart_counters {
    struct map *next; /* chart's name -> uint64_t */
};

struct chart_counters *chart_counters_new(void)
{
    struct chart_counters *c = xnew(struct chart_counters);

    c->next = map_new();
    return c;
}

void chart_counters_free(struct chart_counters *c)
{
    if (!c)
        return;
    map_free_with(c->next, free);
    free(c);
}

static bool is_point(const json_t *json)
{
    const json_t *name = json_object_get(json, "chart"), *y = json_object_get(json, "y");
    const json_t *x = json_object_get(json, "x");

    return json_is_string(name) && json_string_length(name) > 0 &&
           json_string_length(name) <= CHART_NAME_MAX && json_is_number(y) &&
           (!x || json_is_number(x)) && json_object_size(json) <= 3 + LABELS_MAX;
}

/* The x of a point that leaves it out: the number of points of its chart so far. */
static json_t *count(struct chart_counters *counters, const char *name)
{
    uint64_t *next = map_get_str(counters->next, name);

    if (!next) {
        if (map_len(counters->next) >= CHARTS_MAX)
            return NULL;
        next = xnew(uint64_t);
        map_set_str(counters->next, name, next);
    }
    return json_integer((json_int_t) (*next)++);
}

/* Labels are plain values; trees in them make no sense in a chart. */
static bool add_labels(json_t *point, const json_t *json)
{
    void *entry = json_object_iter((json_t *) (uintptr_t) json);

    for (; entry; entry = json_object_iter_next((json_t *) (uintptr_t) json, entry)) {
        const char *key = json_object_iter_key(entry);
        json_t *value = json_object_iter_value(entry);
        if (json_is_object(value) || json_is_array(value))
            return false;
        if (!json_object_get(point, key))
            json_put(point, key, json_incref(value));
    }
    return true;
}

int chart_parse(const char *line, size_t len, struct chart_counters *counters, json_t **ret)
{
    _cleanup_json_ json_t *json = NULL, *point = NULL;
    json_t *x = NULL;

    if (len > CHART_LINE_MAX || len < 2 || line[0] != '{' ||
        json_parse(line, len, &json, NULL) < 0 || !json_is_object(json) || !is_point(json))
        return 1;

    x = json_object_get(json, "x");
    x = x ? json_incref(x) : count(counters, json_get_str(json, "chart", ""));
    if (!x)
        return 1;
    point = json_object();
    json_put(point, "chart", json_incref(json_object_get(json, "chart")));
    json_put(point, "x", x);
    json_put(point, "y", json_incref(json_object_get(json, "y")));
    if (!add_labels(point, json))
        return 1;
    *ret = take_ptr(point);
    return 0;
}
