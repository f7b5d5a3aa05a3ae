/* share.c - what groups have had, decayed, and who is to go first */
#include "placement/share.h"

#include "base/alloc.h"
#include "base/vec.h"

#include <assert.h>

struct group {
    uint32_t parent, depth; /* the root's is 0 */
    unsigned weight;
    int64_t running; /* thousandths */
    int64_t used, at_s;
    int64_t n_jobs;
};

struct share {
    int64_t half_life_s; /* 0: none */
    VEC(struct group) groups;
    VEC(int64_t) weights; /* of a group's children that have jobs, by group */
};

/* ---- decay ------------------------------------------------------------------------------------------ */

/* Seconds of a half-life divided by ln 2: 1.442695 of them. */
static int64_t time_constant_s(const struct share *share)
{
    return share->half_life_s * 1442695 / 1000000;
}

/* 2 to the minus I/64, in 2^-32. */
static const uint32_t decays[] = {
    4294967295U, 4248701965U, 4202935003U, 4157661043U, 4112874773U, 4068570940U, 4024744348U,
    3981389855U, 3938502376U, 3896076880U, 3854108391U, 3812591987U, 3771522796U, 3730896002U,
    3690706840U, 3650950594U, 3611622603U, 3572718252U, 3534232978U, 3496162267U, 3458501653U,
    3421246719U, 3384393094U, 3347936457U, 3311872529U, 3276197082U, 3240905930U, 3205994934U,
    3171459999U, 3137297074U, 3103502151U, 3070071267U, 3037000500U, 3004285971U, 2971923842U,
    2939910317U, 2908241642U, 2876914102U, 2845924021U, 2815267765U, 2784941738U, 2754942382U,
    2725266179U, 2695909648U, 2666869345U, 2638141863U, 2609723834U, 2581611923U, 2553802834U,
    2526293303U, 2499080105U, 2472160047U, 2445529972U, 2419186755U, 2393127307U, 2367348571U,
    2341847524U, 2316621173U, 2291666561U, 2266980759U, 2242560872U, 2218404036U, 2194507417U,
    2170868212U, 2147483648U,
};
enum { DECAY_STEPS = 64, DECAY_STEP = 46516320 }; /* ln 2 / 64 in 2^-32 */

/* VALUE times BY / 2^32 without a wider type. */
static int64_t scaled(int64_t value, uint32_t by)
{
    int64_t size = value < 0 ? -value : value;
    int64_t low = (int64_t) (((uint64_t) (size & UINT32_MAX) * by) >> 32);
    int64_t ret = (size >> 32) * (int64_t) by + low;

    return value < 0 ? -ret : ret;
}

/* 2 to the minus DT_S / half-life, in 2^-32: whole half-lives by shifts, their 64ths by the table, the rest by 1 - x + x^2/2. */
static uint32_t decay(const struct share *share, int64_t dt_s)
{
    int64_t halves = dt_s / share->half_life_s, rest = dt_s % share->half_life_s * DECAY_STEPS;
    int64_t x = rest % share->half_life_s * DECAY_STEP / share->half_life_s;

    if (halves > 31)
        return 0;
    int64_t within = UINT32_MAX - x + ((x * x) >> 33);
    return (uint32_t) (scaled(decays[rest / share->half_life_s], (uint32_t) within) >> halves);
}

/* U(t) = R T + (U - R T) 2^(-t / half-life), T the time constant. */
static int64_t used_at(const struct share *share, const struct group *group, int64_t now_s)
{
    int64_t dt_s = now_s - group->at_s;

    if (dt_s <= 0)
        return group->used;
    if (share->half_life_s == 0)
        return group->used + group->running * dt_s;
    int64_t limit = group->running * time_constant_s(share);
    return limit + scaled(group->used - limit, decay(share, dt_s));
}

/* ---- the tree --------------------------------------------------------------------------------------- */

enum { US_IN_S = 1000000 };

struct share *share_new(int64_t half_life_us)
{
    struct share *share = xnew(struct share);
    const struct group root = { .weight = 1 };

    share->half_life_s = half_life_us / US_IN_S;
    vec_push(&share->groups, root);
    vec_push(&share->weights, 0);
    return share;
}

void share_free(struct share *share)
{
    if (!share)
        return;
    vec_done(&share->groups);
    vec_done(&share->weights);
    free(share);
}

static struct group *at(const struct share *share, uint32_t group)
{
    assert(group < share->groups.len);
    return &share->groups.items[group];
}

uint32_t share_add(struct share *share, uint32_t parent, unsigned weight)
{
    const struct group one = { .parent = parent,
                               .depth = at(share, parent)->depth + 1,
                               .weight = weight };

    assert(one.depth <= SHARE_DEPTH && weight > 0 && weight <= SHARE_WEIGHT_MAX);
    vec_push(&share->groups, one);
    vec_push(&share->weights, 0);
    return (uint32_t) share->groups.len - 1;
}

uint32_t share_len(const struct share *share) { return (uint32_t) share->groups.len; }

uint32_t share_parent(const struct share *share, uint32_t group)
{
    return at(share, group)->parent;
}

unsigned share_weight(const struct share *share, uint32_t group)
{
    return at(share, group)->weight;
}

void share_weigh(struct share *share, uint32_t group, unsigned weight)
{
    struct group *one = at(share, group);

    assert(weight > 0 && weight <= SHARE_WEIGHT_MAX);
    if (one->n_jobs > 0)
        share->weights.items[one->parent] += (int64_t) weight - one->weight;
    one->weight = weight;
}

bool share_is_below(const struct share *share, uint32_t group, uint32_t ancestor)
{
    while (group != ancestor && group != SHARE_ROOT)
        group = at(share, group)->parent;
    return group == ancestor;
}

void share_count(struct share *share, uint32_t group, int jobs)
{
    for (; group != SHARE_ROOT; group = at(share, group)->parent) {
        struct group *one = at(share, group);
        bool had = one->n_jobs > 0;
        one->n_jobs += jobs;
        share->weights.items[one->parent] +=
            ((int) (one->n_jobs > 0) - (int) had) * (int64_t) one->weight;
    }
}

static void settle(struct share *share, struct group *group, int64_t now_s)
{
    group->used = used_at(share, group, now_s);
    if (now_s > group->at_s)
        group->at_s = now_s;
}

void share_run(struct share *share, uint32_t group, int64_t milli, int64_t now_us)
{
    for (;; group = at(share, group)->parent) {
        struct group *one = at(share, group);
        settle(share, one, now_us / US_IN_S);
        one->running += milli;
        if (group == SHARE_ROOT)
            return;
    }
}

int64_t share_used(const struct share *share, uint32_t group, int64_t now_us)
{
    return used_at(share, at(share, group), now_us / US_IN_S);
}

int64_t share_settled(const struct share *share, uint32_t group, int64_t *ret_at_us)
{
    *ret_at_us = at(share, group)->at_s * US_IN_S;
    return at(share, group)->used;
}

void share_set_used(struct share *share, uint32_t group, int64_t used, int64_t now_us)
{
    struct group *one = at(share, group);

    one->used = used;
    one->at_s = now_us / US_IN_S;
}

/* ---- the order -------------------------------------------------------------------------------------- */

int64_t share_rank(const struct share *share, uint32_t group, int64_t now_us)
{
    const struct group *one = at(share, group);

    return (used_at(share, one, now_us / US_IN_S) + one->running * SHARE_AHEAD_S) / one->weight;
}

uint32_t share_side(const struct share *share, uint32_t group, uint32_t other)
{
    while (group != SHARE_ROOT && !share_is_below(share, other, at(share, group)->parent))
        group = at(share, group)->parent;
    return share_is_below(share, other, group) ? SHARE_ROOT : group;
}

int64_t share_runs(const struct share *share, uint32_t group) { return at(share, group)->running; }

int64_t share_over(const struct share *share, uint32_t group)
{
    const struct group *one = at(share, group);
    int64_t weights = share->weights.items[one->parent];
    int64_t all = at(share, one->parent)->running;

    return group == SHARE_ROOT || weights == 0 ? 0 : one->running - all * one->weight / weights;
}
