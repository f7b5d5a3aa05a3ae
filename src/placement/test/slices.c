/* A pass that is cut into slices decides what it decides in one piece, and comes to its end whatever happens in between. */
#include "placement/entry.h"
#include "placement/score.h"

#include "tests/random.h"
#include "tests/tap.h"

enum { MACHINES = 12, JOBS = 160, MOMENTS = 60, SECOND = 1000000, GROUPS = 4 };

static struct schedule *make(const struct policy *policy, uint64_t work)
{
    const struct schedule_options options = {
        .policy = policy, .guaranteed_us = 30 * SECOND, .patience_us = 400 * SECOND, .depth = 5
    };
    const struct room size = { .cpu_milli = 32000,
                               .memory_mib = 65536,
                               .n_gpus = 4,
                               .gpu = { 1000, 1000, 1000, 1000 },
                               .model = 1 };
    struct capacity *capacity = capacity_new(&score_yield);

    for (unsigned i = 0; i < MACHINES; i++)
        (void) capacity_add(capacity, &size);
    struct schedule *s = schedule_new(&options, capacity);
    for (unsigned i = 0; i < GROUPS; i++)
        (void) share_add(schedule_shares(s), SHARE_ROOT, 1 + i);
    schedule_limit(s, work);
    return s;
}

static struct schedule_job draw(uint64_t id)
{
    return (struct schedule_job){
        .id = id,
        .ask = { 1000 * (int32_t) (1 + random_below(8)), 1024, (uint16_t) random_below(5),
                 CAPACITY_GPU, 0 },
        .tasks = random_below(6) ? 1 : 2 + random_below(4),
        .priority = (int) random_below(3),
        .group = 1 + random_below(GROUPS),
        .preemptible = random_below(3) > 0,
        .limit_us = random_below(3) * 100 * SECOND,
    };
}

/* Returns the slices. */
static unsigned pass(struct schedule *s, int64_t now_us, struct schedule_acts *ret)
{
    unsigned slices = 0;

    do {
        schedule_pass(s, now_us + slices, ret); /* slices go by the time at which the pass began */
        slices++;
    } while (schedule_is_cut(s));
    return slices;
}

static bool are_alike(const struct schedule_acts *a, const struct schedule_acts *b)
{
    bool alike = a->len == b->len;

    for (size_t i = 0; alike && i < a->len; i++)
        alike = a->items[i].id == b->items[i].id && a->items[i].verb == b->items[i].verb &&
                (!a->items[i].places || a->items[i].places[0].node == b->items[i].places[0].node);
    return alike;
}

static void compare(const struct policy *policy)
{
    _cleanup_(schedule_freep) struct schedule *whole = make(policy, 0), *cut = make(policy, 3);
    unsigned n_cut = 0, n_alike = 0;
    uint64_t n = 0;

    for (int64_t i = 0; i < MOMENTS; i++) {
        struct schedule_acts a = { 0 }, b = { 0 };
        int64_t now_us = (1 + i * 20) * SECOND;
        for (unsigned k = 0; k < 6 && n < JOBS; k++) {
            const struct schedule_job job = draw(++n);
            schedule_submit(whole, &job, now_us);
            schedule_submit(cut, &job, now_us);
        }
        uint64_t gone = 1 + random_below((uint32_t) n);
        schedule_end(whole, gone, now_us);
        schedule_end(cut, gone, now_us);
        (void) pass(whole, now_us, &a);
        n_cut += pass(cut, now_us, &b) > 1;
        n_alike += are_alike(&a, &b);
        vec_done(&a);
        vec_done(&b);
    }
    ok(n_alike == MOMENTS);
    ok(n_cut > 0);
}

TEST(slices_decide_what_a_whole_pass_decides)
{
    for (size_t i = 0; policies[i]; i++)
        compare(policies[i]);
}

/* Somebody goes after each slice. */
TEST(a_pass_that_is_given_up_again_and_again_ends)
{
    _cleanup_(schedule_freep) struct schedule *s = make(&policy_fair, 1);
    struct schedule_acts acts = { 0 };
    unsigned slices = 0;

    for (uint64_t id = 1; id <= JOBS; id++) {
        const struct schedule_job job = draw(id);
        schedule_submit(s, &job, SECOND);
    }
    do {
        schedule_pass(s, SECOND, &acts);
        schedule_end(s, ++slices, SECOND);
    } while (schedule_is_cut(s) && slices < JOBS);
    ok(slices > 1 && slices < 30);
    vec_done(&acts);
}

/* Who comes between two slices is decided about at once after them. */
TEST(who_comes_during_a_pass_is_not_forgotten)
{
    _cleanup_(schedule_freep) struct schedule *s = make(&policy_skip, 1);
    const struct schedule_job large = { .id = 1,
                                        .ask = { 32000, 1024, 4, CAPACITY_GPU, 0 },
                                        .tasks = 20 };
    const struct schedule_job other = { .id = 2,
                                        .ask = { 32000, 1025, 4, CAPACITY_GPU, 0 },
                                        .tasks = 20 };
    const struct schedule_job small = { .id = 3,
                                        .ask = { 1000, 1024, 1, CAPACITY_GPU, 0 },
                                        .tasks = 1 };
    struct schedule_acts acts = { 0 };

    schedule_submit(s, &large, SECOND);
    schedule_submit(s, &other, SECOND);
    schedule_pass(s, SECOND, &acts);
    ok(schedule_is_cut(s) && acts.len == 0);
    schedule_submit(s, &small, SECOND);
    (void) pass(s, SECOND, &acts);
    ok(acts.len == 1 && acts.items[0].id == 3);
    vec_done(&acts);
}

TAP_MAIN
