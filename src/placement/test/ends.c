/* Who runs is gone over in the order in which they say that they end: that of a plain sort. */
#include "placement/ends.h"
#include "base/alloc.h"
#include "placement/placement.h"

#include "tests/random.h"
#include "tests/tap.h"

#include <stdlib.h>

enum { MACHINES = 20, STEPS = 400 };

static int compare(const void *pa, const void *pb)
{
    const struct entry *a = *(const struct entry *const *) pa,
                       *b = *(const struct entry *const *) pb;
    int64_t a_us = a->past->started_us + a->limit_us, b_us = b->past->started_us + b->limit_us;

    if (a_us != b_us)
        return a_us < b_us ? -1 : 1;
    return entry_is_before(a, b) ? -1 : entry_is_before(b, a);
}

static bool is_sorted(const struct schedule *s)
{
    _cleanup_(ends_walk_done) struct ends_walk walk = { .s = s };
    struct entries sorted = { 0 };
    bool is_same = true;

    vec_foreach(&s->running, entry)
        if ((*entry)->limit_us > 0)
            vec_push(&sorted, *entry);
    if (sorted.len > 1)
        qsort(sorted.items, sorted.len, sizeof *sorted.items, compare);
    vec_foreach(&sorted, entry)
        is_same = is_same && ends_next(&walk) == *entry;
    is_same = is_same && !ends_next(&walk);
    vec_done(&sorted);
    return is_same;
}

static struct schedule *some_machines(void)
{
    const struct schedule_options options = { .policy = policy_find("skip") };
    const struct room size = {
        .cpu_milli = 8000, .memory_mib = 8192, .n_gpus = 1, .gpu = { CAPACITY_GPU }, .model = 1
    };
    struct capacity *capacity = capacity_new(&score_best_fit);

    for (unsigned i = 0; i < MACHINES; i++)
        (void) capacity_add(capacity, &size);
    return schedule_new(&options, capacity);
}

/* Many declare the same; some are withdrawn or come back, of higher priority some stop others. */
static void step(struct schedule *s, uint64_t id)
{
    const struct schedule_job job = { .id = id,
                                      .ask = { 500 * (int32_t) (1 + random_below(8)), 64 },
                                      .tasks = 1 + random_below(3),
                                      .priority = (int) random_below(2),
                                      .preemptible = random_below(2),
                                      .limit_us = (int64_t) random_below(4) * 50 };
    struct schedule_acts acts = { 0 };
    int64_t now_us = (int64_t) id * 10;

    schedule_submit(s, &job, now_us);
    schedule_pass(s, now_us, &acts);
    vec_done(&acts);
    if (random_below(2))
        schedule_end(s, 1 + random_below((uint32_t) id), now_us);
    if (random_below(8) == 0)
        schedule_requeue(s, 1 + random_below((uint32_t) id), now_us);
    if (random_below(8) == 0)
        schedule_withdraw(s, 1 + random_below((uint32_t) id), now_us + 5);
}

TEST(who_runs_is_gone_over_in_the_order_of_declared_ends)
{
    _cleanup_(schedule_freep) struct schedule *s = some_machines();
    size_t most = 0;
    bool is_same = true;

    ok(is_sorted(s));
    for (uint64_t id = 1; id <= STEPS && is_same; id++) {
        step(s, id);
        is_same = is_sorted(s);
        most = s->ends.len > most ? s->ends.len : most;
    }
    ok(is_same);
    ok(most > MACHINES);
}

TAP_MAIN
