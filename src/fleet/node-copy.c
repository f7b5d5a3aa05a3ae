/* node-copy.c - a machine with all that is known of it, once more */
#include "fleet/fleet.h"

#include "base/alloc.h"

#include <assert.h>

/* Who adds a member that points somewhere copies it here and sets it in test/node-copy.c; then these sizes are the new ones.
 * What points nowhere is copied with the struct that holds it. */
static_assert(sizeof(void *) != 8 || sizeof(struct node) == 296, "copy its new member here");
static_assert(sizeof(void *) != 8 || sizeof(struct gpu) == 96, "copy its new member here");
static_assert(sizeof(void *) != 8 || sizeof(struct nic) == 32, "copy its new member here");

/* V was copied as bytes: let it have items of its own, which are copied as bytes too. */
#define own_items(v)                                                                               \
    do {                                                                                           \
        (v)->cap = (v)->len;                                                                       \
        (v)->items = (v)->len ? xmemdup((v)->items, (v)->len * sizeof *(v)->items) : NULL;         \
    } while (0)

static void copy_texts(struct node *copy)
{
    char **const texts[] = {
        &copy->name,      &copy->kernel, &copy->boot_id, &copy->address, &copy->driver,
        &copy->cpu_model, &copy->site,   &copy->block,   &copy->leaf,    &copy->fault,
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = xstrdup(*texts[i]);
}

static void copy_gpu(struct gpu *gpu)
{
    char **const texts[] = { &gpu->uuid, &gpu->vendor, &gpu->model, &gpu->pci,
                             &gpu->cdi,  &gpu->fault,  &gpu->pcie,  &gpu->iommu_group };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = xstrdup(*texts[i]);
}

struct node *node_copy(const struct node *node)
{
    struct node *copy = xmemdup(node, sizeof *node);

    copy_texts(copy);
    own_items(&copy->cores);
    own_items(&copy->numas);
    own_items(&copy->gpus);
    own_items(&copy->nics);
    own_items(&copy->partitions);
    vec_foreach(&copy->gpus, gpu)
        copy_gpu(gpu);
    vec_foreach(&copy->nics, nic) {
        nic->name = xstrdup(nic->name);
        nic->pcie = xstrdup(nic->pcie);
    }
    copy->tags = node->tags ? json_deep_copy(node->tags) : NULL;
    return copy;
}
