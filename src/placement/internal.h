/* internal.h - what the files of placement/ share: nodes as a pass sees them while it gives away */
#ifndef PLACEMENT_INTERNAL_H
#define PLACEMENT_INTERNAL_H

#include "base/vec.h"
#include "placement/placement.h"

/* A NUMA node during a pass. */
struct numa_state {
    unsigned id;
    unsigned cores_usable, cores_free;
    unsigned cores_due; /* not free any more, and not yet said which */
    int64_t memory_bytes;
    int64_t memory_free_bytes; /* without its huge pages, which are: */
    struct huge_pages pages_free;
};

/* Whose a GPU is. */
struct gpu_hold {
    bool is_held;
    bool splits_islands;
    bool is_shared; /* by tasks that each have a part of it */
    struct id owner;
    uint64_t
        partition; /* bits: GPUs of the fabric manager's partition that it is in, itself without one */
};

/* A node during a pass; begins as the snapshot and shrinks with each placement. */
struct node_state {
    const struct node *node;
    const struct placement_grant *grants; /* before the pass */
    size_t n_grants;
    bool *core_free;    /* by core id */
    bool *gpu_free;     /* by position: nobody has any of it */
    unsigned *gpu_left; /* thousandths that are not given away; of one that is given whole, 0 */
    struct gpu_hold *gpu_holds;
    unsigned *vfs_free; /* by NIC */
    VEC(struct numa_state) numas;
    VEC(struct placement_pool) pools;
    unsigned cores_usable; /* without the reserve */
    unsigned cores_free;
    unsigned gpus_free;
    int64_t memory_usable_bytes, memory_free_bytes;
    int64_t disk_usable_bytes, disk_free_bytes;
    int64_t disk_kept_bytes; /* free on the disk, and promised to tasks */
    bool is_given;           /* something of it was given away in this pass */
    const char *booked; /* why the request may not be here though there is room; NULL: it may */
};

/* What decides whether a request fits: requests of equal shape share one answer. Hardware is that of a
 * task. */
struct shape {
    unsigned groups, tasks; /* of a group */
    unsigned cores;
    unsigned gpus;
    unsigned gpu_milli;    /* of its one GPU, which it shares; 0: GPUs are its own */
    uint64_t gpus_wished;  /* bits: positions that come first where one is shared */
    const char *gpu_model; /* borrowed; NULL: any */
    char *const *devices;  /* borrowed; NULL: any */
    int64_t memory_bytes;
    int64_t disk_bytes;
    struct huge_pages huge_pages;
    bool shared;
    bool numa_strict, network_optimised, splits_islands;
    struct id owner;                   /* of shared shapes and those with GPUs; otherwise none */
    const struct machine_rules *rules; /* borrowed */
};

/* rules.c: may SHAPE be on the node, whatever is free there? */
bool rules_allow(const struct machine_rules *rules, const struct node *node);
bool rules_equal(const struct machine_rules *a, const struct machine_rules *b);
/* Why none of N nodes is allowed, "on_nodes: there is no machine n9"; owned by the caller. */
char *rules_text(const struct machine_rules *rules, const struct node *const *nodes, size_t n);
/* Has nobody else anything there? */
bool node_state_is_empty(const struct node_state *state);

struct shape shape_of(const struct workload_spec *spec, const struct id *owner);
bool shape_equal(const struct shape *a, const struct shape *b);

void node_state_init(struct node_state *state, const struct placement_node *taken);
void node_state_done(struct node_state *state);
/* The first rule that keeps SHAPE off the node, PLACEMENT_PLACED if none does. Costs nothing near
 * the number of cores. */
enum placement_rule node_state_check(const struct node_state *state, const struct shape *shape);
/* Take what SHAPE needs; the check has passed. Owned by the caller. */
struct allocation *node_state_take(struct node_state *state, const struct shape *shape);
/* Where SHAPE is to have a machine to itself, the cores that its N tasks there left go to them in turn. */
void node_state_take_rest(struct node_state *state, const struct shape *shape,
                          struct allocation *const *tasks, unsigned n);
bool gpu_would_do(const struct gpu *gpu, const struct shape *shape);
/* How many tasks of SHAPE the node could hold now, cordoned or not; counts to MAX. */
unsigned node_state_room(const struct node_state *state, const struct shape *shape, unsigned max);
/* GPUs that would do for SHAPE and are free, or with ALL all of them. */
unsigned node_state_gpus(const struct node_state *state, const struct shape *shape, bool all);

/* gang.c: how many of SHAPE's groups fit on N nodes now, at most as many as it has; IS_EMPTY: nodes are
 * asked for what they are, cordoned or not. RET[I] (may be NULL): of these, on node I. */
unsigned gang_fit(const struct node_state *states, size_t n, const struct shape *shape,
                  bool is_empty, unsigned *ret);
/* Take all of SHAPE on N nodes; one allocation a rank, owned by the caller. NULL: it does not fit, and
 * nothing was taken. */
struct allocation **gang_take(struct node_state *states, size_t n, const struct shape *shape);
bool shape_is_gang(const struct shape *shape);

/* Why SHAPE does not fit on any of N nodes: the rule of the node that comes nearest and a text. */
enum placement_rule explain_refusal(const struct node_state *states, size_t n,
                                    const struct shape *shape, char *text, size_t len);

#endif
