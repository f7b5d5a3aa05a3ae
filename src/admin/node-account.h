/* node-account.h - the account that jobs run as has the same number on every machine
 *
 * Slurm and munge know accounts by number alone. Packages number theirs as they come.
 */
#ifndef ADMIN_NODE_ACCOUNT_H
#define ADMIN_NODE_ACCOUNT_H

#include "base/error.h"

#include <sys/types.h>

/* As root: account and group NAME get these numbers here, and what is theirs below STATE goes with them. 1: they had
 * them already. -EBUSY: something runs as that account, -EEXIST: the numbers are somebody else's. */
int node_account_set(const char *name, uid_t uid, gid_t gid, const char *state, struct error *err);

#endif
