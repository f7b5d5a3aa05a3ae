/* The order that is told is the order in which jobs start, where one after the other has the machine. */
#include "placement/placement.h"

#include "tests/random.h"
#include "tests/tap.h"

enum { JOBS = 60 };

static struct schedule *one_machine(const struct policy *policy)
{
    const struct schedule_options options = { .policy = policy };
    const struct room size = {
        .cpu_milli = 8000, .memory_mib = 8192, .n_gpus = 1, .gpu = { CAPACITY_GPU }, .model = 1
    };
    struct capacity *capacity = capacity_new(&score_best_fit);

    (void) capacity_add(capacity, &size);
    return schedule_new(&options, capacity);
}

static void submit_all(struct schedule *s)
{
    for (uint64_t i = 0; i < JOBS; i++) {
        const struct schedule_job job = {
            .id = i + 1,
            .ask = { 1000 * (int32_t) (1 + random_below(2)), 1024, 1, CAPACITY_GPU, 0 },
            .tasks = 1,
            .priority = (int) random_below(3),
            .limit_us = random_below(2) * 1000000,
        };
        schedule_submit(s, &job, (int64_t) i);
    }
}

static void check(const struct policy *policy)
{
    _cleanup_(schedule_freep) struct schedule *s = one_machine(policy);
    struct schedule_ids told = { 0 }, few = { 0 };
    size_t n_started = 0;

    submit_all(s);
    schedule_order(s, JOBS, JOBS, &told);
    schedule_order(s, JOBS, 3, &few);
    ok(told.len == JOBS && few.len == 3 && few.items[2] == told.items[2]);
    for (size_t i = 0; i < told.len; i++) {
        struct schedule_acts acts = { 0 };
        schedule_pass(s, JOBS, &acts);
        n_started += acts.len == 1 && acts.items[0].id == told.items[i];
        schedule_end(s, told.items[i], JOBS);
        vec_done(&acts);
    }
    ok(n_started == JOBS);
    vec_done(&told);
    vec_done(&few);
}

TEST(who_is_told_to_be_first_starts_first)
{
    check(&policy_fifo);
    check(&policy_skip);
    check(&policy_las);
}

TAP_MAIN
