#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>

#define GIB (INT64_C(1) << 30)
#define MIB (INT64_C(1) << 20)

/* ---- the limiting resource ----------------------------------------------------------------------- */

static const struct metrics_share share = { .cores = 4, .memory_bytes = 8 * GIB };

/* Ten seconds of P, a second each. */
static struct metrics_limit judge(struct metrics_point p)
{
    struct metrics_point points[10];
    struct metrics_limit limit;

    for (int i = 0; i < 10; i++) {
        points[i] = p;
        points[i].time_us = (i + 1) * US_PER_S;
        points[i].seconds = 1;
    }
    metrics_judge(points, 10, &share, &limit);
    return limit;
}

static struct metrics_gpu gpu(double busy)
{
    return (struct metrics_gpu){
        .busy = busy, .memory_bytes = GIB, .power_w = 300, .power_limit_w = 700, .temperature_c = 50
    };
}

TEST(each_bottleneck_of_a_job_without_gpus_has_its_words)
{
    static const struct {
        struct metrics_point point;
        const char *rule, *text;
    } cases[] = {
        { { .cores = 3.9 }, "cpu", "the CPU is the limit: 3.9 of 4 cores are busy" },
        { { .cores = 3.2, .cores_others = 0.7 },
          "cpu",
          "the CPU is the limit: 3.2 of 4 cores are busy, 0.7 taken by others" },
        { { .cores = 1.0 }, "thread", "one thread is the limit: it uses 1 of 4 cores" },
        { { .cores = 0.2, .cores_waiting = 0.8, .read_rate = 120 * MIB, .write_rate = 0 },
          "io",
          "the disk is the limit: 0.8 of 4 cores wait for it; it reads 120 MiB/s, writes 0 B/s" },
        { { .cores = 1, .anonymous_bytes = 7600 * MIB, .limit_rate = 3 },
          "memory",
          "memory is the limit: 7.4 GiB of 8 GiB (93 %) hold data of its own, and it asks for "
          "more" },
        { { .cores = 0.5, .fault_rate = 900, .limit_rate = 40, .cores_waiting = 0.4 },
          "memory",
          "memory is the limit: what it works on does not fit in 8 GiB, 900 pages a second come "
          "back from the disk" },
        { { .cores = 1.5, .throttled = 0.4 },
          "quota",
          "its share of the CPU is the limit: held back 40 % of the time" },
        { { .cores = 0.01 },
          "waiting",
          "nothing here limits it: 0.01 of 4 cores are busy; it sleeps or waits for something "
          "outside" },
        { { .cores = 2.2 },
          "balanced",
          "no resource alone limits it: 2.2 of 4 cores busy, 0.0 wait for the disk" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct metrics_limit limit = judge(cases[i].point);
        is_str(limit.rule, cases[i].rule);
        is_str(limit.text, cases[i].text);
    }
}

TEST(a_gpu_that_is_not_busy_waits_for_something_that_has_a_name)
{
    struct metrics_gpu gpus[2] = { gpu(0.37), gpu(0.37) };
    static const struct {
        double busy, cores, waiting;
        const char *rule, *text;
    } cases[] = {
        { 0.37, 1.0, 0, "loader", "GPU idle 63 % waiting for data: the loader uses 1 of 4 cores" },
        { 0.37, 3.9, 0, "cpu", "GPU idle 63 %: the CPU is the limit, 3.9 of 4 cores are busy" },
        { 0.2, 0.4, 1.1, "io",
          "GPU idle 80 % waiting for the disk: 1.1 of 4 cores wait for it; it reads 0 B/s, writes "
          "0 B/s" },
        { 0.5, 2.0, 0, "turns",
          "GPU idle 50 % while 2.0 of 4 cores work: they take turns; prepare the next step during "
          "this one" },
        { 0.0, 0.02, 0, "waiting",
          "GPU idle 100 %, and only 0.02 of 4 cores are busy: it waits for something outside "
          "(network, a lock, another task)" },
        { 0.94, 1.0, 0, "gpu", "GPU busy 94 %: the GPU is the limit" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gpus[0].busy = cases[i].busy;
        struct metrics_limit limit =
            judge((struct metrics_point){ .cores = cases[i].cores,
                                          .cores_waiting = cases[i].waiting,
                                          .gpus = gpus,
                                          .n_gpus = 1 });
        is_str(limit.rule, cases[i].rule);
        is_str(limit.text, cases[i].text);
    }
    gpus[0] = gpus[1] = gpu(1);
    gpus[1].xid = 79;
    struct metrics_limit fault = judge((struct metrics_point){ .gpus = gpus, .n_gpus = 2 });
    is_str(fault.rule, "fault");
    is_str(fault.text, "GPU 1 reported an error, XID 79: it has fallen off the bus");
    gpus[1].xid = 0;
    gpus[0].power_w = gpus[1].power_w = 699;
    struct metrics_limit limit =
        judge((struct metrics_point){ .cores = 1, .gpus = gpus, .n_gpus = 2 });
    is_str(limit.text, "GPUs busy 100 %: the GPUs are the limit, at the limit of its power");
}

TEST(nothing_is_said_of_a_moment_and_nothing_of_long_ago_counts)
{
    struct metrics_point points[60];
    struct metrics_limit limit;

    for (int i = 0; i < 60; i++)
        points[i] = (struct metrics_point){ .time_us = (i + 1) * US_PER_S,
                                            .seconds = 1,
                                            .cores = i < 30 ? 4 : 0.001 };
    metrics_judge(points, 2, &share, &limit);
    is_str(limit.rule, "unknown");
    metrics_judge(points, 0, &share, &limit);
    is_str(limit.rule, "unknown");
    metrics_judge(points, 30, &share, &limit);
    is_str(limit.rule, "cpu");
    metrics_judge(points, 60, &share, &limit);
    is_str(limit.rule, "waiting");
}

/* ---- points and history --------------------------------------------------------------------------- */

static bool is_near(double a, double b) { return fabs(a - b) < 0.0011; }

TEST(a_point_reads_back_as_written)
{
    struct metrics_gpu gpus[1] = { gpu(0.25) };
    struct metrics_point point = { .time_us = 1700000000 * US_PER_S,
                                   .seconds = 5,
                                   .cores = 1.25,
                                   .cores_waiting = 0.5,
                                   .memory_bytes = GIB,
                                   .read_rate = 1000,
                                   .gpus = gpus,
                                   .n_gpus = 1 };
    char uuid[] = "GPU-1";
    char *uuids[] = { uuid, NULL };
    _cleanup_json_ json_t *json = metrics_point_to_json(&point, uuids);
    struct metrics_point again;

    is_str(json_get_str(json_array_get(json_object_get(json, "gpus"), 0), "uuid", ""), "GPU-1");
    ok(metrics_point_from_json(json, &again) == 0);
    ok(again.time_us == point.time_us && is_near(again.cores, 1.25) && again.memory_bytes == GIB);
    ok(again.n_gpus == 1 && is_near(again.gpus[0].busy, 0.25));
    metrics_point_done(&again);
}

static struct metrics_point used(int64_t end_s, double seconds, double cores, int64_t memory)
{
    return (struct metrics_point){
        .time_us = end_s * US_PER_S, .seconds = seconds, .cores = cores, .memory_bytes = memory
    };
}

static double cores_at(const json_t *list, size_t i)
{
    return json_get_real(json_array_get(list, i), "cores", -1);
}

/* Two tasks whose points do not begin and end together; nobody runs in the last ten seconds. */
TEST(what_many_use_is_added_up_second_by_second)
{
    _cleanup_(metrics_total_freep) struct metrics_total *total =
        metrics_total_new(100 * US_PER_S, 130 * US_PER_S, 5);
    const struct metrics_point points[] = { used(110, 10, 1, GIB), used(107, 7, 2, GIB),
                                            used(120, 13, 0.5, 2 * GIB), used(200, 5, 9, GIB) };

    for (size_t i = 0; i < 4; i++)
        metrics_total_add(total, &points[i]);
    _cleanup_json_ json_t *list = metrics_total_to_json(total);
    ok(json_array_size(list) == 4);
    ok(is_near(cores_at(list, 0), 3));
    ok(is_near(cores_at(list, 1), 1 + (2 * 2 + 3 * 0.5) / 5));
    ok(is_near(cores_at(list, 2), 0.5) && is_near(cores_at(list, 3), 0.5));
    ok(json_get_int(json_array_get(list, 0), "memory", 0) == 2 * GIB);
    ok(is_near(json_get_real(json_array_get(list, 0), "seconds", 0), 5));
}

TEST(a_long_time_has_no_more_points_than_a_history)
{
    _cleanup_(metrics_total_freep) struct metrics_total *total =
        metrics_total_new(0, 86400 * US_PER_S, 5);
    const struct metrics_point day = used(86400, 86400, 1, GIB);

    metrics_total_add(total, &day);
    _cleanup_json_ json_t *list = metrics_total_to_json(total);
    ok(json_array_size(list) <= METRICS_HISTORY_MAX && json_array_size(list) > 600);
    ok(is_near(cores_at(list, 0), 1));
}

TEST(the_newest_of_all_are_one_point_and_their_gpus_one)
{
    struct metrics_gpu gpus[] = { { 1, GIB, 300, 400, 70, 0 }, { 0.5, GIB, 100, 400, 60, 0 } };
    struct metrics_point a = used(10, 1, 1, GIB), b = used(12, 1, 2, GIB);
    struct metrics_sum sum = { 0 };

    ok(metrics_sum_to_json(&sum) == NULL);
    a.gpus = &gpus[0];
    b.gpus = &gpus[1];
    a.n_gpus = b.n_gpus = 1;
    a.throttled = 0.5;
    metrics_sum_add_newest(&sum, &a);
    metrics_sum_add_newest(&sum, &b);
    _cleanup_json_ json_t *json = metrics_sum_to_json(&sum);
    const json_t *gpu = json_array_get(json_object_get(json, "gpus"), 0);
    ok(is_near(json_get_real(json, "cores", 0), 3) && sum.newest_us == 12 * US_PER_S);
    ok(is_near(json_get_real(json, "throttled", 0), 0.25));
    ok(json_array_size(json_object_get(json, "gpus")) == 1);
    ok(is_near(json_get_real(gpu, "busy", 0), 0.75) &&
       is_near(json_get_real(gpu, "power", 0), 400));
    ok(json_get_int(gpu, "memory", 0) == 2 * GIB && !json_object_get(gpu, "power_limit"));
}

static char *scratch(void)
{
    char *directory = NULL;

    ok(mkdir_temporary("/tmp", "berth-metrics", &directory, NULL) == 0);
    return directory;
}

static size_t count_lines(const char *path, double *ret_seconds)
{
    _cleanup_text_ struct text text = { 0 };
    size_t n = 0;

    *ret_seconds = 0;
    (void) file_read(AT_FDCWD, path, 8 << 20, &text, NULL);
    for (const char *line = text_str(&text), *end; (end = strchr(line, '\n'));
         line = end + 1, n++) {
        _cleanup_json_ json_t *json = NULL;
        ok(json_parse(line, (size_t) (end - line), &json, NULL) == 0);
        *ret_seconds += json_get_real(json, "seconds", 0);
    }
    return n;
}

/* A day is as bounded as an hour, no second is lost, and a restart goes on where it was. */
TEST(history_is_bounded_and_whole)
{
    _cleanup_free_ char *directory = scratch();
    _cleanup_free_ char *path = xasprintf("%s/metrics", directory);
    struct history history;
    double seconds = 0;

    history_init(&history, xstrdup(path), NULL);
    for (int i = 0; i < 24 * 3600; i++) {
        struct metrics_point point = { .time_us = i * US_PER_S, .seconds = 1, .cores = i % 2 };
        history_add(&history, &point);
        if (i == 12 * 3600) {
            history_flush(&history);
            history_done(&history);
            history_init(&history, xstrdup(path), NULL);
        }
    }
    history_flush(&history);
    ok(history.points.len <= METRICS_HISTORY_MAX && history.points.len >= METRICS_HISTORY_MAX / 3);
    ok(is_near(history.points.items[1].cores, 0.5));
    size_t n = count_lines(path, &seconds);
    ok(n == history.points.len);
    ok(is_near(seconds, 24 * 3600));
    history_done(&history);
    ok(remove_tree(AT_FDCWD, directory, NULL) == 0);
}

TEST(what_is_not_known_does_not_count_in_a_mean)
{
    struct metrics_gpu known[1] = { gpu(0.5) }, unknown[1] = { { -1, -1, -1, -1, -1 } };
    struct metrics_point mean = { 0 };
    const struct metrics_point a = { .seconds = 1, .gpus = unknown, .n_gpus = 1 };
    const struct metrics_point b = { .seconds = 3, .cores = 2, .gpus = known, .n_gpus = 1 };

    metrics_point_add(&mean, &a);
    metrics_point_add(&mean, &b);
    ok(is_near(mean.gpus[0].busy, 0.5) && is_near(mean.cores, 1.5) && is_near(mean.seconds, 4));
    metrics_point_done(&mean);
}

/* ---- texts of the kernel --------------------------------------------------------------------------- */

TEST(the_kernels_texts_are_read)
{
    static struct cpu_times times;
    uint64_t in, out;

    parse_io_v1("8:0 Read 10\n8:0 Write 20\n8:16 Read 1\n8:0 Total 31\nTotal 31\n", &in, &out);
    ok(in == 11 && out == 20);
    parse_io_v2("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n",
                &in, &out);
    ok(in == 11 && out == 22);
    parse_io_v2("", &in, &out);
    ok(in == 0 && out == 0);
    ok(keyed_number("a 1\nab 2\nb 3\n", "ab") == 2 && keyed_number("a 1\n", "b") == 0);
    parse_cpu_times("cpu  9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu2 0 0 1 0 7 0 0 0\nintr 5\n",
                    &times);
    ok(cpu_set_count(&times.present) == 2 && times.busy[0] == 1 + 2 + 3 + 6 + 7 + 8);
    ok(thread_state("7 (a) b) D 1") == 'D' && thread_state("7 (a)") == '?');
    ok(thread_state("") == '?');
    ok(times.waiting[0] == 5 && times.waiting[2] == 7);
}

TAP_MAIN
