/* network.c - settings, attempts, sweep */
#include "network/internal.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define RESOLV_LIMIT 65536

int network_policy_parse(const char *name, enum network_policy *ret)
{
    if (strcmp(name, "none") == 0)
        *ret = NETWORK_NONE;
    else if (strcmp(name, "egress") == 0)
        *ret = NETWORK_EGRESS;
    else
        return -EINVAL;
    return 0;
}

static int read_pool(const char *text, struct cidr *ret, struct error *err)
{
    if (!text || cidr_parse(text, ret) < 0 || ret->prefix < 8 || ret->prefix > 20)
        return error_set(err, -EINVAL,
                         "pool: '%s' is not an IPv4 range of 8 to 20 bits, like 10.113.0.0/16",
                         text ? text : "");
    return 0;
}

static int read_blocked(const char *const *list, struct network *network, struct error *err)
{
    struct cidr range;

    for (; list && *list; list++) {
        if (cidr_parse(*list, &range) < 0)
            return error_set(err, -EINVAL,
                             "blocked: '%s' is not an IPv4 range, like 10.0.0.0/8 or 10.1.2.3",
                             *list);
        vec_push(&network->blocked, range);
    }
    return 0;
}

static int read_dns(const char *const *list, struct resolv *ret, struct error *err)
{
    for (; list && *list; list++) {
        uint32_t address;
        if (address_parse(*list, &address) < 0 || address >> 24 == 127)
            return error_set(err, -EINVAL,
                             "dns: '%s' is not an IPv4 address that containers can reach", *list);
        if (ret->n_servers == RESOLV_MAX)
            return error_set(err, -EINVAL, "dns: more than %d resolvers", RESOLV_MAX);
        ret->servers[ret->n_servers++] = address;
    }
    return 0;
}

static void machine_resolv(struct resolv *ret)
{
    static const char *const files[] = { "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf" };

    for (size_t i = 0; i < sizeof files / sizeof *files && ret->n_servers == 0; i++) {
        _cleanup_text_ struct text text = { 0 };
        if (file_read(AT_FDCWD, files[i], RESOLV_LIMIT, &text, NULL) >= 0)
            resolv_parse(text_str(&text), text.len, ret);
    }
}

static int read_settings(const struct network_settings *settings, struct network *network,
                         struct error *err)
{
    int r = read_pool(settings->pool, &network->pool, err);
    if (r < 0)
        return r;
    r = read_blocked(settings->blocked, network, err);
    if (r < 0)
        return r;
    return read_dns(settings->dns, &network->resolv, err);
}

void network_free(struct network *network)
{
    if (!network)
        return;
    vec_foreach(&network->routers, it)
        router_close(it);
    vec_done(&network->routers);
    network_drop_spares(network);
    vec_done(&network->spares);
    vec_done(&network->blocked);
    rtnl_close(&network->rtnl);
    (void) safe_close(network->own);
    free(network->runtime);
    free(network);
}

int network_settings_check(const struct network_settings *settings, struct error *err)
{
    _cleanup_(network_freep) struct network *network = xnew(struct network);

    network->own = -1;
    return read_settings(settings, network, err);
}

int network_new(const struct network_settings *settings, struct network **ret, struct error *err)
{
    _cleanup_(network_freep) struct network *network = xnew(struct network);

    network->own = -1;
    int r = read_settings(settings, network, err);
    if (r < 0)
        return r;
    if (network->resolv.n_servers == 0)
        machine_resolv(&network->resolv);
    network->runtime = xasprintf("%s/network", settings->runtime);
    r = mkdir_all(AT_FDCWD, network->runtime, 0711, err);
    if (r < 0)
        return r;
    network->own = network_own();
    if (network->own < 0)
        return error_set(err, network->own, "opening the machine's network namespace: %s",
                         strerror(-network->own));
    r = rtnl_open(&network->rtnl);
    if (r < 0)
        return error_set(err, r, "netlink: %s", strerror(-r));
    *ret = take_ptr(network);
    return 0;
}

int network_project_ensure(struct network *network, unsigned project, struct error *err)
{
    char name[ROUTER_NAME_MAX];
    struct router *router;

    router_project_name(project, name);
    return router_find_or_make(network, name, NETWORK_EGRESS, &router, err);
}

int network_project_delete(struct network *network, unsigned project, struct error *err)
{
    char name[ROUTER_NAME_MAX];

    spares_drop(network, project);
    router_project_name(project, name);
    return router_remove(network, name, err);
}

int leg_add(const struct network *network, struct router *router, int netns, unsigned slot)
{
    char name[IFNAMSIZ];
    uint8_t mac[6];

    (void) snprintf(name, sizeof name, LEG_PREFIX "%u", slot);
    slot_mac(slot, mac);
    const struct veth veth = { .name = name,
                               .master = router->bridge,
                               .up = true,
                               .mtu = network->mtu,
                               .peer_name = LEG_NAME,
                               .peer_netns = netns,
                               .peer_mac = mac };
    return rtnl_veth_add(&router->rtnl, &veth);
}

/* Slots go round, so that an address rests before it is another attempt's. */
static int claim_slot(const struct network *network, struct router *router, int netns,
                      unsigned *ret_slot)
{
    for (unsigned tried = SLOT_MIN; tried <= SLOT_MAX; tried++) {
        unsigned slot = router->next_slot;

        router->next_slot = slot < SLOT_MAX ? slot + 1 : SLOT_MIN;
        int r = leg_add(network, router, netns, slot);
        if (r == -EEXIST)
            continue;
        *ret_slot = slot;
        return r;
    }
    return -ENOSPC;
}

static bool exists_or_made(int r) { return r >= 0 || r == -EEXIST; }

/* The attempt's end of the leg. */
static int raise_end(const struct network *network, const struct router *router, int netns,
                     unsigned slot, struct error *err)
{
    struct rtnl rtnl;

    int r = namespace_enter(netns, err);
    if (r < 0)
        return r;
    r = rtnl_open(&rtnl);
    namespace_return(network->own);
    if (r < 0)
        return error_set(err, r, "netlink: %s", strerror(-r));
    int index = rtnl_link_index(&rtnl, LEG_NAME);
    r = index < 0 ? index : rtnl_link_up(&rtnl, (unsigned) index);
    if (r >= 0)
        r = rtnl_address_add(&rtnl, (unsigned) index, pool_slot(&network->pool, slot),
                             SUBNET_PREFIX);
    if (exists_or_made(r) && router->policy != NETWORK_NONE)
        r = rtnl_default_route_add(&rtnl, (unsigned) index, pool_slot(&network->pool, 1));
    rtnl_close(&rtnl);
    return exists_or_made(r) ? 0 : error_set(err, r, "address of the container: %s", strerror(-r));
}

int leg_raise(const struct network *network, const struct router *router, int netns, unsigned slot,
              struct network_facts *ret, struct error *err)
{
    struct network_facts facts = { .slot = slot };

    int r = raise_end(network, router, netns, slot, err);
    if (r < 0)
        return r; /* the leg ends with the namespace */
    address_format(pool_slot(&network->pool, slot), facts.address);
    (void) snprintf(facts.interface, sizeof facts.interface, "%s", LEG_NAME);
    if (router->policy != NETWORK_NONE) {
        address_format(pool_slot(&network->pool, 1), facts.gateway);
        address_format(pool_uplink(&network->pool, router->pair) + 1, facts.host_address);
    }
    *ret = facts;
    return 0;
}

static int add_leg(struct network *network, struct router *router, int netns,
                   struct network_facts *ret, struct error *err)
{
    unsigned slot;

    int r = claim_slot(network, router, netns, &slot);
    if (r < 0)
        return error_set(err, r, "a container's leg into its project's network: %s", strerror(-r));
    return leg_raise(network, router, netns, slot, ret, err);
}

/* Without ROUTER there is loopback alone. */
static int make_network(struct network *network, struct router *router, int *ret_netns_fd,
                        struct network_facts *ret, struct error *err)
{
    _cleanup_close_ int netns = -1;

    *ret = (struct network_facts){ 0 };
    int r = namespace_make(network->own, &netns, err);
    if (r >= 0 && router)
        r = add_leg(network, router, netns, ret, err);
    if (r >= 0)
        *ret_netns_fd = take_fd(&netns);
    return r;
}

int network_attempt_create(struct network *network, enum network_policy policy, unsigned project,
                           int *ret_netns_fd, struct network_facts *ret, struct error *err)
{
    struct router *router = NULL;
    char name[ROUTER_NAME_MAX];
    struct spare spare;
    int r = 0;

    router_project_name(project, name);
    /* Also for a spare: it sees to it that rules and ways out are those of now. */
    if (policy == NETWORK_EGRESS)
        r = router_find_or_make(network, name, policy, &router, err);
    if (r < 0)
        return r;
    if (spare_take(network, policy, project, &spare)) {
        *ret = spare.facts;
        *ret_netns_fd = spare.netns;
    } else {
        r = make_network(network, router, ret_netns_fd, ret, err);
    }
    ret->has_way_out = router && network->ways.n > 0;
    return r;
}

static inline void closedirp(DIR **dir)
{
    if (*dir)
        (void) closedir(*dir);
}

/* Whose this file is: a project's number, or a gang's id and perhaps the number of a group. */
static bool is_left_over(const char *name, const void *userdata)
{
    const struct network_live *live = userdata;
    long long project;
    struct id gang;

    if (gang_of_file(name, &gang)) {
        for (size_t i = 0; i < live->n_gangs; i++)
            if (id_equal(&live->gangs[i], &gang))
                return false;
        return true;
    }
    if (str_to_i64(name, 0, INT32_MAX, &project) < 0)
        return false;
    for (size_t i = 0; i < live->n_projects; i++)
        if (live->projects[i] == (unsigned) project)
            return false;
    return true;
}

static int remove_named(struct network *network, const char *name, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", network->runtime, name);
    long long project;

    if (str_to_i64(name, 0, INT32_MAX, &project) == 0)
        return network_project_delete(network, (unsigned) project, err);
    return strchr(name, '.') ? bound_remove(path, err) : router_remove(network, name, err);
}

int network_remove_files(struct network *network, network_is_wanted_f is_wanted,
                         const void *userdata, struct error *err)
{
    int first = 0;
    _cleanup_(closedirp) DIR *dir = opendir(network->runtime);

    if (!dir)
        return error_set(err, -errno, "reading %s: %m", network->runtime);
    /* One that cannot be removed does not keep the others. */
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!is_wanted(entry->d_name, userdata))
            continue;
        int r = remove_named(network, entry->d_name, first < 0 ? NULL : err);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

int network_sweep(struct network *network, const struct network_live *live, struct error *err)
{
    int first = network_remove_files(network, is_left_over, live, err);
    int r = machine_restore(network, first < 0 ? NULL : err);

    return first < 0 ? first : r;
}

char *network_resolv_conf(const struct network *network, enum network_policy policy)
{
    struct text out = { 0 };
    char buf[16];

    for (unsigned i = 0; policy == NETWORK_EGRESS && i < network->resolv.n_servers; i++)
        text_addf(&out, "nameserver %s\n", address_format(network->resolv.servers[i], buf));
    if (policy == NETWORK_EGRESS && network->resolv.search[0])
        text_addf(&out, "search %s\n", network->resolv.search);
    return text_take(&out);
}
