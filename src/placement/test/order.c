/* The order that is told is the order in which jobs start, where one after the other has the machine; and that into which all who
 * wait are sorted by the rules. */
#include "base/alloc.h"
#include "placement/entry.h"
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

/* ---- by property: as a plain sort -------------------------------------------------------------------- */

#define SECOND INT64_C(1000000)

enum { ORGS = 4, PROJECTS = 3, MOMENTS = 150, MACHINES = 5 };

static int64_t moment_us;
static const struct schedule *sorted;

static int compare_in_group(const struct entry *a, const struct entry *b)
{
    unsigned a_level = entry_level(sorted, a, moment_us),
             b_level = entry_level(sorted, b, moment_us);

    /* Credit for time waited takes those who never ran no lower than the first level. */
    a_level = a->past ? a_level : 0;
    b_level = b->past ? b_level : 0;
    if (a->line->priority != b->line->priority)
        return a->line->priority > b->line->priority ? -1 : 1;
    if (a_level != b_level)
        return a_level < b_level ? -1 : 1;
    return entry_is_before(a, b) ? -1 : entry_is_before(b, a);
}

/* Just below where their paths part that of less goes first; who is of a group itself, before all below it. */
static int compare_groups(uint32_t a, uint32_t b)
{
    const struct share *share = sorted->share;
    uint32_t a_side = share_side(share, a, b), b_side = share_side(share, b, a);

    if (a_side == SHARE_ROOT || b_side == SHARE_ROOT)
        return a_side == SHARE_ROOT ? -1 : 1;
    int64_t a_rank = share_rank(share, a_side, moment_us),
            b_rank = share_rank(share, b_side, moment_us);
    if (a_rank != b_rank)
        return a_rank < b_rank ? -1 : 1;
    return a_side < b_side ? -1 : 1;
}

static int compare_entries(const void *pa, const void *pb)
{
    const struct entry *a = *(const struct entry *const *) pa,
                       *b = *(const struct entry *const *) pb;
    uint32_t a_group = a->line->group, b_group = b->line->group;

    if (a == b)
        return 0;
    if (!sorted->options.policy->shares)
        return compare_in_group(a, b);
    if (a_group == b_group)
        return compare_in_group(a, b);
    return compare_groups(a_group, b_group);
}

static void wait_and_run(struct schedule *s, uint64_t *n, int64_t now_us)
{
    struct schedule_acts acts = { 0 };

    for (unsigned i = 0; i < 5; i++) {
        const struct schedule_job job = {
            .id = ++*n,
            .ask = { 1000 * (int32_t) (1 + random_below(3)), 1024, (uint16_t) (1 + random_below(4)),
                     CAPACITY_GPU, 0 },
            .tasks = 1,
            .priority = (int) random_below(3),
            .preemptible = random_below(2),
            .limit_us = random_below(4) * 700 * SECOND,
            .group = 1 + ORGS + random_below(ORGS * PROJECTS),
            .since_us = random_below(4) ? 0 : now_us - random_below(5000) * SECOND,
        };
        schedule_submit(s, &job, now_us);
        schedule_end(s, 1 + random_below((uint32_t) *n), now_us);
    }
    schedule_hold(s, 1 + random_below((uint32_t) *n), random_below(2));
    schedule_requeue(s, 1 + random_below((uint32_t) *n), now_us);
    schedule_pass(s, now_us, &acts);
    vec_done(&acts);
}

static bool is_as_sorted(struct schedule *s, uint64_t n, int64_t now_us)
{
    struct entries all = { 0 };
    struct schedule_ids told = { 0 };

    moment_us = now_us;
    sorted = s;
    for (uint64_t id = 1; id <= n; id++) {
        struct entry *entry = entry_find(s, id);
        if (entry && entry->is_ready)
            vec_push(&all, entry);
    }
    if (all.len > 0)
        qsort(all.items, all.len, sizeof(struct entry *), compare_entries);
    schedule_order(s, now_us, SIZE_MAX, &told);
    bool is_same = told.len == all.len;
    for (size_t i = 0; is_same && i < all.len; i++)
        is_same = all.items[i]->id == told.items[i];
    vec_done(&all);
    vec_done(&told);
    return is_same;
}

static struct schedule *some_machines(const struct policy *policy)
{
    const struct schedule_options options = { .policy = policy,
                                              .guaranteed_us = 30 * SECOND,
                                              .patience_us = policy->shares ? 0 : 1500 * SECOND,
                                              .half_life_us = 3600 * SECOND };
    const struct room size = { .cpu_milli = 32000,
                               .memory_mib = 65536,
                               .n_gpus = 4,
                               .gpu = { 1000, 1000, 1000, 1000 },
                               .model = 1 };
    struct capacity *capacity = capacity_new(&score_best_fit);

    for (unsigned i = 0; i < MACHINES; i++)
        (void) capacity_add(capacity, &size);
    struct schedule *s = schedule_new(&options, capacity);
    for (unsigned i = 0; i < ORGS; i++)
        (void) share_add(schedule_shares(s), SHARE_ROOT, 1 + i);
    for (unsigned i = 0; i < ORGS * PROJECTS; i++)
        (void) share_add(schedule_shares(s), 1 + i % ORGS, 1 + i % 3);
    return s;
}

TEST(the_order_is_that_of_a_plain_sort)
{
    for (size_t p = 0; policies[p]; p++) {
        _cleanup_(schedule_freep) struct schedule *s = some_machines(policies[p]);
        unsigned n_same = 0;
        uint64_t n = 0;
        for (int64_t i = 1; i <= MOMENTS; i++) {
            wait_and_run(s, &n, i * 100 * SECOND);
            n_same += is_as_sorted(s, n, i * 100 * SECOND);
        }
        ok(n_same == MOMENTS);
    }
}

TAP_MAIN
