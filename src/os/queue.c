/* queue.c - the one lock in Berth: a mutex around a singly linked list, and an eventfd */
#include "os/queue.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct message *first;
    struct message **last; /* where the next one is linked */
    size_t len;
    bool closed;
    int fd;
};

struct queue *queue_new(void)
{
    struct queue *q = xnew(struct queue);

    if (pthread_mutex_init(&q->mutex, NULL) != 0 || pthread_cond_init(&q->filled, NULL) != 0)
        abort();
    q->last = &q->first;
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->fd < 0)
        abort();
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->mutex);
    safe_close(q->fd);
    free(q);
}

void queue_push(struct queue *q, struct message *message)
{
    message->next = NULL;
    queue_push_all(q, message);
}

/* The eventfd is written only on the step from empty to filled; signalling nobody is free. Several
 * messages may be work for several waiters. */
void queue_push_all(struct queue *q, struct message *list)
{
    size_t n = 0;

    if (!list)
        return;
    pthread_mutex_lock(&q->mutex);
    bool was_empty = !q->first;
    for (*q->last = list; *q->last; n++)
        q->last = &(*q->last)->next;
    q->len += n;
    if (n == 1)
        pthread_cond_signal(&q->filled);
    else
        pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->mutex);
    if (was_empty) {
        uint64_t one = 1;
        (void) !write(q->fd, &one, sizeof one);
    }
}

static struct message *take_all(struct queue *q)
{
    struct message *list = q->first;
    q->first = NULL;
    q->last = &q->first;
    q->len = 0;
    return list;
}

/* The eventfd is reset before the list is taken: a push in between wakes once too often, never
 * too seldom. */
struct message *queue_drain(struct queue *q)
{
    uint64_t count;
    (void) !read(q->fd, &count, sizeof count);
    pthread_mutex_lock(&q->mutex);
    struct message *list = take_all(q);
    pthread_mutex_unlock(&q->mutex);
    return list;
}

struct message *queue_wait(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    while (!q->first && !q->closed)
        pthread_cond_wait(&q->filled, &q->mutex);
    struct message *list = take_all(q);
    pthread_mutex_unlock(&q->mutex);
    return list;
}

struct message *queue_take(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    while (!q->first && !q->closed)
        pthread_cond_wait(&q->filled, &q->mutex);
    struct message *first = q->first;
    if (first) {
        q->first = first->next;
        if (!q->first)
            q->last = &q->first;
        q->len--;
        first->next = NULL;
    }
    pthread_mutex_unlock(&q->mutex);
    return first;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->mutex);
}

bool queue_is_closed(const struct queue *q)
{
    struct queue *mine = (struct queue *) (uintptr_t) q; /* the mutex is not part of the value */
    pthread_mutex_lock(&mine->mutex);
    bool closed = q->closed;
    pthread_mutex_unlock(&mine->mutex);
    return closed;
}

size_t queue_len(const struct queue *q)
{
    struct queue *mine = (struct queue *) (uintptr_t) q; /* the mutex is not part of the value */
    pthread_mutex_lock(&mine->mutex);
    size_t len = q->len;
    pthread_mutex_unlock(&mine->mutex);
    return len;
}

int queue_fd(const struct queue *q) { return q->fd; }
