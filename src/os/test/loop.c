#include "os/loop.h"
#include "tests/tap.h"

#include "base/text.h"
#include "os/clock.h"
#include "os/pool.h"
#include "os/queue.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct text trace;

static void note_a(void *userdata) { text_add(&trace, userdata); }

TEST(timers_fire_in_order_of_due_time_then_of_setting)
{
    _cleanup_(loop_freep) struct loop *loop = loop_new();
    text_clear(&trace);
    struct watch *late = loop_timer(loop, 3000, note_a, (char[]){ "c" });
    struct watch *first = loop_timer(loop, 0, note_a, (char[]){ "a" });
    struct watch *second = loop_timer(loop, 0, note_a, (char[]){ "b" });
    struct watch *never = loop_timer(loop, 1000, note_a, (char[]){ "x" });
    timer_clear(never);
    while (trace.len < 3)
        loop_once(loop, 100);
    is_str(text_str(&trace), "abc");
    watch_free(late);
    watch_free(first);
    watch_free(second);
    watch_free(never);
}

static struct loop *deferring;

static char letter_b[] = "b";

static void defer_b(void *userdata) { loop_defer(deferring, note_a, letter_b); }

TEST(what_is_deferred_comes_after_the_timers_of_the_round_unless_taken_back)
{
    _cleanup_(loop_freep) struct loop *loop = deferring = loop_new();
    static char x[] = "x";
    text_clear(&trace);
    struct watch *first = loop_timer(loop, 0, defer_b, NULL);
    struct watch *second = loop_timer(loop, 0, note_a, (char[]){ "a" });
    loop_defer(loop, note_a, x);
    loop_undefer(loop, note_a, x);
    loop_once(loop, 0);
    is_str(text_str(&trace), "ab");
    watch_free(first);
    watch_free(second);
}

static struct watch *victim;
static int calls;

static void free_other(void *userdata, uint32_t events)
{
    calls++;
    watch_free(victim);
    victim = NULL;
}

TEST(a_watch_freed_in_anothers_callback_is_not_called)
{
    _cleanup_(loop_freep) struct loop *loop = loop_new();
    int a[2], b[2];
    ok(pipe(a) == 0 && pipe(b) == 0);
    ok(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
    calls = 0;
    struct watch *one = loop_watch(loop, a[0], EPOLLIN, free_other, NULL);
    struct watch *two = loop_watch(loop, b[0], EPOLLIN, free_other, NULL);
    victim = two;
    loop_once(loop, 100);
    /* Whichever came first freed `two`: at most `two` itself and `one` were called. */
    ok(calls >= 1 && calls <= 2);
    calls = 0;
    loop_once(loop, 0);
    ok(calls == 1);
    watch_free(one);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    text_done(&trace);
}

static void got_signal(void *userdata, const struct signalfd_siginfo *info)
{
    *(int *) userdata = (int) info->ssi_signo;
}

TEST(signals_arrive_through_the_loop)
{
    _cleanup_(loop_freep) struct loop *loop = loop_new();
    int seen = 0;
    struct watch *w = loop_signal(loop, SIGUSR1, got_signal, &seen);
    ok(raise(SIGUSR1) == 0);
    loop_once(loop, 100);
    ok(seen == SIGUSR1);
    watch_free(w);
}

struct sum {
    int in, out;
    int *finished;
};

static void square(void *item)
{
    struct sum *s = item;
    s->out = s->in * s->in;
}

static void count(void *item)
{
    struct sum *s = item;
    ++*s->finished;
}

TEST(work_comes_back_to_the_loop)
{
    enum { N = 500 };
    _cleanup_(loop_freep) struct loop *loop = loop_new();
    struct pool *pool = pool_new(loop, 3);
    struct sum *sums = calloc(N, sizeof *sums);
    int finished = 0;
    for (int i = 0; i < N; i++) {
        sums[i] = (struct sum){ .in = i, .finished = &finished };
        pool_submit(pool, square, count, &sums[i]);
    }
    while (finished < N)
        loop_once(loop, 1000);
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += sums[i].out != i * i;
    ok(wrong == 0);
    ok(pool_backlog(pool) == 0);
    pool_submit(pool, square, count, &sums[0]);
    pool_free(pool);
    ok(finished == N + 1);
    free(sums);
}

static void note(void *userdata) { *(bool *) userdata = true; }

TEST(what_was_deferred_is_done_before_the_loop_is_gone)
{
    struct loop *loop = loop_new();
    bool done = false;

    loop_defer(loop, note, &done);
    ok(!done);
    loop_free(loop);
    ok(done);
}

TEST(messages_keep_their_order)
{
    struct queue *q = queue_new();
    struct message m[3];
    for (int i = 0; i < 3; i++)
        queue_push(q, &m[i]);
    ok(queue_len(q) == 3);
    ok(queue_take(q) == &m[0]);
    struct message *list = queue_drain(q);
    ok(list == &m[1] && list->next == &m[2] && !m[2].next);
    queue_close(q);
    ok(!queue_wait(q) && !queue_take(q));
    queue_free(q);
}

TAP_MAIN
