/* schedule.h - who waits and who runs on a capacity, by a policy, in whatever time the caller has
 *
 * The caller says what happens (a job came, one ended) and asks for a pass; what the pass decided it carries out,
 * or pretends to. Nothing here reads a clock. Ties go to the job that came first.
 */
#ifndef PLACEMENT_SCHEDULE_H
#define PLACEMENT_SCHEDULE_H

#include "base/vec.h"
#include "placement/booking.h"
#include "placement/capacity.h"
#include "placement/policy.h"
#include "placement/share.h"
#include "placement/together.h"
#include "workload/workload.h"

struct schedule;

/* What is asked for: TASKS tasks of one shape, all or none. */
struct schedule_job {
    uint64_t id; /* the caller's, of no other job */
    struct ask ask;
    unsigned tasks;
    struct wish wish; /* where they are to be to each other */
    int priority;
    uint32_t group; /* of schedule_shares(), with no group below it; the root: nobody's */
    bool preemptible;
    int64_t limit_us; /* declared: it runs no longer; 0: not declared */
    int64_t since_us; /* it came then, which is its place among those of equal right; 0: now */
    /* Of one that was here before. */
    int64_t ran_us;         /* in all, before it came */
    int64_t waits_since_us; /* it was stopped or came back then; 0: SINCE_US */
    unsigned returns;       /* it came back so often, since it ran for SCHEDULE_STEADY_US */
    unsigned stopped;       /* so many others were stopped for it, since then */
};

enum { SCHEDULE_DEPTH = 100 };

enum schedule_verb { SCHEDULE_STOP, SCHEDULE_START };

/* One decision; they are carried out in their order. */
struct schedule_act {
    enum schedule_verb verb;
    uint64_t id;
    const struct choice *places; /* one a task, borrowed until the job stops or ends */
    bool is_vacated;             /* stopped for a booking rather than for who starts next */
};

struct schedule_acts {
    struct schedule_act *items; /* a vec */
    size_t len, cap;
};

/* A job that came back (schedule_requeue) before it ran for an hour is damped until it has run so long: no more
 * others are stopped for it than would make these in all, and each time it waits twice as long. */
#define SCHEDULE_STEADY_US WORKLOAD_STEADY_US
enum { SCHEDULE_DAMPED_STOPS = 2 };

struct schedule_options {
    const struct policy *policy;
    int64_t guaranteed_us; /* nobody is stopped before it ran so long; at least RESTART_US */
    int64_t restart_us;    /* what a job that was stopped has lost when it runs again */
    /* Who has waited so long since it came or ran is no longer passed over: machines are kept for it. One job at a time, the first
     * in order. 0: never, and large jobs may starve. */
    int64_t patience_us;
    int64_t notice_us; /* before a booking begins who is in its way and may be stopped is */
    unsigned depth; /* so many who wait are promised a time under conservative; 0: SCHEDULE_DEPTH */
    int64_t half_life_us; /* of what a group has had; 0: nothing is forgotten */
    /* Who is stopped is held, as by schedule_hold(): it has not left its place yet. The caller says when it has. */
    bool hold_stopped;
    /* Who came back waits so long at least, twice as long the next time, up to an hour. 0: not at all */
    int64_t backoff_us;
};

/* CAPACITY is the schedule's from here on. */
struct schedule *schedule_new(const struct schedule_options *options, struct capacity *capacity);
void schedule_free(struct schedule *schedule);
DEFINE_CLEANUP(struct schedule *, schedule_free);

/* Whose jobs there are: the schedule's, for groups to be added and weighed. */
struct share *schedule_shares(const struct schedule *schedule);

void schedule_submit(struct schedule *schedule, const struct schedule_job *job, int64_t now_us);
/* A job that runs or waits is gone. */
void schedule_end(struct schedule *schedule, uint64_t id, int64_t now_us);
/* A job that waits runs there already, since STARTED_US; PLACES, one a task, are taken and copied. */
void schedule_run(struct schedule *schedule, uint64_t id, struct choice *places,
                  int64_t started_us);
/* A job that runs waits again, at the place in line that it had: it failed, or lost its machine. */
void schedule_requeue(struct schedule *schedule, uint64_t id, int64_t now_us);
/* A job that has its places and never began there waits again. */
void schedule_withdraw(struct schedule *schedule, uint64_t id, int64_t now_us);
/* A job waits and is passed over, until it is held no longer. */
void schedule_hold(struct schedule *schedule, uint64_t id, bool held);
/* Machines, or parts of them, are kept for a group of schedule_shares() and those below it: nobody else starts there who would
 * still be there when the booking begins, and who is there then and may be stopped is stopped. BOOKING is copied; which machines
 * there may be booking_choose() tells. */
void schedule_book(struct schedule *schedule, const struct booking *booking);
/* False: there is none of that id. */
bool schedule_unbook(struct schedule *schedule, uint64_t id);
/* The booking that keeps a task of JOB (its ask, group, limit and whether it is preemptible count) from beginning on machine
 * NODE now; NULL: none does. Valid until something changes. */
const struct booking *schedule_obstacle(struct schedule *schedule, const struct schedule_job *job,
                                        size_t node, int64_t now_us);
/* What machine NODE has in all, as bookings count. */
uint32_t schedule_size(const struct schedule *schedule, size_t node);
/* As booking_choose(), among the machines of the capacity of whose indexes WOULD_DO is true; NULL: those that are not closed. */
int schedule_choose(struct schedule *schedule, const struct booking_wish *wish,
                    const bool *would_do, struct booking_part **ret, size_t *ret_n,
                    struct error *err);
/* NULL: nothing was ever booked. */
const struct calendar *schedule_calendar(const struct schedule *schedule);
/* Decide; RET is appended to. A pass that was cut goes on where it was, at the time at which it began, and decides what it would
 * have decided in one piece; if meanwhile anything happened but that somebody came, it is given up and another begins. */
void schedule_pass(struct schedule *schedule, int64_t now_us, struct schedule_acts *ret);
/* A slice of a pass is no more work than about WORK from now on, in looks at a machine; 0: a pass is in one piece. After passes
 * that were given up it is twice as much each time, so that one comes to its end whatever happens. */
void schedule_limit(struct schedule *schedule, uint64_t work);
/* Is there more to decide at once? */
bool schedule_is_cut(const struct schedule *schedule);
/* For whom the last pass keeps machines that others could use; false: for nobody. */
bool schedule_keeps(const struct schedule *schedule, uint64_t *ret_id);
/* When a job that waits starts at the latest, as it was promised in the last pass; INT64_MAX: nothing is promised. */
int64_t schedule_promised_us(const struct schedule *schedule, uint64_t id);
/* When a pass might decide otherwise though nothing happens; INT64_MAX: never. */
int64_t schedule_next_us(const struct schedule *schedule, int64_t now_us);
/* Jobs that wait, with those that are held. */
size_t schedule_waiting(const struct schedule *schedule);

/* What is known of a job that is there, as it would be submitted or run again. */
struct schedule_facts {
    int64_t since_us;
    int64_t ran_us;         /* in all, before it started last */
    int64_t started_us;     /* 0: it waits */
    int64_t waits_since_us; /* 0: it only waited */
    unsigned returns, stopped;
};
/* False: it is not there. */
bool schedule_tell(const struct schedule *schedule, uint64_t id, struct schedule_facts *ret);
/* Until when what time changes was looked at: the last pass; 0: there was none. */
int64_t schedule_looked_us(const struct schedule *schedule);
/* Look at it, and decide nothing. */
void schedule_look(struct schedule *schedule, int64_t now_us);

struct schedule_ids {
    uint64_t *items; /* a vec */
    size_t len, cap;
};
/* Those that wait and may start, in the order in which a pass looks at them while nobody starts; at most LIMIT are
 * appended to RET. */
void schedule_order(struct schedule *schedule, int64_t now_us, size_t limit,
                    struct schedule_ids *ret);

#endif
