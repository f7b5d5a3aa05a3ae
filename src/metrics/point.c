/* point.c - points: copied, averaged, as JSON and back */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define AMOUNT_MAX  1e18
#define SECONDS_MAX 86400

void metrics_point_done(struct metrics_point *point)
{
    free(point->gpus);
    point->gpus = NULL;
    point->n_gpus = 0;
}

struct metrics_point metrics_point_copy(const struct metrics_point *point)
{
    struct metrics_point copy = *point;

    copy.gpus = point->n_gpus ? xnew_n(struct metrics_gpu, point->n_gpus) : NULL;
    if (copy.gpus)
        memcpy(copy.gpus, point->gpus, point->n_gpus * sizeof *copy.gpus);
    return copy;
}

/* What is not known on one side is the other's. */
static double mean(double a, double a_s, double b, double b_s)
{
    if (a < 0 || a_s <= 0)
        return b;
    if (b < 0 || b_s <= 0)
        return a;
    return (a * a_s + b * b_s) / (a_s + b_s);
}

static int64_t mean_bytes(int64_t a, double a_s, int64_t b, double b_s)
{
    return (int64_t) mean((double) a, a_s, (double) b, b_s);
}

static void add_gpus(struct metrics_point *point, const struct metrics_point *next)
{
    double s = point->seconds, next_s = next->seconds;

    if (point->n_gpus == 0 && next->n_gpus > 0) {
        struct metrics_point copy = metrics_point_copy(next);
        point->gpus = copy.gpus;
        point->n_gpus = copy.n_gpus;
        return;
    }
    for (unsigned i = 0; i < point->n_gpus && i < next->n_gpus; i++) {
        struct metrics_gpu *a = &point->gpus[i];
        const struct metrics_gpu *b = &next->gpus[i];
        a->busy = mean(a->busy, s, b->busy, next_s);
        a->memory_bytes = mean_bytes(a->memory_bytes, s, b->memory_bytes, next_s);
        a->power_w = mean(a->power_w, s, b->power_w, next_s);
        a->power_limit_w = mean(a->power_limit_w, s, b->power_limit_w, next_s);
        a->temperature_c = mean(a->temperature_c, s, b->temperature_c, next_s);
        a->xid = b->xid ? b->xid : a->xid;
    }
}

void metrics_point_add(struct metrics_point *point, const struct metrics_point *next)
{
    double s = point->seconds, next_s = next->seconds;

    add_gpus(point, next);
    point->cores = mean(point->cores, s, next->cores, next_s);
    point->cores_waiting = mean(point->cores_waiting, s, next->cores_waiting, next_s);
    point->cores_others = mean(point->cores_others, s, next->cores_others, next_s);
    point->memory_bytes = mean_bytes(point->memory_bytes, s, next->memory_bytes, next_s);
    point->anonymous_bytes = mean_bytes(point->anonymous_bytes, s, next->anonymous_bytes, next_s);
    point->read_rate = mean(point->read_rate, s, next->read_rate, next_s);
    point->write_rate = mean(point->write_rate, s, next->write_rate, next_s);
    point->fault_rate = mean(point->fault_rate, s, next->fault_rate, next_s);
    point->limit_rate = mean(point->limit_rate, s, next->limit_rate, next_s);
    point->throttled = mean(point->throttled, s, next->throttled, next_s);
    point->seconds = s + next_s;
    point->time_us = next->time_us;
}

/* ---- JSON --------------------------------------------------------------------------------------- */

/* Three digits behind the point are enough for everything here. */
static void put_real(json_t *json, const char *key, double value)
{
    if (value >= 0)
        json_put(json, key, json_real(round(value * 1000) / 1000));
}

static json_t *gpu_to_json(const struct metrics_gpu *gpu, const char *uuid)
{
    json_t *json = json_object();

    json_put_str(json, "uuid", uuid);
    put_real(json, "busy", gpu->busy);
    if (gpu->memory_bytes >= 0)
        json_put_int(json, "memory", gpu->memory_bytes);
    put_real(json, "power", gpu->power_w);
    put_real(json, "power_limit", gpu->power_limit_w);
    put_real(json, "temperature", gpu->temperature_c);
    if (gpu->xid)
        json_put_int(json, "xid", gpu->xid);
    return json;
}

json_t *metrics_point_to_json(const struct metrics_point *point, char *const *uuids)
{
    json_t *json = json_object(), *gpus = json_array();
    char time[TIME_TEXT_LEN + 1];

    json_put_str(json, "time", time_format(point->time_us, time));
    put_real(json, "seconds", point->seconds);
    put_real(json, "cores", point->cores);
    put_real(json, "cores_waiting", point->cores_waiting);
    put_real(json, "cores_others", point->cores_others);
    json_put_int(json, "memory", point->memory_bytes);
    json_put_int(json, "memory_anonymous", point->anonymous_bytes);
    json_put_int(json, "read", (int64_t) point->read_rate);
    json_put_int(json, "write", (int64_t) point->write_rate);
    put_real(json, "faults", point->fault_rate);
    put_real(json, "limit_hits", point->limit_rate);
    put_real(json, "throttled", point->throttled);
    for (unsigned i = 0; i < point->n_gpus; i++) {
        const char *uuid = uuids && *uuids ? *uuids++ : NULL;
        (void) json_array_append_new(gpus, gpu_to_json(&point->gpus[i], uuid));
    }
    if (point->n_gpus)
        json_put(json, "gpus", gpus);
    else
        json_decref(gpus);
    return json;
}

static void read_gpus(const json_t *json, struct metrics_point *point)
{
    const json_t *list = json_object_get(json, "gpus"), *item;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > GPUS_MAX)
        return;
    point->n_gpus = (unsigned) json_array_size(list);
    point->gpus = xnew_n(struct metrics_gpu, point->n_gpus);
    json_array_foreach(list, i, item)
        point->gpus[i] = (struct metrics_gpu){
            .busy = json_get_real(item, "busy", -1),
            .memory_bytes = json_get_int(item, "memory", -1),
            .power_w = json_get_real(item, "power", -1),
            .power_limit_w = json_get_real(item, "power_limit", -1),
            .temperature_c = json_get_real(item, "temperature", -1),
            .xid = (unsigned) json_get_int(item, "xid", 0),
        };
}

int metrics_point_from_json(const json_t *json, struct metrics_point *ret)
{
    struct metrics_point point = {
        .seconds = json_get_real(json, "seconds", 0),
        .cores = json_get_real(json, "cores", 0),
        .cores_waiting = json_get_real(json, "cores_waiting", 0),
        .cores_others = json_get_real(json, "cores_others", 0),
        .memory_bytes = json_get_int(json, "memory", 0),
        .anonymous_bytes = json_get_int(json, "memory_anonymous", 0),
        .read_rate = json_get_real(json, "read", 0),
        .write_rate = json_get_real(json, "write", 0),
        .fault_rate = json_get_real(json, "faults", 0),
        .limit_rate = json_get_real(json, "limit_hits", 0),
        .throttled = json_get_real(json, "throttled", 0),
    };

    if (point.seconds <= 0 || time_parse(json_get_str(json, "time", ""), &point.time_us) < 0)
        return -EINVAL;
    read_gpus(json, &point);
    *ret = point;
    return 0;
}

/* ---- points that came from elsewhere --------------------------------------------------------------- */

static int take_line(const char *line, size_t len, struct metrics_points *ret)
{
    _cleanup_json_ json_t *json = NULL;
    struct metrics_point point;

    if (ret->list.len == METRICS_ARRIVED_MAX || json_parse(line, len, &json, NULL) < 0 ||
        metrics_point_from_json(json, &point) < 0)
        return -EBADMSG;
    vec_push(&ret->list, point);
    return 0;
}

int metrics_points_parse(const char *bytes, size_t len, struct metrics_points *ret,
                         struct error *err)
{
    int n = 0, r = 0;

    for (const char *end; len > 0 && r >= 0; n++) {
        end = memchr(bytes, '\n', len);
        r = end ? take_line(bytes, (size_t) (end - bytes), ret) : -EBADMSG;
        if (end) {
            len -= (size_t) (end - bytes) + 1;
            bytes = end + 1;
        }
    }
    return r < 0 ? error_set(err, r, "line %d is no point, or one too many", n) : 0;
}

static bool is_amount(double value) { return value >= 0 && value <= AMOUNT_MAX; }

static bool is_sound(const struct metrics_point *p)
{
    const double values[] = { p->cores,      p->cores_waiting, p->cores_others, p->read_rate,
                              p->write_rate, p->fault_rate,    p->limit_rate,   p->throttled };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!is_amount(values[i]))
            return false;
    return p->seconds <= SECONDS_MAX && is_amount((double) p->memory_bytes) &&
           is_amount((double) p->anonymous_bytes);
}

bool metrics_point_admit(struct metrics_point *point, int64_t after_us, int64_t now_us,
                         unsigned n_gpus)
{
    if (point->time_us > now_us) /* its clock is another */
        point->time_us = now_us;
    if (point->n_gpus > n_gpus)
        point->n_gpus = n_gpus;
    return point->time_us > after_us && is_sound(point);
}
