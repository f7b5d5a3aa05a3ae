/* pool.h - a bounded pool of threads for work that blocks (hashing, unpacking, curl, Argon2)
 *
 * Work items run on some thread, then come back to the loop that submitted them, in any order.
 * They share nothing: what WORK touches belongs to the item until DONE is called.
 */
#ifndef OS_POOL_H
#define OS_POOL_H

#include "os/loop.h"

struct pool;

typedef void (*pool_f)(void *item);

/* N_THREADS threads; results return to LOOP. All signals are blocked in the threads. */
struct pool *pool_new(struct loop *loop, unsigned n_threads);
/* Waits for the running items, drops the queued ones (calling their DONE). */
void pool_free(struct pool *pool);
DEFINE_CLEANUP(struct pool *, pool_free);

/* Run WORK(ITEM) on a thread, then DONE(ITEM) on the loop. Never blocks. */
void pool_submit(struct pool *pool, pool_f work, pool_f done, void *item);
size_t pool_backlog(const struct pool *pool);

#endif
