/* A table of partitions is refused, or makes such of the machine's own GPUs. */
#include "fleet/fleet.h"

#include "base/alloc.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *table = xstrndup((const char *) data, size);
    _cleanup_(node_freep) struct node *node = xnew(struct node);
    struct error err = { 0 };

    node->name = xstrdup("n1");
    for (unsigned i = 0; i < 8; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("%u", i), .module = i + 1 }));
    int r = node_check_partitions(node, table, &err);
    node_set_partitions(node, table);
    assert(r == 0 || err.text[0]);
    vec_foreach(&node->partitions, partition)
        assert(partition->gpus && partition->gpus <= 0xff);
    return 0;
}
