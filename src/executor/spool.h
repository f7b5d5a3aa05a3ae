/* spool.h - what the STATE of a node keeps besides layers: files and trees by digest for tasks to come, and what tasks
 * left that were killed (docs/nodes.md)
 *
 * A task in use has STATE/using/ID, on which its courier holds a shared lock; its time of change is the task's begin.
 */
#ifndef EXECUTOR_SPOOL_H
#define EXECUTOR_SPOOL_H

#include "base/error.h"

#include <stdint.h>

/* Remove what killed tasks left, then the files and trees that were used least recently until BYTES_MAX are left
 * (negative: a quarter of the disk): none that a task uses or that results name which are not home yet, and none
 * that was used within LAYERS_MIN_AGE_S. Does nothing where that was done as lately, or is being done. */
int spool_sweep(const char *state, int64_t bytes_max, struct error *err);

#endif
