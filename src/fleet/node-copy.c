/* node-copy.c - a machine with all that is known of it, once more */
#include "fleet/fleet.h"

#include "base/alloc.h"

#include <assert.h>

struct node *node_copy(const struct node *node)
{
    _cleanup_json_ json_t *json = node_to_json(node);
    struct node *copy = NULL;
    int r = node_from_json(json, &copy, NULL);

    assert(r == 0);
    /* These no machine says of itself. */
    copy->fault = xstrdup(node->fault);
    copy->others_cores = node->others_cores;
    copy->others_gpus = node->others_gpus;
    copy->others_memory_bytes = node->others_memory_bytes;
    copy->tags = node->tags ? json_deep_copy(node->tags) : NULL;
    return copy;
}
