/* planner.h - the placement that a server keeps: its machines, who has what there, who waits
 *
 * The caller says what happens (a machine changed, a job came, one ended) and asks for a pass; the plan that comes
 * back is in force at once: who starts has its place from then on, until planner_end(). A job that is to start where
 * others must end first is in a plan only when they have ended.
 *
 * Nothing here reads a clock. The same calls always give the same plans.
 */
#ifndef PLACEMENT_PLANNER_H
#define PLACEMENT_PLANNER_H

#include "fleet/fleet.h"
#include "placement/schedule.h"
#include "placement/score.h"
#include "workload/workload.h"

struct planner;
struct record;

struct planner_options {
    const struct score *score;
    struct schedule_options schedule;
};

/* A job that waits or runs. All is copied. */
struct planner_job {
    struct id id;
    struct id org; /* whose pool of cores a task on a shared flavor may join */
    struct id project;
    struct id user; /* among whom the project's part is shared; none: it is the project's own */
    const struct workload_spec *spec;
    int priority;
    int64_t since_us;    /* when it came */
    int64_t eligible_us; /* not before */
    /* Of one that had attempts: as schedule_job has them. */
    int64_t ran_us, waits_since_us;
    unsigned returns, stopped;
    bool held; /* it waits for something that is no hardware */
};

/* Of a job that runs already: where a task is. */
struct planner_place {
    const char *node; /* NULL: its machine is not known */
    const struct allocation *allocation;
};

struct planner_start {
    struct id id;
    struct allocation *const *allocations; /* by rank; borrowed until the next call */
    unsigned n_allocations;
};

struct planner_stop {
    struct id id, started; /* the job that it is stopped for; its own id: a booking */
};

struct planner_plan {
    VEC(struct planner_stop) stops; /* to be carried out at once */
    VEC(struct planner_start) starts;
    bool more; /* others can start at once: ask again */
};

/* What is kept of machines, from a time to a time, for a project. All is copied. */
struct planner_booking {
    struct id id, org, project;
    int64_t from_us, until_us;
    const struct booking_place
        *places; /* each machine once; also of machines that are not known yet */
    size_t n_places;
};

/* Either so many whole machines, or so many GPUs on as few machines as possible. */
struct planner_wish {
    struct id org, project;
    int64_t from_us, until_us;
    size_t nodes;
    unsigned gpus;
    const char *gpu_model; /* only machines whose GPUs are all of it; NULL: that is all the same */
};

struct planner *planner_new(const struct planner_options *options);
void planner_free(struct planner *planner);
DEFINE_CLEANUP(struct planner *, planner_free);

/* From now on every call is told to RECORD (record.h), which becomes the planner's; NULL: to nobody. */
void planner_record(struct planner *planner, struct record *record);

/* A machine came or changed; of what was told by that name before nothing is kept but who runs there. NODE is
 * borrowed until it is set again or dropped; DISK_USED_BYTES: what its tasks were seen to use. */
void planner_set_node(struct planner *planner, const struct node *node, int64_t disk_used_bytes);
/* It is gone; nothing runs there. */
void planner_drop_node(struct planner *planner, const char *name);

/* Machines are kept from now on as schedule_book() says; what was told of that booking before is forgotten. */
void planner_book(struct planner *planner, const struct planner_booking *booking);
/* Nothing is kept for it any more. */
void planner_unbook(struct planner *planner, const struct id *booking);
/* Places for a new booking, which are there then if everybody keeps his word; RET is freed by booking_places_free().
 * -EBUSY: there are not enough, with the numbers. */
int planner_choose(struct planner *planner, const struct planner_wish *wish, int64_t now_us,
                   struct booking_place **ret, size_t *ret_n, struct error *err);
/* Does the machine of that name take work? */
bool planner_serves(const struct planner *planner, const char *node);
/* Others stand in for those machines of a booking, made for WISH, that take no work, as far as they can: on RET (NULL: nobody can,
 * or need not) all that the booking is to have now, for planner_book(). Returns of how many machines of it that take no work
 * something is still booked. */
size_t planner_mend(struct planner *planner, const struct id *booking,
                    const struct planner_wish *wish, int64_t now_us, struct booking_place **ret,
                    size_t *ret_n);
/* The booking that keeps a group of JOB's tasks from beginning on machine NODE at NOW_US, though there is room; NULL: none
 * does. Valid until the next call. */
const struct id *planner_obstacle(struct planner *planner, const struct planner_job *job,
                                  const char *node, int64_t now_us);

/* An org's weight among the orgs or, unless PROJECT is NULL, a project's within its org: 1 until it is said otherwise. */
void planner_weigh(struct planner *planner, const struct id *org, const struct id *project,
                   unsigned weight);

/* What an org, a project or a user has had. */
struct planner_share {
    struct id org, project, user; /* PROJECT none: the org's own; USER none: the project's */
    int64_t used;                 /* as share.h counts */
};
struct planner_shares {
    struct planner_share *items; /* a vec */
    size_t len, cap;
};

/* Of all that are known, until NOW_US; each after what it is in. RET is the caller's. */
void planner_shares(const struct planner *planner, int64_t now_us, struct planner_shares *ret);
/* It had so much at AT_US; before any of its jobs runs. */
void planner_set_used(struct planner *planner, const struct planner_share *share, int64_t at_us);

void planner_submit(struct planner *planner, const struct planner_job *job, int64_t now_us);
void planner_hold(struct planner *planner, const struct id *job, bool held);
/* A job runs since STARTED_US, with N tasks by rank; what was said of it before is forgotten. */
void planner_run(struct planner *planner, const struct planner_job *job,
                 const struct planner_place *tasks, size_t n, int64_t started_us);
/* It neither waits nor runs any more. */
void planner_end(struct planner *planner, const struct id *job, int64_t now_us);
bool planner_knows(const struct planner *planner, const struct id *job);

/* Decide; at most LIMIT starts, 0: as many as there are, and what a caller can wait for (some 50 ms): what is left is for the next
 * call, which goes on there (schedule_pass()). RET is the caller's, its lists are made new. */
void planner_pass(struct planner *planner, int64_t now_us, unsigned limit,
                  struct planner_plan *ret);
void planner_plan_done(struct planner_plan *plan);
/* For whom the last pass keeps machines that others could use; NULL: for nobody. Valid until the next call. */
const struct id *planner_keeps_for(const struct planner *planner);
/* For JOB others are being stopped, and it starts when they are gone: so many; 0: it is not so. */
unsigned planner_awaits(const struct planner *planner, const struct id *job);
struct planner_ids {
    struct id *items; /* a vec */
    size_t len, cap;
};
/* Those that wait for hardware, as schedule_order(). */
void planner_order(struct planner *planner, int64_t now_us, size_t limit, struct planner_ids *ret);
/* When a pass might decide otherwise though nothing happens; INT64_MAX: never. */
int64_t planner_next_us(const struct planner *planner, int64_t now_us);

#endif
