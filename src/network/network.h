/* network.h - the containers' networks on one machine
 *
 * A project with policy `egress` has a "router": a network namespace of its own that holds a
 * bridge, the gateway's address, NAT and the rules. An attempt has a network namespace with one
 * leg (eth0) in its project's bridge. The router's uplink is a veth pair into the machine's own
 * namespace, where one nftables table (`inet berth`) lets it out and nothing in.
 *
 *     attempt              router of project 7          machine
 *     eth0 ---- v2 br0 (gateway) NAT up ---- bth7  forward, NAT  ---- default route
 *
 * From a container are out of reach, by rule and without any address list to keep: every address
 * of the machine and of the routers, other projects, 169.254.0.0/16, multicast, and the ranges
 * that the operator names. Sources are checked per leg (interface, MAC and IP). There is no IPv6
 * but ::1. Policy `none` is a namespace with loopback alone.
 *
 * A gang has a router of its own, made alike; with policy `none` it is a bridge that leads nowhere.
 *
 * Addresses: POOL's first 1024 are the subnet inside every router (NAT makes it private to each);
 * the rest is cut into pairs, one for each router's uplink. Slots and pairs are claimed by making
 * the interface that bears their number, so the kernel decides and nothing is written down: two
 * servers on one machine do not collide either.
 *
 * All calls are synchronous, for a root process with a single thread (they switch the calling
 * thread's namespace and back). State lies in the kernel and in RUNTIME/network/ (router
 * namespaces as bind mounts), so that a process killed at any point leaves nothing that
 * network_sweep() does not find. An attempt's namespace is held by descriptors and processes only
 * and ends with the last of them; that of a gang's group is kept by a file until the gang ends.
 */
#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/id.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct network;

enum network_policy { NETWORK_NONE, NETWORK_EGRESS };

/* "none", "egress"; -EINVAL otherwise. */
int network_policy_parse(const char *name, enum network_policy *ret);

/* Borrowed for the call of network_new(). Lists are NULL-terminated, NULL is the empty list. */
struct network_settings {
    const char *runtime;        /* RUNTIME directory, "/run/berth" */
    const char *pool;           /* IPv4 CIDR, prefix of 8 to 20 bits: "10.113.0.0/16" */
    const char *const *blocked; /* CIDRs that containers may not reach, besides the fixed ones */
    const char *const *dns;     /* resolvers for containers; empty: the machine's own */
};

/* Check the settings and make RUNTIME/network. Touches no network. */
int network_new(const struct network_settings *settings, struct network **ret, struct error *err);
void network_free(struct network *network);
DEFINE_CLEANUP(struct network *, network_free);

/* Are the settings sound? For a process that only reads them. */
int network_settings_check(const struct network_settings *settings, struct error *err);

/* Make the router of PROJECT (its uid range's index) if it is not there, and load the rules of
 * the present settings once per `struct network`. network_attempt_create() calls it. */
int network_project_ensure(struct network *network, unsigned project, struct error *err);
/* Take the router away, with every leg in it. Absent is success. */
int network_project_delete(struct network *network, unsigned project, struct error *err);

/* What the attempt's spec, evidence and /etc need to know. */
struct network_facts {
    unsigned slot;    /* 0: none (policy none) */
    char address[46]; /* "10.113.0.2"; "" with policy none, like the gateway */
    char gateway[16];
    char host_address[16]; /* as which the project's traffic appears on the machine */
    char interface[16];    /* of ADDRESS: "eth0" */
    bool has_way_out;      /* the machine has a default route */
};

/* A namespace with the network of POLICY, as a close-on-exec descriptor owned by the caller: it and
 * its leg end with the last descriptor and process in it, there is nothing to delete. -ENOSPC when
 * the project's subnet is full. About 1 ms; 0.4 ms with policy none; 0.1 ms with one that was kept. */
int network_attempt_create(struct network *network, enum network_policy policy, unsigned project,
                           int *ret_netns_fd, struct network_facts *ret, struct error *err);
/* The attempt has ended and no process is left in its namespace: keep it for the next of its project if
 * it was never used, else let it go. Takes NETNS_FD. */
void network_attempt_end(struct network *network, enum network_policy policy, unsigned project,
                         int netns_fd, const struct network_facts *facts);
bool network_has_spares(const struct network *network);
/* Let go of what was kept: nothing started for a while, or this process only has a copy. */
void network_drop_spares(struct network *network);

/* One group of tasks of a gang: those on one node, who share a namespace. */
struct network_group {
    struct id gang;
    unsigned number; /* from 0, below NETWORK_GROUPS_MAX */
};
#define NETWORK_GROUPS_MAX 1021

/* The same for a group of a gang, whose network is nobody else's: its groups on this machine reach each
 * other at the addresses that follow from their numbers (POOL + 2 + number), and with policy `egress` what
 * is outside. A group that is there already is found again, by whichever process: its tasks share it. */
int network_group_create(struct network *network, enum network_policy policy,
                         const struct network_group *group, int *ret_netns_fd,
                         struct network_facts *ret, struct error *err);
/* No task is left of those that this process knows: network_gang_delete(), unless another process made the
 * gang's network and may have begun others; then it is network_sweep()'s. */
void network_gang_end(struct network *network, const struct id *gang);
/* Absent is success. */
int network_gang_delete(struct network *network, const struct id *gang, struct error *err);

struct network_live {
    const unsigned *projects;
    size_t n_projects;
    const struct id *gangs;
    size_t n_gangs;
};
/* Remove every router of who is not in LIVE; with none left also the table `inet berth`
 * and what was changed on the machine (forwarding). Idempotent. */
int network_sweep(struct network *network, const struct network_live *live, struct error *err);

/* /etc/resolv.conf for containers: the operator's resolvers or the machine's that are not on
 * loopback (/etc/resolv.conf, else systemd-resolved's own file). Empty of servers when there are
 * none. Owned by the caller. */
char *network_resolv_conf(const struct network *network, enum network_policy policy);

/* Open the caller's own network namespace, to come back to: for network_port_connect(). */
int network_own(void);
/* A non-blocking, close-on-exec socket made inside NETNS_FD and connected (or connecting: wait
 * for EPOLLOUT, then look at SO_ERROR) to 127.0.0.1:PORT there, or to [::1]:PORT where that is
 * refused; NETNS_FD -1 is the caller's own. The namespace does not need a route or a leg. Needs CAP_SYS_ADMIN; the calling thread
 * is back in OWN_FD afterwards. Negative errno (-ECONNREFUSED: nothing listens yet). */
int network_port_connect(int own_fd, int netns_fd, uint16_t port);

/* How often packets found no way in one namespace: above 0 after a failed job, say so. */
struct network_failures {
    uint64_t no_route;    /* connects without a route: any with policy none */
    uint64_t unreachable; /* ICMP "unreachable" received: blocked, or no way out of the machine */
};
/* From the text of /proc/PID/net/snmp (pure); -EINVAL if the counters are not there. */
int network_parse_failures(const char *snmp, size_t len, struct network_failures *ret);
/* The same, read for process PID (a container's first). */
int network_failures_of(int pid, struct network_failures *ret);

#endif
