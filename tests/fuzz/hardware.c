/* A hardware file is refused, or makes nodes that are what they print. */
#include "fleet/fleet.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct error err = { 0 };
    struct hardware hw;

    if (hardware_read((const char *) data, size, "hw.json", &hw, &err) < 0) {
        assert(err.text[0] && hw.nodes.len == 0);
        return 0;
    }
    for (size_t i = 0; i < hw.nodes.len && i < 8; i++) {
        _cleanup_json_ json_t *json = node_to_json(hw.nodes.items[i]);
        _cleanup_(node_freep) struct node *again = NULL;
        assert(node_from_json(json, &again, &err) == 0);
    }
    hardware_done(&hw);
    return 0;
}
