/* score.h - which of several places is the better one: a family of scores
 *
 *   first-fit  the first machine that holds the request
 *   best-fit   the machine with the least left
 *   fgd        the least growth of fragmentation (Weng et al., "Beware of Fragmentation", USENIX ATC'23)
 *   yield      the least loss of what the machine can still take in (docs/design/0015)
 */
#ifndef PLACEMENT_SCORE_H
#define PLACEMENT_SCORE_H

#include "placement/capacity.h"

struct deck;

enum { DECK_STREAMS = 8 }; /* a machine's room is filled from so many streams, in thought */

struct score {
    const char *name;
    /* What is gained when a machine's room BEFORE becomes AFTER: more is better. LARGEST has the most of
     * everything that any machine has. DECK: what is usually asked for; NULL: not known yet. */
    int32_t (*gain)(struct deck *deck, const struct room *largest, const struct room *before,
                    const struct room *after);
    bool learns; /* it has use for a deck */
};

extern const struct score score_first_fit, score_best_fit, score_fgd, score_yield;
extern const struct score *const scores[]; /* ends with NULL */
/* NULL: there is none of that name. */
const struct score *score_find(const char *name);

/* A shape, and how often it was asked for. */
struct asked {
    struct ask ask;
    uint64_t times;
};

/* Of N shapes, those with GPUs in proportion. LEFT: so many of 1,000 tasks have left again. NULL when none has any GPU. */
struct deck *deck_new(const struct asked *asked, size_t n, uint32_t left);
void deck_free(struct deck *deck);
DEFINE_CLEANUP(struct deck *, deck_free);
/* GPU thousandths that ROOM can still take in, summed over the streams. */
int32_t deck_yield(struct deck *deck, const struct room *room);
/* Of 1,000 GPUs asked for, how many are asked for by requests of which a machine of N_GPUS holds one and no second. */
uint32_t deck_whole(const struct deck *deck, unsigned n_gpus);
uint32_t deck_left(const struct deck *deck);
/* GPU thousandths of ROOM that the usual request cannot use. */
int32_t deck_fragmentation(const struct deck *deck, const struct room *room);

#endif
