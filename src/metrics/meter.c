/* meter.c - what one task uses, for who brings it to a server elsewhere
 *
 * A batch system's step has control groups, and which of them count is the site's choice: what none does is
 * read from the processes themselves.
 */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct meter {
    char *task;
    pid_t supervisor;
    struct cgroups cgroups;
    struct group group;
    struct cpu_set cpus;
    struct cpu_times cpu_times;
    struct counters before;
    const struct gpu_reporter *reporter;
    struct gpu_report report;
    bool has_report;
    uint64_t xids[GPUS_MAX];
    unsigned gpus[GPUS_MAX], n_gpus;
};

static void take_gpus(struct meter *m, const char *indices)
{
    for (const char *p = indices; p && *p && m->n_gpus < GPUS_MAX; p += *p == ',') {
        char *end;
        unsigned long index = strtoul(p, &end, 10);
        if (end == p)
            return;
        m->gpus[m->n_gpus++] = (unsigned) index;
        p = end;
    }
}

struct meter *meter_new(const struct meter_options *options)
{
    struct meter *m = xnew(struct meter);
    _cleanup_text_ struct text membership = { 0 };
    _cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", (int) options->supervisor);

    m->task = xstrdup(options->task);
    m->supervisor = options->supervisor;
    m->cpus = *options->cpus;
    m->reporter = options->reporter;
    take_gpus(m, options->gpus);
    if (cgroups_find(&m->cgroups, NULL) >= 0 &&
        file_read(AT_FDCWD, path, 65536, &membership, NULL) >= 0 && membership.len)
        cgroups_parse_step(membership.data, &m->cgroups);
    group_open(&m->cgroups, m->task, &m->group);
    return m;
}

void meter_free(struct meter *m)
{
    if (!m)
        return;
    group_close(&m->group);
    cgroups_done(&m->cgroups);
    free(m->task);
    free(m);
}

static const struct gpu_state *find_gpu(const struct gpu_report *report, unsigned index)
{
    for (unsigned i = 0; i < report->n; i++)
        if (report->gpus[i].index == index)
            return &report->gpus[i];
    return NULL;
}

static void read_gpus(struct meter *m, struct metrics_point *point)
{
    int r = m->reporter && m->reporter->fd >= 0 && m->n_gpus
                ? gpu_reporter_read(m->reporter, 0, &m->report, NULL)
                : -1;

    if (r > 0)
        gpus_forget_old(&m->report, m->xids);
    m->has_report = r > 0 || (r == 0 && m->has_report);
    if (!m->has_report)
        return;
    point->gpus = xnew_n(struct metrics_gpu, m->n_gpus);
    point->n_gpus = m->n_gpus;
    for (unsigned i = 0; i < m->n_gpus; i++) {
        const struct gpu_state *state = find_gpu(&m->report, m->gpus[i]);
        point->gpus[i] = (struct metrics_gpu){ -1, -1, -1, -1, -1, 0 };
        if (state)
            gpu_point(state, &point->gpus[i]);
    }
}

int meter_read(struct meter *m, struct metrics_point *ret)
{
    struct counters now;
    int r = 0;

    group_read(&m->cgroups, &m->group, &now);
    if (now.known != (KNOWN_CPU | KNOWN_MEMORY | KNOWN_IO))
        (void) processes_read(m->supervisor, &now);
    if (!(now.known & KNOWN_CPU))
        return 0;
    cpu_times_read(&m->cpu_times);
    now.waiting_ticks = cpu_ticks_of(m->cpu_times.waiting, &m->cpus);
    now.busy_ticks = cpu_ticks_of(m->cpu_times.busy, &m->cpus);
    if (m->before.time_us && now.time_us > m->before.time_us) {
        *ret = (struct metrics_point){ 0 };
        counters_between(&m->before, &now, ret);
        ret->time_us = clock_now_us();
        read_gpus(m, ret);
        r = 1;
    }
    m->before = now;
    return r;
}
