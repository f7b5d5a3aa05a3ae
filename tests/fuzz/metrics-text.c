/* Counters of the kernel and lines of a history, whatever they hold. */
#include "metrics/internal.h"

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct cpu_times times;
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    _cleanup_json_ json_t *json = NULL;
    struct metrics_point point;
    uint64_t in, out;

    parse_io_v1(text, &in, &out);
    parse_io_v2(text, &in, &out);
    parse_cpu_times(text, &times);
    (void) keyed_number(text, "anon");
    (void) thread_state(text);
    if (json_parse((const char *) data, size, &json, NULL) == 0 &&
        metrics_point_from_json(json, &point) == 0)
        metrics_point_done(&point);
    return 0;
}
