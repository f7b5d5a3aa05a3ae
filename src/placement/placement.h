/* placement.h - choose where workloads run: a snapshot in, a plan out; pure
 *
 * Integers only, and ties go to the lowest node and core number: the same snapshot always gives
 * the same plan. The live scheduler and the simulator call the same function.
 *
 * A gang is placed as a whole or not at all: each of its groups of tasks on a node of its own, by first
 * fit. Where there is one machine only, groups may share it.
 */
#ifndef PLACEMENT_PLACEMENT_H
#define PLACEMENT_PLACEMENT_H

#include "fleet/fleet.h"
#include "placement/booking.h"
#include "placement/capacity.h"
#include "placement/expectation.h"
#include "placement/forecast.h"
#include "placement/mirror.h"
#include "placement/planner-snapshot.h"
#include "placement/planner.h"
#include "placement/remedy.h"
#include "placement/replay.h"
#include "placement/rule.h"
#include "placement/schedule.h"
#include "placement/score.h"
#include "placement/snapshot.h"
#include "placement/together.h"
#include "workload/workload.h"

/* Tasks of shared flavors of one owner (an org) share these cores; nobody else has them. */
struct placement_pool {
    struct id owner;
    struct cpu_set cpus;
    unsigned cores_asked; /* by the tasks in it, together */
};

/* A pool takes as many shared tasks as if each of its cores were this many. */
#define PLACEMENT_SHARES_PER_CORE 4u

/* What a task has on a node. */
struct placement_grant {
    const struct allocation *allocation;
    struct id owner;      /* the org */
    unsigned cores_asked; /* on a shared flavor its cores are those of the owner's pool */
};

/* What is taken on a node now. */
struct placement_node {
    const struct node *node;
    const struct placement_grant *grants;
    size_t n_grants;
    int64_t
        disk_used_bytes; /* what these tasks were seen to use: it is no longer free on the disk */
};

struct placement_request {
    const struct workload *workload; /* spec, priority, eligible_us, id */
    struct id owner;                 /* the org: whose pool a shared task may join */
    const char *held; /* what it waits for that is no hardware, in words; NULL: nothing */
    bool is_asked;    /* it is looked at whatever that costs */
};

struct placement_snapshot {
    int64_t now_us;
    const struct placement_node *nodes;
    size_t n_nodes;
    const struct placement_request *queue;
    size_t n_queue;
    bool ordered; /* the queue is in the policy's order already; otherwise the pass orders it */
    /* Why REQUEST may not be on node INDEX though there is room, in words ("booked for p1 from …");
     * NULL: it may. Borrowed until the pass is over. NULL: nothing is booked */
    const char *(*booked)(void *userdata, const struct placement_request *request, size_t index);
    void *booked_userdata;
    size_t looks_max; /* who comes after so many looks at a machine is not looked at; 0: all are */
};

struct placement_decision {
    size_t request; /* index in the queue */
    enum placement_rule rule;
    struct allocation **allocations; /* one a rank, owned by the plan; NULL unless placed */
    unsigned n_allocations;
    size_t position; /* in the order of the policy, from 0 */
    char text[232];  /* with explain: the reason with its numbers, for people */
};

struct placement_plan {
    struct placement_decision *decisions; /* in the order of the policy */
    size_t n_decisions;
};

/* The policy's order: priority, then eligible time, then id. Never 0 for different workloads. */
int placement_compare(const struct workload *a, const struct workload *b);

/* Its time has not come: when it will, in words; NULL: it has. Owned by the caller. */
char *placement_time_text(const struct workload *w, int64_t now_us);

/* One pass. Never fails: what cannot be placed has a reason with numbers. */
void placement_pass(const struct placement_snapshot *snapshot, struct placement_plan *ret);
void placement_plan_done(struct placement_plan *plan);

/* Could any node, or for a gang as many as it needs, hold SPEC when they are empty? 0, or -EDOM with the
 * reason and numbers: admission. */
int placement_can_ever_fit(const struct node *const *nodes, size_t n_nodes,
                           const struct workload_spec *spec, struct error *err);

#endif
