/* A chart point, printed, is a chart point. */
#include "task/task.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_(chart_counters_freep) struct chart_counters *counters = chart_counters_new();
    _cleanup_json_ json_t *point = NULL, *again = NULL;

    if (chart_parse((const char *) data, size, counters, &point) != 0)
        return 0;
    _cleanup_free_ char *text = json_text(point);
    if (strlen(text) <= CHART_LINE_MAX)
        assert(chart_parse(text, strlen(text), counters, &again) == 0);
    return 0;
}
