/* A job and its failures: against what is known in closed form, and against what must hold whatever the numbers. */
#include "base/vec.h"
#include "sim/sim.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct goodput_mix one_kind(bool swaps)
{
    struct goodput_mix mix = { 0 };
    const struct goodput_kind kind = { 1, DETECT_GPU_LOST, swaps };

    vec_push(&mix, kind);
    return mix;
}

static struct goodput_options large(void)
{
    return (struct goodput_options){ .nodes = 2048,
                                     .seeds = 20,
                                     .spares = -1,
                                     .rate = 3.79 / 1000 / 86400,
                                     .days = 54,
                                     .times = goodput_defaults };
}

TEST(it_comes_near_the_formula)
{
    struct goodput_mix mix = one_kind(true);
    struct goodput_options o = large();
    struct goodput_figures f;

    goodput_run(&o, &mix, &f);
    ok(fabs(f.ettr - f.formula) < 0.002);
    ok(fabs(f.failures - 2048 * 3.79 / 1000 * 54) < 20);
    ok(fabs(f.young - sqrt(2 * 2 * 86400 / 2048 / 3.79 * 1000)) < 1);
    ok(f.ettr + f.lost_detect + f.lost_swap + f.lost_wait + f.lost_restart + f.lost_again +
           f.lost_stall >
       0.9999);
    ok(!(f.lost_wait > 0) && !(f.swaps < f.failures));
    vec_done(&mix);
}

TEST(without_failures_only_checkpoints_cost)
{
    struct goodput_mix mix = one_kind(true);
    struct goodput_options o = large();
    struct goodput_figures f;

    o.rate = 1e-15;
    goodput_run(&o, &mix, &f);
    ok(!(f.failures > 0) && f.spares_p999 == 0);
    ok(fabs(f.ettr - 300.0 / 302) < 1e-4);
    vec_done(&mix);
}

TEST(whatever_gets_slower_costs)
{
    struct goodput_mix mix = one_kind(true);
    struct goodput_options o = large();
    struct goodput_figures base, slow;

    o.spares = 16;
    goodput_run(&o, &mix, &base);
    double *const times[] = { &o.times.detect[DETECT_GPU_LOST], &o.times.swap, &o.times.restart,
                              &o.times.stall, &o.times.repair };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        double was = *times[i];
        *times[i] = was * 4;
        goodput_run(&o, &mix, &slow);
        ok(slow.ettr < base.ettr);
        *times[i] = was;
    }
    o.spares = 0;
    goodput_run(&o, &mix, &slow);
    ok(slow.ettr < 0.2 && slow.waits > 0); /* every failure costs a repair */
    vec_done(&mix);
}

TEST(the_same_seeds_give_the_same_figures)
{
    struct goodput_mix mix = one_kind(false);
    struct goodput_options o = large();
    struct goodput_figures a, b;

    goodput_run(&o, &mix, &a);
    goodput_run(&o, &mix, &b);
    ok(memcmp(&a, &b, sizeof a) == 0 && !(a.swaps > 0));
    vec_done(&mix);
}

TAP_MAIN
