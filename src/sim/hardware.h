/* hardware.h - machines of a simulation from a hardware file (fleet/hardware.h) */
#ifndef SIM_HARDWARE_H
#define SIM_HARDWARE_H

#include "fleet/fleet.h"
#include "placement/placement.h"
#include "sim/machines.h"

#include <stdio.h>

/* Is FILE such a file, and no table? It stands at its first byte that is no blank afterwards. */
bool hardware_begins(FILE *file);
/* Read it to its end. RET is owned by the caller. */
int hardware_load(FILE *file, const char *name, struct hardware *ret, struct error *err);
/* What NODE has for tasks, in numbers; its model is that of all its GPUs, as bits, and MODELS has each one's. */
int hardware_room(struct capacity *capacity, const struct node *node, struct room *ret,
                  struct gpu_models *models, struct error *err);

#endif
