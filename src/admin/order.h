/* order.h - what a machine that joined is told to do: typed, and checked again where it is carried out
 *
 * An order names no program, no package, no path and no unit: it says which part of which cluster the machine is,
 * and everything else follows from that on the machine itself (order-slurm.c). Pure.
 */
#ifndef ADMIN_ORDER_H
#define ADMIN_ORDER_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/vec.h"
#include "engine/engine.h"

#include <stdbool.h>
#include <sys/types.h>

/* A Slurm cluster; owns what it names. */
struct cluster {
    char *name, *controller, *controller_address; /* the last may be NULL */
    VEC(struct node *) nodes;
    VEC(struct render_node) items; /* racks are owned */
};

void cluster_done(struct cluster *cluster);
/* NODE is taken. */
void cluster_add(struct cluster *cluster, struct node *node, const char *rack);
struct render_cluster cluster_view(const struct cluster *cluster);
const struct node *cluster_find(const struct cluster *cluster, const char *name);

struct order {
    bool only_looks;    /* says what would change */
    bool is_controller; /* runs slurmctld */
    bool is_server;     /* the server's own machine, which makes containers itself */
    struct cluster cluster;
    const struct node *self; /* of the cluster's */
    char *account;           /* that jobs run as */
    uid_t uid;
    gid_t gid;
    char *munge_key; /* sealed for this machine, see box.h */
    json_t *sums;    /* of the files, by name */
};

void order_free(struct order *order);
DEFINE_CLEANUP(struct order *, order_free);
/* Without a munge key, which whoever sends it adds. */
json_t *order_to_json(const struct order *order);
/* Of the machine NAME. -EINVAL: it is not in order, and what is wrong. */
int order_from_json(const json_t *json, const char *name, struct order **ret, struct error *err);

#endif
