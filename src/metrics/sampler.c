/* sampler.c - one look a second at everything that runs
 *
 * The loop owns the tasks between rounds. A round is one item of the pool: while it is under way
 * its thread owns counters, files and histories of all tasks, the loop keeps to points and verdicts
 * of the rounds before, and who comes or goes waits for the next round.
 */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/texts.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PERIOD_US (1 * US_PER_S)

struct metrics_task {
    struct id attempt;
    struct cpu_set cpus;
    struct metrics_share share;
    char **uuids;            /* NULL: no GPUs */
    bool is_wanted, is_away; /* AWAY: its points come from where it runs */
    /* the loop's */
    VEC(struct metrics_point) arrived;           /* those that the next round takes */
    struct metrics_point live[METRICS_LIVE_MAX]; /* oldest first */
    size_t n_live;
    struct metrics_limit limit;
    /* the round's */
    bool is_open, is_ending;
    struct group group;
    struct counters before;
    VEC(struct metrics_point) points; /* of this round */
    struct history history;
};

struct metrics {
    struct metrics_options options;
    struct cgroups cgroups;
    struct watch *timer, *reports;
    struct map *tasks; /* attempt id -> task */
    struct gpu_report report;
    bool has_report, is_sampling, is_ending;
    void (*sampled)(void *userdata);
    void *sampled_userdata;
    struct metrics_point machine;
    /* the round's */
    VEC(struct metrics_task *) round;
    struct gpu_report round_report;
    uint64_t xids[GPUS_MAX]; /* of the round before, by the GPU's index */
    bool round_has_report;
    struct cpu_times cpu_times;
    struct counters machine_before;
    struct metrics_point round_machine;
};

/* ---- tasks --------------------------------------------------------------------------------------- */

static void task_free(struct metrics_task *task)
{
    for (size_t i = 0; i < task->n_live; i++)
        metrics_point_done(&task->live[i]);
    if (task->is_open)
        group_close(&task->group);
    vec_foreach(&task->arrived, arrived)
        metrics_point_done(arrived);
    vec_foreach(&task->points, point)
        metrics_point_done(point);
    vec_done(&task->arrived);
    vec_done(&task->points);
    history_done(&task->history);
    texts_free(task->uuids);
    free(task);
}

static struct metrics_task *task_new(const struct metrics *m, const struct id *task_id,
                                     const struct allocation *allocation, unsigned cores)
{
    struct metrics_task *task = xnew(struct metrics_task);
    char id[ID_TEXT_LEN + 1];

    id_format(task_id, id);
    task->attempt = *task_id;
    /* A pool's CPUs are no task's own: what happens on them says nothing about one. */
    if (!allocation->shared)
        task->cpus = allocation->cpus;
    task->share =
        (struct metrics_share){ .cores = cores, .memory_bytes = allocation->memory_bytes };
    task->uuids = texts_copy(allocation->gpus);
    task->limit.rule = "unknown";
    history_init(&task->history, xasprintf("%s/attempts/%s/metrics", m->options.state, id),
                 task->uuids);
    return task;
}

void metrics_want(struct metrics *m, const struct id *id, const struct allocation *allocation,
                  unsigned cores, bool is_away)
{
    struct metrics_task *task = map_get(m->tasks, id->bytes, sizeof id->bytes);

    if (!task) {
        task = task_new(m, id, allocation, cores);
        task->is_away = is_away;
        map_set(m->tasks, id->bytes, sizeof id->bytes, task);
    }
    task->is_wanted = true;
}

/* ---- points from elsewhere ------------------------------------------------------------------------ */

static unsigned n_gpus_of(const struct metrics_task *task)
{
    unsigned n = 0;

    while (task->uuids && task->uuids[n])
        n++;
    return n;
}

static int64_t newest_us(const struct metrics_task *task)
{
    if (task->arrived.len)
        return task->arrived.items[task->arrived.len - 1].time_us;
    return task->n_live ? task->live[task->n_live - 1].time_us : 0;
}

int metrics_take(struct metrics *m, const struct id *id, const char *bytes, size_t len,
                 struct error *err)
{
    struct metrics_task *task = map_get(m->tasks, id->bytes, sizeof id->bytes);
    struct metrics_points points = { 0 };

    int r = metrics_points_parse(bytes, len, &points, err);
    vec_foreach(&points.list, point) {
        bool is_taken = r >= 0 && task && task->is_away && task->arrived.len < METRICS_ARRIVED_MAX;
        if (is_taken &&
            metrics_point_admit(point, newest_us(task), clock_now_us(), n_gpus_of(task)))
            vec_push(&task->arrived, *point);
        else
            metrics_point_done(point);
    }
    vec_done(&points.list);
    return r;
}

/* ---- a round, on a thread of the pool ------------------------------------------------------------ */

static const struct gpu_state *find_gpu(const struct gpu_report *report, const char *uuid)
{
    for (unsigned i = 0; i < report->n; i++)
        if (str_equal(report->gpus[i].uuid, uuid))
            return &report->gpus[i];
    return NULL;
}

static void fill_gpus(const struct metrics *m, const struct metrics_task *task,
                      struct metrics_point *point)
{
    unsigned n = n_gpus_of(task);

    if (n == 0 || !m->round_has_report)
        return;
    point->gpus = xnew_n(struct metrics_gpu, n);
    point->n_gpus = n;
    for (unsigned i = 0; i < n; i++) {
        const struct gpu_state *state = find_gpu(&m->round_report, task->uuids[i]);
        point->gpus[i] = (struct metrics_gpu){ -1, -1, -1, -1, -1, 0 };
        if (state)
            gpu_point(state, &point->gpus[i]);
    }
}

/* 0: there is none yet. */
static int take_sample(struct metrics *m, struct metrics_task *task, struct metrics_point *ret)
{
    struct counters now;
    char id[ID_TEXT_LEN + 1];
    int r = 0;

    if (!task->is_open)
        group_open(&m->cgroups, id_format(&task->attempt, id), &task->group);
    task->is_open = true;
    group_read(&m->cgroups, &task->group, &now);
    if (!(now.known & KNOWN_CPU)) { /* not made yet, or gone */
        group_close(&task->group);
        task->is_open = false;
        return 0;
    }
    now.waiting_ticks = cpu_ticks_of(m->cpu_times.waiting, &task->cpus);
    now.busy_ticks = cpu_ticks_of(m->cpu_times.busy, &task->cpus);
    if (task->before.time_us && now.time_us > task->before.time_us) {
        *ret = (struct metrics_point){ 0 };
        counters_between(&task->before, &now, ret);
        ret->time_us = clock_now_us();
        fill_gpus(m, task, ret);
        r = 1;
    }
    task->before = now;
    return r;
}

static void sample_task(struct metrics *m, struct metrics_task *task)
{
    struct metrics_point point;

    if (!task->is_ending && !task->is_away && take_sample(m, task, &point) > 0)
        vec_push(&task->points, point);
    vec_foreach(&task->points, p)
        history_add(&task->history, p);
    if (task->is_ending)
        history_flush(&task->history);
}

/* What the machine uses: /proc/meminfo's MemTotal - MemAvailable. */
static int64_t memory_used(void)
{
    _cleanup_text_ struct text text = { 0 };

    if (file_read(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL) < 0)
        return 0;
    return ((int64_t) keyed_number(text_str(&text), "MemTotal:") -
            (int64_t) keyed_number(text_str(&text), "MemAvailable:")) *
           1024;
}

static void sample_machine(struct metrics *m)
{
    struct counters now = { .time_us = clock_boot_us(), .memory_bytes = memory_used() };
    long tick = sysconf(_SC_CLK_TCK);
    struct metrics_point *point = &m->round_machine;

    now.cpu_us = cpu_ticks_of(m->cpu_times.busy, &m->cpu_times.present) * 1000000 / (uint64_t) tick;
    now.waiting_ticks = cpu_ticks_of(m->cpu_times.waiting, &m->cpu_times.present);
    *point = (struct metrics_point){ 0 };
    if (m->machine_before.time_us && now.time_us > m->machine_before.time_us) {
        counters_between(&m->machine_before, &now, point);
        point->time_us = clock_now_us();
        point->n_gpus = m->round_has_report ? m->round_report.n : 0;
        point->gpus = point->n_gpus ? xnew_n(struct metrics_gpu, point->n_gpus) : NULL;
        for (unsigned i = 0; i < point->n_gpus; i++)
            gpu_point(&m->round_report.gpus[i], &point->gpus[i]);
    }
    m->machine_before = now;
}

static void round_work(void *item)
{
    struct metrics *m = item;

    cpu_times_read(&m->cpu_times);
    sample_machine(m);
    vec_foreach(&m->round, task)
        sample_task(m, *task);
}

/* ---- and back on the loop ------------------------------------------------------------------------ */

static void take_point(struct metrics_task *task, struct metrics_point point)
{
    if (task->n_live == METRICS_LIVE_MAX) {
        metrics_point_done(&task->live[0]);
        memmove(task->live, task->live + 1, (METRICS_LIVE_MAX - 1) * sizeof *task->live);
        task->n_live--;
    }
    task->live[task->n_live++] = point;
}

static void take_points(struct metrics_task *task)
{
    if (!task->points.len)
        return;
    vec_foreach(&task->points, point)
        take_point(task, *point);
    task->points.len = 0;
    metrics_judge(task->live, task->n_live, &task->share, &task->limit);
}

static void round_done(void *item)
{
    struct metrics *m = item;

    m->is_sampling = false;
    vec_foreach(&m->round, task) {
        take_points(*task);
        if (!(*task)->is_ending)
            continue;
        map_remove(m->tasks, (*task)->attempt.bytes, sizeof(*task)->attempt.bytes);
        task_free(*task);
    }
    m->round.len = 0;
    if (m->round_machine.seconds > 0) {
        metrics_point_done(&m->machine);
        m->machine = m->round_machine;
        m->round_machine = (struct metrics_point){ 0 };
    }
    if (m->sampled)
        m->sampled(m->sampled_userdata);
}

static void begin_round(void *userdata)
{
    struct metrics *m = userdata;
    struct metrics_task *task;

    timer_set(m->timer, PERIOD_US);
    if (m->is_sampling)
        return;
    map_foreach(m->tasks, pos, task)
        task->is_wanted = false;
    m->options.want(m->options.userdata, m);
    map_foreach(m->tasks, again, task) {
        task->is_ending = !task->is_wanted;
        vec_foreach(&task->arrived, point)
            vec_push(&task->points, *point);
        task->arrived.len = 0;
        vec_push(&m->round, task);
    }
    m->round_has_report = m->has_report;
    m->round_report = m->report;
    gpus_forget_old(&m->round_report, m->xids);
    m->is_sampling = true;
    pool_submit(m->options.pool, round_work, round_done, m);
}

static void on_report(void *userdata, uint32_t events)
{
    struct metrics *m = userdata;

    int r = gpu_reporter_read(m->options.reporter, 0, &m->report, NULL);
    if (r > 0)
        m->has_report = true;
    if (r >= 0)
        return;
    /* The child is gone or its driver is: what was is not what is. */
    m->has_report = false;
    watch_free(m->reports);
    m->reports = NULL;
}

int metrics_new(const struct metrics_options *options, struct metrics **ret, struct error *err)
{
    struct metrics *m = xnew(struct metrics);

    m->options = *options;
    m->tasks = map_new();
    int r = cgroups_find(&m->cgroups, err);
    if (r < 0) {
        metrics_free(m);
        return r;
    }
    m->timer = loop_timer(options->loop, 0, begin_round, m);
    if (options->reporter && options->reporter->fd >= 0)
        m->reports = loop_watch(options->loop, options->reporter->fd, EPOLLIN, on_report, m);
    *ret = m;
    return 0;
}

static void free_task(void *task) { task_free(task); }

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    watch_free(m->timer);
    watch_free(m->reports);
    map_free_with(m->tasks, free_task);
    vec_done(&m->round);
    metrics_point_done(&m->machine);
    metrics_point_done(&m->round_machine);
    cgroups_done(&m->cgroups);
    free(m);
}

size_t metrics_count(const struct metrics *m) { return map_len(m->tasks); }

void metrics_on_sample(struct metrics *m, void (*sampled)(void *userdata), void *userdata)
{
    m->sampled = sampled;
    m->sampled_userdata = userdata;
}

/* ---- what is known ------------------------------------------------------------------------------- */

const struct metrics_task *metrics_find(const struct metrics *m, const struct id *attempt)
{
    return map_get(m->tasks, attempt->bytes, sizeof attempt->bytes);
}

const struct metrics_point *metrics_newest(const struct metrics_task *task)
{
    return task->n_live ? &task->live[task->n_live - 1] : NULL;
}

const struct metrics_limit *metrics_task_limit(const struct metrics_task *task)
{
    return &task->limit;
}

json_t *metrics_live(const struct metrics_task *task)
{
    json_t *array = json_array();

    for (size_t i = 0; i < task->n_live; i++)
        (void) json_array_append_new(array, metrics_point_to_json(&task->live[i], task->uuids));
    return array;
}

void metrics_live_add(const struct metrics_task *task, struct metrics_total *total)
{
    for (size_t i = 0; i < task->n_live; i++)
        metrics_total_add(total, &task->live[i]);
}

json_t *metrics_newest_json(const struct metrics_task *task)
{
    const struct metrics_point *point = metrics_newest(task);

    return point ? metrics_point_to_json(point, task->uuids) : NULL;
}

json_t *metrics_machine(const struct metrics *m)
{
    if (m->machine.seconds <= 0)
        return NULL;
    json_t *json = metrics_point_to_json(&m->machine, NULL), *item;
    size_t i;

    json_array_foreach(json_object_get(json, "gpus"), i, item) {
        if (i >= m->report.n)
            break;
        json_put_str(item, "uuid", m->report.gpus[i].uuid);
        json_put_str(item, "model", m->report.gpus[i].model);
        json_put_int(item, "memory_total", m->report.gpus[i].memory_bytes);
    }
    return json;
}

const struct gpu_report *metrics_gpus(const struct metrics *m)
{
    return m->has_report ? &m->report : NULL;
}
