/* spec-batch.c - what a job has to do with others: its array, and what it waits for
 *
 * As people write them: "0-99%10", and "JOB", "ok:JOB" or "singleton". Once admitted both are objects with
 * ids, so that they mean the same for ever.
 */
#include "workload/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { AFTER_MAX = 64, DELAY_MAX_S = 31536000 };

static const char *const when_names[AFTER_WHEN_MAX] = {
    [AFTER_OK] = "ok",       [AFTER_ANY] = "any",   [AFTER_NOT_OK] = "notok",
    [AFTER_START] = "start", [AFTER_EACH] = "each", [AFTER_SINGLETON] = "singleton",
};

const char *after_when_name(enum after_when when)
{
    return when >= 0 && when < AFTER_WHEN_MAX ? when_names[when] : NULL;
}

/* Also as Slurm calls them. */
static enum after_when parse_when(const char *text, size_t len)
{
    static const struct {
        const char *name;
        enum after_when when;
    } others[] = { { "afterok", AFTER_OK },
                   { "afterany", AFTER_ANY },
                   { "afternotok", AFTER_NOT_OK },
                   { "aftercorr", AFTER_EACH },
                   { "after", AFTER_START } };

    for (int i = 0; i < AFTER_SINGLETON; i++)
        if (strlen(when_names[i]) == len && memcmp(when_names[i], text, len) == 0)
            return (enum after_when) i;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i].name) == len && memcmp(others[i].name, text, len) == 0)
            return others[i].when;
    return AFTER_WHEN_INVALID;
}

/* ---- the array -------------------------------------------------------------------------------------- */

static int read_place(struct array_place *place, const json_t *json, struct error *err)
{
    static const char *const keys[] = { "index", "count", "first", "last", "step", "limit" };
    unsigned *const into[] = { &place->index, &place->count, &place->first,
                               &place->last,  &place->step,  &place->limit };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int64_t n = json_get_int(json, keys[i], 0);
        if (n < 0 || n > INT32_MAX)
            return error_set(err, -EINVAL, "array.%s: is %" PRId64, keys[i], n);
        *into[i] = (unsigned) n;
    }
    if (place->count == 0)
        return error_set(err, -EINVAL, "array.count: must be 1 or more");
    place->indexes = xstrdup(json_get_str(json, "indexes", NULL));
    return json_object_get(json, "id") ? read_id(json, "id", &place->id, err) : 0;
}

int read_array(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *array = json_object_get(json, "array");
    struct array_indexes indexes = { 0 };

    if (!array || json_is_null(array))
        return 0;
    spec->array = xnew(struct array_place);
    if (json_is_object(array))
        return read_place(spec->array, array, err);
    if (!json_is_string(array))
        return error_set(err, -EINVAL, "array: must be text such as 0-99%%10");
    spec->array->indexes = xstrdup(json_string_value(array));
    int r = array_indexes_parse(spec->array->indexes, &indexes, err);
    array_indexes_done(&indexes);
    return r < 0 ? error_context(err, r, "array") : 0;
}

static void put_positive(json_t *json, const char *key, unsigned value)
{
    if (value > 0)
        json_put_int(json, key, value);
}

static json_t *place_to_json(const struct array_place *place)
{
    if (place->count == 0)
        return json_string(place->indexes);

    json_t *json = json_object();
    if (!id_is_none(&place->id))
        json_put_id(json, "id", &place->id);
    json_put_str(json, "indexes", place->indexes);
    json_put_int(json, "index", place->index);
    json_put_int(json, "count", place->count);
    json_put_int(json, "first", place->first);
    json_put_int(json, "last", place->last);
    json_put_int(json, "step", place->step);
    put_positive(json, "limit", place->limit);
    return json;
}

/* ---- what it waits for ------------------------------------------------------------------------------- */

/* The "+10m" after the name of a job; it is cut off. */
static int read_delay(struct dependency *d, struct error *err)
{
    char *plus = strchr(d->name, '+');
    long long delay_s = 0;

    if (!plus)
        return 0;
    if (d->when != AFTER_START)
        return error_set(err, -EINVAL, "'%.80s': only start:JOB takes a time, as start:JOB+10m",
                         d->name);
    if (str_to_seconds(plus + 1, &delay_s) < 0 || delay_s < 0 || delay_s > DELAY_MAX_S)
        return error_set(err, -EINVAL, "'%.80s' must have a time such as 90s, 10m or 2h after '+'",
                         d->name);
    d->delay_s = delay_s;
    *plus = '\0';
    return 0;
}

static int read_text(struct dependency *d, const char *text, struct error *err)
{
    const char *colon = strchr(text, ':');

    if (str_equal(text, "singleton")) {
        d->when = AFTER_SINGLETON;
        return 0;
    }
    d->when = colon ? parse_when(text, (size_t) (colon - text)) : AFTER_OK;
    d->name = xstrdup(colon ? colon + 1 : text);
    if (d->when == AFTER_WHEN_INVALID)
        return error_set(err, -EINVAL,
                         "'%.40s' must be ok, any, notok, start or each before the ':'", text);
    int r = read_delay(d, err);
    if (r < 0)
        return r;
    if (!*d->name || strnlen(d->name, 64) > 63 || strchr(d->name, '/') || strchr(d->name, ':'))
        return error_set(err, -EINVAL, "'%.80s' must be JOB, WHEN:JOB or singleton", text);
    return 0;
}

static int read_object(struct dependency *d, const json_t *json, struct error *err)
{
    const char *when = json_get_str(json, "when", "");

    d->when = str_equal(when, "singleton") ? AFTER_SINGLETON : parse_when(when, strlen(when));
    if (d->when == AFTER_WHEN_INVALID)
        return error_set(err, -EINVAL, "when: '%.40s' is unknown", when);
    if (d->when == AFTER_SINGLETON)
        return 0;
    d->name = xstrdup(json_get_str(json, "name", ""));
    d->is_array = json_get_bool(json, "is_array", false);
    d->delay_s = json_get_int(json, "delay", 0);
    if (d->delay_s < 0 || d->delay_s > DELAY_MAX_S)
        return error_set(err, -EINVAL, "delay: must be 0 to %d seconds", DELAY_MAX_S);
    d->is_pinned = json_object_get(json, "job") != NULL;
    return d->is_pinned ? read_id(json, "job", &d->job, err) : 0;
}

static int read_modes(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const char *text = json_get_str(json, "when_never", "end");
    const char *mode = json_get_str(json, "after_mode", "all");

    if (!str_equal(text, "end") && !str_equal(text, "hold"))
        return error_set(err, -EINVAL, "when_never: '%.40s' must be end or hold", text);
    if (!str_equal(mode, "all") && !str_equal(mode, "any"))
        return error_set(err, -EINVAL, "after_mode: '%.40s' must be all or any", mode);
    spec->hold_never = str_equal(text, "hold");
    spec->after_any = str_equal(mode, "any");
    return 0;
}

int read_after(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *list = json_object_get(json, "after"), *item;
    size_t n = json_array_size(list), i;

    if (n > AFTER_MAX)
        return error_set(err, -EINVAL, "after: has %zu items; %d are allowed", n, AFTER_MAX);
    spec->after = xnew_n(struct dependency, n + 1);
    json_array_foreach(list, i, item) {
        struct dependency *d = &spec->after[spec->n_after++];
        int r = json_is_object(item)
                    ? read_object(d, item, err)
                    : read_text(d, json_is_string(item) ? json_string_value(item) : "", err);
        if (r < 0)
            return error_context(err, r, "after[%zu]", i);
    }
    return read_modes(spec, json, err);
}

static json_t *after_to_json(const struct workload_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_after; i++) {
        const struct dependency *d = &spec->after[i];
        json_t *json = json_object();
        json_put_str(json, "when", after_when_name(d->when));
        json_put_str(json, "name", d->name);
        if (d->is_pinned)
            json_put_id(json, "job", &d->job);
        if (d->is_array)
            json_put(json, "is_array", json_true());
        put_positive(json, "delay", (unsigned) d->delay_s);
        (void) json_array_append_new(list, json);
    }
    return list;
}

void put_batch(json_t *json, const struct workload_spec *spec)
{
    if (spec->array)
        json_put(json, "array", place_to_json(spec->array));
    if (spec->n_after)
        json_put(json, "after", after_to_json(spec));
    if (spec->after_any)
        json_put_str(json, "after_mode", "any");
    if (spec->hold_never)
        json_put_str(json, "when_never", "hold");
}

void free_batch(struct workload_spec *spec)
{
    array_place_free(spec->array);
    for (size_t i = 0; i < spec->n_after; i++)
        free(spec->after[i].name);
    free(spec->after);
}
