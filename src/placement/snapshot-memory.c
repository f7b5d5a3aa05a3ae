/* snapshot-memory.c - what a planner has learned and promised on the way, as JSON */
#include "placement/snapshot-form.h"

#include "base/alloc.h"
#include "base/map.h"
#include "placement/share.h"

#include <errno.h>
#include <string.h>

enum { SHAPES_MAX = 4096, SPOTS_MAX = 1000000, PLACES_MAX = 100000, SPOT_NAME_MAX = 300 };
#define COUNT_MAX (INT64_C(1) << 50)
#define TIMES_MAX (INT64_C(1) << 38) /* of all shapes: a deck multiplies it */

/* ---- what is usually asked for ------------------------------------------------------------------------ */

static json_t *ask_to_json(const struct ask *ask)
{
    json_t *json = json_object();

    json_put_int(json, "cpu_milli", ask->cpu_milli);
    json_put_int(json, "memory_mib", ask->memory_mib);
    json_put_int(json, "gpus", ask->gpus);
    json_put_int(json, "gpu_milli", ask->gpu_milli);
    return json;
}

static int read_count(const json_t *json, const char *key, int64_t max, int64_t *ret,
                      struct error *err)
{
    return snapshot_read_int(json, key, 0, max, ret, err);
}

static int ask_from_json(const json_t *json, struct ask *ret, struct error *err)
{
    int64_t cpu = 0, memory = 0, gpus = 0, milli = 0;

    int r = read_count(json, "cpu_milli", INT32_MAX, &cpu, err);
    if (r >= 0)
        r = read_count(json, "memory_mib", INT32_MAX, &memory, err);
    if (r >= 0)
        r = read_count(json, "gpus", CAPACITY_GPUS_MAX, &gpus, err);
    if (r >= 0)
        r = read_count(json, "gpu_milli", CAPACITY_GPU, &milli, err);
    if (r >= 0 && (gpus > 0) != (milli > 0))
        r = error_set(err, -EINVAL,
                      "gpu_milli: must be 1 to %d for a shape with GPUs, and 0 for one without",
                      CAPACITY_GPU);
    *ret = (struct ask){ .cpu_milli = (int32_t) cpu,
                         .memory_mib = (int32_t) memory,
                         .gpus = (uint16_t) gpus,
                         .gpu_milli = (uint16_t) milli };
    return r;
}

static json_t *shape_to_json(const struct capacity_shape *shape)
{
    json_t *json = ask_to_json(&shape->ask);

    json_put_int(json, "times", (int64_t) shape->times);
    json_put_int(json, "dealt", (int64_t) shape->dealt);
    return json;
}

json_t *snapshot_memory_to_json(const struct capacity_memory *memory)
{
    json_t *json = json_object(), *shapes = json_array();

    vec_foreach(&memory->shapes, shape)
        (void) json_array_append_new(shapes, shape_to_json(shape));
    json_put(json, "shapes", shapes);
    json_put_int(json, "left", memory->left);
    json_put_int(json, "taken", (int64_t) memory->n_taken);
    json_put_int(json, "given", (int64_t) memory->n_given);
    json_put_int(json, "cpu_milli", memory->cpu_milli);
    json_put_int(json, "memory_mib", memory->memory_mib);
    json_put_int(json, "gpus", memory->n_gpus);
    return json;
}

static int read_shape(const json_t *json, int64_t times_max, struct capacity_shape *ret,
                      struct error *err)
{
    int64_t times = 0, dealt = 0;
    int r = ask_from_json(json, &ret->ask, err);

    if (r >= 0)
        r = read_count(json, "times", times_max, &times, err);
    if (r >= 0)
        r = read_count(json, "dealt", times, &dealt, err);
    ret->times = (uint64_t) times;
    ret->dealt = (uint64_t) dealt;
    return r;
}

static int read_shapes(struct capacity_memory *memory, const json_t *list, struct error *err)
{
    if (!json_is_array(list) || json_array_size(list) > SHAPES_MAX)
        return error_set(err, -EINVAL, "shapes: must be a list, at most %d", SHAPES_MAX);
    int64_t rest = TIMES_MAX;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct capacity_shape shape = { 0 };
        int r = read_shape(json_array_get(list, i), rest, &shape, err);
        if (r < 0)
            return error_context(err, r, "shapes[%zu]", i);
        rest -= (int64_t) shape.times;
        vec_push(&memory->shapes, shape);
    }
    return 0;
}

int snapshot_memory_from_json(const json_t *json, struct capacity_memory *ret, struct error *err)
{
    int64_t left = 0, taken = 0, given = 0, cpu = 0, memory = 0, gpus = 0;

    int r = read_shapes(ret, json_object_get(json, "shapes"), err);
    if (r >= 0)
        r = read_count(json, "left", 1000, &left, err);
    if (r >= 0)
        r = read_count(json, "taken", COUNT_MAX, &taken, err);
    if (r >= 0)
        r = read_count(json, "given", taken, &given, err);
    if (r >= 0)
        r = read_count(json, "cpu_milli", INT32_MAX, &cpu, err);
    if (r >= 0)
        r = read_count(json, "memory_mib", INT32_MAX, &memory, err);
    if (r >= 0)
        r = read_count(json, "gpus", CAPACITY_GPUS_MAX, &gpus, err);
    ret->left = (uint32_t) left;
    ret->n_taken = (uint64_t) taken;
    ret->n_given = (uint64_t) given;
    ret->cpu_milli = (int32_t) cpu;
    ret->memory_mib = (int32_t) memory;
    ret->n_gpus = (uint16_t) gpus;
    return r;
}

/* ---- promises ----------------------------------------------------------------------------------------- */

json_t *snapshot_promise_to_json(const struct snapshot_promise *promise)
{
    json_t *json = json_object(), *places = json_array();

    json_put_id(json, "job", &promise->job);
    json_put_int(json, "start_us", promise->start_us);
    for (unsigned i = 0; i < promise->n_places; i++)
        (void) json_array_append_new(places, json_integer((json_int_t) promise->places[i]));
    json_put(json, "places", places);
    json_put(json, "current", json_boolean(promise->is_current));
    return json;
}

static int read_places(const json_t *list, struct snapshot_promise *ret, struct error *err)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n == 0 || n > PLACES_MAX)
        return error_set(err, -EINVAL, "places: must be a list of 1 to %d places of machines",
                         PLACES_MAX);
    ret->places = xnew_n(size_t, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *place = json_array_get(list, i);
        json_int_t value = json_integer_value(place);
        if (!json_is_integer(place) || value < 0 || value > UINT32_MAX)
            return error_set(err, -EINVAL, "places[%zu]: must be a place of a machine", i);
        ret->places[ret->n_places++] = (size_t) value;
    }
    return 0;
}

int snapshot_promise_from_json(const json_t *json, struct snapshot_promise *ret, struct error *err)
{
    *ret = (struct snapshot_promise){ .is_current = json_get_bool(json, "current", false) };
    int r = snapshot_read_id(json, "job", true, &ret->job, err);
    if (r >= 0)
        r = snapshot_read_us(json, "start_us", SNAPSHOT_TIME_MAX_US, &ret->start_us, err);
    return r < 0 ? r : read_places(json_object_get(json, "places"), ret, err);
}

/* ---- orgs and projects -------------------------------------------------------------------------------- */

json_t *snapshot_weight_to_json(const struct snapshot_weight *weight)
{
    json_t *json = json_object();

    json_put_id(json, "org", &weight->org);
    json_put_id(json, "project", &weight->project);
    json_put_id(json, "user", &weight->user);
    json_put_int(json, "weight", weight->weight);
    json_put_int(json, "used", weight->used);
    json_put_int(json, "at_us", weight->at_us);
    return json;
}

int snapshot_weight_from_json(const json_t *json, int64_t now_us, struct snapshot_weight *ret,
                              struct error *err)
{
    int64_t weight = 1;

    *ret = (struct snapshot_weight){ .at_us = now_us };
    int r = snapshot_read_id(json, "org", false, &ret->org, err);
    if (r >= 0)
        r = snapshot_read_id(json, "project", false, &ret->project, err);
    if (r >= 0)
        r = snapshot_read_id(json, "user", false, &ret->user, err);
    if (r >= 0)
        r = snapshot_read_int(json, "weight", 1, SHARE_WEIGHT_MAX, &weight, err);
    if (r >= 0)
        r = snapshot_read_int(json, "used", 0, SHARE_USED_MAX, &ret->used, err);
    if (r >= 0 && json_object_get(json, "at_us"))
        r = snapshot_read_int(json, "at_us", 0, now_us, &ret->at_us, err);
    ret->weight = (unsigned) weight;
    return r;
}

/* ---- where machines stand ----------------------------------------------------------------------------- */

json_t *snapshot_spots_to_json(const struct snapshot *s)
{
    json_t *list = json_array();

    vec_foreach(&s->spots, name)
        (void) json_array_append_new(list, json_string(*name));
    return list;
}

int snapshot_spots_from_json(const json_t *list, struct snapshot *ret, struct error *err)
{
    if (list && (!json_is_array(list) || json_array_size(list) > SPOTS_MAX))
        return error_set(err, -EINVAL, "spots: must be a list of names, at most %d", SPOTS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || !*name || strlen(name) > SPOT_NAME_MAX)
            return error_set(
                err, -EINVAL,
                "spots[%zu]: must be the name of a site, block or leaf, at most %d bytes", i,
                SPOT_NAME_MAX);
        vec_push(&ret->spots, xstrdup(name));
    }
    return 0;
}
