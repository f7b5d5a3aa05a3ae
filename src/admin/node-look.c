/* node-look.c - what this machine is, as it tells a server */
#include "admin/node.h"

#include "base/alloc.h"
#include "fleet/fleet.h"
#include "os/clock.h"
#include "os/fd.h"
#include "probe/probe.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RESERVED_MEMORY                                                                            \
    (INT64_C(512) << 20) /* kept for the machine itself, as a server does on its own */

static char *address_text(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *) address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) address;
    char text[INET6_ADDRSTRLEN];

    if (address->ss_family == AF_INET && (ntohl(v4->sin_addr.s_addr) >> 24) != IN_LOOPBACKNET)
        return xstrdup(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text));
    if (address->ss_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) &&
        !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
        return xstrdup(inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text));
    return NULL;
}

/* Nothing is sent: connecting such a socket only asks the kernel for the way. */
static char *address_by(const struct addrinfo *to)
{
    _cleanup_close_ int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof address;

    if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 ||
        getsockname(fd, (struct sockaddr *) &address, &len) < 0)
        return NULL;
    return address_text(&address);
}

char *address_towards(const char *host)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list = NULL;
    char *found = NULL;

    if (getaddrinfo(host, "9", &hints, &list) != 0)
        return NULL;
    for (const struct addrinfo *a = list; a && !found; a = a->ai_next)
        found = address_by(a);
    freeaddrinfo(list);
    return found;
}

/* Of "https://HOST:PORT/"; owned by the caller, NULL: it has none. */
static char *host_of(const char *url)
{
    const char *host = url ? strstr(url, "://") : NULL;

    if (!host)
        return NULL;
    host += 3;
    if (*host == '[')
        return xstrndup(host + 1, strcspn(host + 1, "]"));
    return xstrndup(host, strcspn(host, ":/"));
}

int node_look(const char *state, const char *name, const char *url, json_t **ret, struct error *err)
{
    const struct probe_options options = {
        .disk = state, .cdi = (const char *const[]){ "/etc/cdi", "/run/cdi", NULL }
    };
    _cleanup_(node_freep) struct node *node = NULL;
    _cleanup_free_ char *host = host_of(url);

    int r = probe_node(&options, &node, err);
    if (r < 0)
        return error_context(err, r, "looking at this machine");
    if (name)
        xstr_set(&node->name, name);
    xstr_set(&node->boot_id, clock_boot_id());
    node->address = host ? address_towards(host) : NULL;
    if (node->reserved_memory_bytes == 0 && node->memory_bytes > 4 * RESERVED_MEMORY)
        node->reserved_memory_bytes = RESERVED_MEMORY;
    *ret = node_to_json(node);
    return 0;
}
