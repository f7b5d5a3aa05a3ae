/* node.h - what `berth node join` leaves for `berth node run`, and what a machine says of itself */
#ifndef ADMIN_NODE_H
#define ADMIN_NODE_H

#include "base/error.h"
#include "base/json.h"

#define NODE_FILE "node.json" /* in the state directory: {"url","name","key"}, 0600 */

/* This machine, as the API takes it; NAME NULL: the host's. Disk is that of STATE. Owned by the caller. */
int node_look(const char *state, const char *name, json_t **ret, struct error *err);

#endif
