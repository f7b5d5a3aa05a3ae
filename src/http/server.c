/* server.c - listening and accepting */
#include "http/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *s = xnew(struct http_server);

    s->options = *options;
    if (!s->options.connections_max)
        s->options.connections_max = 10000;
    if (!s->options.head_timeout_us)
        s->options.head_timeout_us = 10000000;
    if (!s->options.idle_timeout_us)
        s->options.idle_timeout_us = 75000000;
    if (!s->options.progress_timeout_us)
        s->options.progress_timeout_us = 60000000;
    return s;
}

static void stop_listening(struct http_server *s)
{
    for (unsigned i = 0; i < s->n_listeners; i++) {
        struct listener *l = s->listeners[i];
        watch_free(l->watch);
        safe_close(l->fd);
        if (l->path)
            (void) unlink(l->path);
        free(l->path);
        free(l);
    }
    s->n_listeners = 0;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    stop_listening(s);
    websockets_end(s);
    while (s->first)
        connection_close(s->first);
    watch_free(s->pause);
    request_free(s->spare);
    free(s);
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    stop_listening(s);
    websockets_end(s);
    for (struct connection *c = s->first, *next; c; c = next) {
        next = c->next;
        if (!c->req && !c->in.len && c->out_at == c->out.len)
            connection_close(c);
    }
}

unsigned http_server_connections(const struct http_server *s) { return s->n_connections; }

/* IMF-fixdate (RFC 9110, section 5.6.7), made once a second. */
const char *server_date(struct http_server *s)
{
    int64_t now_s = clock_now_us() / 1000000;

    if (s->date_s != now_s) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        time_t t = (time_t) now_s;
        struct tm tm;
        gmtime_r(&t, &tm);
        (void) snprintf(s->date, sizeof s->date, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
                        days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
                        tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        s->date_s = now_s;
    }
    return s->date;
}

static void set_listening(struct http_server *s, bool on)
{
    for (unsigned i = 0; i < s->n_listeners; i++)
        watch_set_events(s->listeners[i]->watch, on ? EPOLLIN : 0);
}

static void after_pause(void *userdata) { set_listening(userdata, true); }

/* Out of descriptors or memory: accepting at once again would only spin. */
static void pause_accepting(struct http_server *s)
{
    set_listening(s, false);
    if (!s->pause)
        s->pause = loop_timer(s->options.loop, 100000, after_pause, s);
    else
        timer_set(s->pause, 100000);
}

static void on_accept(void *userdata, uint32_t events)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    struct listener *l = userdata;
    struct http_server *s = l->server;

    for (int i = 0; i < 64; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s);
            return;
        }
        if (s->n_connections >= s->options.connections_max) {
            (void) !send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL);
            safe_close(fd);
            continue;
        }
        connection_new(s, fd, l->local);
    }
}

static int add_listener(struct http_server *s, int fd, bool local, const char *path,
                        struct error *err)
{
    if (s->n_listeners == sizeof s->listeners / sizeof s->listeners[0])
        return error_set(err, -E2BIG, "more than %u listeners", s->n_listeners);
    if (listen(fd, 4096) < 0)
        return error_set(err, -errno, "listening: %s", strerror(errno));
    struct listener *l = xnew(struct listener);
    *l = (struct listener){ .server = s, .fd = fd, .local = local, .path = xstrdup(path) };
    l->watch = loop_watch(s->options.loop, fd, EPOLLIN, on_accept, l);
    s->listeners[s->n_listeners++] = l;
    return 0;
}

static int bound_port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    char port[16];

    if (getsockname(fd, (struct sockaddr *) &addr, &len) < 0 ||
        getnameinfo((struct sockaddr *) &addr, len, NULL, 0, port, sizeof port, NI_NUMERICSERV) !=
            0)
        return 0;
    long long number = 0;
    return str_to_i64(port, 0, 65535, &number) < 0 ? 0 : (int) number;
}

/* Split "HOST:PORT" or "[HOST]:PORT". */
static int split_address(const char *address, char **ret_host, const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address)
        return -EINVAL;
    size_t len = (size_t) (colon - address);
    bool bracketed = *address == '[' && address[len - 1] == ']';
    if (!bracketed && memchr(address, ':', len))
        return -EINVAL;
    *ret_host = bracketed ? xstrndup(address + 1, len - 2) : xstrndup(address, len);
    *ret_port = colon + 1;
    return 0;
}

int http_server_listen(struct http_server *s, const char *address, struct error *err)
{
    _cleanup_free_ char *host = NULL;
    const char *port = NULL;
    if (split_address(address, &host, &port) < 0)
        return error_set(err, -EINVAL, "address '%s' is not of the form HOST:PORT", address);

    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int g = getaddrinfo(host, port, &hints, &found);
    if (g != 0)
        return error_set(err, -EINVAL, "address '%s': %s", address, gai_strerror(g));

    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0)
        r = error_set(err, -errno, "listening on %s: %s", address, strerror(errno));
    freeaddrinfo(found);
    if (r >= 0)
        r = add_listener(s, fd, false, NULL, err);
    if (r < 0) {
        safe_close(fd);
        return r;
    }
    return bound_port(fd);
}

int http_server_listen_unix(struct http_server *s, const char *path, mode_t mode, struct error *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof addr.sun_path)
        return error_set(err, -ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
                         sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, path, strlen(path) + 1);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, -errno, "socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *) &addr, sizeof addr) == 0 || errno == EAGAIN) {
        safe_close(fd);
        return error_set(err, -EADDRINUSE, "%s is in use by another server", path);
    }
    (void) unlink(path);
    int r = 0;
    if (bind(fd, (struct sockaddr *) &addr, sizeof addr) < 0 || chmod(path, mode) < 0)
        r = error_set(err, -errno, "listening on %s: %s", path, strerror(errno));
    if (r >= 0)
        r = add_listener(s, fd, true, path, err);
    if (r < 0)
        safe_close(fd);
    return r;
}
