/* machines.h - what machines.c and orders.c share */
#ifndef LIFECYCLE_MACHINES_H
#define LIFECYCLE_MACHINES_H

#include "lifecycle/internal.h"

struct member {
    struct node_record *machine;
    int64_t heard_us, heard_boot_us; /* 0: not since the server began */
    json_t *payload;                 /* of an order that was not fetched yet; NULL: none */
};

/* NULL: not known. */
struct member *machine_find(const struct lifecycle *lc, const char *name);
/* An event about MACHINE and its row (NULL: the row of NAME goes). */
void machine_keep(struct lifecycle *lc, const char *name, const struct node_record *machine,
                  const char *type, const char *actor, lifecycle_ok_f done, void *userdata);
/* After a restart: what was ordered before it is not known any more. */
void order_take(struct member *m);

#endif
