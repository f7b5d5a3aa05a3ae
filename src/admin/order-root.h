/* order-root.h - the part of `berth node run` that stays root: it takes orders, checks them and carries them out
 *
 * It is forked before anything else and talks to nobody but the part that reports, which is an ordinary account.
 * What goes between the two is JSON behind its length.
 */
#ifndef ADMIN_ORDER_ROOT_H
#define ADMIN_ORDER_ROOT_H

#include "base/error.h"
#include "base/json.h"

#define ORDER_KEY_FILE "node.key" /* in the state directory; only root opens it */

struct order_root {
    const char *state, *runtime; /* Berth's directories */
    const char *node;            /* what this machine is called */
};

/* Returns the socket to it, the caller's; it ends when the socket does, after what it has begun. */
int order_root_fork(const struct order_root *root, struct error *err);

/* 1: a message, 0: the other side has gone. */
int order_receive(int socket, json_t **ret, struct error *err);
int order_send(int socket, const json_t *json, struct error *err);

#endif
