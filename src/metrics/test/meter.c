/* meter.c - what a step's control groups and processes say, of trees made by hand and of our own */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

static char *root;

static void begin(void) { ok(mkdir_temporary("/tmp", "berth-meter.", &root, NULL) >= 0); }

static void end(void)
{
    ok(remove_tree(AT_FDCWD, root, NULL) == 0);
    free(root);
    root = NULL;
}

static void put(const char *group, const char *file, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s%s", root, group);

    ok(mkdir_all(AT_FDCWD, path, 0755, NULL) >= 0);
    _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(file_replace(dir, file, 0644, text, strlen(text), false, NULL) >= 0);
}

static struct counters look(struct cgroups *cg, const char *membership)
{
    _cleanup_free_ char *text = xstrdup(membership);
    struct counters ret;
    struct group group;

    cgroups_parse_step(text, cg);
    group_open(cg, "0", &group);
    group_read(cg, &group, &ret);
    group_close(&group);
    cgroups_done(cg);
    return ret;
}

TEST(of_version_1_what_the_site_has_is_read)
{
    begin();
    struct cgroups cg = { .roots = { [CGROUP_MEMORY] = xasprintf("%s/memory", root),
                                     [CGROUP_CPUACCT] = xasprintf("%s/cpuacct", root) } };

    put("/memory/slurm/uid_7/job_3/step_batch/task_0", "memory.usage_in_bytes", "5000000\n");
    put("/memory/slurm/uid_7/job_3/step_batch/task_0", "memory.stat",
        "total_rss 4000000\ntotal_inactive_file 500000\ntotal_pgmajfault 3\n");
    put("/cpuacct", "cpuacct.usage", "99999999999\n"); /* everybody's */
    struct counters c = look(&cg, "4:memory:/slurm/uid_7/job_3/step_batch/task_0\n2:cpuacct:/\n");
    ok(c.known == KNOWN_MEMORY && c.memory_bytes == 4500000 && c.anonymous_bytes == 4000000);
    ok(c.faults == 3 && c.cpu_us == 0);
    end();
}

TEST(of_version_2_a_controller_may_end_above_the_processes)
{
    begin();
    struct cgroups cg = { .unified = true };

    for (int i = 0; i < CGROUP_N; i++)
        cg.roots[i] = xstrdup(root);
    put("/system.slice/job_3/step_0/user/task_0", "cpu.stat",
        "usage_usec 1500000\nthrottled_usec 20\n");
    put("/system.slice/job_3/step_0", "memory.current", "8000000\n");
    put("/system.slice/job_3", "memory.current", "1\n");
    put("/system.slice", "io.stat", "8:0 rbytes=1 wbytes=2\n"); /* everybody's */
    struct counters c = look(&cg, "0::/system.slice/job_3/step_0/user/task_0\n");
    ok(c.known == (KNOWN_CPU | KNOWN_MEMORY) && c.cpu_us == 1500000 && c.throttled_us == 20);
    ok(c.memory_bytes == 8000000 && c.read_bytes == 0);
    end();
}

TEST(without_groups_processes_say_it)
{
    int gate[2];
    char c;

    ok(pipe(gate) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *block = malloc(40 * MIB);
        memset(block, 7, 40 * MIB);
        (void) !write(gate[1], block, 1);
        (void) pause();
        _exit(0);
    }
    ok(read(gate[0], &c, 1) == 1);
    struct counters all = { 0 }, memory = { .known = KNOWN_CPU, .cpu_us = 5 };
    ok(processes_read(getpid(), &all) == 0 && processes_read(getpid(), &memory) == 0);
    ok(all.known == (KNOWN_CPU | KNOWN_MEMORY | KNOWN_IO));
    ok(all.anonymous_bytes >= 40 * MIB && all.memory_bytes >= all.anonymous_bytes);
    ok(memory.cpu_us == 5 && memory.anonymous_bytes >= 40 * MIB);
    ok(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    ok(processes_read(pid, &all) == -ESRCH);
    (void) close(gate[0]);
    (void) close(gate[1]);
}

TEST(the_text_of_a_process_is_read)
{
    struct process_stat stat;

    ok(parse_process_stat("7 (a) b) S 1 2 3 4 5 6 10 11 20 21 100 200 300 400 0 0", &stat) == 0);
    ok(stat.ticks == 300 && stat.ended_ticks == 700 && stat.faults == 41);
    ok(parse_process_stat("7 (a) S 1 2 3", &stat) == -EINVAL);
    ok(parse_process_stat("", &stat) == -EINVAL && parse_process_stat("7 (a)", &stat) == -EINVAL);
}

TEST(points_from_elsewhere_are_looked_at)
{
    static const char good[] = "{\"time\":\"2026-01-01T00:00:01Z\",\"seconds\":1,\"cores\":2,"
                               "\"gpus\":[{\"busy\":1},{\"busy\":0}]}\n";
    struct metrics_points points = { 0 };

    ok(metrics_points_parse(good, strlen(good), &points, NULL) == 0 && points.list.len == 1);
    struct metrics_point *p = &points.list.items[0];
    int64_t time_us = p->time_us;
    ok(metrics_point_admit(p, 0, time_us - 5, 1) && p->time_us == time_us - 5 && p->n_gpus == 1);
    ok(!metrics_point_admit(p, time_us, time_us, 1)); /* it is known */
    p->cores = -1;
    ok(!metrics_point_admit(p, 0, time_us, 1));
    ok(metrics_points_parse("{}\n", 3, &points, NULL) == -EBADMSG);
    ok(metrics_points_parse(good, strlen(good) - 1, &points, NULL) == -EBADMSG);
    vec_foreach(&points.list, point)
        metrics_point_done(point);
    vec_done(&points.list);
}

TAP_MAIN
