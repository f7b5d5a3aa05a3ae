/* terms.h - shapes of requests by number: what a capacity's host is asked with */
#ifndef PLACEMENT_TERMS_H
#define PLACEMENT_TERMS_H

#include "base/map.h"
#include "placement/internal.h"

/* What a group of a job's tasks asks of a machine. Jobs that ask for the same share one. */
struct terms {
    uint32_t number; /* of no others, also not later */
    unsigned refs;
    struct shape shape; /* of one group */
    struct machine_rules rules;
    char *gpu_model, **devices; /* SHAPE borrows these and RULES */
    struct terms *next;         /* alike in numbers */
};

struct terms_table {
    struct map *by_numbers, *by_number;
    uint32_t last;
};

void terms_table_init(struct terms_table *table);
void terms_table_done(struct terms_table *table);
/* With a reference; all that WANTED borrows is copied, its number and references do not matter. */
struct terms *terms_take(struct terms_table *table, const struct terms *wanted);
void terms_unref(struct terms_table *table, struct terms *terms);
const struct terms *terms_get(const struct terms_table *table, uint32_t number);

#endif
