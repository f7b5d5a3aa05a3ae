/* gang-view.h - what a task of a gang is told of the others; pure
 *
 * Names: a node is `node-N`, a task `rank-R` and with roles `ROLE-I`; those of one node are its address.
 */
#ifndef EXECUTOR_GANG_VIEW_H
#define EXECUTOR_GANG_VIEW_H

#include "agent/agent.h"
#include "task/task.h"

struct gang_peer {
    unsigned rank, node, local_rank;
    const char *role; /* NULL: none; borrowed like the address */
    unsigned role_rank;
    const char *address;
};

struct gang_view {
    const struct task_spec *spec; /* of a gang */
    struct gang_peer *peers;      /* in rank order, as many as the world is large */
    const char *interface;        /* by which they are reached: "eth0" */
};

/* PEERS is the list of task/task.h, of which RET borrows; gang_view_done(). */
int gang_view_init(struct gang_view *ret, const struct task_spec *spec, const json_t *peers,
                   const char *interface, struct error *err);
void gang_view_done(struct gang_view *view);

/* "node-3"; owned by the caller, as all that follows. */
char *gang_hostname(const struct task_gang *gang);
/* Lines for /etc/hosts: a node each. */
char *gang_hosts(const struct gang_view *view);
/* Open MPI's form, "node-0 slots=4"; in the order of nodes. */
char *gang_hostfile(const struct gang_view *view);
/* "NAME=value", NULL-terminated. */
char **gang_variables(const struct gang_view *view);
/* {"cluster": {ROLE: ["host:port", …]}, "task": {"type", "index"}}: what TensorFlow reads as TF_CONFIG. */
json_t *gang_cluster(const struct gang_view *view);

/* Files inside, next to agent/agent.h's. */
#define GANG_HOSTFILE_NAME "hostfile"
#define GANG_PEERS_NAME    "peers.json"
#define GANG_HOSTFILE      AGENT_DIR "/" GANG_HOSTFILE_NAME
#define GANG_PEERS         AGENT_DIR "/" GANG_PEERS_NAME

#endif
