/* pool.c - threads for work that blocks; results come back through a queue to the loop */
#include "os/pool.h"

#include "base/alloc.h"
#include "os/queue.h"

#include <pthread.h>
#include <signal.h>

struct job {
    struct message message;
    pool_f work;
    pool_f done;
    void *item;
};

struct pool {
    pthread_t *threads;
    unsigned n_threads;
    size_t backlog; /* the loop's count of jobs under way */
    struct queue *jobs;
    struct queue *results;
    struct watch *watch;
};

static void *work_on(void *userdata)
{
    struct pool *pool = userdata;
    struct message *message;

    while ((message = queue_take(pool->jobs))) {
        struct job *job = (struct job *) message;
        job->work(job->item);
        queue_push(pool->results, &job->message);
    }
    return NULL;
}

static void finish(struct pool *pool, struct message *list)
{
    while (list) {
        struct job *job = (struct job *) list;
        list = list->next;
        pool->backlog--;
        job->done(job->item);
        free(job);
    }
}

static void on_results(void *userdata, uint32_t events)
{
    struct pool *pool = userdata;
    finish(pool, queue_drain(pool->results));
}

struct pool *pool_new(struct loop *loop, unsigned n_threads)
{
    struct pool *pool = xnew(struct pool);
    sigset_t all, before;

    pool->jobs = queue_new();
    pool->results = queue_new();
    pool->watch = loop_watch(loop, queue_fd(pool->results), EPOLLIN, on_results, pool);
    pool->threads = xnew_n(pthread_t, n_threads);
    pool->n_threads = n_threads;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < n_threads; i++)
        if (pthread_create(&pool->threads[i], NULL, work_on, pool) != 0)
            abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    struct message *dropped = queue_drain(pool->jobs);
    queue_close(pool->jobs);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    watch_free(pool->watch);
    finish(pool, queue_drain(pool->results));
    finish(pool, dropped);
    queue_free(pool->results);
    queue_free(pool->jobs);
    free(pool->threads);
    free(pool);
}

void pool_submit(struct pool *pool, pool_f work, pool_f done, void *item)
{
    struct job *job = xnew(struct job);
    *job = (struct job){ .work = work, .done = done, .item = item };
    pool->backlog++;
    queue_push(pool->jobs, &job->message);
}

size_t pool_backlog(const struct pool *pool) { return pool->backlog; }
