/* gang.c - the network of tasks that work together */
#include "network/internal.h"

#include <errno.h>

_Static_assert(SLOT_MIN + NETWORK_GROUPS_MAX - 1 == SLOT_MAX, "a slot a group");

int network_group_create(struct network *network, enum network_policy policy,
                         const struct network_group *group, int *ret_netns_fd,
                         struct network_facts *ret, struct error *err)
{
    char name[ROUTER_NAME_MAX];
    struct router *router = NULL;

    if (group->number >= NETWORK_GROUPS_MAX)
        return error_set(err, -ENOSPC, "group %u of a gang: a machine holds %d of one gang",
                         group->number, NETWORK_GROUPS_MAX);
    int r = router_find_or_make(network, id_format(&group->gang, name), policy, &router, err);
    if (r >= 0)
        r = network_make(network, router, SLOT_MIN + group->number, ret_netns_fd, ret, err);
    if (r >= 0)
        ret->has_way_out = policy != NETWORK_NONE && network->ways.n > 0;
    return r;
}

int network_gang_delete(struct network *network, const struct id *gang, struct error *err)
{
    char name[ROUTER_NAME_MAX];

    return router_remove(network, id_format(gang, name), err);
}
