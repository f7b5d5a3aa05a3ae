/* A list of CPUs that parses, formats and parses again as the same set. */
#include "base/cpu-set.h"

#include "base/alloc.h"
#include "base/cleanup.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *list = xstrndup((const char *) data, size);
    struct cpu_set set = { 0 }, again = { 0 };

    if (cpu_set_parse(list, &set) < 0)
        return 0;
    _cleanup_free_ char *text = cpu_set_format(&set);
    assert(cpu_set_parse(text, &again) == 0 && cpu_set_equal(&set, &again));
    return 0;
}
