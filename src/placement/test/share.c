/* Fair share: use fades by half-lives however often it is looked at, and over time everybody gets what is its part by weight, at
 * every height of the tree, whatever sizes and times the jobs have. */
#include "placement/share.h"

#include "base/vec.h"
#include "tests/random.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

static bool is_near(int64_t got, int64_t want, int64_t in_thousand)
{
    int64_t off = got > want ? got - want : want - got;

    if (off * 1000 > want * in_thousand)
        printf("# %lld, not near %lld\n", (long long) got, (long long) want);
    return off * 1000 <= want * in_thousand;
}

TEST(use_fades_by_half_lives)
{
    struct share *share = share_new(7 * DAY);
    uint32_t org = share_add(share, SHARE_ROOT, 1);

    share_run(share, org, 8000, 0);
    share_run(share, org, -8000, 3600 * SECOND);
    int64_t used = share_used(share, org, 3600 * SECOND);
    ok(is_near(used, INT64_C(8000) * 3600, 5));
    for (int n = 1; n <= 5; n++)
        ok(is_near(share_used(share, org, 3600 * SECOND + n * 7 * DAY), used >> n, 1));
    ok(is_near(share_used(share, org, 3600 * SECOND + 7 * DAY / 2), used * 70711 / 100000, 1));
    ok(share_used(share, org, 3650 * DAY) == 0);
    ok(share_used(share, SHARE_ROOT, DAY) == share_used(share, org, DAY));
    share_free(share);
}

TEST(nothing_is_forgotten_without_a_half_life)
{
    struct share *share = share_new(0);
    uint32_t org = share_add(share, SHARE_ROOT, 1);

    share_run(share, org, 500, DAY);
    ok(share_used(share, org, 1001 * DAY) == INT64_C(500) * 1000 * 86400);
    share_set_used(share, org, 7, 1001 * DAY);
    ok(share_used(share, org, 1000 * DAY) == 7);
    share_free(share);
}

/* Settled at many moments or at the end alone: the same but for rounding. */
TEST(it_does_not_matter_how_often_one_looks)
{
    seed = 88172645463325252U;
    for (int round = 0; round < 50; round++) {
        int64_t half_life_us = (1 + random_below(1000000)) * SECOND, now_us = 0;
        struct share *often = share_new(half_life_us), *once = share_new(half_life_us);
        uint32_t a = share_add(often, SHARE_ROOT, 1), b = share_add(once, SHARE_ROOT, 1);
        int64_t milli = 1 + random_below(100000000);
        share_run(often, a, milli, 0);
        share_run(once, b, milli, 0);
        for (int i = 0; i < 500; i++)
            share_run(often, a, 0, now_us += random_below(3000) * SECOND);
        ok(is_near(share_used(often, a, now_us), share_used(once, b, now_us), 1));
        share_free(often);
        share_free(once);
    }
}

/* ---- who gets what ---------------------------------------------------------------------------------- */

enum { LEAVES_MAX = 64, SLOTS = 40 };

struct world {
    struct share *share;
    VEC(uint32_t) leaves;
    VEC(int64_t) had; /* by group: GPU-seconds, nothing forgotten */
    struct {
        uint32_t group;
        int64_t end_us, milli;
    } running[SLOTS];
};

static void grow(struct world *w, uint32_t parent, unsigned depth)
{
    for (unsigned i = 0, n = 1 + random_below(3); i < n; i++) {
        uint32_t group = share_add(w->share, parent, 1 + random_below(9));
        if (depth < SHARE_DEPTH && random_below(4) > 0)
            grow(w, group, depth + 1);
        else
            vec_push(&w->leaves, group);
    }
}

/* Among siblings the first of the lowest rank, from the root down. */
static uint32_t first(const struct world *w, int64_t now_us)
{
    uint32_t group = SHARE_ROOT, best = SHARE_ROOT;

    do {
        group = best;
        for (uint32_t g = group + 1; g < share_len(w->share); g++)
            if (share_parent(w->share, g) == group &&
                (best == group ||
                 share_rank(w->share, g, now_us) < share_rank(w->share, best, now_us)))
                best = g;
    } while (best != group);
    return group;
}

/* Everybody always has jobs to run, in places that come free at random. */
static void run_for(struct world *w, int64_t end_us)
{
    for (int64_t now_us = 0; now_us < end_us;) {
        size_t at = 0;
        for (size_t i = 1; i < SLOTS; i++)
            if (w->running[i].end_us < w->running[at].end_us)
                at = i;
        if (w->running[at].end_us > now_us)
            now_us = w->running[at].end_us;
        if (w->running[at].milli)
            share_run(w->share, w->running[at].group, -w->running[at].milli, now_us);
        uint32_t group = first(w, now_us);
        int64_t milli = 1000, length_s = 60 + random_below(1 + random_below(40000));
        w->running[at].group = group;
        w->running[at].milli = milli;
        w->running[at].end_us = now_us + length_s * SECOND;
        share_run(w->share, group, milli, now_us);
        for (uint32_t g = group;; g = share_parent(w->share, g)) {
            w->had.items[g] += milli / 1000 * length_s;
            if (g == SHARE_ROOT)
                break;
        }
    }
}

TEST(everybody_gets_its_part_at_every_height)
{
    for (uint64_t from = 1; from <= 12; from++) {
        struct world w = { .share = share_new(3 * DAY) };
        seed = from * 88172645463325252U;
        grow(&w, SHARE_ROOT, 1);
        for (uint32_t g = 0; g < share_len(w.share); g++)
            vec_push(&w.had, 0);
        vec_foreach(&w.leaves, leaf)
            share_count(w.share, *leaf, 1);
        run_for(&w, 120 * DAY);
        for (uint32_t g = 1; g < share_len(w.share); g++) {
            int64_t weights = 0;
            for (uint32_t other = 1; other < share_len(w.share); other++)
                if (share_parent(w.share, other) == share_parent(w.share, g))
                    weights += share_weight(w.share, other);
            int64_t all = w.had.items[share_parent(w.share, g)];
            ok(is_near(w.had.items[g], all * share_weight(w.share, g) / weights, 80));
        }
        share_free(w.share);
        vec_done(&w.leaves);
        vec_done(&w.had);
    }
}

/* Who was away for a year does not get everything for a year. */
TEST(absence_is_not_saved_up)
{
    struct share *share = share_new(7 * DAY);
    uint32_t busy = share_add(share, SHARE_ROOT, 1), away = share_add(share, SHARE_ROOT, 1);
    int64_t now_us = 365 * DAY;

    share_run(share, busy, 8000, 0);
    share_run(share, busy, -8000, now_us);
    share_run(share, away, 8000, now_us);
    do
        now_us += DAY / 24;
    while (share_rank(share, away, now_us) < share_rank(share, busy, now_us));
    ok(is_near(now_us - 365 * DAY, 7 * DAY, 100)); /* they are level after one half-life */
    share_free(share);
}

/* Orgs 1 and 3; in org 3 projects of equal weight. */
TEST(surplus_is_counted_where_paths_part)
{
    struct share *share = share_new(DAY);
    uint32_t a = share_add(share, SHARE_ROOT, 1), b = share_add(share, SHARE_ROOT, 3);
    uint32_t c = share_add(share, b, 1), d = share_add(share, b, 1), e = share_add(share, b, 5);

    ok(share_side(share, c, d) == c && share_side(share, c, a) == b &&
       share_side(share, a, c) == a);
    ok(share_side(share, c, c) == SHARE_ROOT);
    share_count(share, a, 1);
    share_count(share, c, 1);
    share_count(share, d, 2);
    share_run(share, a, 8000, 0);
    share_run(share, c, 6000, 0);
    share_run(share, d, 2000, 0);
    ok(share_over(share, a) == 4000 && share_over(share, b) == -4000); /* of 16, 4 and 12 */
    ok(share_over(share, c) == 2000 && share_over(share, d) == -2000); /* nobody of E has jobs */
    share_count(share, d, -2);
    share_weigh(share, c, 5);
    share_count(share, e, 1);
    ok(share_over(share, c) == 2000 && share_over(share, e) == -4000);
    ok(share_is_below(share, c, b) && share_is_below(share, c, SHARE_ROOT) &&
       !share_is_below(share, b, c));
    share_free(share);
}

TAP_MAIN
