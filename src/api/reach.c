/* reach.c - ways into running tasks: their life, and the sockets of those on this machine */
#include "api/reach.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/packet.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PACKETS_A_ROUND = 64 };

/* ---- life ------------------------------------------------------------------------------------------ */

static bool told(struct reach *reach)
{
    reach->in_event = false;
    if (!reach->closed)
        return true;
    reach->ops->free(reach);
    return false;
}

bool reach_tell_ready(struct reach *reach)
{
    reach->in_event = true;
    reach->events.ready(reach->events.userdata);
    return told(reach);
}

bool reach_tell_packet(struct reach *reach, const char *bytes, size_t len)
{
    reach->in_event = true;
    reach->events.packet(reach->events.userdata, bytes, len);
    return told(reach);
}

void reach_end(struct reach *reach, const char *why)
{
    reach->in_event = reach->closed = true;
    reach->events.closed(reach->events.userdata, why);
    (void) told(reach);
}

void reach_close(struct reach *reach)
{
    if (!reach || reach->closed)
        return;
    reach->closed = true;
    if (!reach->in_event)
        reach->ops->free(reach);
}

bool reach_send(struct reach *reach, const char *bytes, size_t len)
{
    return reach->ops->send(reach, bytes, len);
}

static void set_paused(struct reach *reach, bool paused)
{
    if (reach->closed || reach->paused == paused)
        return;
    reach->paused = paused;
    reach->ops->listen(reach);
}

void reach_pause(struct reach *reach) { set_paused(reach, true); }
void reach_resume(struct reach *reach) { set_paused(reach, false); }

/* ---- on this machine ------------------------------------------------------------------------------- */

struct here {
    struct reach reach; /* first */
    int fd;
    struct watch *watch;
    struct text held; /* a packet that the supervisor did not take yet */
    bool awaited;     /* `ready` is to be told */
};

static struct here *here_of(struct reach *reach) { return (struct here *) reach; }

static void here_listen(struct reach *reach)
{
    const struct here *h = here_of(reach);

    watch_set_events(h->watch, (reach->paused ? 0 : (uint32_t) EPOLLIN) |
                                   (h->awaited ? (uint32_t) EPOLLOUT : 0));
}

static bool here_send(struct reach *reach, const char *bytes, size_t len)
{
    struct here *h = here_of(reach);

    if (send(h->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
        return true; /* that it has left shows when it is read */
    text_add_bytes(&h->held, bytes, len);
    h->awaited = true;
    here_listen(reach);
    return false;
}

static void here_free(struct reach *reach)
{
    struct here *h = here_of(reach);

    watch_free(h->watch);
    safe_close(h->fd);
    text_done(&h->held);
    free(h);
}

static const struct reach_ops here_ops = { here_send, here_listen, here_free };

/* False: it is gone. */
static bool send_held(struct here *h)
{
    if (h->held.len && send(h->fd, h->held.data, h->held.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
        errno == EAGAIN)
        return true;
    text_clear(&h->held);
    h->awaited = false;
    here_listen(&h->reach);
    return reach_tell_ready(&h->reach);
}

static void receive(struct here *h)
{
    static char packet[1 + CHANNEL_PAYLOAD_MAX]; /* the loop's thread; used up before it returns */

    for (int i = 0; i < PACKETS_A_ROUND && !h->reach.paused; i++) {
        ssize_t n = recv(h->fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0 && errno == ECONNRESET)
            continue; /* it closed without reading all; what it said before is still there */
        if (n <= 0) {
            reach_end(&h->reach, "the job has ended");
            return;
        }
        if (!reach_tell_packet(&h->reach, packet, (size_t) n))
            return;
    }
}

static void on_socket(void *userdata, uint32_t events)
{
    struct here *h = userdata;

    if ((events & EPOLLOUT) && !send_held(h))
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(h);
}

static int connect_supervisor(const struct api *api, const struct id *task)
{
    _cleanup_free_ char *path = attempt_path(api, task, ".");
    _cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return dir < 0 ? -errno : packet_connect(dir, "sock");
}

static int open_here(struct api *api, const struct reach_target *target, const json_t *order,
                     const struct reach_events *events, struct reach **ret, struct error *err)
{
    _cleanup_free_ char *text = json_text(order);
    _cleanup_close_ int fd = connect_supervisor(api, &target->task);

    if (fd < 0 || send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return error_set(err, -EBUSY, "the job does not answer: it may be ending");
    struct here *h = xnew(struct here);
    *h = (struct here){
        .reach = { .ops = &here_ops, .api = api, .target = *target, .events = *events },
        .awaited = true
    };
    h->fd = take_fd(&fd);
    h->watch = loop_watch(api->options.loop, h->fd, EPOLLIN | EPOLLOUT, on_socket, h);
    *ret = &h->reach;
    return 0;
}

int reach_open(struct api *api, const struct reach_target *target, const json_t *order,
               const struct reach_events *events, struct reach **ret, struct error *err)
{
    return lifecycle_is_away(api->options.lifecycle)
               ? reach_open_away(api, target, order, events, ret, err)
               : open_here(api, target, order, events, ret, err);
}
