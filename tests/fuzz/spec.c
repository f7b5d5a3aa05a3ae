/* A specification that reads, writes and reads again as the same. */
#include "workload/workload.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL, *first = NULL, *second = NULL;
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL, *again = NULL;
    struct error err = { 0 };

    if (json_parse((const char *) data, size, &json, &err) < 0 ||
        workload_spec_from_json(json, &spec, &err) < 0)
        return 0;
    first = workload_spec_to_json(spec);
    assert(workload_spec_from_json(first, &again, &err) == 0);
    second = workload_spec_to_json(again);
    assert(json_equal(first, second));
    return 0;
}
