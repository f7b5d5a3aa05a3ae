/* metrics.h - what tasks use of their hardware, second by second, and which resource limits them
 *
 * The server samples what runs on its machine: once a second one item of blocking work reads the control groups of all
 * running attempts, the time of the machine's CPUs and the newest report of the GPUs' driver. The
 * last minute is kept in memory; what is older lies thinned in the attempt's directory (`metrics`,
 * one line of JSON a point, never more than METRICS_HISTORY_MAX): where the points would become too
 * many, each two become one. Counters in the kernel go on while the server is away, so the first
 * point after a restart is the mean of what was missed. Of tasks elsewhere the points are made there (a
 * meter) and brought home; from then on they are as others.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/vec.h"
#include "gpu/gpu.h"
#include "os/loop.h"
#include "os/pool.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

#define METRICS_LIVE_MAX    60
#define METRICS_HISTORY_MAX 720 /* an hour at the finest */
#define METRICS_PERIOD_S    5   /* of the finest history */
#define METRICS_ARRIVED_MAX 600 /* points of a task elsewhere that come at once */

/* ---- points (pure) ------------------------------------------------------------------------------ */

/* Negative: not known. */
struct metrics_gpu {
    double busy; /* 0 to 1 */
    int64_t memory_bytes;
    double power_w, power_limit_w;
    double temperature_c;
    unsigned xid; /* the last error of the driver meanwhile; 0: none */
};

/* Means over SECONDS that end at TIME_US. */
struct metrics_point {
    int64_t time_us;
    double seconds;
    double cores;                 /* busy */
    double cores_waiting;         /* idle while something waited for a disk */
    double cores_others;          /* busy with something else, of the cores that are its own */
    int64_t memory_bytes;         /* without files that could be dropped */
    int64_t anonymous_bytes;      /* of it, what no file backs */
    double read_rate, write_rate; /* bytes a second */
    double fault_rate;            /* pages a second that came from a disk */
    double limit_rate;            /* times a second that memory was at its limit */
    double throttled;             /* 0 to 1: part of the time that a quota held it back */
    struct metrics_gpu *gpus;     /* in the order of the allocation */
    unsigned n_gpus;
};

void metrics_point_done(struct metrics_point *point);
/* A copy; owned by the caller. */
struct metrics_point metrics_point_copy(const struct metrics_point *point);
/* Fold NEXT into POINT, weighted by time; POINT may be all zero. */
void metrics_point_add(struct metrics_point *point, const struct metrics_point *next);
/* UUIDS (NULL-terminated) name the GPUs; NULL: they have no names. */
json_t *metrics_point_to_json(const struct metrics_point *point, char *const *uuids);
int metrics_point_from_json(const json_t *json, struct metrics_point *ret);

/* Lines of JSON, each a point, as they come from elsewhere; what was read before a bad line is in RET, too.
 * -EBADMSG. */
struct metrics_points {
    VEC(struct metrics_point) list;
};
int metrics_points_parse(const char *bytes, size_t len, struct metrics_points *ret,
                         struct error *err);
/* Is it a point that a task with N_GPUS can have, later than AFTER_US? A time beyond NOW_US becomes that. */
bool metrics_point_admit(struct metrics_point *point, int64_t after_us, int64_t now_us,
                         unsigned n_gpus);

/* ---- many tasks together (pure) ------------------------------------------------------------------ */

/* What several tasks used in the same time. Their GPUs are one: the mean of how busy they are, the sum of memory and
 * power, the hottest. All-zero is the beginning; needs no freeing. */
struct metrics_sum {
    int64_t from_us, to_us; /* what was added lies there */
    int64_t newest_us;
    double values[12], task_s, gpu_s, gpu_busy, temperature_c;
    bool has_gpus, has_power;
};

/* The part of POINT that lies between FROM_US and TO_US. */
void metrics_sum_add(struct metrics_sum *sum, const struct metrics_point *point, int64_t from_us,
                     int64_t to_us);
/* POINT as a whole, as if all that are added were of the same second. */
void metrics_sum_add_newest(struct metrics_sum *sum, const struct metrics_point *point);
/* NULL: nothing was added. */
json_t *metrics_sum_to_json(const struct metrics_sum *sum);

/* Points of many tasks, in any order, on one line of time from BEGIN_US to END_US: at most METRICS_HISTORY_MAX spans of
 * LEAST_S seconds or more. */
struct metrics_total;
struct metrics_total *metrics_total_new(int64_t begin_us, int64_t end_us, double least_s);
void metrics_total_free(struct metrics_total *total);
DEFINE_CLEANUP(struct metrics_total *, metrics_total_free);
void metrics_total_add(struct metrics_total *total, const struct metrics_point *point);
/* A point for each span in which something was used. */
json_t *metrics_total_to_json(const struct metrics_total *total);

/* ---- the limiting resource (pure) --------------------------------------------------------------- */

/* What a task was given. */
struct metrics_share {
    unsigned cores;
    int64_t memory_bytes;
    int64_t gpu_memory_bytes; /* of each */
};

/* The verdict over the points of the last half minute: RULE is a word, TEXT says it with numbers. */
struct metrics_limit {
    const char *rule; /* static; "unknown" with too few points */
    char text[200];
};

void metrics_judge(const struct metrics_point *points, size_t n, const struct metrics_share *share,
                   struct metrics_limit *ret);

/* ---- sampling ----------------------------------------------------------------------------------- */

struct metrics;

struct metrics_options {
    struct loop *loop;
    struct pool *pool;
    const char *state;                   /* STATE directory */
    const struct gpu_reporter *reporter; /* NULL: no GPUs; borrowed */
    /* Before each sample: name the running attempts by metrics_want(). */
    void (*want)(void *userdata, struct metrics *metrics);
    void *userdata;
};

/* -ENOENT without control groups. */
int metrics_new(const struct metrics_options *options, struct metrics **ret, struct error *err);
/* After the pool has ended. */
void metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(struct metrics *, metrics_free);
/* AWAY: it runs elsewhere, and its points come by metrics_take(). */
void metrics_want(struct metrics *metrics, const struct id *id, const struct allocation *allocation,
                  unsigned cores, bool away);
/* Points of a task away, as metrics_points_parse() reads them; of one that is not wanted they are dropped. */
int metrics_take(struct metrics *metrics, const struct id *id, const char *bytes, size_t len,
                 struct error *err);
/* How many tasks are known. */
size_t metrics_count(const struct metrics *metrics);
/* Called after each sample. */
void metrics_on_sample(struct metrics *metrics, void (*sampled)(void *userdata), void *userdata);

/* ---- a meter: one task, where it runs ------------------------------------------------------------ */

struct meter_options {
    const char *task;           /* id */
    pid_t supervisor;           /* its control groups, or its and its children's own figures */
    const struct cpu_set *cpus; /* that are the task's alone; empty: not known */
    const struct gpu_reporter *reporter; /* NULL: no GPUs; borrowed */
    const char *gpus;                    /* their indices on this machine: "0,3" */
};

struct meter;
struct meter *meter_new(const struct meter_options *options);
void meter_free(struct meter *meter);
DEFINE_CLEANUP(struct meter *, meter_free);
/* The means since the last call: 1; 0: there are none yet. */
int meter_read(struct meter *meter, struct metrics_point *ret);

/* ---- what is known -------------------------------------------------------------------------------- */

/* What is known of an attempt; borrowed until the loop goes on. NULL: nothing. */
struct metrics_task;
const struct metrics_task *metrics_find(const struct metrics *metrics, const struct id *attempt);
/* The newest point, NULL before the first. */
const struct metrics_point *metrics_newest(const struct metrics_task *task);
const struct metrics_limit *metrics_task_limit(const struct metrics_task *task);
/* The last minute as an array; into TOTAL. */
json_t *metrics_live(const struct metrics_task *task);
void metrics_live_add(const struct metrics_task *task, struct metrics_total *total);
json_t *metrics_newest_json(const struct metrics_task *task);
/* The machine's own: busy cores, memory in use, all GPUs; "gpus" have their model. Owned by the
 * caller, NULL before the first sample. */
json_t *metrics_machine(const struct metrics *metrics);
/* The newest report of the GPUs' driver; NULL when there is none. */
const struct gpu_report *metrics_gpus(const struct metrics *metrics);

#endif
