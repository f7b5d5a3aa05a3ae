/* gang.c - the network of tasks that work together
 *
 * RUNTIME/network/GANG is its router, GANG.N the namespace of group N: both are found again by a
 * process that starts another task of the group, also after the one that began was killed.
 */
#include "network/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>

_Static_assert(SLOT_MIN + NETWORK_GROUPS_MAX - 1 == SLOT_MAX, "a slot a group");

bool gang_of_file(const char *name, struct id *ret)
{
    _cleanup_free_ char *id = xstrndup(name, ID_TEXT_LEN);
    const char *rest = name + strlen(id);
    long long number;

    return id_parse(id, ret) == 0 &&
           (!*rest ||
            (*rest == '.' && str_to_i64(rest + 1, 0, NETWORK_GROUPS_MAX - 1, &number) == 0));
}

int network_group_create(struct network *network, enum network_policy policy,
                         const struct network_group *group, int *ret_netns_fd,
                         struct network_facts *ret, struct error *err)
{
    unsigned slot = SLOT_MIN + group->number;
    char name[ROUTER_NAME_MAX];
    struct router *router = NULL;
    bool made;

    if (group->number >= NETWORK_GROUPS_MAX)
        return error_set(err, -ENOSPC, "group %u of a gang: a machine holds %d of one gang",
                         group->number, NETWORK_GROUPS_MAX);
    int r = router_find_or_make(network, id_format(&group->gang, name), policy, &router, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *path = xasprintf("%s/%s.%u", network->runtime, name, group->number);
    int fd = bound_open_or_make(network, path, &made, err);
    if (fd < 0)
        return fd;
    _cleanup_close_ int netns = fd;
    r = leg_add(network, router, netns, slot);
    if (r < 0 && r != -EEXIST)
        return error_set(err, r, "a container's leg into its gang's network: %s", strerror(-r));
    r = leg_raise(network, router, netns, slot, ret, err);
    if (r < 0)
        return r;
    ret->has_way_out = policy != NETWORK_NONE && network->ways.n > 0;
    *ret_netns_fd = take_fd(&netns);
    return 0;
}

void network_gang_end(struct network *network, const struct id *gang)
{
    char name[ROUTER_NAME_MAX];

    id_format(gang, name);
    vec_foreach(&network->routers, router) {
        if (!str_equal(router->name, name) || !router->made_here)
            continue;
        (void) network_gang_delete(network, gang, NULL);
        return;
    }
}

static bool is_of_gang(const char *name, const void *gang)
{
    struct id id;

    return gang_of_file(name, &id) && id_equal(&id, gang);
}

int network_gang_delete(struct network *network, const struct id *gang, struct error *err)
{
    return network_remove_files(network, is_of_gang, gang, err);
}
