/* forecast.h - when those that wait will start, if those that run end when it is thought they do
 *
 * A planner made of a snapshot is run on in virtual time. A job ends as its project's jobs did lately: those that had declared a
 * max time when as large a part of theirs was over, the others after as long. Where that is not known it ends when its own max time is
 * over, and without one it does not end. Nobody else comes, so a job may start later than this if others with more right come, and sooner if jobs end before their time.
 */
#ifndef PLACEMENT_FORECAST_H
#define PLACEMENT_FORECAST_H

#include "placement/snapshot.h"

/* What a time rests on: the weakest of what was used until then. */
enum forecast_basis {
    FORECAST_NOW,      /* nobody has to end first */
    FORECAST_DECLARED, /* declared max times */
    FORECAST_HISTORY,  /* and how long jobs of projects ran lately */
    FORECAST_UNKNOWN,  /* it does not start as far as was looked */
};
/* "declared" */
const char *forecast_basis_name(enum forecast_basis basis);

struct forecast_options {
    int64_t horizon_us;  /* look so far ahead */
    unsigned passes_max; /* and decide at most so often */
};
extern const struct forecast_options forecast_defaults;

struct forecast_start {
    int64_t start_us; /* INT64_MAX: not known. Of a job that runs: when it began */
    enum forecast_basis basis;
    unsigned stops; /* so often it is stopped for others, as far as was looked */
};

struct forecast {
    struct forecast_start *starts; /* by job of the snapshot */
    size_t n;
    unsigned passes;
    bool is_cut; /* it was not looked as far as the options say, for want of passes */
};

void forecast_run(const struct snapshot *snapshot, const struct forecast_options *options,
                  struct forecast *ret);
void forecast_done(struct forecast *forecast);

#endif
