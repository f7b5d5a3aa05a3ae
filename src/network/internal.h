/* internal.h - what the files of network/ share */
#ifndef NETWORK_INTERNAL_H
#define NETWORK_INTERNAL_H

#include "base/text.h"
#include "base/vec.h"
#include "network/network.h"

#include <net/if.h>

#define UPLINK_PREFIX "bth" /* machine's side of a router's uplink: "bth7" of pair 7 */
#define ROUTER_PREFIX "up"  /* its other end, inside the router: "up7" */
#define LEG_PREFIX    "v"   /* router's side of an attempt's leg: "v2" of slot 2 */
#define BRIDGE        "br0"
#define LEG_NAME      "eth0"
#define SUBNET_PREFIX 22U
#define SLOT_MIN      2U /* .1 is the gateway */
#define SLOT_MAX      1022U

/* IPv4 addresses and masks in this folder are host order. */
struct cidr {
    uint32_t base;
    unsigned prefix;
};

/* address.c: pure */
int cidr_parse(const char *text, struct cidr *ret);
int address_parse(const char *text, uint32_t *ret);
const char *address_format(uint32_t address, char buf[static 16]);
uint32_t pool_slot(const struct cidr *pool, unsigned slot);
uint32_t pool_uplink(const struct cidr *pool,
                     unsigned pair); /* machine's side; the router's is + 1 */
unsigned pool_pairs(const struct cidr *pool);
void slot_mac(unsigned slot, uint8_t ret[static 6]);

/* resolv.c: pure. Adds "nameserver" addresses of a resolv.conf that containers can reach, IPv4
 * and not on loopback; and its search and options lines. */
#define RESOLV_MAX 3 /* as many as the C library uses */
struct resolv {
    uint32_t servers[RESOLV_MAX];
    unsigned n_servers;
    char search[256]; /* the words after "search"; "" if none */
};
void resolv_parse(const char *bytes, size_t len, struct resolv *ret);

/* counters.c: pure. Interfaces of IPv4 default routes in /proc/net/route. */
#define WAYS_MAX 8
struct ways_out {
    char names[WAYS_MAX][IFNAMSIZ];
    unsigned n;
};
void ways_out_parse(const char *bytes, size_t len, struct ways_out *ret);
bool ways_out_equal(const struct ways_out *a, const struct ways_out *b);

/* rules.c: rulesets as text for nft(8); pure. */
struct rules_router {
    struct cidr pool;
    const struct cidr *blocked;
    size_t n_blocked;
    const uint32_t *resolvers;
    size_t n_resolvers;
};
void rules_router(const struct rules_router *r, struct text *out);
/* OPENED: interfaces on which Berth switched forwarding on, now. */
void rules_machine(const struct cidr *pool, const struct ways_out *ways,
                   const struct ways_out *opened, struct text *out);

/* nft.c: run nft(8) in the caller's network namespace. libnftables is GPL, so it is not linked. */
int nft_load(const struct text *rules, struct error *err);
/* Names in the set "opened" of the machine's table; none when there is no table. */
int nft_opened(struct ways_out *ret, struct error *err);
int nft_delete_machine_table(struct error *err);

/* rtnl.c: rtnetlink over libmnl. A socket belongs to the namespace in which it was opened. All
 * return a negative errno. */
struct rtnl {
    struct mnl_socket *socket;
    unsigned port, seq;
};
int rtnl_open(struct rtnl *rtnl);
void rtnl_close(struct rtnl *rtnl);
struct veth {
    const char *name;
    unsigned master; /* index of the bridge; 0: none */
    bool up;
    unsigned mtu; /* of both ends; 0: the default */
    const char *peer_name;
    int peer_netns;
    const uint8_t *peer_mac; /* NULL: random */
};
int rtnl_veth_add(struct rtnl *rtnl, const struct veth *veth);
int rtnl_bridge_add(struct rtnl *rtnl, const char *name, const uint8_t mac[static 6]);
int rtnl_link_index(struct rtnl *rtnl, const char *name); /* -ENODEV */
int rtnl_link_up(struct rtnl *rtnl, unsigned index);
int rtnl_link_delete(struct rtnl *rtnl, const char *name);
int rtnl_address_add(struct rtnl *rtnl, unsigned index, uint32_t address, unsigned prefix);
int rtnl_default_route_add(struct rtnl *rtnl, unsigned index, uint32_t gateway);
/* The number behind each interface named PREFIX and digits. */
typedef VEC(unsigned) numbers;
int rtnl_numbered(struct rtnl *rtnl, const char *prefix, numbers *ret);

/* namespace.c */
/* A new namespace with lo up, ::1 but no other IPv6, and the caller back in OWN_FD. */
int namespace_make(int own_fd, int *ret_fd, struct error *err);
/* Enter FD; aborts when OWN_FD cannot be entered again, as everything after would go astray. */
int namespace_enter(int fd, struct error *err);
void namespace_return(int own_fd);
/* Write VALUE to /proc/sys/NAME of the present network namespace. Absent is -ENOENT. */
int sysctl_write(const char *name, const char *value);
/* 0 or 1; negative errno. */
int sysctl_read_bool(const char *name);

/* bound.c: namespaces kept at PATH; -ENOENT where there is none. */
int bound_open(const char *path);
int bound_open_or_make(const struct network *network, const char *path, bool *ret_made,
                       struct error *err);
/* Let the one that is there go; there may be another below, after a race. */
int bound_detach(const char *path, struct error *err);
/* With all that is left; absent is success. */
int bound_remove(const char *path, struct error *err);

/* network.c: remove the routers and namespaces whose files are wanted. */
typedef bool (*network_is_wanted_f)(const char *name, const void *userdata);
int network_remove_files(struct network *network, network_is_wanted_f is_wanted,
                         const void *userdata, struct error *err);

/* gang.c: is it the file of a gang's router or of one of its groups? */
bool gang_of_file(const char *name, struct id *ret);

/* router.c, machine.c */
#define ROUTER_NAME_MAX (ID_TEXT_LEN + 1)
struct router {
    char name[ROUTER_NAME_MAX]; /* of its file: the project's number or the gang's id */
    enum network_policy policy; /* none: a bridge that leads nowhere */
    bool made_here;             /* not by a process before this one */
    unsigned pair;
    unsigned next_slot;
    unsigned bridge; /* index */
    int netns;
    struct rtnl rtnl;
};

/* spare.c */
struct spare {
    enum network_policy policy;
    unsigned project;
    int netns;
    unsigned mtu; /* of its leg */
    struct network_facts facts;
};

struct network {
    char *runtime; /* RUNTIME/network */
    struct cidr pool;
    VEC(struct cidr) blocked;
    struct resolv resolv;
    int own; /* the machine's namespace */
    struct rtnl rtnl;
    VEC(struct router) routers;
    struct ways_out ways;
    unsigned mtu; /* smallest of the ways out; 0: unknown */
    VEC(struct spare) spares;
};

/* One for such an attempt; false: there is none. */
bool spare_take(struct network *network, enum network_policy policy, unsigned project,
                struct spare *ret);
/* Those of PROJECT: its router goes. */
void spares_drop(struct network *network, unsigned project);
/* What /proc/net shows of a namespace in which nothing was sent, failed or is open; pure. */
bool network_is_unused(const char *dev, const char *sockstat, const char *snmp);

int router_find_or_make(struct network *network, const char *name, enum network_policy policy,
                        struct router **ret, struct error *err);
void router_close(struct router *router);
int router_remove(struct network *network, const char *name, struct error *err);
void router_project_name(unsigned project, char ret[static ROUTER_NAME_MAX]);

/* network.c: the leg of SLOT (-EEXIST: it is there) and what the namespace knows of it. */
int leg_add(const struct network *network, struct router *router, int netns, unsigned slot);
int leg_raise(const struct network *network, const struct router *router, int netns, unsigned slot,
              struct network_facts *ret, struct error *err);
/* Make the machine's rules, forwarding and ways out as they must be; under machine_lock(). As long
 * as one router's uplink exists, no server takes the table away. */
int machine_load(struct network *network, struct error *err);
/* The same, once a router is there, if the default routes have changed; takes the lock itself. */
int machine_refresh(struct network *network, struct error *err);
/* Undo that, if no router of any server is left. */
int machine_restore(struct network *network, struct error *err);
/* Only one process at a time changes the machine's side: a lock on its network namespace, held
 * until *RET_FD is closed. */
int machine_lock(struct network *network, int *ret_fd, struct error *err);

#endif
