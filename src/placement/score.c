/* score.c - the family of scores */
#include "placement/score.h"

#include "base/text.h"

static int32_t no_gain(struct deck *deck, const struct room *largest, const struct room *before,
                       const struct room *after)
{
    return 0;
}

static int64_t gpus_left(const struct room *room)
{
    int64_t left = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        left += room->gpu[i];
    return left;
}

enum { BEST_FIT_RANGE = 2000000 };

/* X of MOST, in millionths. */
static int64_t part(int64_t x, int64_t most) { return most > 0 ? x * 1000000 / most : 0; }

static int32_t best_fit_gain(struct deck *deck, const struct room *largest,
                             const struct room *before, const struct room *after)
{
    return (int32_t) - (part(after->cpu_milli, largest->cpu_milli) +
                        part(gpus_left(after), gpus_left(largest)));
}

/* The paper squeezes the growth into 100 levels; within a level the fullest machine is taken, which its scheduler
 * has from the order of names. */
static int32_t fgd_gain(struct deck *deck, const struct room *largest, const struct room *before,
                        const struct room *after)
{
    enum {
        STEP = 40,
        LEVEL = BEST_FIT_RANGE + 1
    }; /* thousandths a level; they outweigh best fit */
    if (!deck)
        return best_fit_gain(deck, largest, before, after);
    int32_t less = deck_fragmentation(deck, before) - deck_fragmentation(deck, after);
    int32_t level = less / STEP;
    if (level < -500)
        level = -500;
    if (level > 500)
        level = 500;
    return level * LEVEL + best_fit_gain(deck, largest, before, after);
}

/* What an empty machine is worth over a full one, in GPU thousandths a stream. Where there is much room for everything, yields
 * differ by chance alone, and the next large request needs a machine that nobody touched. */
enum { FULLNESS = 350 };

/* A machine that empties is worth the more, the more of the GPUs asked for are asked for by requests that want one to
 * themselves, and the more of the tasks leave again. Times are not known: the time until all of T tasks are gone grows with
 * 1 + 1/2 + ... + 1/T, so one more puts it off by 1 / (T + 1). In GPU thousandths a stream; LEFT where all leave. */
enum { EMPTY = 1000, LEFT = 3000 };

static int32_t put_off(const struct deck *deck, const struct room *before)
{
    int64_t worth = EMPTY + LEFT * (int64_t) deck_left(deck) / 1000;
    int64_t weight = DECK_STREAMS * worth * deck_whole(deck, before->n_gpus) / 1000;

    return (int32_t) (weight / (before->tasks + 1));
}

static int32_t yield_gain(struct deck *deck, const struct room *largest, const struct room *before,
                          const struct room *after)
{
    int32_t fit = best_fit_gain(deck, largest, before, after);

    if (!deck)
        return fit;
    return deck_yield(deck, after) - deck_yield(deck, before) +
           fit / (BEST_FIT_RANGE / (DECK_STREAMS * FULLNESS)) - put_off(deck, before);
}

const struct score score_first_fit = { .name = "first-fit", .gain = no_gain };
const struct score score_best_fit = { .name = "best-fit", .gain = best_fit_gain };
const struct score score_fgd = { .name = "fgd", .gain = fgd_gain, .learns = true };
const struct score score_yield = { .name = "yield", .gain = yield_gain, .learns = true };

const struct score *const scores[] = { &score_yield, &score_fgd, &score_best_fit, &score_first_fit,
                                       NULL };

const struct score *score_find(const char *name)
{
    for (const struct score *const *score = scores; *score; score++)
        if (str_equal((*score)->name, name))
            return *score;
    return NULL;
}
