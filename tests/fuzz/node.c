/* What a machine says of itself, printed, says the same. */
#include "fleet/fleet.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL, *out = NULL, *again = NULL;
    _cleanup_(node_freep) struct node *node = NULL, *copy = NULL;

    if (json_parse((const char *) data, size, &json, NULL) < 0 ||
        node_from_json(json, &node, NULL) < 0)
        return 0;
    out = node_to_json(node);
    assert(node_from_json(out, &copy, NULL) == 0);
    again = node_to_json(copy);
    assert(json_equal(out, again));
    return 0;
}
