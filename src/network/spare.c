/* spare.c - namespaces that were never used, kept for the next attempt of the same project
 *
 * Making a namespace with a leg and letting the kernel take both apart costs more CPU time than all
 * else that a short job needs beside crun. Many jobs never send a packet: what they leave cannot be
 * told from a new namespace, as nobody inside has a capability over it.
 */
#include "network/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>

#define TEXT_LIMIT (64 * 1024)
#define SPARES_MAX 16

/* Bytes and packets sent by an interface of /proc/net/dev are its ninth and tenth number. */
static bool has_sent(const char *line)
{
    const char *p = strchr(line, ':');
    char *end;

    if (!p)
        return false; /* of the heading */
    p++;
    for (unsigned field = 1; field <= 10; field++, p = end) {
        unsigned long long n = strtoull(p, &end, 10);
        if (end == p || (field >= 9 && n != 0))
            return true;
    }
    return false;
}

bool network_is_unused(const char *dev, const char *sockstat, const char *snmp)
{
    struct network_failures failures;
    _cleanup_free_ char *lines = xstrdup(dev);
    char *save = NULL;

    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (has_sent(line))
            return false;
    const char *tw = strstr(sockstat, " tw ");
    return strchr(dev, ':') && str_starts(sockstat, "sockets: used 0\n") && tw &&
           str_starts(tw, " tw 0 ") && network_parse_failures(snmp, strlen(snmp), &failures) == 0 &&
           !failures.no_route && !failures.unreachable;
}

static bool look(const struct network *network, int netns)
{
    static const char *const paths[] = { "/proc/thread-self/net/dev",
                                         "/proc/thread-self/net/sockstat",
                                         "/proc/thread-self/net/snmp" };
    struct text texts[3] = { 0 };
    int r = namespace_enter(netns, NULL);

    if (r < 0)
        return false;
    for (size_t i = 0; i < 3 && r >= 0; i++)
        r = file_read(AT_FDCWD, paths[i], TEXT_LIMIT, &texts[i], NULL);
    namespace_return(network->own);
    bool unused =
        r >= 0 && network_is_unused(text_str(&texts[0]), text_str(&texts[1]), text_str(&texts[2]));
    for (size_t i = 0; i < 3; i++)
        text_done(&texts[i]);
    return unused;
}

bool spare_take(struct network *network, enum network_policy policy, unsigned project,
                struct spare *ret)
{
    for (size_t i = 0; i < network->spares.len; i++) {
        const struct spare *spare = &network->spares.items[i];
        if (spare->project != project || spare->policy != policy || spare->mtu != network->mtu)
            continue;
        *ret = *spare;
        vec_remove(&network->spares, i);
        return true;
    }
    return false;
}

void spares_drop(struct network *network, unsigned project)
{
    for (size_t i = network->spares.len; i-- > 0;)
        if (network->spares.items[i].project == project) {
            (void) safe_close(network->spares.items[i].netns);
            vec_remove(&network->spares, i);
        }
}

void network_attempt_end(struct network *network, enum network_policy policy, unsigned project,
                         int netns_fd, const struct network_facts *facts)
{
    struct spare spare = { .policy = policy,
                           .project = project,
                           .netns = netns_fd,
                           .mtu = network->mtu,
                           .facts = *facts };

    if (network->spares.len < SPARES_MAX && look(network, netns_fd))
        vec_push(&network->spares, spare);
    else
        (void) safe_close(netns_fd);
}

bool network_has_spares(const struct network *network) { return network->spares.len > 0; }

void network_drop_spares(struct network *network)
{
    vec_foreach(&network->spares, spare)
        (void) safe_close(spare->netns);
    network->spares.len = 0;
}
