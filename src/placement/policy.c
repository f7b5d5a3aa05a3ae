/* policy.c - the family of policies */
#include "placement/policy.h"

#include "base/text.h"

static unsigned las_level(const struct claim *s)
{
    int64_t had_us = s->served_us - s->credit_us / LAS_CREDIT, end_us = LAS_FIRST_US;
    unsigned level = 0;

    for (; level < LAS_LEVELS && had_us >= end_us; level++)
        end_us *= 2;
    return level;
}

static int64_t las_next_level_us(const struct claim *s)
{
    unsigned level = las_level(s);

    return level == LAS_LEVELS ? INT64_MAX : (LAS_FIRST_US << level) + s->credit_us / LAS_CREDIT;
}

const struct policy policy_fifo = { .name = "fifo", .wait = WAIT_BLOCK, .preempts = true };
const struct policy policy_skip = { .name = "skip", .wait = WAIT_SKIP, .preempts = true };
const struct policy policy_easy = { .name = "easy", .wait = WAIT_RESERVE, .preempts = true };
const struct policy policy_las = { .name = "las",
                                   .wait = WAIT_SKIP,
                                   .preempts = true,
                                   .level = las_level,
                                   .next_level_us = las_next_level_us };

const struct policy policy_fair = {
    .name = "fair", .wait = WAIT_RESERVE, .preempts = true, .shares = true
};

const struct policy policy_conservative = { .name = "conservative",
                                            .wait = WAIT_PROMISE,
                                            .preempts = true };

const struct policy *const policies[] = { &policy_las,  &policy_fair, &policy_easy,
                                          &policy_skip, &policy_fifo, &policy_conservative,
                                          NULL };

const struct policy *policy_find(const char *name)
{
    for (const struct policy *const *policy = policies; *policy; policy++)
        if (str_equal((*policy)->name, name))
            return *policy;
    return NULL;
}
