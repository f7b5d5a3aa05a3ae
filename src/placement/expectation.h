/* expectation.h - what those that wait can expect: what each waits for, when it will begin, what would let it begin now
 *
 * Who goes first: who has a place already, then as the policy says, then who is held or must wait until some time, by priority and
 * time; of very many all by priority and time.
 *
 * From a snapshot alone, which nobody may change meanwhile: a server has it made beside its loop. Steps are counted, not time: the
 * same snapshot and question have the same answer.
 */
#ifndef PLACEMENT_EXPECTATION_H
#define PLACEMENT_EXPECTATION_H

#include "base/map.h"
#include "placement/forecast.h"
#include "placement/planner.h"
#include "placement/remedy.h"
#include "placement/rule.h"

struct expectation_question {
    const struct id *asked; /* of these also what would let them begin now */
    size_t n_asked;
    bool is_planned; /* and the snapshot's last job, which is not submitted, is one of them */
    const struct flavor *const *flavors;
    size_t n_flavors;
    const struct forecast_options *ahead;
    size_t foretold_max; /* of more jobs that wait nothing is foretold */
};

struct expectation_job {
    struct id id;
    enum placement_rule rule;
    const char *text;            /* the expectation's */
    struct forecast_start start; /* of one that is held: not known */
    bool is_foretold;
    bool is_asked;
    struct remedies changes; /* of one that is asked and lacks hardware */
    /* Of one that would begin now; by rank. */
    struct allocation **allocations;
    unsigned n_allocations;
};

struct expectation {
    int64_t at_us;                    /* of the snapshot */
    VEC(struct expectation_job) jobs; /* that wait, in the order in which they came */
    struct planner_ids turns;         /* the same in the order in which they go */
    struct map *by_id, *texts;
};

struct expectation *expectation_new(const struct snapshot *snapshot,
                                    const struct expectation_question *question);
void expectation_free(struct expectation *expectation);
DEFINE_CLEANUP(struct expectation *, expectation_free);

/* NULL: it did not wait then. */
const struct expectation_job *expectation_find(const struct expectation *expectation,
                                               const struct id *job);

#endif
