/* total.c - what many tasks used together */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/time.h"

enum value {
    CORES,
    CORES_WAITING,
    CORES_OTHERS,
    MEMORY,
    ANONYMOUS,
    READ,
    WRITTEN,
    FAULTS,
    LIMIT_HITS,
    THROTTLED,
    GPU_MEMORY,
    GPU_POWER,
    VALUES
};
_Static_assert(VALUES == sizeof((struct metrics_sum *) NULL)->values / sizeof(double),
               "struct metrics_sum has room for each");

/* ---- one span of time ---------------------------------------------------------------------------- */

static void add_gpus(struct metrics_sum *sum, const struct metrics_point *point, double seconds)
{
    for (unsigned i = 0; i < point->n_gpus; i++) {
        const struct metrics_gpu *gpu = &point->gpus[i];
        sum->has_gpus = true;
        if (gpu->busy >= 0) {
            sum->gpu_s += seconds;
            sum->gpu_busy += gpu->busy * seconds;
        }
        if (gpu->memory_bytes > 0)
            sum->values[GPU_MEMORY] += (double) gpu->memory_bytes * seconds;
        if (gpu->power_w >= 0) {
            sum->has_power = true;
            sum->values[GPU_POWER] += gpu->power_w * seconds;
        }
        if (gpu->temperature_c > sum->temperature_c)
            sum->temperature_c = gpu->temperature_c;
    }
}

static void add_values(struct metrics_sum *sum, const struct metrics_point *point, double seconds)
{
    const double values[VALUES] = {
        [CORES] = point->cores,
        [CORES_WAITING] = point->cores_waiting,
        [CORES_OTHERS] = point->cores_others,
        [MEMORY] = (double) point->memory_bytes,
        [ANONYMOUS] = (double) point->anonymous_bytes,
        [READ] = point->read_rate,
        [WRITTEN] = point->write_rate,
        [FAULTS] = point->fault_rate,
        [LIMIT_HITS] = point->limit_rate,
        [THROTTLED] = point->throttled,
    };

    for (size_t i = 0; i < VALUES; i++)
        sum->values[i] += values[i] > 0 ? values[i] * seconds : 0;
    sum->task_s += seconds;
    add_gpus(sum, point, seconds);
}

static int64_t begin_of(const struct metrics_point *point)
{
    return point->time_us - (int64_t) (point->seconds * US_PER_S);
}

static void widen(struct metrics_sum *sum, int64_t from_us, int64_t to_us)
{
    if (sum->from_us == sum->to_us || from_us < sum->from_us)
        sum->from_us = from_us;
    if (to_us > sum->to_us)
        sum->to_us = to_us;
}

void metrics_sum_add(struct metrics_sum *sum, const struct metrics_point *point, int64_t from_us,
                     int64_t to_us)
{
    if (begin_of(point) > from_us)
        from_us = begin_of(point);
    if (point->time_us < to_us)
        to_us = point->time_us;
    if (to_us <= from_us)
        return;
    widen(sum, from_us, to_us);
    sum->newest_us = sum->to_us;
    add_values(sum, point, (double) (to_us - from_us) / US_PER_S);
}

void metrics_sum_add_newest(struct metrics_sum *sum, const struct metrics_point *point)
{
    widen(sum, 0, US_PER_S);
    if (point->time_us > sum->newest_us)
        sum->newest_us = point->time_us;
    add_values(sum, point, 1);
}

json_t *metrics_sum_to_json(const struct metrics_sum *sum)
{
    double seconds = (double) (sum->to_us - sum->from_us) / US_PER_S;

    if (seconds <= 0)
        return NULL;
    struct metrics_gpu gpu = {
        .busy = sum->gpu_s > 0 ? sum->gpu_busy / sum->gpu_s : -1,
        .memory_bytes = (int64_t) (sum->values[GPU_MEMORY] / seconds),
        .power_w = sum->has_power ? sum->values[GPU_POWER] / seconds : -1,
        .power_limit_w = -1,
        .temperature_c = sum->temperature_c > 0 ? sum->temperature_c : -1,
    };
    const struct metrics_point point = {
        .time_us = sum->newest_us,
        .seconds = seconds,
        .cores = sum->values[CORES] / seconds,
        .cores_waiting = sum->values[CORES_WAITING] / seconds,
        .cores_others = sum->values[CORES_OTHERS] / seconds,
        .memory_bytes = (int64_t) (sum->values[MEMORY] / seconds),
        .anonymous_bytes = (int64_t) (sum->values[ANONYMOUS] / seconds),
        .read_rate = sum->values[READ] / seconds,
        .write_rate = sum->values[WRITTEN] / seconds,
        .fault_rate = sum->values[FAULTS] / seconds,
        .limit_rate = sum->values[LIMIT_HITS] / seconds,
        .throttled = sum->values[THROTTLED] / sum->task_s, /* a part of time is no sum */
        .gpus = sum->has_gpus ? &gpu : NULL,
        .n_gpus = sum->has_gpus,
    };
    return metrics_point_to_json(&point, NULL);
}

/* ---- a line of time ------------------------------------------------------------------------------ */

struct metrics_total {
    int64_t begin_us, width_us;
    size_t n;
    struct metrics_sum sums[];
};

struct metrics_total *metrics_total_new(int64_t begin_us, int64_t end_us, double least_s)
{
    int64_t width_us = (int64_t) (least_s * US_PER_S);
    int64_t length_us = end_us > begin_us ? end_us - begin_us : 1;

    if (length_us / width_us >= METRICS_HISTORY_MAX)
        width_us = length_us / METRICS_HISTORY_MAX + 1;
    size_t n = (size_t) ((length_us + width_us - 1) / width_us);
    struct metrics_total *total = xcalloc(1, sizeof *total + n * sizeof *total->sums);
    total->begin_us = begin_us;
    total->width_us = width_us;
    total->n = n;
    return total;
}

void metrics_total_free(struct metrics_total *total) { free(total); }

void metrics_total_add(struct metrics_total *total, const struct metrics_point *point)
{
    int64_t end_us = total->begin_us + (int64_t) total->n * total->width_us;
    int64_t from_us = begin_of(point) > total->begin_us ? begin_of(point) : total->begin_us;
    int64_t to_us = point->time_us < end_us ? point->time_us : end_us;

    while (from_us < to_us) {
        size_t i = (size_t) ((from_us - total->begin_us) / total->width_us);
        int64_t stop_us = total->begin_us + (int64_t) (i + 1) * total->width_us;
        metrics_sum_add(&total->sums[i], point, from_us, stop_us);
        from_us = stop_us;
    }
}

json_t *metrics_total_to_json(const struct metrics_total *total)
{
    json_t *array = json_array();

    for (size_t i = 0; i < total->n; i++) {
        json_t *point = metrics_sum_to_json(&total->sums[i]);
        if (point)
            (void) json_array_append_new(array, point);
    }
    return array;
}
