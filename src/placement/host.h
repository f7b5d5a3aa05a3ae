/* host.h - machines in all detail, behind a capacity's numbers */
#ifndef PLACEMENT_HOST_H
#define PLACEMENT_HOST_H

#include "placement/planner.h"
#include "placement/terms.h"

/* What a group of a job's tasks has on a machine. */
struct grant {
    struct id owner;
    unsigned cores_asked; /* by each task */
    struct allocation **tasks;
    unsigned n;
    bool
        is_taken; /* otherwise it was given back, and is kept for a moment: it may be taken again */
};

struct host_machine {
    const struct node *node; /* borrowed; NULL: it is gone */
    VEC(struct placement_grant) grants;
    int64_t disk_used_bytes;
    struct node_state state;
    bool is_fresh; /* STATE is of now */
};

struct host {
    struct terms_table terms;
    struct capacity *capacity; /* borrowed; indexes of machines are its */
    VEC(struct host_machine) machines;
    struct map *by_name; /* index + 1 */
    struct map *spots;   /* by kind and name of a site, block or leaf: its number */
    uint32_t n_spots;
    VEC(struct grant *) idle; /* given back */
    bool is_growing;          /* new machines come after all others, whatever place is left */
};

void host_init(struct host *host, struct capacity *capacity);
void host_done(struct host *host);

/* See planner_set_node(). */
void host_set_node(struct host *host, const struct node *node, int64_t disk_used_bytes);
void host_drop_node(struct host *host, const char *name);
/* A place more, of no machine. */
void host_skip(struct host *host);
/* A site, block or leaf, as the map of spots has it, gets its number now, if it has none. */
void host_name_spot(struct host *host, const char *name);
/* False: there is no machine of that name. */
bool host_find(const struct host *host, const char *name, size_t *ret);

/* What is asked of the capacity for a group of SHAPE, whose terms are NUMBER. */
struct ask host_ask(const struct shape *shape, uint32_t number);
/* A grant of what N tasks have already: they are copied. It is idle until it is taken. */
struct grant *host_grant(struct host *host, const struct shape *shape, const struct id *owner,
                         const struct allocation *const *tasks, unsigned n);
/* Grants that were given back are gone. */
void host_forget_idle(struct host *host);

#endif
