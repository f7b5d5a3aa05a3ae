/* router.c - one namespace a project or gang: bridge, gateway, NAT, rules, uplink
 *
 * Every step may have been done by a process that was killed: what exists is taken as it is, and
 * the rules are loaded anew.
 */
#include "network/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>

static void numbers_done(numbers *n) { vec_done(n); }

void router_close(struct router *router)
{
    rtnl_close(&router->rtnl);
    router->netns = safe_close(router->netns);
}

static bool exists_or_made(int r) { return r >= 0 || r == -EEXIST; }

void router_project_name(unsigned project, char ret[static ROUTER_NAME_MAX])
{
    (void) snprintf(ret, ROUTER_NAME_MAX, "%u", project);
}

static char *router_path(const struct network *network, const char *name)
{
    return xasprintf("%s/%s", network->runtime, name);
}

/* Inside the router's namespace. */
static int load_rules(const struct network *network, struct error *err)
{
    _cleanup_text_ struct text rules = { 0 };
    const struct rules_router settings = { .pool = network->pool,
                                           .blocked = network->blocked.items,
                                           .n_blocked = network->blocked.len,
                                           .resolvers = network->resolv.servers,
                                           .n_resolvers = network->resolv.n_servers };

    rules_router(&settings, &rules);
    int r = nft_load(&rules, err);
    if (r < 0)
        return r;
    r = sysctl_write("net/ipv4/ip_forward", "1");
    return r < 0 ? error_set(err, r, "forwarding in the router: %s", strerror(-r)) : 0;
}

/* Inside the router's namespace. */
static int fill(const struct network *network, struct router *router, struct error *err)
{
    static const char *const bridge_hooks[] = { "iptables", "ip6tables", "arptables" };

    int r = router->policy == NETWORK_NONE ? 0 : load_rules(network, err);
    if (r < 0)
        return r;
    /* Else bridged packets pass the inet hooks too, and are cut there. Absent without the module. */
    for (size_t i = 0; i < sizeof bridge_hooks / sizeof *bridge_hooks; i++) {
        char name[64];
        (void) snprintf(name, sizeof name, "net/bridge/bridge-nf-call-%s", bridge_hooks[i]);
        r = sysctl_write(name, "0");
        if (r < 0 && r != -ENOENT)
            return error_set(err, r, "%s: %s", name, strerror(-r));
    }
    r = rtnl_open(&router->rtnl);
    return r < 0 ? error_set(err, r, "netlink: %s", strerror(-r)) : 0;
}

static int add_bridge(const struct network *network, struct router *router, struct error *err)
{
    uint8_t mac[6];

    slot_mac(1, mac);
    int r = rtnl_bridge_add(&router->rtnl, BRIDGE, mac);
    if (!exists_or_made(r))
        return error_set(err, r, "making a bridge: %s", strerror(-r));
    r = rtnl_link_index(&router->rtnl, BRIDGE);
    if (r < 0)
        return error_set(err, r, "the bridge just made: %s", strerror(-r));
    router->bridge = (unsigned) r;
    if (router->policy == NETWORK_NONE)
        return 0;
    r = rtnl_address_add(&router->rtnl, router->bridge, pool_slot(&network->pool, 1),
                         SUBNET_PREFIX);
    return exists_or_made(r) ? 0 : error_set(err, r, "the gateway's address: %s", strerror(-r));
}

/* Claim the lowest free pair by making its interface; the kernel refuses the second. */
static int claim_pair(struct network *network, struct router *router, struct error *err)
{
    char name[IFNAMSIZ], peer[IFNAMSIZ];

    for (unsigned pair = 0; pair < pool_pairs(&network->pool); pair++) {
        (void) snprintf(name, sizeof name, UPLINK_PREFIX "%u", pair);
        (void) snprintf(peer, sizeof peer, ROUTER_PREFIX "%u", pair);
        const struct veth veth = {
            .name = name, .peer_name = peer, .peer_netns = router->netns, .mtu = network->mtu
        };
        int r = rtnl_veth_add(&network->rtnl, &veth);
        if (r == -EEXIST)
            continue;
        if (r < 0)
            return error_set(err, r, "making an uplink: %s", strerror(-r));
        router->pair = pair;
        return 0;
    }
    return error_set(err, -ENOSPC, "the pool has no addresses left for another project's uplink");
}

static int find_pair(struct router *router)
{
    _cleanup_(numbers_done) numbers pairs = { 0 };

    int r = rtnl_numbered(&router->rtnl, ROUTER_PREFIX, &pairs);
    if (r < 0 || pairs.len == 0)
        return r < 0 ? r : -ENOENT;
    router->pair = pairs.items[0];
    return 0;
}

/* One end of the uplink: address and up. */
static int raise_end(struct rtnl *rtnl, const char *name, uint32_t address)
{
    int index = rtnl_link_index(rtnl, name);
    if (index < 0)
        return index;
    int r = rtnl_address_add(rtnl, (unsigned) index, address, 31);
    if (!exists_or_made(r))
        return r;
    r = rtnl_link_up(rtnl, (unsigned) index);
    return r < 0 ? r : index;
}

static int raise_uplink(struct network *network, struct router *router)
{
    uint32_t address = pool_uplink(&network->pool, router->pair);
    char name[IFNAMSIZ], setting[64];

    (void) snprintf(name, sizeof name, UPLINK_PREFIX "%u", router->pair);
    (void) snprintf(setting, sizeof setting, "net/ipv6/conf/%s/disable_ipv6", name);
    int r = sysctl_write(setting, "1");
    if (r < 0 && r != -ENOENT)
        return r;
    (void) snprintf(setting, sizeof setting, "net/ipv4/conf/%s/forwarding", name);
    r = sysctl_write(setting, "1");
    if (r < 0)
        return r;
    r = raise_end(&network->rtnl, name, address);
    if (r < 0)
        return r;
    (void) snprintf(name, sizeof name, ROUTER_PREFIX "%u", router->pair);
    int index = raise_end(&router->rtnl, name, address + 1);
    if (index < 0)
        return index;
    r = rtnl_default_route_add(&router->rtnl, (unsigned) index, address);
    return exists_or_made(r) ? 0 : r;
}

static int connect_uplink(struct network *network, struct router *router, struct error *err)
{
    int r = find_pair(router);
    if (r == -ENOENT)
        r = claim_pair(network, router, err);
    else if (r < 0)
        r = error_set(err, r, "listing interfaces: %s", strerror(-r));
    if (r < 0)
        return r;
    r = raise_uplink(network, router);
    return r < 0 ? error_set(err, r, "the router's uplink: %s", strerror(-r)) : 0;
}

static int make(struct network *network, struct router *router, struct error *err)
{
    _cleanup_free_ char *path = router_path(network, router->name);
    _cleanup_close_ int lock = -1;
    bool has_uplink = router->policy != NETWORK_NONE;

    int r = has_uplink ? machine_lock(network, &lock, err) : 0;
    if (r >= 0 && has_uplink)
        r = machine_load(network, err);
    if (r < 0)
        return r;
    router->netns = bound_open_or_make(network, path, &router->made_here, err);
    if (router->netns < 0)
        return router->netns;
    r = namespace_enter(router->netns, err);
    if (r < 0)
        return r;
    r = fill(network, router, err);
    namespace_return(network->own);
    if (r < 0)
        return r;
    r = add_bridge(network, router, err);
    return r < 0 || !has_uplink ? r : connect_uplink(network, router, err);
}

int router_find_or_make(struct network *network, const char *name, enum network_policy policy,
                        struct router **ret, struct error *err)
{
    vec_foreach(&network->routers, it)
        if (str_equal(it->name, name)) {
            *ret = it;
            return policy == NETWORK_NONE ? 0 : machine_refresh(network, err);
        }

    struct router router = { .policy = policy, .netns = -1, .next_slot = SLOT_MIN };
    (void) snprintf(router.name, sizeof router.name, "%s", name);
    int r = make(network, &router, err);
    if (r < 0) {
        router_close(&router);
        return error_context(err, r, "network of %s", name);
    }
    vec_push(&network->routers, router);
    *ret = &network->routers.items[network->routers.len - 1];
    return 0;
}

/* Others may hold the namespace for a while longer (a supervisor's copy of the mounts): leave it
 * empty. */
static void clear(struct network *network, int netns)
{
    _cleanup_(numbers_done) numbers legs = { 0 };
    struct router router = { .netns = netns };
    char name[IFNAMSIZ];

    if (namespace_enter(netns, NULL) < 0)
        return;
    int r = rtnl_open(&router.rtnl);
    namespace_return(network->own);
    if (r < 0)
        return;
    if (find_pair(&router) == 0) {
        (void) snprintf(name, sizeof name, ROUTER_PREFIX "%u", router.pair);
        (void) rtnl_link_delete(&router.rtnl, name);
    }
    (void) rtnl_numbered(&router.rtnl, LEG_PREFIX, &legs);
    vec_foreach(&legs, leg) {
        (void) snprintf(name, sizeof name, LEG_PREFIX "%u", *leg);
        (void) rtnl_link_delete(&router.rtnl, name);
    }
    (void) rtnl_link_delete(&router.rtnl, BRIDGE);
    rtnl_close(&router.rtnl);
}

int router_remove(struct network *network, const char *name, struct error *err)
{
    _cleanup_free_ char *path = router_path(network, name);

    for (size_t i = 0; i < network->routers.len; i++)
        if (str_equal(network->routers.items[i].name, name)) {
            router_close(&network->routers.items[i]);
            vec_remove(&network->routers, i);
            break;
        }
    for (int fd; (fd = bound_open(path)) >= 0; (void) safe_close(fd)) {
        clear(network, fd);
        int r = bound_detach(path, err);
        if (r < 0) {
            (void) safe_close(fd);
            return r;
        }
    }
    return bound_remove(path, err);
}
