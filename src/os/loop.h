/* loop.h - one epoll loop a thread: descriptors, timers, signals, children, messages
 *
 * Life times (libuv's lesson, written down):
 *  1. A watch belongs to whoever added it and ends with watch_free(), which is allowed inside its
 *     own callback and inside any other: memory is released after the current round.
 *  2. A watch does not own its descriptor. Free the watch before closing the descriptor.
 *  3. After watch_free() the callback is never called again.
 *  4. Only the loop's own thread calls these functions; other threads send through os/queue.h.
 */
#ifndef OS_LOOP_H
#define OS_LOOP_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

struct loop;
struct watch;

typedef void (*loop_fd_f)(void *userdata, uint32_t epoll_events);
typedef void (*loop_timer_f)(void *userdata);
typedef void (*loop_signal_f)(void *userdata, const struct signalfd_siginfo *info);

struct loop *loop_new(void);
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free);

/* Level-triggered unless EPOLLET is in EVENTS. */
struct watch *loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_f callback,
                         void *userdata);
/* Change the events of a descriptor watch; no system call when they are the same. */
void watch_set_events(struct watch *w, uint32_t events);

/* One-shot timer AFTER_US from now (CLOCK_BOOTTIME); armed again with timer_set. A hierarchical
 * wheel or heap of ours: setting and clearing costs no system call. */
struct watch *loop_timer(struct loop *loop, int64_t after_us, loop_timer_f callback,
                         void *userdata);
void timer_set(struct watch *w, int64_t after_us);
void timer_clear(struct watch *w);

/* Block SIGNO in this thread and deliver it through the loop. */
struct watch *loop_signal(struct loop *loop, int signo, loop_signal_f callback, void *userdata);
/* Call back once after the current round of events (deferred destruction and batching), or when the loop is freed. */
void loop_defer(struct loop *loop, loop_timer_f callback, void *userdata);
/* Take that back; nothing when it is not pending. */
void loop_undefer(struct loop *loop, loop_timer_f callback, const void *userdata);

void watch_free(struct watch *w);
DEFINE_CLEANUP(struct watch *, watch_free);

/* Run until loop_stop(); returns the code given there. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int code);
/* One round, waiting at most TIMEOUT_MS (-1: for ever): for tests. */
void loop_once(struct loop *loop, int timeout_ms);
/* Boot-time microseconds cached at the start of the round. */
int64_t loop_now_us(const struct loop *loop);

#endif
