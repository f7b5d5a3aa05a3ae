/* remedy.h - what change would let a job that waits begin now
 *
 * Each remedy is one change alone, tried on what is free at the moment: it is offered only where the job would then
 * fit. Pure; of equal ones the lowest index, the smallest change first.
 */
#ifndef PLACEMENT_REMEDY_H
#define PLACEMENT_REMEDY_H

#include "fleet/fleet.h"
#include "workload/workload.h"

struct placement_snapshot;
struct placement_request;

enum remedy_kind {
    /* of the request */
    REMEDY_GPUS,
    REMEDY_CORES,
    REMEDY_MEMORY,
    REMEDY_DISK,
    REMEDY_SIZE, /* all of these in proportion, where one alone is not enough */
    REMEDY_NODES,
    REMEDY_TASKS,
    REMEDY_MODEL,
    REMEDY_FLAVOR,
    REMEDY_ANYWHERE, /* without its rules about machines */
    REMEDY_APART,    /* not within one leaf, block or site */
    REMEDY_SHARE,    /* not exclusive */
    REMEDY_TIME,     /* over before what is booked begins */
    REMEDY_YIELD,    /* preemptible: it leaves when what is booked begins */
    REMEDY_PRIORITY, /* it goes before others of its project, or they make way (expectation.h) */
    /* of the machines: the operator's */
    REMEDY_UNCORDON,
    REMEDY_REPAIR,
    REMEDY_ADD,
    REMEDY_MAX,
};

struct remedy {
    enum remedy_kind kind;
    char *text;    /* "ask for 3 GPUs instead of 4" */
    json_t *patch; /* merge patch of the job's request; NULL: nothing of it changes */
    json_t *
        nodes; /* machines that are meant, by name; for REMEDY_ADD the one that new ones are like; NULL: none */
    unsigned count; /* of REMEDY_ADD: how many */
};

struct remedies {
    struct remedy *items; /* a vec */
    size_t len, cap;
};

struct remedy_question {
    const struct placement_snapshot *at; /* its machines, and what is booked; not its queue */
    const struct placement_request *request;
    const struct flavor *const *flavors;
    size_t n_flavors;
};

/* Appends to RET; nothing where the job fits already. */
void remedies_find(const struct remedy_question *question, struct remedies *ret);
void remedies_done(struct remedies *remedies);
const char *remedy_kind_name(enum remedy_kind kind);
/* As the API has it: "change", "text", "patch", "nodes", "count". */
json_t *remedy_to_json(const struct remedy *remedy);

#endif
