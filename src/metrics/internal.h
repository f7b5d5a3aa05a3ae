/* internal.h - what the files of metrics/ share */
#ifndef METRICS_INTERNAL_H
#define METRICS_INTERNAL_H

#include "base/text.h"
#include "metrics/metrics.h"
#include "os/cgroup.h"

#include <sys/types.h>

/* ---- texts of the kernel (pure) ----------------------------------------------------------------- */

/* The number behind "KEY " at the start of a line; 0 without one. */
uint64_t keyed_number(const char *text, const char *key);
/* Sums of version 1's blkio ("8:0 Read 123") and of version 2's io.stat ("8:0 rbytes=1 wbytes=2"). */
void parse_io_v1(const char *text, uint64_t *ret_read, uint64_t *ret_written);
void parse_io_v2(const char *text, uint64_t *ret_read, uint64_t *ret_written);

/* The state in /proc/PID/stat, '?' when there is none: the name before it may hold anything. */
char thread_state(const char *stat);

/* What is of use in /proc/PID/stat. */
struct process_stat {
    uint64_t ticks, ended_ticks; /* its own; of its children that were waited for */
    uint64_t faults;             /* of both, from a disk */
};
/* -EINVAL for a text that is none. */
int parse_process_stat(const char *text, struct process_stat *ret);

/* Time of the machine's CPUs since the start, in ticks. */
struct cpu_times {
    struct cpu_set present;
    uint64_t busy[CPU_SET_MAX], waiting[CPU_SET_MAX];
};
void parse_cpu_times(const char *text, struct cpu_times *ret);

/* ---- the machine's -------------------------------------------------------------------------------- */

void cpu_times_read(struct cpu_times *ret);
uint64_t cpu_ticks_of(const uint64_t ticks[static CPU_SET_MAX], const struct cpu_set *cpus);
void gpu_point(const struct gpu_state *state, struct metrics_gpu *ret);
/* An error is told once: SEEN counts those of each GPU, by index. */
void gpus_forget_old(struct gpu_report *report, uint64_t seen[static GPUS_MAX]);

/* ---- counters ------------------------------------------------------------------------------------ */

enum known { KNOWN_CPU = 1, KNOWN_MEMORY = 2, KNOWN_IO = 4 };

/* What the kernel has counted for a group since its start. */
struct counters {
    unsigned known;  /* what was there to be read */
    int64_t time_us; /* CLOCK_BOOTTIME; 0: never read */
    uint64_t cpu_us, throttled_us, read_bytes, written_bytes, faults, limit_hits;
    uint64_t waiting_ticks, busy_ticks; /* of its CPUs, whoever used them */
    int64_t memory_bytes, anonymous_bytes;
    unsigned blocked; /* threads that wait for a disk at this moment */
};

enum group_file {
    FILE_CPU,
    FILE_CPU_STAT,
    FILE_MEMORY,
    FILE_MEMORY_STAT,
    FILE_MEMORY_HITS,
    FILE_IO,
    FILE_THREADS,
    FILE_N
};

/* The files of one group, kept open. */
struct group {
    int fds[FILE_N];
};

void group_open(const struct cgroups *cg, const char *attempt, struct group *ret);
void group_close(struct group *group);
/* Without KNOWN_CPU the group is not there, or nobody counts in it. */
void group_read(const struct cgroups *cg, const struct group *group, struct counters *ret);
/* Where no group counts: what PID and its descendants have used, those that were waited for too, into what is
 * not known yet. -ESRCH: it is gone. */
int processes_read(pid_t pid, struct counters *ret);
/* The means between two readings. */
void counters_between(const struct counters *before, const struct counters *now,
                      struct metrics_point *ret);

/* ---- history ------------------------------------------------------------------------------------- */

struct history {
    char *path;
    VEC(struct metrics_point) points;
    double period_s;          /* each point's length, at least */
    struct metrics_point sum; /* the next point */
    char *const *uuids;       /* borrowed */
    bool is_loaded;
};

/* PATH is taken. Reads nothing before the first point. */
void history_init(struct history *h, char *path, char *const *uuids);
void history_done(struct history *h);
/* Blocks: writes when a point is whole. */
void history_add(struct history *h, const struct metrics_point *point);
/* Blocks: write what is left. */
void history_flush(struct history *h);
/* Pure: each two become one, the period doubles. */
void history_thin(struct history *h);

#endif
