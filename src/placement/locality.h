/* locality.h - where machines stand
 *
 * A machine stands in a leaf (the machines of one switch), leaves in a block of the fabric, blocks in a site. Machines are kept
 * in the order of their spots, so each domain of each level is a range of that order.
 */
#ifndef PLACEMENT_LOCALITY_H
#define PLACEMENT_LOCALITY_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/* From the widest to the narrowest. */
enum level { LEVEL_ALL, LEVEL_SITE, LEVEL_BLOCK, LEVEL_LEAF, LEVEL_NODE, LEVEL_MAX };
/* "leaf"; NULL for a level that there is not. */
const char *level_name(enum level level);

/* Numbers of the caller's: machines whose numbers are equal down to a level stand together there. */
struct spot {
    uint32_t site, block, leaf;
};

/* Places in the order of machines. */
struct stretch {
    size_t first, end;
};

struct locality;

struct locality *locality_new(void);
void locality_free(struct locality *locality);
DEFINE_CLEANUP(struct locality *, locality_free);

/* Machines 0 to N - 1 are known from now on; one stands at 0, 0, 0 until it is said. */
void locality_grow(struct locality *locality, size_t n);
void locality_stand(struct locality *locality, size_t node, const struct spot *spot);
/* All machines, in the order of their spots and then of their numbers; valid until one is added or moves. */
const uint32_t *locality_order(struct locality *locality);
/* How many domains LEVEL has; they are numbered in their order. */
size_t locality_domains(struct locality *locality, enum level level);
struct stretch locality_range(struct locality *locality, enum level level, size_t domain);
/* The domain of LEVEL in which the place AT of the order is. */
size_t locality_domain_at(struct locality *locality, enum level level, size_t at);
/* The place of NODE in the order. */
size_t locality_at(struct locality *locality, size_t node);

#endif
