/* machine.h - machines for tests of placement */
#ifndef PLACEMENT_TEST_MACHINE_H
#define PLACEMENT_TEST_MACHINE_H

#include "base/alloc.h"
#include "fleet/fleet.h"

#define GIB (INT64_C(1) << 30)

/* "n7" of 64 GiB and 100 GiB of disk: one NUMA node with cores of one thread, and healthy GPUs "n7-GPU-0", … of MODEL. */
static inline struct node *machine_named(const char *name, unsigned cores, unsigned gpus,
                                         const char *model)
{
    struct node *node = xnew(struct node);

    node->name = xstrdup(name);
    node->memory_bytes = 64 * GIB;
    node->disk_bytes = 100 * GIB;
    vec_push(&node->numas, ((struct numa_node){ .id = 0, .memory_bytes = 64 * GIB }));
    for (unsigned i = 0; i < cores; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < gpus; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("%s-GPU-%u", name, i),
                                             .model = xstrdup(model) }));
    return node;
}

static inline struct node *machine_of(unsigned number, unsigned cores, unsigned gpus,
                                      const char *model)
{
    _cleanup_free_ char *name = xasprintf("n%u", number);

    return machine_named(name, cores, gpus, model);
}

#endif
