/* machine.c - the machine's side: one table, forwarding where it is needed, and the way back
 *
 * Forwarding in IPv4 is a property of the interface that a packet comes in by. It is switched on
 * for the uplinks and for the interfaces of default routes, not for the machine as a whole; the
 * set "opened" remembers where, forwards nothing else through there, and lets the last server
 * switch it off again.
 */
#include "network/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ROUTES_LIMIT (1024 * 1024)

int machine_lock(struct network *network, int *ret_fd, struct error *err)
{
    /* A new open file description, as flock() belongs to it. */
    _cleanup_close_ int fd = network_own();

    if (fd < 0)
        return error_set(err, fd, "opening the machine's network namespace: %s", strerror(-fd));
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_set(err, -errno, "locking the machine's network namespace: %m");
    *ret_fd = take_fd(&fd);
    return 0;
}

static int forwarding_of(const char *interface)
{
    char name[64];

    (void) snprintf(name, sizeof name, "net/ipv4/conf/%s/forwarding", interface);
    return sysctl_read_bool(name);
}

static int set_forwarding(const char *interface, const char *value)
{
    char name[64];

    (void) snprintf(name, sizeof name, "net/ipv4/conf/%s/forwarding", interface);
    return sysctl_write(name, value);
}

static unsigned mtu_of(const char *interface)
{
    struct ifreq req = { 0 };
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(req.ifr_name, interface, strlen(interface) + 1);
    if (fd < 0 || ioctl(fd, SIOCGIFMTU, &req) < 0 || req.ifr_mtu < 576)
        return 0;
    return (unsigned) req.ifr_mtu;
}

static unsigned smallest_mtu(const struct ways_out *ways)
{
    unsigned smallest = 0;

    for (unsigned i = 0; i < ways->n; i++) {
        unsigned mtu = mtu_of(ways->names[i]);
        if (mtu && (!smallest || mtu < smallest))
            smallest = mtu;
    }
    return smallest <= 65535 ? smallest : 65535;
}

static int look(struct ways_out *ret, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };

    int r = file_read(AT_FDCWD, "/proc/self/net/route", ROUTES_LIMIT, &text, err);
    if (r < 0)
        return r;
    ways_out_parse(text_str(&text), text.len, ret);
    return 0;
}

static int open_ways(const struct network *network, const struct ways_out *ways, struct error *err)
{
    struct ways_out closed = { 0 };
    _cleanup_text_ struct text rules = { 0 };

    for (unsigned i = 0; i < ways->n; i++)
        if (forwarding_of(ways->names[i]) == 0)
            memcpy(closed.names[closed.n++], ways->names[i], IFNAMSIZ);
    rules_machine(&network->pool, ways, &closed, &rules);
    int r = nft_load(&rules, err);
    if (r < 0)
        return error_context(err, r, "the machine's packet filter");
    /* Only now: nothing is forwarded that the rules have not seen. */
    for (unsigned i = 0; i < closed.n; i++) {
        r = set_forwarding(closed.names[i], "1");
        if (r < 0)
            return error_set(err, r, "switching forwarding on for %s: %s", closed.names[i],
                             strerror(-r));
    }
    return 0;
}

int machine_load(struct network *network, struct error *err)
{
    struct ways_out ways;

    int r = look(&ways, err);
    if (r < 0)
        return r;
    r = open_ways(network, &ways, err);
    if (r < 0)
        return r;
    network->ways = ways;
    network->mtu = smallest_mtu(&ways);
    return 0;
}

int machine_refresh(struct network *network, struct error *err)
{
    struct ways_out ways;
    _cleanup_close_ int lock = -1;

    int r = look(&ways, err);
    if (r < 0 || ways_out_equal(&ways, &network->ways))
        return r;
    r = machine_lock(network, &lock, err);
    return r < 0 ? r : machine_load(network, err);
}

static void numbers_done(numbers *n) { vec_done(n); }

int machine_restore(struct network *network, struct error *err)
{
    _cleanup_(numbers_done) numbers uplinks = { 0 };
    struct ways_out opened;
    _cleanup_close_ int lock = -1;

    int r = machine_lock(network, &lock, err);
    if (r < 0)
        return r;
    r = rtnl_numbered(&network->rtnl, UPLINK_PREFIX, &uplinks);
    if (r < 0)
        return error_set(err, r, "listing interfaces: %s", strerror(-r));
    if (uplinks.len > 0)
        return 0;
    r = nft_opened(&opened, err);
    if (r < 0)
        return r;
    /* If somebody has made the machine a router meanwhile, it stays one. */
    for (unsigned i = 0; i < opened.n && forwarding_of("all") == 0; i++)
        (void) set_forwarding(opened.names[i], "0");
    return nft_delete_machine_table(err);
}
