/* Two projects, a machine and an internet, each a network namespace, and every packet between them.
 *
 * The test makes a machine of its own: network and mount namespaces of this process, so that the
 * real machine's network stays as it is. Needs root.
 */
#include "network/internal.h"
#include "os/fd.h"
#include "os/process.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define INTERNET    "203.0.113.7"
#define FORBIDDEN   "203.0.113.200" /* in the operator's blocked range */
#define METADATA    "169.254.169.254"
#define MACHINE     "198.51.100.2"
#define RUNTIME     "/run/berth-network-test"
#define PATIENCE_MS 5000 /* before a test gives up on something that must happen */

static int machine = -1, internet = -1;
static struct error err;
static const struct network_live nobody;

/* Run a shell line in the namespace NETNS. */
__attribute__((format(printf, 2, 3))) static int sh(int netns, const char *fmt, ...)
{
    _cleanup_text_ struct text line = { 0 }, said = { 0 };
    va_list ap;

    va_start(ap, fmt);
    text_addv(&line, fmt, ap);
    va_end(ap);
    const char *const argv[] = { "sh", "-ec", line.data, NULL };
    ok(namespace_enter(netns, &err) == 0);
    int r = process_run(argv, 4096, 0, NULL, &said, &err);
    namespace_return(machine);
    if (r != 0)
        printf("# %s: %s\n", line.data, text_str(&said));
    return r;
}

static int socket_in(int netns, int family, int type, int protocol)
{
    ok(namespace_enter(netns, &err) == 0);
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    namespace_return(machine);
    return fd;
}

static struct sockaddr_in at(const char *address, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

    ok(inet_pton(AF_INET, address, &a.sin_addr) == 1);
    return a;
}

static int listener(int netns, const char *address, uint16_t port, int type)
{
    struct sockaddr_in a = at(address, port);
    int fd = socket_in(netns, AF_INET, type, 0);
    int on = 1;

    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ok(bind(fd, (struct sockaddr *) &a, sizeof a) == 0);
    if (type == SOCK_STREAM)
        ok(listen(fd, 16) == 0);
    return fd;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, timeout_ms) == 1;
}

/* 0 when a connection came about, else a negative errno. */
static int try_tcp(int netns, const char *address, uint16_t port)
{
    _cleanup_close_ int fd = socket_in(netns, AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = at(address, port);
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t len = sizeof error;

    if (connect(fd, (struct sockaddr *) &a, sizeof a) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    if (poll(&p, 1, PATIENCE_MS) != 1)
        return -ETIMEDOUT;
    (void) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return -error;
}

static void send_udp(int netns, const char *address, uint16_t port, const char *what)
{
    _cleanup_close_ int fd = socket_in(netns, AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = at(address, port);
    int on = 1;

    (void) setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    (void) sendto(fd, what, strlen(what), 0, (struct sockaddr *) &a, sizeof a);
}

/* Put FRAME on the wire of the attempt in NETNS, whatever its stack would say. */
static void send_frame(int netns, const void *frame, size_t len)
{
    _cleanup_close_ int fd = socket_in(netns, AF_PACKET, SOCK_RAW, 0);
    struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
    struct rtnl rtnl;

    ok(namespace_enter(netns, &err) == 0);
    ok(rtnl_open(&rtnl) == 0);
    namespace_return(machine);
    ll.sll_ifindex = rtnl_link_index(&rtnl, LEG_NAME);
    rtnl_close(&rtnl);
    ok(sendto(fd, frame, len, 0, (struct sockaddr *) &ll, sizeof ll) == (ssize_t) len);
}

static uint16_t checksum(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t) (p[i] << 8 | p[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t) ~sum);
}

/* An Ethernet frame with a UDP datagram "spoof!" to port 9. */
static size_t udp_frame(uint8_t frame[static 64], const uint8_t to[static 6],
                        const uint8_t from[static 6], uint32_t source, uint32_t destination)
{
    static const char payload[] = "spoof!";
    uint8_t *ip = frame + 14;

    memset(frame, 0, 64);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = 0x08;
    ip[0] = 0x45;
    ip[3] = 20 + 8 + 6;
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    source = htonl(source);
    destination = htonl(destination);
    memcpy(ip + 12, &source, 4);
    memcpy(ip + 16, &destination, 4);
    const uint16_t sum = checksum(ip, 20);
    memcpy(ip + 10, &sum, 2);
    ip[21] = 9;
    ip[23] = 9;
    ip[25] = 8 + 6;
    memcpy(ip + 28, payload, 6);
    return 14 + 20 + 8 + 6;
}

struct attempt {
    int netns;
    struct network_facts facts;
};

static struct network *start(void)
{
    static const char *const blocked[] = { "203.0.113.128/25", NULL };
    static const char *const dns[] = { FORBIDDEN, NULL };
    const struct network_settings settings = {
        .runtime = RUNTIME, .pool = "10.113.0.0/16", .blocked = blocked, .dns = dns
    };
    struct network *network = NULL;

    ok(network_new(&settings, &network, &err) == 0);
    return network;
}

static struct attempt attempt(struct network *network, unsigned project)
{
    struct attempt a = { .netns = -1 };

    int r = network_attempt_create(network, NETWORK_EGRESS, project, &a.netns, &a.facts, &err);
    if (r < 0)
        printf("# %s\n", err.text);
    ok(r == 0);
    return a;
}

static ino_t inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void end(struct network *network)
{
    ok(network_sweep(network, &nobody, &err) == 0);
    network_free(network);
}

/* Wait until a datagram WANT comes in on FD; all before it must not contain "spoof!". */
static bool next_is(int fd, const char *want)
{
    char buf[2048];
    ssize_t n;

    while (readable(fd, PATIENCE_MS) && (n = recv(fd, buf, sizeof buf - 1, 0)) >= 0) {
        buf[n] = '\0';
        if (memmem(buf, (size_t) n, want, strlen(want)))
            return true;
        if (memmem(buf, (size_t) n, "spoof!", 6))
            return false;
    }
    return false;
}

TEST(a_container_reaches_the_internet_as_the_machine)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7);
    _cleanup_close_ int server = listener(internet, INTERNET, 80, SOCK_STREAM);
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    char buf[INET_ADDRSTRLEN];

    ok(a.facts.has_way_out);
    is_str(a.facts.address, "10.113.0.2");
    ok(try_tcp(a.netns, INTERNET, 80) == 0);
    _cleanup_close_ int seen = accept4(server, (struct sockaddr *) &peer, &len, SOCK_CLOEXEC);
    ok(seen >= 0);
    is_str(inet_ntop(AF_INET, &peer.sin_addr, buf, sizeof buf), MACHINE);
    (void) close(a.netns);
    end(network);
}

TEST(nothing_of_the_machine_answers)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7), b = attempt(network, 8);
    _cleanup_close_ int service = listener(machine, "0.0.0.0", 25080, SOCK_STREAM);
    _cleanup_close_ int datagrams = listener(machine, "0.0.0.0", 25081, SOCK_DGRAM);
    _cleanup_close_ int server = listener(internet, INTERNET, 25082, SOCK_DGRAM);
    const char *const addresses[] = { MACHINE,      "198.51.100.255", "10.113.0.1", "10.113.4.0",
                                      "10.113.4.1", "10.113.4.2",     "10.113.4.3", "192.0.2.99" };

    ok(try_tcp(machine, MACHINE, 25080) == 0); /* it is there */
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        ok(try_tcp(a.netns, addresses[i], 25080) != 0);
        send_udp(a.netns, addresses[i], 25081, "spoof!");
    }
    send_udp(a.netns, INTERNET, 25082, "last");
    ok(next_is(server, "last"));
    ok(!readable(datagrams, 0));
    (void) close(a.netns);
    (void) close(b.netns);
    end(network);
}

TEST(metadata_and_forbidden_ranges_are_refused_at_once)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7);
    _cleanup_close_ int metadata = listener(internet, METADATA, 80, SOCK_STREAM);
    _cleanup_close_ int forbidden = listener(internet, FORBIDDEN, 80, SOCK_STREAM);
    _cleanup_close_ int dns = listener(internet, FORBIDDEN, 53, SOCK_STREAM);
    _cleanup_free_ char *conf = network_resolv_conf(network, NETWORK_EGRESS);

    ok(try_tcp(machine, METADATA, 80) == 0);
    ok(try_tcp(a.netns, METADATA, 80) == -EHOSTUNREACH);
    ok(try_tcp(a.netns, FORBIDDEN, 80) == -EHOSTUNREACH);
    is_str(conf, "nameserver " FORBIDDEN "\n");
    ok(try_tcp(a.netns, FORBIDDEN, 53) == 0); /* the resolver itself, for names only */
    (void) close(a.netns);
    end(network);
}

TEST(a_spoofed_source_goes_nowhere)
{
    static const uint8_t gateway[6] = { 2, 0xbe, 0, 0, 0, 1 }, own[6] = { 2, 0xbe, 0, 0, 0, 2 },
                         other[6] = { 2, 0xbe, 0, 0, 0, 3 };
    struct network *network = start();
    struct attempt a = attempt(network, 7), second = attempt(network, 7);
    _cleanup_close_ int server = listener(internet, INTERNET, 9, SOCK_DGRAM);
    const uint32_t to = 0xcb007107, mine = 0x0a710002, others = 0x0a710003;
    uint8_t frame[64];

    send_frame(a.netns, frame, udp_frame(frame, gateway, own, others, to));
    send_frame(a.netns, frame, udp_frame(frame, gateway, other, mine, to));
    send_frame(a.netns, frame, udp_frame(frame, gateway, other, others, to));
    send_frame(a.netns, frame, udp_frame(frame, gateway, own, 0xc6336402, to)); /* MACHINE's */
    send_udp(a.netns, INTERNET, 9, "honest");
    ok(next_is(server, "honest"));
    send_frame(a.netns, frame, udp_frame(frame, gateway, own, mine, to));
    ok(readable(server, PATIENCE_MS)); /* the same frame with its own addresses does */
    (void) close(a.netns);
    (void) close(second.netns);
    end(network);
}

/* Everything A can think of to reach somebody whose address and MAC it knows. */
static void shout(const struct attempt *a, const struct attempt *victim)
{
    static const uint8_t types[][2] = { { 0x08, 0x00 }, { 0x08, 0x06 }, { 0x86, 0xdd },
                                        { 0x81, 0x00 }, { 0x88, 0xcc }, { 0x88, 0x64 } };
    static const uint8_t macs[][6] = { { 2, 0xbe, 0, 0, 0, 3 },
                                       { 255, 255, 255, 255, 255, 255 },
                                       { 1, 0, 0x5e, 0, 0, 1 },
                                       { 0x33, 0x33, 0, 0, 0, 1 },
                                       { 2, 0xbe, 0, 0, 0, 1 } };
    static const uint8_t own[6] = { 2, 0xbe, 0, 0, 0, 2 };
    const char *const addresses[] = { victim->facts.address, victim->facts.host_address,
                                      "255.255.255.255",     "10.113.3.255",
                                      "224.0.0.1",           "10.113.255.255" };
    uint32_t destination;
    uint8_t frame[64];

    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        if (!*addresses[i])
            continue; /* a bridge that leads nowhere has no other side */
        send_udp(a->netns, addresses[i], 9, "spoof!");
        ok(address_parse(addresses[i], &destination) == 0);
        for (size_t m = 0; m < sizeof macs / sizeof *macs; m++)
            for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
                size_t n = udp_frame(frame, macs[m], own, 0x0a710002, destination);
                memcpy(frame + 12, types[t], 2);
                send_frame(a->netns, frame, n);
            }
    }
}

static void cannot_reach(struct network *network, unsigned from, unsigned to)
{
    struct attempt a = attempt(network, from), filler = attempt(network, to),
                   victim = attempt(network, to), friend = attempt(network, to);
    _cleanup_close_ int server = listener(internet, INTERNET, 25083, SOCK_DGRAM);
    _cleanup_close_ int wire = socket_in(victim.netns, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

    ok(strcmp(victim.facts.address, a.facts.address) != 0);
    shout(&a, &victim);
    send_udp(a.netns, INTERNET, 25083, "after that");
    ok(next_is(server, "after that"));
    send_udp(friend.netns, victim.facts.address, 9, "hello friend");
    ok(next_is(wire, "hello friend")); /* the wire is alive, and nothing came before */
    (void) close(a.netns);
    (void) close(filler.netns);
    (void) close(victim.netns);
    (void) close(friend.netns);
}

TEST(projects_cannot_exchange_a_packet)
{
    struct network *network = start();

    cannot_reach(network, 7, 8);
    end(network);
    network = start();
    cannot_reach(network, 8, 7);
    end(network);
}

static bool nothing_is_left(void)
{
    return sh(machine, "test -z \"$(ls " RUNTIME "/network)\"\n"
                       "! grep -q " RUNTIME " /proc/self/mounts\n"
                       "! ip -o link | grep -q bth\n"
                       "test \"$(nft list tables)\" = 'table inet others'\n"
                       "test $(cat /proc/sys/net/ipv4/conf/eth0/forwarding) = 0\n"
                       "test $(cat /proc/sys/net/ipv4/ip_forward) = 0\n") == 0;
}

static struct attempt group(struct network *network, enum network_policy policy, uint8_t gang,
                            unsigned number)
{
    const struct network_group which = { .gang = { .bytes = { gang } }, .number = number };
    struct attempt a = { .netns = -1 };

    int r = network_group_create(network, policy, &which, &a.netns, &a.facts, &err);
    if (r < 0)
        printf("# %s\n", err.text);
    ok(r == 0);
    return a;
}

TEST(groups_of_a_gang_reach_each_other)
{
    static const enum network_policy policies[] = { NETWORK_EGRESS, NETWORK_NONE };
    _cleanup_close_ int server = listener(internet, INTERNET, 80, SOCK_STREAM);

    for (uint8_t i = 0; i < 2; i++) {
        struct network *network = start();
        struct attempt a = group(network, policies[i], i, 0), b = group(network, policies[i], i, 1);
        _cleanup_close_ int inside = listener(b.netns, "0.0.0.0", 25087, SOCK_STREAM);

        is_str(a.facts.address, "10.113.0.2");
        is_str(b.facts.address, "10.113.0.3");
        ok(try_tcp(a.netns, b.facts.address, 25087) == 0);
        ok(try_tcp(a.netns, INTERNET, 80) == (i == 0 ? 0 : -ENETUNREACH));
        ok(a.facts.has_way_out == (i == 0));
        (void) close(a.netns);
        (void) close(b.netns);
        end(network);
    }
}

/* Nothing that ATTACKER sends, who has slot 2 of its own network, comes to group 1 of VICTIM's gang. FRIEND's
 * word does, and comes first; WITNESS hears the attacker's last. */
static void gang_is_out_of_reach(const struct attempt *attacker, const struct attempt *victim,
                                 const struct attempt *friend, int witness, const char *address)
{
    _cleanup_close_ int last = listener(witness, "0.0.0.0", 25088, SOCK_DGRAM);
    _cleanup_close_ int wire = socket_in(victim->netns, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

    shout(attacker, victim);
    send_udp(attacker->netns, address, 25088, "after that");
    ok(next_is(last, "after that"));
    send_udp(friend->netns, victim->facts.address, 9, "hello friend");
    ok(next_is(wire, "hello friend"));
}

static void gangs_are_apart(enum network_policy policy)
{
    struct network *network = start();
    struct attempt filler = attempt(network, 7), same = attempt(network, 7);
    struct attempt a0 = group(network, policy, 1, 0), a1 = group(network, policy, 1, 1);
    struct attempt b0 = group(network, policy, 2, 0), b1 = group(network, policy, 2, 1);

    /* The job of the same project, another gang of it, and the gang from there. */
    gang_is_out_of_reach(&filler, &a1, &a0, internet, INTERNET);
    gang_is_out_of_reach(&b0, &a1, &a0, b1.netns, b1.facts.address);
    gang_is_out_of_reach(&a0, &same, &filler, a1.netns, a1.facts.address);
    (void) close(filler.netns);
    (void) close(same.netns);
    (void) close(a0.netns);
    (void) close(a1.netns);
    (void) close(b0.netns);
    (void) close(b1.netns);
    end(network);
}

TEST(nobody_else_reaches_a_gang)
{
    gangs_are_apart(NETWORK_EGRESS);
    gangs_are_apart(NETWORK_NONE);
}

TEST(nothing_of_the_machine_answers_a_gang)
{
    static const char *const addresses[] = { MACHINE, "10.113.0.1", "10.113.4.0", "10.113.4.1",
                                             METADATA };
    struct network *network = start();
    struct attempt a = group(network, NETWORK_EGRESS, 1, 0), b = group(network, NETWORK_NONE, 2, 0);
    _cleanup_close_ int service = listener(machine, "0.0.0.0", 25089, SOCK_STREAM);

    ok(try_tcp(machine, MACHINE, 25089) == 0);
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        ok(try_tcp(a.netns, addresses[i], 25089) != 0);
        ok(try_tcp(b.netns, addresses[i], 25089) != 0);
    }
    (void) close(a.netns);
    (void) close(b.netns);
    end(network);
}

TEST(tasks_of_a_group_share_what_any_process_began)
{
    struct network *first = start(), *second = start();
    struct attempt a = group(first, NETWORK_EGRESS, 1, 0), b = group(first, NETWORK_EGRESS, 1, 1);
    struct attempt same = group(first, NETWORK_EGRESS, 1, 0);

    ok(inode(same.netns) == inode(a.netns));
    network_free(first);
    struct attempt later = group(second, NETWORK_EGRESS, 1, 1);
    ok(inode(later.netns) == inode(b.netns));
    is_str(later.facts.address, b.facts.address);
    is_str(later.facts.host_address, b.facts.host_address);
    _cleanup_close_ int inside = listener(later.netns, "0.0.0.0", 25090, SOCK_STREAM);
    ok(try_tcp(same.netns, later.facts.address, 25090) == 0);
    network_gang_end(second, &(struct id){ .bytes = { 1 } }); /* the first may have begun others */
    ok(try_tcp(a.netns, later.facts.address, 25090) == 0);
    (void) close(a.netns);
    (void) close(b.netns);
    (void) close(same.netns);
    (void) close(later.netns);
    end(second);
    ok(nothing_is_left());
}

static int try_port(int netns, uint16_t port)
{
    int fd = network_port_connect(machine, netns, port);

    if (fd >= 0)
        (void) close(fd);
    return fd;
}

TEST(without_a_network_ports_still_work_and_failures_are_counted)
{
    struct network *network = start();
    struct network_facts facts;
    _cleanup_close_ int netns = -1;
    struct sockaddr_in6 six = { .sin6_family = AF_INET6,
                                .sin6_port = htons(25085),
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct network_failures f = { 0 };

    ok(network_attempt_create(network, NETWORK_NONE, 7, &netns, &facts, &err) == 0);
    ok(facts.slot == 0 && !facts.address[0]);
    ok(try_tcp(netns, INTERNET, 80) == -ENETUNREACH);

    ok(try_port(netns, 25084) == -ECONNREFUSED);
    _cleanup_close_ int server = listener(netns, "127.0.0.1", 25084, SOCK_STREAM);
    ok(try_port(netns, 25084) >= 0);
    _cleanup_close_ int on_six = socket_in(netns, AF_INET6, SOCK_STREAM, 0);
    ok(bind(on_six, (struct sockaddr *) &six, sizeof six) == 0 && listen(on_six, 4) == 0);
    ok(try_port(netns, 25085) >= 0);

    ok(namespace_enter(netns, &err) == 0);
    ok(network_failures_of(getpid(), &f) == 0);
    namespace_return(machine);
    ok(f.no_route > 0);
    end(network);
}

static struct attempt attempt_again(struct network *network, struct attempt *a, unsigned project)
{
    /* The kernel counts a closed socket for a moment longer. */
    ok(sh(a->netns, "until grep -q 'sockets: used 0' /proc/net/sockstat; do sleep 0.01; done") ==
       0);
    network_attempt_end(network, NETWORK_EGRESS, 7, a->netns, &a->facts);
    return attempt(network, project);
}

TEST(a_namespace_that_nobody_used_is_the_next_attempts)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7);
    ino_t first = inode(a.netns);

    a = attempt_again(network, &a, 7);
    ok(inode(a.netns) == first);
    is_str(a.facts.address, "10.113.0.2");
    _cleanup_close_ int server = listener(internet, INTERNET, 80, SOCK_STREAM);
    ok(try_tcp(a.netns, INTERNET, 80) == 0);
    a = attempt_again(network, &a, 7); /* it has sent something */
    ok(inode(a.netns) != first);
    is_str(a.facts.address, "10.113.0.3");
    (void) close(a.netns);
    end(network);
}

TEST(an_unused_namespace_is_not_another_projects)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7);
    ino_t first = inode(a.netns);

    struct attempt b = attempt_again(network, &a, 8);
    ok(inode(b.netns) != first);
    ok(network_has_spares(network));
    network_drop_spares(network);
    ok(!network_has_spares(network));
    (void) close(b.netns);
    end(network);
}

TEST(a_socket_or_a_failure_is_use)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7);
    _cleanup_close_ int bound = socket_in(a.netns, AF_INET, SOCK_DGRAM, 0);

    network_attempt_end(network, NETWORK_EGRESS, 7, a.netns, &a.facts);
    ok(!network_has_spares(network));
    ok(network_attempt_create(network, NETWORK_NONE, 7, &a.netns, &a.facts, &err) == 0);
    ok(try_tcp(a.netns, INTERNET, 80) == -ENETUNREACH);
    network_attempt_end(network, NETWORK_NONE, 7, a.netns, &a.facts);
    ok(!network_has_spares(network));
    end(network);
}

TEST(a_container_cannot_speak_ipv6_but_to_itself)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7);

    ok(sh(a.netns,
          "test -z \"$(ip -6 addr show dev eth0)\"; test -z \"$(ip -6 route show default)\"") == 0);
    ok(sh(a.netns, "ip -6 addr show dev lo | grep -q '::1/128'") == 0);
    (void) close(a.netns);
    end(network);
}

TEST(the_sweep_leaves_the_machine_as_it_was)
{
    struct network *network = start();
    struct attempt a = attempt(network, 7), b = attempt(network, 8);
    const struct network_live live = { .projects = (const unsigned[]){ 8 }, .n_projects = 1 };

    ok(sh(machine, "test $(cat /proc/sys/net/ipv4/conf/eth0/forwarding) = 1") == 0);
    ok(network_sweep(network, &live, &err) == 0);
    _cleanup_close_ int server = listener(internet, INTERNET, 80, SOCK_STREAM);
    ok(try_tcp(b.netns, INTERNET, 80) == 0);
    ok(try_tcp(a.netns, INTERNET, 80) != 0);
    (void) close(a.netns);
    (void) close(b.netns);
    ok(network_sweep(network, &nobody, &err) == 0);
    ok(nothing_is_left());
    ok(network_sweep(network, &nobody, &err) == 0); /* again */
    ok(nothing_is_left());
    network_free(network);
}

TEST(a_gang_that_has_ended_leaves_nothing)
{
    struct network *network = start();
    struct attempt a = group(network, NETWORK_EGRESS, 1, 0), b = group(network, NETWORK_NONE, 2, 0);
    const struct id gangs[] = { { .bytes = { 1 } }, { .bytes = { 2 } }, { .bytes = { 3 } } };
    const struct network_live live = { .gangs = gangs, .n_gangs = 1 };
    _cleanup_close_ int server = listener(internet, INTERNET, 80, SOCK_STREAM);

    ok(network_sweep(network, &live, &err) == 0);
    ok(try_tcp(a.netns, INTERNET, 80) == 0);
    ok(sh(machine, "test $(ls " RUNTIME "/network | wc -l) = 2") == 0);
    network_gang_end(network, &gangs[0]);
    ok(sh(machine, "test -z \"$(ls " RUNTIME "/network)\"") == 0);
    ok(network_gang_delete(network, &gangs[2], &err) == 0); /* it never was */
    (void) close(a.netns);
    (void) close(b.netns);
    end(network);
    ok(nothing_is_left());
}

TEST(a_second_server_takes_up_what_the_first_made)
{
    struct network *first = start(), *second = start();
    struct attempt a = attempt(first, 7);

    network_free(first);
    struct attempt b = attempt(second, 7);
    is_str(b.facts.host_address, a.facts.host_address);
    ok(strcmp(a.facts.address, b.facts.address) != 0);
    _cleanup_close_ int inside = listener(b.netns, "0.0.0.0", 25086, SOCK_STREAM);
    ok(try_tcp(a.netns, b.facts.address, 25086) == 0);
    (void) close(a.netns);
    (void) close(b.netns);
    end(second);
}

TEST(a_server_elsewhere_on_the_machine_is_left_alone)
{
    const struct network_settings settings = { .runtime = RUNTIME "-2", .pool = "10.113.0.0/16" };
    struct network *network = start(), *other = NULL;
    struct attempt a = attempt(network, 7);
    _cleanup_close_ int server = listener(internet, INTERNET, 80, SOCK_STREAM);

    ok(network_new(&settings, &other, &err) == 0);
    struct attempt b = attempt(other, 7);
    ok(strcmp(a.facts.host_address, b.facts.host_address) != 0);
    ok(network_sweep(other, &nobody, &err) == 0);
    ok(try_tcp(a.netns, INTERNET, 80) == 0);
    (void) close(a.netns);
    (void) close(b.netns);
    network_free(other);
    end(network);
    ok(nothing_is_left());
}

TEST(a_hundred_containers_leave_nothing)
{
    struct network *network = start();
    struct router *router;

    for (int i = 0; i < 100; i++) {
        struct attempt a = attempt(network, 7);
        (void) close(a.netns);
    }
    ok(router_find_or_make(network, "7", NETWORK_EGRESS, &router, &err) == 0);
    /* The kernel takes namespaces away in its own time, one after the other: long on a busy machine. */
    numbers legs = { 0 };
    for (int waited = 0; waited < 12 * PATIENCE_MS; waited += 10) {
        vec_done(&legs);
        ok(rtnl_numbered(&router->rtnl, LEG_PREFIX, &legs) == 0);
        if (legs.len == 0)
            break;
        (void) poll(NULL, 0, 10);
    }
    ok(legs.len == 0);
    vec_done(&legs);
    end(network);
    ok(nothing_is_left());
}

/* SIGKILL a process that makes routers and containers, after DELAY_US. */
static void kill_midway(unsigned delay_us)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct network *network = start();
        for (unsigned project = 1;; project++)
            (void) attempt(network, project % 4);
    }
    (void) usleep(delay_us);
    ok(kill(pid, SIGKILL) == 0);
    ok(waitpid(pid, NULL, 0) == pid);
}

TEST(a_kill_at_any_point_leaves_nothing_after_the_sweep)
{
    (void) fflush(stdout);
    for (unsigned delay_us = 500; delay_us < 200 * 1000; delay_us = delay_us * 3 / 2) {
        kill_midway(delay_us);
        struct network *network = start();
        struct attempt a = attempt(network, 1);
        ok(a.netns >= 0);
        (void) close(a.netns);
        end(network);
        ok(nothing_is_left());
    }
}

/* The namespaces of the story at the head of this file. */
static int prepare(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
        return -EPERM;
    machine = network_own();
    int r = namespace_make(machine, &internet, &err);
    if (r < 0)
        return r;
    return sh(machine,
              "ip link set lo up\n"
              "ip link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d\n"
              "ip addr add " MACHINE "/24 dev eth0; ip addr add 192.0.2.99/32 dev lo\n"
              "ip link set eth0 up; nft add table inet others\n"
              "ip route add default via 198.51.100.1\n",
              getpid(), internet) ||
           sh(internet, "ip addr add 198.51.100.1/24 dev eth0; ip link set eth0 up\n"
                        "for a in " INTERNET " " FORBIDDEN " " METADATA "; do\n"
                        "    ip addr add $a/32 dev lo\n"
                        "done\n");
}

int main(void)
{
    int n = 0, failed = 0;

    if (prepare() != 0) {
        printf("1..0 # SKIP needs root, and ip(8), nft(8) and network namespaces to make\n");
        return 0;
    }
    for (const struct tap_test *t = __start_tap_tests; t < __stop_tap_tests; t++) {
        tap_failures = 0;
        t->run();
        printf("%sok %d - %s\n", tap_failures ? "not " : "", ++n, t->name);
        failed += tap_failures > 0;
    }
    printf("1..%d\n", n);
    return failed > 0;
}
