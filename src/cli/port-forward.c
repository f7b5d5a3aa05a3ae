/* port-forward.c - berth port-forward: local ports that lead into a running job
 *
 * Each connection is a WebSocket of its own: the way back-pressure and half-closes go is TCP's on both
 * sides. Handshakes block, so they run on threads.
 */
#include "cli/commands.h"
#include "cli/session.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKES 8
#define BACKLOG    128

static const struct cli_flag flags[] = {
    RANK_FLAG,
    { "address", NULL, "ADDRESS", "listen there; 127.0.0.1 when left out" },
    { NULL },
};

struct forward {
    struct forwards *all;
    char *target; /* of the API */
    char *label;  /* "8888", "web" */
    int fd;
    struct watch *watch;
};

struct forwards {
    struct cli *cli;
    struct loop *loop;
    struct pool *pool;
    VEC(struct forward *) list;
    struct connection *connections;
    struct watch *signals[2];
    int result; /* negative: why it ended */
    struct error err;
};

/* A connection that was accepted here. */
struct connection {
    struct connection *next, **link;
    struct forward *forward;
    int fd, out; /* OUT is a copy of FD, because each is watched for itself */
    struct watch *watch;
    struct text held; /* output that was not taken yet */
    bool out_ended;
    struct session *session;
    struct websocket_link upgrade;
    int result;
    struct error err;
};

/* ---- a connection -------------------------------------------------------------------------------- */

static void connection_free(struct connection *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    session_free(c->session);
    watch_free(c->watch);
    safe_close(c->fd);
    safe_close(c->out);
    safe_close(c->upgrade.fd);
    text_done(&c->upgrade.rest);
    text_done(&c->held);
    free(c);
}

static void flush_held(struct connection *c);

static void on_room(void *userdata, uint32_t events)
{
    struct connection *c = userdata;

    (void) events;
    flush_held(c);
}

static void end_output(struct connection *c)
{
    if (c->out_ended && !c->held.len)
        (void) shutdown(c->out, SHUT_WR);
}

static void set_waiting(struct connection *c)
{
    struct loop *loop = c->forward->all->loop;

    if (c->held.len && !c->watch) {
        c->watch = loop_watch(loop, c->out, EPOLLOUT, on_room, c);
        session_pause(c->session);
    } else if (!c->held.len && c->watch) {
        watch_free(c->watch);
        c->watch = NULL;
        session_resume(c->session);
    }
}

/* Whoever connected here and has left is noticed by its input's end. */
static void flush_held(struct connection *c)
{
    while (c->held.len) {
        ssize_t n = send(c->out, c->held.data, c->held.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        text_consume(&c->held, n < 0 ? c->held.len : (size_t) n);
    }
    end_output(c);
    set_waiting(c);
}

static int on_output(void *userdata, enum channel channel, const char *bytes, size_t len)
{
    struct connection *c = userdata;

    if (channel != CHANNEL_OUT)
        return 0;
    if (!len)
        c->out_ended = true;
    text_add_bytes(&c->held, bytes, len);
    flush_held(c);
    return 0;
}

static void on_connected(void *userdata)
{
    struct connection *c = userdata;

    session_feed(c->session, c->fd);
}

static void free_later(void *userdata) { connection_free(userdata); }

/* Without a job there is nothing to forward to any more. */
static void give_up(struct forwards *all, int code, const struct error *err)
{
    if (code != -ENOENT && code != -EEXIST && code != -EBUSY && code != -EACCES)
        return;
    all->result = code;
    all->err = *err;
    loop_stop(all->loop, 0);
}

static void on_ended(void *userdata)
{
    struct connection *c = userdata;
    struct forwards *all = c->forward->all;
    struct error err = { 0 };
    int code = 0;

    (void) session_ended(c->session, &code, &err);
    if (err.code)
        print_note(all->cli, "%s: %s", c->forward->label, err.text);
    if (code < 0)
        give_up(all, code, &err);
    loop_defer(all->loop, free_later, c);
}

/* ---- accepting ----------------------------------------------------------------------------------- */

static void handshake(void *item)
{
    struct connection *c = item;

    c->result = remote_upgrade(c->forward->all->cli, c->forward->target, CHANNEL_PROTOCOL,
                               &c->upgrade, &c->err);
}

static void shaken(void *item)
{
    struct connection *c = item;
    struct forwards *all = c->forward->all;
    const struct session_io io = {
        .output = on_output, .started = on_connected, .ended = on_ended, .userdata = c
    };

    if (c->result >= 0 && c->upgrade.fd < 0) { /* we end: it was not begun */
        connection_free(c);
        return;
    }
    if (c->result < 0) {
        print_note(all->cli, "%s: %s", c->forward->label, c->err.text);
        if (c->result != -EBUSY) /* too many at the moment */
            give_up(all, c->result, &c->err);
        connection_free(c);
        return;
    }
    c->session = session_new(all->loop, &c->upgrade, NULL, &io);
    c->upgrade = (struct websocket_link){ .fd = -1 };
}

static void on_accept(void *userdata, uint32_t events)
{
    struct forward *f = userdata;
    int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void) events;
    if (fd < 0)
        return;
    struct connection *c = xnew(struct connection);
    *c = (struct connection){ .next = f->all->connections,
                              .link = &f->all->connections,
                              .forward = f,
                              .fd = fd,
                              .out = fcntl(fd, F_DUPFD_CLOEXEC, 3),
                              .upgrade.fd = -1 };
    if (c->next)
        c->next->link = &c->next;
    f->all->connections = c;
    pool_submit(f->all->pool, handshake, shaken, c);
}

static int listen_at(const char *address, unsigned port, unsigned *ret_port, struct error *err)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    socklen_t len = sizeof a;
    int one = 1;

    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        return error_set(err, -EINVAL, "--address %.60s: not an IPv4 address", address);
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *) &a, sizeof a) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *) &a, &len) < 0)
        return error_set(err, errno == EADDRINUSE ? -EBUSY : -errno, "listening at %s:%u: %s",
                         address, port, strerror(errno));
    *ret_port = ntohs(a.sin_port);
    return take_fd(&fd);
}

/* ---- what was asked for -------------------------------------------------------------------------- */

/* The number behind NAME in the job's ports; 0: there is none. */
static unsigned named_port(const json_t *job, const char *name)
{
    size_t i;
    const json_t *port;

    json_array_foreach(json_object_get(json_object_get(job, "spec"), "ports"), i, port)
        if (str_equal(json_get_str(port, "name", NULL), name))
            return (unsigned) json_get_int(port, "port", 0);
    return 0;
}

static int no_port(const json_t *job, const char *name, struct error *err)
{
    _cleanup_text_ struct text names = { 0 };
    size_t i;
    const json_t *port;

    json_array_foreach(json_object_get(json_object_get(job, "spec"), "ports"), i, port)
        text_addf(&names, "%s%s", names.len ? ", " : "", json_get_str(port, "name", ""));
    return error_set(err, -EINVAL, "the job has no port '%.60s'; %s%s", name,
                     names.len ? "it has " : "it names none: give a number", text_str(&names));
}

/* "8888", "web", "8080:8888", "8080:web", ":web" (a free port here). */
static int parse_ports(const json_t *job, const char *text, unsigned *ret_local,
                       const char **ret_remote, struct error *err)
{
    const char *colon = strchr(text, ':');
    long long local = 0, number = 0;

    *ret_remote = colon ? colon + 1 : text;
    if (colon && colon != text) {
        _cleanup_free_ char *left = xstrndup(text, (size_t) (colon - text));
        if (str_to_i64(left, 0, 65535, &local) < 0)
            return error_set(err, -EINVAL, "%.60s: LOCAL must be a port from 0 to 65535", text);
    }
    if (str_to_i64(*ret_remote, 1, 65535, &number) < 0) {
        number = named_port(job, *ret_remote);
        if (!number)
            return no_port(job, *ret_remote, err);
    }
    *ret_local = colon ? (unsigned) local : (unsigned) number;
    return 0;
}

static int add_forward(struct forwards *all, const struct args *args, const json_t *job,
                       const char *text, struct error *err)
{
    const char *address = args_has(args, "address") ? args_get(args, "address") : "127.0.0.1";
    const char *remote, *name = json_get_str(job, "name", "");
    unsigned local = 0, bound = 0;
    int r = parse_ports(job, text, &local, &remote, err);

    if (r < 0)
        return r;
    int fd = listen_at(address, local, &bound, err);
    if (fd < 0)
        return fd;
    struct forward *f = xnew(struct forward);
    *f = (struct forward){ .all = all,
                           .fd = fd,
                           .label = xstrdup(remote),
                           .target = project_path(all->cli, "jobs", json_get_str(job, "id", ""),
                                                  "ports", remote, NULL) };
    f->watch = loop_watch(all->loop, fd, EPOLLIN, on_accept, f);
    vec_push(&all->list, f);
    r = rank_add(args, &f->target, err);
    if (r < 0)
        return r;
    (void) printf("%s:%u -> %s:%s\n", address, bound, name, remote);
    (void) fflush(stdout);
    return 0;
}

static void forwards_done(struct forwards *all)
{
    pool_free(all->pool); /* waits for handshakes; none begins */
    while (all->connections)
        connection_free(all->connections);
    vec_foreach(&all->list, f) {
        watch_free((*f)->watch);
        safe_close((*f)->fd);
        free((*f)->label);
        free((*f)->target);
        free(*f);
    }
    vec_done(&all->list);
    loop_once(all->loop, 0); /* what was deferred */
    for (size_t i = 0; i < 2; i++)
        watch_free(all->signals[i]);
    loop_free(all->loop);
}

static void on_signal(void *userdata, const struct signalfd_siginfo *info)
{
    struct forwards *all = userdata;

    (void) info;
    loop_stop(all->loop, 0);
}

static int get_running(struct cli *cli, const char *name, json_t **ret, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", name, NULL);
    int r = remote_get(cli, target, ret, err);

    if (r < 0)
        return r;
    const char *state = json_get_str(*ret, "state", "");
    return str_equal(state, "running")
               ? 0
               : error_set(err, -EBUSY, "the job %s is %s, not running", name, state);
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct forwards all = { .cli = cli };
    _cleanup_json_ json_t *job = NULL;

    if (!cli->project)
        return error_set(err, -EINVAL, "no project is chosen: use --project NAME, or berth init");
    int r = get_running(cli, args_operand(args, 0), &job, err);
    if (r < 0)
        return r;
    all.loop = loop_new();
    (void) signal(SIGPIPE, SIG_IGN);
    all.signals[0] = loop_signal(all.loop, SIGINT, on_signal, &all);
    all.signals[1] = loop_signal(all.loop, SIGTERM, on_signal, &all);
    all.pool = pool_new(all.loop, HANDSHAKES);
    for (size_t i = 1; i < args->operands.len && r == 0; i++)
        r = add_forward(&all, args, job, args->operands.items[i], err);
    if (r == 0 && !cli->dry_run) {
        (void) loop_run(all.loop);
        r = all.result;
    }
    if (all.result < 0)
        *err = all.err;
    forwards_done(&all);
    return r;
}

const struct command command_port_forward = {
    .verb = "port-forward",
    .operands = "JOB [LOCAL:]PORT...",
    .summary = "Let ports of this machine lead into a running job, until Ctrl-C",
    .examples = "berth port-forward tiny-gpt 6006\n"
                "berth port-forward tiny-gpt 8080:http 0:9090\n"
                "berth port-forward --address 0.0.0.0 tiny-gpt 8888",
    .flags = flags,
    .operands_min = 2,
    .operands_max = 100,
    .goes_in = true,
    .run = run,
};
