/* nodes.h - the machines as the server of this machine knows them */
#ifndef ADMIN_NODES_H
#define ADMIN_NODES_H

#include "admin/order.h"

#include "base/error.h"
#include "base/json.h"

/* Over the server's unix socket, as root or as its account. BODY and RET may be NULL; an answer of another status
 * than 200 to 299 is -EREMOTEIO, and ERR has its words. */
int nodes_call(const char *method, const char *target, const json_t *body, json_t **ret,
               struct error *err);
/* The items of `berth node list`, hardware as machines report it. */
int nodes_ask(json_t **ret, struct error *err);
/* All of them into CLUSTER, whose name and controller are set: this machine as it is seen here, the others as they
 * reported themselves; and the controller's address. ITEMS as nodes_ask() has them. */
int nodes_gather(struct cluster *cluster, json_t **items, struct error *err);

#endif
