/* history.c - run times of projects */
#include "placement/history.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct runs {
    struct id project;
    uint64_t heard; /* number of the note that came last */
    size_t next, len;
    int64_t ran_us[HISTORY_RUNS], limit_us[HISTORY_RUNS];
};

struct history {
    struct map *projects; /* by id */
    uint64_t n_noted;
};

struct history *history_new(void)
{
    struct history *h = xnew(struct history);

    h->projects = map_new();
    return h;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    map_free_with(h->projects, free);
    free(h);
}

struct history *history_copy(const struct history *h)
{
    struct history *copy = history_new();
    const struct runs *runs;

    copy->n_noted = h->n_noted;
    map_foreach(h->projects, pos, runs) {
        struct runs *one = xnew(struct runs);
        *one = *runs;
        (void) map_set(copy->projects, &one->project, sizeof one->project, one);
    }
    return copy;
}

static void forget_oldest(struct history *h)
{
    struct runs *runs, *oldest = NULL;

    map_foreach(h->projects, pos, runs)
        if (!oldest || runs->heard < oldest->heard)
            oldest = runs;
    if (oldest)
        free(map_remove(h->projects, &oldest->project, sizeof oldest->project));
}

void history_note(struct history *h, const struct id *project, int64_t ran_us, int64_t limit_us)
{
    struct runs *runs = map_get(h->projects, project, sizeof *project);

    if (!runs) {
        if (map_len(h->projects) == HISTORY_PROJECTS)
            forget_oldest(h);
        runs = xnew(struct runs);
        runs->project = *project;
        (void) map_set(h->projects, project, sizeof *project, runs);
    }
    runs->heard = h->n_noted++;
    runs->ran_us[runs->next] = ran_us;
    runs->limit_us[runs->next] = limit_us;
    runs->next = (runs->next + 1) % HISTORY_RUNS;
    if (runs->len < HISTORY_RUNS)
        runs->len++;
}

static int compare(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *) pa, b = *(const int64_t *) pb;

    return a < b ? -1 : a > b;
}

/* How long run I was or, if a job that declared LIMIT_US ran as large a part of it, would have been; -1: it says nothing of that. */
static int64_t run_as(const struct runs *runs, size_t i, int64_t limit_us)
{
    if (limit_us == 0)
        return runs->ran_us[i];
    if (runs->limit_us[i] == 0)
        return -1;
    int64_t thousandths =
        runs->ran_us[i] < runs->limit_us[i] ? runs->ran_us[i] * 1000 / runs->limit_us[i] : 1000;
    return limit_us * thousandths / 1000;
}

int64_t history_left_us(const struct history *h, const struct id *project, int64_t ran_us,
                        int64_t limit_us)
{
    const struct runs *runs = map_get(h->projects, project, sizeof *project);
    int64_t longer[HISTORY_RUNS];
    size_t n = 0;

    for (size_t i = 0; runs && i < runs->len; i++) {
        int64_t run_us = run_as(runs, i, limit_us);
        if (run_us >= 0 && run_us >= ran_us)
            longer[n++] = run_us;
    }
    if (n < HISTORY_ENOUGH)
        return -1;
    qsort(longer, n, sizeof *longer, compare);
    return longer[n / 2] - ran_us;
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

/* Those heard of least recently first, and runs in the order in which they ended: read again, all are as they were. */
static int compare_heard(const void *pa, const void *pb)
{
    const struct runs *a = *(const struct runs *const *) pa, *b = *(const struct runs *const *) pb;

    return a->heard < b->heard ? -1 : a->heard > b->heard;
}

static json_t *runs_to_json(const struct runs *runs)
{
    json_t *json = json_object(), *list = json_array(), *limits = json_array();
    char id[ID_TEXT_LEN + 1];
    bool has_limit = false;

    for (size_t i = 0; i < runs->len; i++) {
        size_t at = (runs->next + HISTORY_RUNS - runs->len + i) % HISTORY_RUNS;
        (void) json_array_append_new(list, json_integer(runs->ran_us[at]));
        (void) json_array_append_new(limits, json_integer(runs->limit_us[at]));
        has_limit |= runs->limit_us[at] > 0;
    }
    json_put_str(json, "project", id_format(&runs->project, id));
    json_put(json, "ran_us", list);
    json_put(json, "limit_us", has_limit ? json_incref(limits) : NULL);
    json_decref(limits);
    return json;
}

json_t *history_to_json(const struct history *h)
{
    size_t n = 0;
    _cleanup_free_ const struct runs **all = xnew_n(const struct runs *, map_len(h->projects) + 1);
    struct runs *runs;
    json_t *list = json_array();

    map_foreach(h->projects, pos, runs)
        all[n++] = runs;
    qsort(all, n, sizeof *all, compare_heard);
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(list, runs_to_json(all[i]));
    return list;
}

static int read_us(const json_t *list, const char *name, size_t i, int64_t *ret, struct error *err)
{
    const json_t *one = json_array_get(list, i);

    *ret = json_integer_value(one);
    if (!json_is_integer(one) || *ret < 0 || *ret > HISTORY_RUN_MAX_US)
        return error_set(err, -EINVAL, "%s[%zu]: must be microseconds, at most a century", name, i);
    return 0;
}

static int read_runs(struct history *h, const json_t *json, struct error *err)
{
    const json_t *list = json_object_get(json, "ran_us"),
                 *limits = json_object_get(json, "limit_us");
    const char *text = json_get_str(json, "project", "");
    struct id project;
    size_t n = json_array_size(list);

    if (id_parse(text, &project) < 0)
        return error_set(err, -EINVAL, "project: '%.60s' is not a UUID", text);
    if (n == 0 || n > HISTORY_RUNS)
        return error_set(err, -EINVAL, "ran_us: has %zu run times; it must be 1 to %d", n,
                         HISTORY_RUNS);
    if (limits && json_array_size(limits) != n)
        return error_set(err, -EINVAL, "limit_us: must be as many as ran_us, %zu", n);
    for (size_t i = 0; i < n; i++) {
        int64_t ran_us, limit_us = 0;
        int r = read_us(list, "ran_us", i, &ran_us, err);
        if (r >= 0 && limits)
            r = read_us(limits, "limit_us", i, &limit_us, err);
        if (r < 0)
            return r;
        history_note(h, &project, ran_us, limit_us);
    }
    return 0;
}

int history_from_json(const json_t *json, struct history **ret, struct error *err)
{
    _cleanup_(history_freep) struct history *h = history_new();

    if (json && !json_is_array(json))
        return error_set(err, -EINVAL, "must be a list");
    if (json_array_size(json) > HISTORY_PROJECTS)
        return error_set(err, -E2BIG, "has more than %d projects", HISTORY_PROJECTS);
    for (size_t i = 0; i < json_array_size(json); i++) {
        int r = read_runs(h, json_array_get(json, i), err);
        if (r < 0)
            return error_context(err, r, "[%zu]", i);
    }
    *ret = take_ptr(h);
    return 0;
}
