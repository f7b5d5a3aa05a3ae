/* node.c - `berth node run`: reports this machine as an ordinary account, and keeps root for orders alone */
#include "admin/admin.h"
#include "base/alloc.h"
#include "main/privilege.h"
#include "main/roles.h"

#include <stdlib.h>

static int drop(struct error *err)
{
    const char *user = getenv("BERTH_USER");
    struct account account = { 0 };

    int r = account_find(user && *user ? user : "berth", &account, err);
    return r < 0 ? r : privilege_drop(&account, err);
}

int role_node_run(int argc, char **argv)
{
    static const struct node_run how = { .drop = drop };

    return admin_node_run(argc, argv, &how);
}
