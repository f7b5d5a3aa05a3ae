/* Counters of the kernel and lines of a history, whatever they hold. */
#include "metrics/internal.h"

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct cpu_times times;
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct metrics_points points = { 0 };
    struct process_stat process;
    uint64_t in, out;

    parse_io_v1(text, &in, &out);
    parse_io_v2(text, &in, &out);
    parse_cpu_times(text, &times);
    (void) keyed_number(text, "anon");
    (void) thread_state(text);
    (void) parse_process_stat(text, &process);
    (void) metrics_points_parse((const char *) data, size, &points, NULL);
    vec_foreach(&points.list, point) {
        (void) metrics_point_admit(point, 0, INT64_MAX, 1);
        metrics_point_done(point);
    }
    vec_done(&points.list);
    return 0;
}
