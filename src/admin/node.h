/* node.h - what `berth node join` leaves for `berth node run`, and what a machine says of itself */
#ifndef ADMIN_NODE_H
#define ADMIN_NODE_H

#include "base/error.h"
#include "base/json.h"

#define NODE_FILE "node.json" /* in the state directory: {"url","name","key"}, 0600 */

/* This machine, as the API takes it; NAME NULL: the host's. Disk is that of STATE, its address the one that it
 * reaches URL from. Owned by the caller. */
int node_look(const char *state, const char *name, const char *url, json_t **ret,
              struct error *err);
/* The address from which HOST (a name or an address) is reached; owned by the caller, NULL: none but loopback. */
char *address_towards(const char *host);

#endif
