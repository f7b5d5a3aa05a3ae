// Threads share queues of owned messages and nothing else; their locks live in os/queue and os/pool.
// except: src/os/queue.c src/os/pool.c src/os/log.c /test/ tests/
@@
@@
(
* pthread_mutex_lock(...)
|
* pthread_rwlock_rdlock(...)
|
* pthread_rwlock_wrlock(...)
|
* pthread_spin_lock(...)
|
* pthread_cond_wait(...)
|
* sem_wait(...)
)
