/* relay.c - named ports: connections from outside are carried into the container's network
 *
 * A socket keeps the namespace in which it was made, so the supervisor makes one inside for each
 * connection and copies between the two (isolation notes, recipe C). Every port has `sock.d/PORT`;
 * a published one is also bound on the publish address, for as long as the attempt lives.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CONNECTIONS_MAX 1024
#define PIPE_BYTES      65536

struct listener {
    struct relays *relays;
    const struct port_spec *port;
    int fd;
    struct watch *watch;
    unsigned bound; /* TCP port; 0: the unix socket */
};

/* One way of a connection: FROM to TO through a pipe, without copies. */
struct way {
    int from, to;
    int pipe[2];
    size_t held;
    bool finished; /* FROM has ended */
    bool closed;   /* and TO was told */
};

struct connection {
    struct relays *relays;
    struct connection *next;
    int fds[2]; /* outside, inside */
    struct watch *watches[2];
    struct way ways[2];
};

struct relays {
    struct supervisor *s;
    VEC(struct listener *) listeners;
    struct connection *connections;
    unsigned n_connections;
};

static void connection_free(struct connection *c)
{
    struct connection **p = &c->relays->connections;

    while (*p && *p != c)
        p = &(*p)->next;
    if (*p) {
        *p = c->next;
        c->relays->n_connections--;
    }
    for (int i = 0; i < 2; i++) {
        watch_free(c->watches[i]);
        safe_close(c->fds[i]);
        safe_close(c->ways[i].pipe[0]);
        safe_close(c->ways[i].pipe[1]);
    }
    free(c);
}

/* 1: something moved, 0: nothing for now; negative errno when the connection is broken. */
static int fill(struct way *way)
{
    if (way->finished || way->held == PIPE_BYTES)
        return 0;
    ssize_t n = splice(way->from, NULL, way->pipe[1], NULL, PIPE_BYTES - way->held,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    way->finished = n == 0;
    way->held += (size_t) n;
    return n > 0;
}

static int empty(struct way *way)
{
    if (!way->held)
        return 0;
    ssize_t n =
        splice(way->pipe[0], NULL, way->to, NULL, way->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    way->held -= (size_t) n;
    return n > 0;
}

static int carry(struct way *way)
{
    int in, out;

    do {
        in = fill(way);
        out = in < 0 ? in : empty(way);
        if (out < 0)
            return out;
    } while (in || out);
    if (way->finished && !way->held && !way->closed) {
        way->closed = true;
        (void) shutdown(way->to, SHUT_WR);
    }
    return 0;
}

static void arm(struct connection *c)
{
    uint32_t events[2] = { 0, 0 };

    for (int i = 0; i < 2; i++) {
        const struct way *way = &c->ways[i];
        if (!way->finished && way->held < PIPE_BYTES)
            events[i] |= EPOLLIN;
        if (way->held)
            events[1 - i] |= EPOLLOUT;
    }
    for (int i = 0; i < 2; i++)
        watch_set_events(c->watches[i], events[i]);
}

static void on_traffic(void *userdata, uint32_t events)
{
    struct connection *c = userdata;

    if (carry(&c->ways[0]) < 0 || carry(&c->ways[1]) < 0 ||
        (c->ways[0].closed && c->ways[1].closed) || (events & EPOLLERR)) {
        connection_free(c);
        return;
    }
    arm(c);
}

static int open_ways(struct connection *c)
{
    for (int i = 0; i < 2; i++) {
        c->ways[i].from = c->fds[i];
        c->ways[i].to = c->fds[1 - i];
        if (pipe2(c->ways[i].pipe, O_CLOEXEC | O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

static void on_accept(void *userdata, uint32_t events)
{
    struct listener *l = userdata;
    struct relays *r = l->relays;
    int outside = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void) events;
    if (outside < 0)
        return;
    int inside =
        r->n_connections < CONNECTIONS_MAX
            ? network_port_connect(r->s->own_netns, r->s->launch->netns, (uint16_t) l->port->port)
            : -EMFILE;
    if (inside < 0) {
        safe_close(outside);
        return;
    }
    struct connection *c = xnew(struct connection);
    *c = (struct connection){ .relays = r, .next = r->connections, .fds = { outside, inside } };
    for (int i = 0; i < 2; i++)
        c->ways[i].pipe[0] = c->ways[i].pipe[1] = -1;
    r->connections = c;
    r->n_connections++;
    if (open_ways(c) < 0) {
        connection_free(c);
        return;
    }
    for (int i = 0; i < 2; i++)
        c->watches[i] = loop_watch(r->s->loop, c->fds[i], EPOLLIN, on_traffic, c);
}

/* ---- listening ------------------------------------------------------------------------------------ */

static int listen_unix(struct supervisor *s, unsigned port, struct error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char name[32];

    (void) snprintf(name, sizeof name, "sock.d/%u", port);
    if ((mkdirat(s->dir, "sock.d", 0711) < 0 && errno != EEXIST) ||
        fchownat(s->dir, "sock.d", s->x->owner, s->x->group, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, -errno, "sock.d: %s", strerror(errno));
    (void) unlinkat(s->dir, name, 0);
    (void) snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", s->dir, name);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        fchmodat(s->dir, name, 0600, 0) < 0 ||
        fchownat(s->dir, name, s->x->owner, s->x->group, 0) < 0 || listen(fd, SOMAXCONN) < 0)
        return error_set(err, -errno, "%s: %s", name, strerror(errno));
    return take_fd(&fd);
}

static int listen_tcp(const struct task_spec *spec, const struct port_spec *port, struct error *err)
{
    const char *host = spec->publish_address ? spec->publish_address : "127.0.0.1";
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t) port->publish) };
    int one = 1;

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return error_set(err, -EINVAL, "publish address '%s' is not an IPv4 address", host);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return error_set(err, -errno, "publishing port %s at %s:%u: %s", port->name, host,
                         port->publish, strerror(errno));
    return take_fd(&fd);
}

static unsigned port_of(int fd)
{
    struct sockaddr_in address = { 0 };
    socklen_t len = sizeof address;

    return getsockname(fd, (struct sockaddr *) &address, &len) < 0 ? 0 : ntohs(address.sin_port);
}

int relays_listen(const struct task_spec *spec, struct launch *launch, struct error *err)
{
    for (size_t i = 0; i < spec->workload_spec->n_ports; i++) {
        const struct port_spec *port = &spec->workload_spec->ports[i];
        int fd = port->published ? listen_tcp(spec, port, err) : -1;
        if (port->published && fd < 0)
            return fd;
        vec_push(&launch->published, fd);
    }
    return 0;
}

/* FD -1: the command itself is there. */
static void add_listener(struct relays *r, const struct port_spec *port, int fd, unsigned bound)
{
    struct listener *l = xnew(struct listener);

    *l = (struct listener){ .relays = r, .port = port, .fd = fd, .bound = bound };
    if (fd >= 0)
        l->watch = loop_watch(r->s->loop, fd, EPOLLIN, on_accept, l);
    vec_push(&r->listeners, l);
}

/* In the machine's network the command is at its own port for everybody; other numbers lead there. */
static int publish(struct relays *r, size_t i, struct error *err)
{
    const struct supervisor *s = r->s;
    const struct port_spec *port = &s->spec->workload_spec->ports[i];
    int fd = -1;

    if (i < s->launch->published.len)
        fd = take_fd(&s->launch->published.items[i]);
    else if (s->launch->netns >= 0 || port->publish != port->port)
        fd = listen_tcp(s->spec, port, err);
    else {
        add_listener(r, port, -1, port->port);
        return 0;
    }
    if (fd >= 0)
        add_listener(r, port, fd, port_of(fd));
    return fd < 0 ? fd : 0;
}

int relays_new(struct supervisor *s, struct relays **ret, struct error *err)
{
    _cleanup_(relays_freep) struct relays *r = xnew(struct relays);

    r->s = s;
    for (size_t i = 0; i < s->spec->workload_spec->n_ports; i++) {
        const struct port_spec *port = &s->spec->workload_spec->ports[i];
        int fd = listen_unix(s, port->port, err);
        if (fd < 0)
            return fd;
        add_listener(r, port, fd, 0);
        int published = port->published ? publish(r, i, err) : 0;
        if (published < 0)
            return published;
    }
    *ret = take_ptr(r);
    return 0;
}

json_t *relays_json(const struct relays *r)
{
    const char *host = r->s->spec->publish_address;
    json_t *json = json_object();

    vec_foreach(&r->listeners, l) {
        if (!(*l)->bound)
            continue;
        json_t *port = json_object();
        json_put_str(port, "host", host ? host : "127.0.0.1");
        json_put_int(port, "port", (*l)->bound);
        json_put(json, (*l)->port->name, port);
    }
    return json;
}

void relays_free(struct relays *r)
{
    if (!r)
        return;
    while (r->connections)
        connection_free(r->connections);
    vec_foreach(&r->listeners, l) {
        watch_free((*l)->watch);
        safe_close((*l)->fd);
        free(*l);
    }
    vec_done(&r->listeners);
    free(r);
}
