/* nodes.h - the machines as the server of this machine knows them */
#ifndef ADMIN_NODES_H
#define ADMIN_NODES_H

#include "base/error.h"
#include "base/json.h"

/* Asked over the server's unix socket, as root or as its account; the items of `berth node list`. */
int nodes_ask(json_t **ret, struct error *err);

#endif
