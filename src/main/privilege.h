/* privilege.h - the one place where a role gives up what it does not need */
#ifndef MAIN_PRIVILEGE_H
#define MAIN_PRIVILEGE_H

#include "base/error.h"

#include <sys/types.h>

struct account {
    uid_t uid;
    gid_t gid;
};

int account_find(const char *user, struct account *ret, struct error *err);
/* Become ACCOUNT for good: no supplementary groups, no capabilities in any set, no new privileges,
 * not dumpable. Checked afterwards: getting root back must fail. */
int privilege_drop(const struct account *account, struct error *err);

#endif
