/* slice.h - which GPUs of a machine a task may have, and which cores and memory lie near them
 *
 * A slice of a machine is legal if
 *  - no NVLink island and no IOMMU group of its GPUs is another org's, unless both took flavors that split islands; where the
 *    fabric manager has partitions, its GPUs lie in one that overlaps nobody else's;
 *  - for a NUMA-strict shape: its GPUs lie on as few NUMA nodes as the machine has for so many, and each of these has the cores
 *    and memory that are its GPUs' share; a network-optimised one finds a NIC for RDMA there, too.
 * Of legal ones it is the one that breaks the least: on one NUMA node if possible, and there of the island and PCIe switch that have
 * the fewest GPUs free (buddy over node, NUMA node, island, PCIe switch).
 */
#ifndef PLACEMENT_SLICE_H
#define PLACEMENT_SLICE_H

#include "placement/internal.h"

enum { SLICE_NUMAS_MAX = 64 };

struct slice {
    uint64_t gpus;                         /* bits: positions */
    const struct gpu_partition *partition; /* that they lie in; NULL: the machine has none */
    unsigned cores
        [SLICE_NUMAS_MAX]; /* to be taken, by position of the NUMA node; the rest from anywhere */
    struct huge_pages pages[SLICE_NUMAS_MAX]; /* the same */
};

/* Is GPU I there for SHAPE: free, or where SHAPE shares one with enough left among tasks of its owner that do, too? */
bool slice_has_gpu(const struct node_state *state, const struct shape *shape, size_t i);
/* GPUs that would do for SHAPE, are there, and are no other org's by what they are joined to. */
uint64_t slice_candidates(const struct node_state *state, const struct shape *shape);
/* How many of these GPUs there are or, where SHAPE shares one, how many times they have its part. */
unsigned slice_parts(const struct node_state *state, const struct shape *shape);
/* Must SHAPE be looked at as a slice, or are numbers enough? */
bool slice_matters(const struct node_state *state, const struct shape *shape);
/* False: there is no legal one. */
bool slice_choose(const struct node_state *state, const struct shape *shape, struct slice *ret);
/* Its GPUs are SHAPE's owner's from now on. */
void slice_hold(struct node_state *state, const struct shape *shape, const struct slice *slice);
/* The partition, as bits, that is in use for them then; 0: none. */
uint64_t slice_partition_of(const struct node_state *state, const struct slice *slice);
/* Take a virtual function for each GPU, or for the cores, where NICs have such. RET has room for a name each, owned by the
 * caller; how many there are. */
unsigned slice_take_nics(struct node_state *state, const struct slice *slice, char **ret);
/* How many tasks of SHAPE find one, one after the other; at most MAX. */
unsigned slice_room(const struct node_state *state, const struct shape *shape, unsigned max);
/* The most GPUs that a task of SHAPE could have at once: on one NUMA node, or in one partition. */
unsigned slice_most_together(const struct node_state *state, const struct shape *shape);
/* How many partitions with as many GPUs as SHAPE wants it may not have, because they overlap one in use. */
unsigned slice_kept_partitions(const struct node_state *state, const struct shape *shape);
/* Would there be as many GPUs as SHAPE wants if its flavor and those of all others allowed islands to be split? */
bool slice_splitting_helps(const struct node_state *state, const struct shape *shape);
/* The memory of A that counts for NUMA node I: by its cores there, or by the size of its memory nodes. */
int64_t slice_memory_share(const struct node_state *state, const struct allocation *a, size_t i);

#endif
