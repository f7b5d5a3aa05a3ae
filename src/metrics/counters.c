/* counters.c - what the kernel counts for a control group, and what that makes between two looks */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 8192, THREADS_LOOKED_AT = 8 };

/* ---- texts --------------------------------------------------------------------------------------- */

uint64_t keyed_number(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (strncmp(p, key, len) == 0 && p[len] == ' ')
            return strtoull(p + len + 1, NULL, 10);
    return 0;
}

void parse_io_v1(const char *text, uint64_t *ret_read, uint64_t *ret_written)
{
    *ret_read = *ret_written = 0;
    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
        const char *word = strchr(p, ' ');
        if (!word)
            return;
        if (str_starts(word, " Read "))
            *ret_read += strtoull(word + 6, NULL, 10);
        else if (str_starts(word, " Write "))
            *ret_written += strtoull(word + 7, NULL, 10);
    }
}

void parse_io_v2(const char *text, uint64_t *ret_read, uint64_t *ret_written)
{
    *ret_read = *ret_written = 0;
    for (const char *p = text; (p = strpbrk(p, " \n")) != NULL;) {
        p++;
        if (str_starts(p, "rbytes="))
            *ret_read += strtoull(p + 7, NULL, 10);
        else if (str_starts(p, "wbytes="))
            *ret_written += strtoull(p + 7, NULL, 10);
    }
}

char thread_state(const char *stat)
{
    const char *name_end = strrchr(stat, ')');

    return name_end && name_end[1] == ' ' && name_end[2] ? name_end[2] : '?';
}

/* "cpu3 user nice system idle iowait irq softirq steal …" */
static void take_cpu(const char *line, struct cpu_times *ret)
{
    uint64_t field[8] = { 0 };
    char *end;

    if (*line < '0' || *line > '9') /* the sum of all */
        return;
    unsigned long cpu = strtoul(line, &end, 10);
    if (cpu >= CPU_SET_MAX)
        return;
    for (int i = 0; i < 8; i++)
        field[i] = strtoull(end, &end, 10);
    cpu_set_add(&ret->present, (unsigned) cpu);
    ret->waiting[cpu] = field[4];
    ret->busy[cpu] = field[0] + field[1] + field[2] + field[5] + field[6] + field[7];
}

void parse_cpu_times(const char *text, struct cpu_times *ret)
{
    memset(ret, 0, sizeof *ret); /* too large for a copy on the stack, which -O0 makes */
    for (const char *p = text; p && str_starts(p, "cpu"); p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        take_cpu(p + 3, ret);
}

/* ---- groups -------------------------------------------------------------------------------------- */

struct file_place {
    enum cgroup_controller controller;
    const char *v1, *v2;
};

static const struct file_place places[FILE_N] = {
    [FILE_CPU] = { CGROUP_CPUACCT, "cpuacct.usage", "cpu.stat" },
    [FILE_CPU_STAT] = { CGROUP_CPU, "cpu.stat", NULL },
    [FILE_MEMORY] = { CGROUP_MEMORY, "memory.usage_in_bytes", "memory.current" },
    [FILE_MEMORY_STAT] = { CGROUP_MEMORY, "memory.stat", "memory.stat" },
    [FILE_MEMORY_HITS] = { CGROUP_MEMORY, "memory.failcnt", "memory.events" },
    [FILE_THREADS] = { CGROUP_CPU, "tasks", "cgroup.threads" },
    [FILE_IO] = { CGROUP_IO, "blkio.throttle.io_service_bytes_recursive", "io.stat" },
};

void group_open(const struct cgroups *cg, const char *attempt, struct group *ret)
{
    for (int i = 0; i < FILE_N; i++) {
        const char *root = cg->roots[places[i].controller];
        const char *name = cg->unified ? places[i].v2 : places[i].v1;
        ret->fds[i] = -1;
        if (!root || !name)
            continue;
        _cleanup_free_ char *path = xasprintf("%s/berth/%s/%s", root, attempt, name);
        ret->fds[i] = cg->step[places[i].controller]
                          ? cgroup_step_open(cg, places[i].controller, name)
                          : open(path, O_RDONLY | O_CLOEXEC);
    }
}

void group_close(struct group *group)
{
    for (int i = 0; i < FILE_N; i++)
        group->fds[i] = safe_close(group->fds[i]);
}

/* "" when it cannot be read. */
static bool read_file(const struct group *group, enum group_file file, char text[static TEXT_MAX])
{
    ssize_t n = group->fds[file] < 0 ? -1 : pread(group->fds[file], text, TEXT_MAX - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Of the first few: a look at each thread of a large program would cost more than it tells. */
static unsigned count_blocked(const char *threads)
{
    unsigned blocked = 0, n = 0;

    for (const char *p = threads; *p && n < THREADS_LOOKED_AT; n++) {
        char path[64], stat[512];
        char *end;
        (void) snprintf(path, sizeof path, "/proc/%lu/stat", strtoul(p, &end, 10));
        if (end == p)
            break;
        p = *end ? end + 1 : end;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
        stat[len > 0 ? len : 0] = '\0';
        blocked += thread_state(stat) == 'D';
    }
    return blocked;
}

static void read_memory(const struct cgroups *cg, const struct group *group, char *text,
                        struct counters *ret)
{
    if (read_file(group, FILE_MEMORY, text)) {
        ret->known |= KNOWN_MEMORY;
        ret->memory_bytes = (int64_t) strtoull(text, NULL, 10);
    }
    if (read_file(group, FILE_MEMORY_STAT, text)) {
        const char *anonymous = cg->unified ? "anon" : "total_rss";
        const char *idle = cg->unified ? "inactive_file" : "total_inactive_file";
        const char *faults = cg->unified ? "pgmajfault" : "total_pgmajfault";
        ret->anonymous_bytes = (int64_t) keyed_number(text, anonymous);
        ret->memory_bytes -= (int64_t) keyed_number(text, idle);
        ret->faults = keyed_number(text, faults);
    }
    if (ret->memory_bytes < ret->anonymous_bytes)
        ret->memory_bytes = ret->anonymous_bytes;
    if (read_file(group, FILE_MEMORY_HITS, text))
        ret->limit_hits = cg->unified ? keyed_number(text, "max") : strtoull(text, NULL, 10);
}

static void read_cpu(const struct cgroups *cg, const struct group *group, char *text,
                     struct counters *ret)
{
    if (!read_file(group, FILE_CPU, text))
        return;
    ret->known |= KNOWN_CPU;
    if (cg->unified) {
        ret->cpu_us = keyed_number(text, "usage_usec");
        ret->throttled_us = keyed_number(text, "throttled_usec");
        return;
    }
    ret->cpu_us = strtoull(text, NULL, 10) / 1000;
    if (read_file(group, FILE_CPU_STAT, text))
        ret->throttled_us = keyed_number(text, "throttled_time") / 1000;
}

void group_read(const struct cgroups *cg, const struct group *group, struct counters *ret)
{
    char text[TEXT_MAX];

    *ret = (struct counters){ .time_us = clock_boot_us() };
    read_cpu(cg, group, text, ret);
    read_memory(cg, group, text, ret);
    if (read_file(group, FILE_THREADS, text))
        ret->blocked = count_blocked(text);
    if (read_file(group, FILE_IO, text)) {
        ret->known |= KNOWN_IO;
        (cg->unified ? parse_io_v2 : parse_io_v1)(text, &ret->read_bytes, &ret->written_bytes);
    }
}

/* ---- the machine's ------------------------------------------------------------------------------- */

void cpu_times_read(struct cpu_times *ret)
{
    _cleanup_text_ struct text text = { 0 };

    if (file_read(AT_FDCWD, "/proc/stat", 1 << 20, &text, NULL) >= 0)
        parse_cpu_times(text_str(&text), ret);
}

uint64_t cpu_ticks_of(const uint64_t ticks[static CPU_SET_MAX], const struct cpu_set *cpus)
{
    uint64_t sum = 0;

    for (unsigned cpu = 0; cpu < CPU_SET_MAX; cpu++)
        if (cpu_set_has(cpus, cpu))
            sum += ticks[cpu];
    return sum;
}

void gpu_point(const struct gpu_state *state, struct metrics_gpu *ret)
{
    *ret = (struct metrics_gpu){
        .busy = state->busy_percent < 0 ? -1 : state->busy_percent / 100.0,
        .memory_bytes = state->memory_used_bytes,
        .power_w = state->power_w,
        .power_limit_w = state->power_limit_w,
        .temperature_c = state->temperature_c,
        .xid = state->xid,
    };
}

void gpus_forget_old(struct gpu_report *report, uint64_t seen[static GPUS_MAX])
{
    for (unsigned i = 0; i < report->n; i++) {
        struct gpu_state *gpu = &report->gpus[i];
        if (gpu->index >= GPUS_MAX)
            continue;
        if (gpu->xids == seen[gpu->index])
            gpu->xid = 0;
        seen[gpu->index] = gpu->xids;
    }
}

/* ---- between two looks --------------------------------------------------------------------------- */

static double rate(uint64_t before, uint64_t now, double seconds)
{
    return now > before ? (double) (now - before) / seconds : 0;
}

void counters_between(const struct counters *before, const struct counters *now,
                      struct metrics_point *ret)
{
    double seconds = (double) (now->time_us - before->time_us) / 1e6;
    double ticks = (double) sysconf(_SC_CLK_TCK);

    ret->seconds = seconds;
    ret->cores = rate(before->cpu_us, now->cpu_us, seconds) / 1e6;
    /* The kernel's figure misses what waits on a core that something else keeps busy. */
    ret->cores_waiting = rate(before->waiting_ticks, now->waiting_ticks, seconds) / ticks;
    if (ret->cores_waiting < now->blocked)
        ret->cores_waiting = now->blocked;
    ret->cores_others = rate(before->busy_ticks, now->busy_ticks, seconds) / ticks - ret->cores;
    if (ret->cores_others < 0)
        ret->cores_others = 0;
    ret->memory_bytes = now->memory_bytes;
    ret->anonymous_bytes = now->anonymous_bytes;
    ret->read_rate = rate(before->read_bytes, now->read_bytes, seconds);
    ret->write_rate = rate(before->written_bytes, now->written_bytes, seconds);
    ret->fault_rate = rate(before->faults, now->faults, seconds);
    ret->limit_rate = rate(before->limit_hits, now->limit_hits, seconds);
    ret->throttled = rate(before->throttled_us, now->throttled_us, seconds) / 1e6;
}
