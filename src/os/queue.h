/* queue.h - the only thing threads share: queues of owned messages, woken by an eventfd
 *
 * Many producers, one consumer (or many that queue_take()). A message is any struct whose first member is a struct message;
 * pushing gives it away. The only lock in Berth is inside this file.
 */
#ifndef OS_QUEUE_H
#define OS_QUEUE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct message {
    struct message *next; /* the queue's while queued */
};

struct queue;

struct queue *queue_new(void);
/* Messages still inside are the caller's to drain first. */
void queue_free(struct queue *queue);
DEFINE_CLEANUP(struct queue *, queue_free);

void queue_push(struct queue *queue, struct message *message);
/* The same for a list (linked by `next`, ended by NULL; NULL is nothing), with one wake-up. */
void queue_push_all(struct queue *queue, struct message *list);
/* All messages in order as a list, NULL if none; does not wait. Resets the eventfd. */
struct message *queue_drain(struct queue *queue);
/* The same, waiting until there is one; NULL after queue_close() once empty. */
struct message *queue_wait(struct queue *queue);
/* The first message alone, waiting until there is one; NULL after queue_close() once empty. Any number
 * of threads may take from one queue. */
struct message *queue_take(struct queue *queue);
/* Wake the waiter for good: queue_wait() and queue_take() return NULL when empty. */
void queue_close(struct queue *queue);
bool queue_is_closed(const struct queue *queue);
size_t queue_len(const struct queue *queue);
/* Readable when messages are there: for loop_watch(). */
int queue_fd(const struct queue *queue);

#endif
