/* local-launcher.c - requests to the launcher, kept in order while its socket is full */
#include "engine/local.h"

#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct outgoing {
    struct launcher_request request;
    int fds[2];
};

struct launcher {
    struct loop *loop;
    int fd;
    struct watch *watch;
    launcher_answer_f answered;
    void *userdata;
    VEC(struct outgoing) waiting; /* from HEAD on */
    size_t head;
};

static int send_one(struct launcher *l, const struct outgoing *out)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = (void *) (uintptr_t) &out->request,
                         .iov_len = sizeof out->request };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    size_t n = out->fds[0] < 0 ? 0 : out->fds[1] < 0 ? 1 : 2;

    if (n) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), out->fds, n * sizeof(int));
    }
    return sendmsg(l->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void close_outgoing(struct outgoing *out)
{
    safe_close(out->fds[0]);
    safe_close(out->fds[1]);
}

static void flush(struct launcher *l)
{
    while (l->head < l->waiting.len) {
        struct outgoing *out = &l->waiting.items[l->head];
        int r = send_one(l, out);
        /* ETOOMANYREFS: so many descriptors are on their way that the kernel wants a pause. */
        if (r == -EAGAIN || r == -EINTR || r == -ETOOMANYREFS)
            break;
        close_outgoing(out);
        l->head++;
    }
    if (l->head == l->waiting.len)
        l->head = l->waiting.len = 0;
    watch_set_events(l->watch, l->waiting.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_ready(void *userdata, uint32_t events)
{
    struct launcher *l = userdata;
    struct launcher_answer answer;

    while (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = recv(l->fd, &answer, sizeof answer, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            watch_free(l->watch);
            l->watch = NULL;
            l->answered(l->userdata, NULL);
            return;
        }
        if (n == sizeof answer)
            l->answered(l->userdata, &answer);
    }
    if (l->watch)
        flush(l);
}

struct launcher *launcher_new(struct loop *loop, int fd, launcher_answer_f answered, void *userdata)
{
    struct launcher *l = xnew(struct launcher);

    l->loop = loop;
    l->fd = fd;
    l->answered = answered;
    l->userdata = userdata;
    l->watch = loop_watch(loop, fd, EPOLLIN, on_ready, l);
    return l;
}

void launcher_free(struct launcher *l)
{
    if (!l)
        return;
    for (size_t i = l->head; i < l->waiting.len; i++)
        close_outgoing(&l->waiting.items[i]);
    vec_done(&l->waiting);
    watch_free(l->watch);
    safe_close(l->fd);
    free(l);
}

void launcher_ask(struct launcher *l, const struct launcher_request *request,
                  const int fds[static 2])
{
    struct outgoing out = { .request = *request, .fds = { fds[0], fds[1] } };

    vec_push(&l->waiting, out);
    if (l->watch)
        flush(l);
}
