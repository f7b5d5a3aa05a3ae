/* what-if.h - what would change for those that wait, if machines, jobs or the policy were others */
#ifndef SIM_WHAT_IF_H
#define SIM_WHAT_IF_H

#include "placement/placement.h"

enum { WHAT_IF_NODES_MAX = 10000 };

/* Each changes a snapshot; what is not there is an error that says so (-ENOENT). */

/* N machines like the one of that name, empty and ready for work; NULL: like the kind that there are most of. */
int what_if_add_nodes(struct snapshot *snapshot, unsigned n, const char *like, struct error *err);
/* The machine is gone; jobs that run there wait again. */
int what_if_remove_node(struct snapshot *snapshot, const char *name, struct error *err);
int what_if_cordon(struct snapshot *snapshot, const char *name, bool cordoned, struct error *err);
/* A job by name or id is gone. */
int what_if_remove_job(struct snapshot *snapshot, const char *name, struct error *err);
/* A job of PROJECT, by its name or id, comes now; NULL: of an org of its own. SPEC is copied. -EDOM: no machine can ever hold it. */
int what_if_add_job(struct snapshot *snapshot, const struct workload_spec *spec, int priority,
                    const char *project, struct error *err);

/* A job in both snapshots, or only in one. */
struct what_if_job {
    const struct snapshot_job *job;
    const struct forecast_start *before, *after; /* NULL: it is not there */
};

struct what_if_side {
    size_t n_nodes, n_running, n_waiting;
    size_t n_now, n_known; /* of those that wait: start at once; it is known when */
};

/* What becomes of those that wait in one of the two, in the order of the snapshots. */
struct what_if {
    struct what_if_side before, after;
    VEC(struct what_if_job) jobs;
    size_t n_both;                         /* of which it is known on both sides */
    int64_t mean_before_us, mean_after_us; /* they still wait, of those */
    struct forecast forecasts[2];
};

/* Both snapshots are borrowed until what_if_done(). */
void what_if_run(const struct snapshot *before, const struct snapshot *after,
                 const struct forecast_options *options, struct what_if *ret);
void what_if_done(struct what_if *what_if);

#endif
