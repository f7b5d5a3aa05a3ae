/* turnover.h - requests come and leave again: how often is there no machine for a large one?
 *
 * Machines are alike; requests for GPUs of several sizes come at random (a Poisson process), stay for a random time (exponential,
 * not known beforehand) and leave. One that no machine holds is refused. All rules see the same requests.
 */
#ifndef SIM_TURNOVER_H
#define SIM_TURNOVER_H

#include "placement/placement.h"

enum { TURNOVER_SIZES_MAX = 8 };

struct turnover_options {
    unsigned machines, gpus; /* of each */
    struct {
        unsigned gpus, weight;
    } sizes[TURNOVER_SIZES_MAX];
    unsigned n_sizes;
    unsigned load;     /* GPUs that would be in use if nobody were refused, in percent */
    unsigned requests; /* a run, which begins with empty machines */
    unsigned runs;
};

/* How a place is chosen. A rule without a score: GPUs are as good as any, on the machine with the most of them free, or at random. */
enum turnover_rule { TURNOVER_SCORE, TURNOVER_SPREAD, TURNOVER_RANDOM };

struct turnover_figures {
    uint64_t asked[TURNOVER_SIZES_MAX], refused[TURNOVER_SIZES_MAX]; /* by size */
};

void turnover_run(const struct turnover_options *options, enum turnover_rule rule,
                  const struct score *score, struct turnover_figures *ret);

#endif
