/* metrics.c - what it costs to sample running jobs once a second
 *
 *     bench-metrics JOBS SECONDS DIR
 *
 * As the server does it, with control groups that hold a sleeping process each, as those of jobs do.
 * Prints CPU milliseconds a second. To be run by root; leaves nothing behind.
 */
#include "metrics/metrics.h"
#include "base/alloc.h"
#include "base/time.h"
#include "os/cgroup.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_US 2500000

struct bench {
    struct cgroups cgroups;
    struct loop *loop;
    unsigned n;
    struct attempt *attempts;
    pid_t *pids;
    int64_t seconds, cpu_us;
    int64_t began_us;
};

static char *group_of(const struct bench *b, int controller, unsigned i)
{
    char id[ID_TEXT_LEN + 1];

    return xasprintf("%s/berth/%s", b->cgroups.roots[controller],
                     id_format(&b->attempts[i].id, id));
}

/* Of version 2 all controllers have one root; the directory is there the second time. */
static void join(const struct bench *b, int controller, unsigned i)
{
    _cleanup_free_ char *group = group_of(b, controller, i);
    _cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", group);

    if (mkdir_all(AT_FDCWD, group, 0755, NULL) < 0)
        return;
    _cleanup_close_ int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void) dprintf(fd, "%d\n", (int) b->pids[i]);
}

static void make_job(struct bench *b, unsigned i, const char *state)
{
    static struct allocation allocation = { .memory_bytes = 1 << 30 };
    char id[ID_TEXT_LEN + 1];

    b->attempts[i].id = id_new();
    b->attempts[i].allocation = &allocation;
    _cleanup_free_ char *directory =
        xasprintf("%s/attempts/%s", state, id_format(&b->attempts[i].id, id));
    (void) mkdir_all(AT_FDCWD, directory, 0755, NULL);
    b->pids[i] = fork();
    if (b->pids[i] == 0)
        for (;;)
            (void) pause();
    for (int c = 0; c < CGROUP_N; c++)
        if (c != CGROUP_CPUSET && c != CGROUP_DEVICES && b->cgroups.roots[c])
            join(b, c, i);
}

static void end_job(struct bench *b, unsigned i)
{
    (void) kill(b->pids[i], SIGKILL);
    (void) waitpid(b->pids[i], NULL, 0);
    for (int c = 0; c < CGROUP_N; c++) {
        if (!b->cgroups.roots[c])
            continue;
        _cleanup_free_ char *group = group_of(b, c, i);
        for (int tries = 0; tries < 100 && rmdir(group) < 0 && errno == EBUSY; tries++)
            (void) nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

static int64_t cpu_us(void)
{
    struct rusage use;

    (void) getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * INT64_C(1000000) + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

static void want(void *userdata, struct metrics *metrics)
{
    struct bench *b = userdata;

    for (unsigned i = 0; i < b->n; i++)
        metrics_want(metrics, &b->attempts[i].id, b->attempts[i].allocation, 1, false);
}

static void begin(void *userdata)
{
    struct bench *b = userdata;

    b->cpu_us = cpu_us();
    b->began_us = clock_boot_us();
}

static void end(void *userdata)
{
    struct bench *b = userdata;
    double seconds = (double) (clock_boot_us() - b->began_us) / 1e6;

    (void) printf("%.2f\n", (double) (cpu_us() - b->cpu_us) / 1000 / seconds);
    loop_stop(b->loop, 0);
}

int main(int argc, char **argv)
{
    struct bench b = { 0 };
    long long n = 0, seconds = 0;
    struct metrics_options options = { .want = want, .userdata = &b };
    struct metrics *metrics = NULL;
    struct error err = { 0 };

    if (argc <= 3 || str_to_i64(argv[1], 1, 10000, &n) < 0 ||
        str_to_i64(argv[2], 1, 3600, &seconds) < 0 || cgroups_find(&b.cgroups, &err) < 0) {
        (void) fprintf(stderr, "usage: bench-metrics JOBS SECONDS DIR %s\n", err.text);
        return 2;
    }
    b.n = (unsigned) n;
    b.attempts = xnew_n(struct attempt, b.n);
    b.pids = xnew_n(pid_t, b.n);
    for (unsigned i = 0; i < b.n; i++)
        make_job(&b, i, argv[3]);
    options.state = argv[3];
    options.loop = b.loop = loop_new();
    options.pool = pool_new(b.loop, 2);
    int r = metrics_new(&options, &metrics, &err);
    if (r < 0)
        (void) fprintf(stderr, "bench-metrics: %s\n", err.text);
    struct watch *first = loop_timer(b.loop, WARM_UP_US, begin, &b);
    struct watch *last = loop_timer(b.loop, WARM_UP_US + seconds * US_PER_S, end, &b);
    if (r >= 0)
        (void) loop_run(b.loop);
    watch_free(first);
    watch_free(last);
    pool_free(options.pool);
    metrics_free(metrics);
    for (unsigned i = 0; i < b.n; i++)
        end_job(&b, i);
    loop_free(b.loop);
    cgroups_done(&b.cgroups);
    free(b.attempts);
    free(b.pids);
    return r < 0;
}
