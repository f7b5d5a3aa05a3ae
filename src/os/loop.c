/* loop.c - epoll, a heap of timers, and deferred destruction
 *
 * Timers live in a binary heap keyed by due time and a serial (equal times fire in the order in which
 * they were set), so setting one costs no system call: the heap's top is epoll_wait's timeout.
 * Freed watches go to a graveyard that is emptied between rounds, because events already fetched
 * by epoll_wait may still point to them.
 */
#include "os/loop.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum watch_kind { WATCH_FD, WATCH_TIMER, WATCH_SIGNAL };

#define NOT_IN_HEAP SIZE_MAX

struct watch {
    enum watch_kind kind;
    bool dead;
    struct loop *loop;
    void *userdata;
    union {
        loop_fd_f on_fd;
        loop_timer_f on_timer;
        loop_signal_f on_signal;
    };
    int fd;
    uint32_t events;
    int64_t due_us;
    uint64_t serial;
    size_t heap; /* position, or NOT_IN_HEAP */
};

struct deferred {
    loop_timer_f callback;
    void *userdata;
};

struct loop {
    int epoll;
    bool stopping;
    int code;
    int64_t now_us;
    uint64_t serial;
    VEC(struct watch *) heap;
    VEC(struct watch *) dead;
    VEC(struct deferred) deferred;
};

struct loop *loop_new(void)
{
    struct loop *loop = xnew(struct loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        abort();
    loop->now_us = clock_boot_us();
    return loop;
}

static void bury(struct loop *loop)
{
    vec_foreach(&loop->dead, w)
        free(*w);
    loop->dead.len = 0;
}

static void run_deferred(struct loop *loop)
{
    for (size_t i = 0; i < loop->deferred.len; i++) {
        struct deferred d = loop->deferred.items[i];
        if (d.callback)
            d.callback(d.userdata);
    }
    loop->deferred.len = 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_deferred(loop);
    bury(loop);
    vec_done(&loop->dead);
    vec_done(&loop->heap);
    vec_done(&loop->deferred);
    safe_close(loop->epoll);
    free(loop);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static struct watch *watch_new(struct loop *loop, enum watch_kind kind, void *userdata)
{
    struct watch *w = xnew(struct watch);
    *w = (struct watch){
        .kind = kind, .loop = loop, .userdata = userdata, .fd = -1, .heap = NOT_IN_HEAP
    };
    return w;
}

static void watch_attach(struct watch *w, int fd, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = w };
    w->fd = fd;
    w->events = events;
    if (epoll_ctl(w->loop->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        abort(); /* a descriptor that cannot be polled, or watched twice: a bug of the caller */
}

struct watch *loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_f callback,
                         void *userdata)
{
    struct watch *w = watch_new(loop, WATCH_FD, userdata);
    w->on_fd = callback;
    watch_attach(w, fd, events);
    return w;
}

void watch_set_events(struct watch *w, uint32_t events)
{
    if (w->events == events)
        return;
    struct epoll_event ev = { .events = events, .data.ptr = w };
    w->events = events;
    if (epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &ev) < 0)
        abort();
}

struct watch *loop_signal(struct loop *loop, int signo, loop_signal_f callback, void *userdata)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        abort();
    struct watch *w = watch_new(loop, WATCH_SIGNAL, userdata);
    w->on_signal = callback;
    watch_attach(w, fd, EPOLLIN);
    return w;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static bool earlier(const struct watch *a, const struct watch *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->serial < b->serial;
}

static void heap_place(struct loop *loop, size_t i, struct watch *w)
{
    loop->heap.items[i] = w;
    w->heap = i;
}

static void heap_up(struct loop *loop, size_t i, struct watch *w)
{
    for (; i > 0 && earlier(w, loop->heap.items[(i - 1) / 2]); i = (i - 1) / 2)
        heap_place(loop, i, loop->heap.items[(i - 1) / 2]);
    heap_place(loop, i, w);
}

static void heap_down(struct loop *loop, size_t i, struct watch *w)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->heap.len)
            break;
        if (child + 1 < loop->heap.len &&
            earlier(loop->heap.items[child + 1], loop->heap.items[child]))
            child++;
        if (!earlier(loop->heap.items[child], w))
            break;
        heap_place(loop, i, loop->heap.items[child]);
        i = child;
    }
    heap_place(loop, i, w);
}

void timer_clear(struct watch *w)
{
    struct loop *loop = w->loop;
    if (w->heap == NOT_IN_HEAP)
        return;
    size_t hole = w->heap;
    struct watch *last = loop->heap.items[--loop->heap.len];
    w->heap = NOT_IN_HEAP;
    if (last == w)
        return;
    heap_up(loop, hole, last);
    heap_down(loop, last->heap, last);
}

void timer_set(struct watch *w, int64_t after_us)
{
    struct loop *loop = w->loop;
    timer_clear(w);
    w->due_us = clock_boot_us() + (after_us > 0 ? after_us : 0);
    w->serial = loop->serial++;
    vec_push(&loop->heap, w);
    heap_up(loop, loop->heap.len - 1, w);
}

struct watch *loop_timer(struct loop *loop, int64_t after_us, loop_timer_f callback, void *userdata)
{
    struct watch *w = watch_new(loop, WATCH_TIMER, userdata);
    w->on_timer = callback;
    timer_set(w, after_us);
    return w;
}

/* Those that are due now; what a callback sets anew waits for the next round. */
static void run_timers(struct loop *loop)
{
    uint64_t before = loop->serial;
    int64_t now = clock_boot_us();

    while (loop->heap.len && !loop->stopping) {
        struct watch *w = loop->heap.items[0];
        if (w->due_us > now || w->serial >= before)
            break;
        timer_clear(w);
        w->on_timer(w->userdata);
    }
}

void loop_defer(struct loop *loop, loop_timer_f callback, void *userdata)
{
    vec_push(&loop->deferred, ((struct deferred){ callback, userdata }));
}

void loop_undefer(struct loop *loop, loop_timer_f callback, const void *userdata)
{
    vec_foreach(&loop->deferred, d)
        if (d->callback == callback && d->userdata == userdata)
            d->callback = NULL;
}

/* ---- running --------------------------------------------------------------------------------- */

void watch_free(struct watch *w)
{
    if (!w || w->dead)
        return;
    w->dead = true;
    timer_clear(w);
    if (w->fd >= 0)
        (void) epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    if (w->kind == WATCH_SIGNAL)
        w->fd = safe_close(w->fd);
    vec_push(&w->loop->dead, w);
}

static void dispatch(struct watch *w, uint32_t events)
{
    if (w->kind == WATCH_FD) {
        w->on_fd(w->userdata, events);
        return;
    }
    struct signalfd_siginfo info;
    while (!w->dead && read(w->fd, &info, sizeof info) == (ssize_t) sizeof info)
        w->on_signal(w->userdata, &info);
}

static int wait_ms(const struct loop *loop, int timeout_ms)
{
    if (loop->deferred.len)
        return 0;
    if (!loop->heap.len)
        return timeout_ms;
    int64_t left_ms = (loop->heap.items[0]->due_us - clock_boot_us() + 999) / 1000;
    left_ms = left_ms < 0 ? 0 : left_ms > 3600000 ? 3600000 : left_ms;
    return timeout_ms < 0 || left_ms < timeout_ms ? (int) left_ms : timeout_ms;
}

void loop_once(struct loop *loop, int timeout_ms)
{
    struct epoll_event events[128];
    int n = epoll_wait(loop->epoll, events, 128, wait_ms(loop, timeout_ms));

    loop->now_us = clock_boot_us();
    for (int i = 0; i < n; i++) {
        struct watch *w = events[i].data.ptr;
        if (!w->dead)
            dispatch(w, events[i].events);
    }
    run_timers(loop);
    run_deferred(loop);
    bury(loop);
}

int loop_run(struct loop *loop)
{
    loop->stopping = false;
    while (!loop->stopping)
        loop_once(loop, -1);
    return loop->code;
}

void loop_stop(struct loop *loop, int code)
{
    loop->stopping = true;
    loop->code = code;
}

int64_t loop_now_us(const struct loop *loop) { return loop->now_us; }
