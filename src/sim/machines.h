/* machines.h - the machines of a simulation, from a table or from the hardware of a fleet */
#ifndef SIM_MACHINES_H
#define SIM_MACHINES_H

#include "base/error.h"
#include "base/map.h"
#include "base/vec.h"
#include "placement/placement.h"
#include "sim/pack.h"

/* More than any machine has; what is summed stays far from the ends of its type. */
enum { MACHINE_CPU_MILLI_MAX = 4096 * 1000, MACHINE_MEMORY_MIB_MAX = 1 << 28 };

struct csv;

/* Of each GPU of a machine by position, as capacity_model() has it. */
struct gpu_models {
    uint64_t gpu[CAPACITY_GPUS_MAX];
};

/* An all-zero one is valid and empty. */
struct machines_read {
    VEC(char *) names; /* by machine of the capacity */
    struct map *by_name;
    int64_t gpu_milli;               /* of all of them */
    VEC(struct gpu_models) models;   /* by machine; empty: each machine has one model */
    const struct capacity *capacity; /* borrowed */
};

void machines_read_done(struct machines_read *machines);
/* Add those of FILE to CAPACITY, which is empty: columns sn, cpu_milli, memory_mib, gpu, model, or hardware in JSON
 * (fleet/hardware.h), at most 100,000, which stand where that says. Those that are cordoned or at fault are closed. */
int machines_read(struct machines_read *ret, const struct pack_file *file,
                  struct capacity *capacity, struct error *err);
/* Where machines have GPUs of several models, have CAPACITY, before its first choice, know which is which. MACHINES stays where it is. */
void machines_tell_models(struct machines_read *machines, struct capacity *capacity);
/* A model of GPUs as a bit, in column I of a table. */
int machines_model(struct capacity *capacity, const struct csv *csv, unsigned i, const char *name,
                   uint64_t *ret, struct error *err);

#endif
