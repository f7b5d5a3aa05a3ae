/* pack.h - the packing experiment: requests arrive, nobody leaves
 *
 * Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
 * Descent", USENIX ATC'23, with the tables of Alibaba's 2023 GPU trace.
 */
#ifndef SIM_PACK_H
#define SIM_PACK_H

#include "base/error.h"
#include "placement/placement.h"

#include <stdint.h>
#include <stdio.h>

struct pack_counts {
    uint64_t n_arrived, n_placed, n_refused;
    int64_t gpu_milli;         /* of all machines */
    int64_t gpu_milli_arrived; /* asked for */
    int64_t gpu_milli_taken;
};

/* A table for the experiment and what to call it; FILE is read (or written) and stays the caller's. */
struct pack_file {
    FILE *file;
    const char *name;
};

/* NODES (sn, cpu_milli, memory_mib, gpu, model) is filled with ARRIVALS (idx, cpu_milli, memory_mib, num_gpu, gpu_milli,
 * gpu_spec) in their order; one that no machine holds is refused. OUT (FILE may be NULL) gets idx, node_sn, gpu_ids. */
int pack_run(const struct pack_file *nodes, const struct pack_file *arrivals,
             const struct pack_file *out, const struct score *score, struct pack_counts *ret,
             struct error *err);

#endif
