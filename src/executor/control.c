/* control.c - the supervisor's socket: orders in, news out, one JSON object a packet
 *
 *     in    {"op":"go"}   once, when the launcher was asked to hold the attempt; with "secret" to a gang
 *           {"op":"stop","cause":"stopped","grace":30}   {"op":"signal","signal":10}   {"op":"state"}
 *     out   {"event":"ready"}   {"event":"started"}   {"event":"exit"}
 *
 * The orders "exec", "copy" and "forward" turn a connection into a session (session.h).
 * News only say that a file is there now: the files are the truth. The engine that asked for the
 * start holds one end of a pair; a later one connects to `sock`. Peers are root and the state's
 * owner.
 */
#include "executor/internal.h"
#include "executor/session.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PEERS_MAX  64
#define PACKET_MAX (65536 + 1024) /* an order of a session, and what the server adds to it */

struct peer {
    struct control *control;
    int fd;
    struct watch *watch;
};

struct control {
    struct supervisor *s;
    int listener;
    struct watch *watch;
    struct peer peers[PEERS_MAX];
    bool ready, go, started, ended;
    bool awaits_go;     /* in the loop */
    int64_t disk_bytes; /* -1: not known yet */
};

static void drop(struct peer *peer)
{
    watch_free(peer->watch);
    peer->watch = NULL;
    peer->fd = safe_close(peer->fd);
}

static void tell(struct peer *peer, const char *event)
{
    _cleanup_free_ char *text = xasprintf("{\"event\":\"%s\"}", event);

    /* A peer that does not read misses nothing: the files are there. */
    (void) send(peer->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_disk(struct peer *peer)
{
    _cleanup_free_ char *text =
        xasprintf("{\"event\":\"disk\",\"bytes\":%lld}", (long long) peer->control->disk_bytes);

    (void) send(peer->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_state(struct peer *peer)
{
    if (peer->control->ready)
        tell(peer, "ready");
    if (peer->control->started)
        tell(peer, "started");
    if (peer->control->disk_bytes >= 0)
        tell_disk(peer);
    if (peer->control->ended)
        tell(peer, "exit");
}

static bool is_session(const char *op)
{
    return str_equal(op, "exec") || str_equal(op, "copy") || str_equal(op, "forward");
}

/* From now on the connection is the session's. */
static void give_away(struct peer *peer, const json_t *order)
{
    int fd = take_fd(&peer->fd);

    drop(peer);
    sessions_begin(peer->control->s->sessions, fd, order);
}

static void obey(struct peer *peer, const json_t *order)
{
    struct supervisor *s = peer->control->s;
    const char *op = json_get_str(order, "op", "");

    if (is_session(op)) {
        give_away(peer, order);
        return;
    }
    if (str_equal(op, "go")) {
        peer->control->go = true;
        xstr_set(&s->gang_secret, json_get_str(order, "secret", NULL));
    } else if (str_equal(op, "stop")) {
        enum end_cause cause = end_cause_parse(json_get_str(order, "cause", "stopped"));
        supervisor_stop(s, cause <= END_NONE ? END_STOPPED : cause,
                        json_get_int(order, "grace", 0));
    } else if (str_equal(op, "signal")) {
        container_signal(s, (int) json_get_int(order, "signal", 0));
    } else if (str_equal(op, "state")) {
        tell_state(peer);
    }
    if (peer->control->awaits_go && (peer->control->go || s->cause != END_NONE))
        loop_stop(s->loop, 0);
}

static void on_packet(void *userdata, uint32_t events)
{
    struct peer *peer = userdata;
    _cleanup_json_ json_t *order = NULL;
    static char packet[PACKET_MAX]; /* one thread; used up before it returns */

    (void) events;
    ssize_t n = recv(peer->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(peer);
        if (peer == peer->control->peers &&
            (peer->control->s->launch->request.flags & LAUNCHER_STEP))
            supervisor_leave(peer->control->s);
        return;
    }
    if ((size_t) n <= sizeof packet && json_parse(packet, (size_t) n, &order, NULL) >= 0)
        obey(peer, order);
}

static void add_peer(struct control *c, int fd)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &c->peers[i];
        if (peer->fd >= 0)
            continue;
        peer->control = c;
        peer->fd = fd;
        peer->watch = loop_watch(c->s->loop, fd, EPOLLIN, on_packet, peer);
        tell_state(peer);
        return;
    }
    safe_close(fd);
}

static void on_connect(void *userdata, uint32_t events)
{
    struct control *c = userdata;
    struct ucred cred = { .uid = (uid_t) -1 };
    socklen_t len = sizeof cred;
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void) events;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
        (cred.uid != 0 && cred.uid != c->s->x->owner))
        safe_close(fd);
    else
        add_peer(c, fd);
}

/* The directory's path may be longer than a socket's: go by its descriptor. */
static int listen_in(struct supervisor *s)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void) unlinkat(s->dir, "sock", 0);
    (void) snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/sock", s->dir);
    if (bind(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        fchmodat(s->dir, "sock", 0600, 0) < 0 ||
        fchownat(s->dir, "sock", s->x->owner, s->x->group, 0) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    return take_fd(&fd);
}

int control_new(struct supervisor *s, int peer, struct control **ret, struct error *err)
{
    struct control *c = xnew(struct control);

    c->s = s;
    c->disk_bytes = -1;
    for (size_t i = 0; i < PEERS_MAX; i++)
        c->peers[i].fd = -1;
    c->listener = listen_in(s);
    if (c->listener < 0) {
        int r = c->listener;
        free(c);
        return error_set(err, r, "sock: %s", strerror(-r));
    }
    c->watch = loop_watch(s->loop, c->listener, EPOLLIN, on_connect, c);
    add_peer(c, peer);
    *ret = c;
    return 0;
}

#define DISK_STEP INT64_C(1048576)

void control_set_disk(struct control *c, int64_t bytes)
{
    int64_t more = bytes - c->disk_bytes;

    if (more < DISK_STEP && more > -DISK_STEP)
        return;
    c->disk_bytes = bytes;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (c->peers[i].fd >= 0)
            tell_disk(&c->peers[i]);
}

bool control_await_go(struct control *c)
{
    struct peer *engine = &c->peers[0];

    while (!c->go && engine->fd >= 0) {
        struct pollfd polled = { .fd = engine->fd, .events = POLLIN };
        if (poll(&polled, 1, -1) > 0)
            on_packet(engine, EPOLLIN);
    }
    return c->go;
}

void control_run_until_go(struct control *c)
{
    c->awaits_go = true;
    if (!c->go && c->s->cause == END_NONE)
        (void) loop_run(c->s->loop);
    c->awaits_go = false;
}

void control_send(struct control *c, const char *event)
{
    c->ready |= str_equal(event, "ready");
    c->started |= str_equal(event, "started");
    c->ended |= str_equal(event, "exit");
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (c->peers[i].fd >= 0)
            tell(&c->peers[i], event);
}

void control_free(struct control *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (c->peers[i].fd >= 0)
            drop(&c->peers[i]);
    watch_free(c->watch);
    safe_close(c->listener);
    free(c);
}
