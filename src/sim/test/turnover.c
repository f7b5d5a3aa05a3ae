/* Requests that come and leave again: what is known of the rules, and that the shipped one keeps its word. */
#include "sim/turnover.h"

#include "tests/tap.h"

#include <string.h>

static const struct turnover_options sixty = {
    .machines = 60,
    .gpus = 8,
    .sizes = { { 1, 50 }, { 2, 20 }, { 4, 20 }, { 8, 10 } },
    .n_sizes = 4,
    .load = 85,
    .requests = 10000,
    .runs = 10,
};

/* Of 1,000 requests of the largest size. */
static uint64_t refused(const struct turnover_options *o, enum turnover_rule rule,
                        const struct score *score)
{
    struct turnover_figures f;

    turnover_run(o, rule, score, &f);
    return f.refused[3] * 1000 / f.asked[3];
}

TEST(large_requests_find_a_machine)
{
    uint64_t yield = refused(&sixty, TURNOVER_SCORE, &score_yield);

    ok(yield <= 50);
    ok(yield < refused(&sixty, TURNOVER_SCORE, &score_best_fit));
    ok(refused(&sixty, TURNOVER_SPREAD, &score_first_fit) > 900);
    ok(refused(&sixty, TURNOVER_RANDOM, &score_first_fit) > 400);
}

/* Machines of one GPU are a system of that many servers that loses who finds none free: Erlang's formula. Of 20 at a load of
 * 85 %, 8.6 % are lost. */
TEST(one_size_is_lost_as_erlang_says)
{
    struct turnover_options o = sixty;
    struct turnover_figures f;

    o.machines = 20;
    o.gpus = 1;
    o.sizes[0].gpus = o.n_sizes = 1;
    o.requests = 100000;
    o.runs = 2;
    turnover_run(&o, TURNOVER_SCORE, &score_yield, &f);
    uint64_t lost = f.refused[0] * 10000 / f.asked[0];
    ok(lost > 800 && lost < 920);
}

TEST(the_same_question_has_the_same_answer)
{
    struct turnover_options o = sixty;
    struct turnover_figures a, b;

    o.runs = 1;
    turnover_run(&o, TURNOVER_RANDOM, &score_first_fit, &a);
    turnover_run(&o, TURNOVER_RANDOM, &score_first_fit, &b);
    ok(memcmp(&a, &b, sizeof a) == 0);
}

TAP_MAIN
