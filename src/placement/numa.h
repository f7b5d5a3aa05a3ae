/* numa.h - whose the memory and huge pages of each NUMA node are: free, tasks' and the host's add up to all there is */
#ifndef PLACEMENT_NUMA_H
#define PLACEMENT_NUMA_H

#include "placement/slice.h"

/* Of NODE's NUMA nodes that are in STATE, what nobody has. */
void numa_init(struct node_state *state);
/* What a task gets where: of the slice's NUMA nodes as the slice says, else of those of its cores, else of any. A's cores are
 * known; its parts and memory nodes are filled in. */
void numa_take(struct node_state *state, const struct shape *shape, const struct slice *slice,
               struct allocation *a);
/* Huge pages that are free on all NUMA nodes together; of SIZE. */
unsigned numa_pages_free(const struct node_state *state, enum huge_page size);
/* The first size of which fewer are free than SHAPE wants; HUGE_PAGE_MAX: there are enough. */
enum huge_page numa_lacks_pages(const struct node_state *state, const struct shape *shape);
/* The part of WHOLE that falls to N after BEFORE of ALL; parts add up to the whole. */
int64_t part_of(int64_t whole, int64_t before, int64_t n, int64_t all);

#endif
