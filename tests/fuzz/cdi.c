/* A specification that parses, writes and parses again as the same one. */
#include "gpu/gpu.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = NULL, *again = NULL;

    if (cdi_parse((const char *) data, size, &spec, NULL) < 0)
        return 0;
    _cleanup_json_ json_t *json = cdi_spec_to_json(spec);
    _cleanup_free_ char *text = json_text(json);
    assert(cdi_parse(text, strlen(text), &again, NULL) == 0);
    _cleanup_json_ json_t *same = cdi_spec_to_json(again);
    assert(json_equal(json, same));
    return 0;
}
