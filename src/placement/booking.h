/* booking.h - machines that are kept for a project from a time to a time
 *
 * A booking keeps whole machines. Until it begins others may be there who are gone by then: who said how long they run,
 * or who may be stopped. From its notice on nobody else is let in, and whoever is still there is stopped; while it lasts
 * the machines are the project's. Numbers only, no clock: times are the caller's, in microseconds.
 */
#ifndef PLACEMENT_BOOKING_H
#define PLACEMENT_BOOKING_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct booking {
    uint64_t id; /* the caller's, of no other booking */
    uint64_t project;
    int64_t from_us, until_us; /* UNTIL is not in it */
    const size_t *nodes;       /* each once */
    size_t n_nodes;
};

/* Somebody's time on a machine. */
struct stay {
    uint64_t project;
    int64_t from_us;
    int64_t until_us; /* it is gone then at the latest; INT64_MAX: not known */
    bool preemptible;
};

/* All bookings that are known. */
struct calendar;

struct calendar_options {
    int64_t notice_us;     /* before a booking begins others are told to leave */
    int64_t guaranteed_us; /* who would be told to leave sooner than that is not let in */
};

struct calendar *calendar_new(const struct calendar_options *options);
void calendar_free(struct calendar *calendar);
DEFINE_CLEANUP(struct calendar *, calendar_free);

/* BOOKING is copied; its machines must not be booked then. */
void calendar_add(struct calendar *calendar, const struct booking *booking);
/* False: there is none of that id. */
bool calendar_remove(struct calendar *calendar, uint64_t id);
bool calendar_is_empty(const struct calendar *calendar);

/* May STAY begin on NODE? Yes if it is over before anybody else's booking begins there, or if it may be stopped and has its
 * guaranteed time first. Bookings of its own project are no obstacle. */
bool calendar_lets(const struct calendar *calendar, size_t node, const struct stay *stay);
/* When STAY, which is on NODE, is to be stopped there, looking from its FROM_US on; that may be past. INT64_MAX: never. */
int64_t calendar_leave_us(const struct calendar *calendar, size_t node, const struct stay *stay);
/* The booking of another project that keeps STAY off NODE, the first of them; NULL: none does. Valid until a change. */
const struct booking *calendar_obstacle(const struct calendar *calendar, size_t node,
                                        const struct stay *stay);
/* The booking that keeps NODE at some time from FROM_US until UNTIL_US, the first of them; NULL: none. Valid until a change. */
const struct booking *calendar_booked(const struct calendar *calendar, size_t node, int64_t from_us,
                                      int64_t until_us);
/* When something begins, is to be left, or ends next after NOW_US; INT64_MAX: nothing does. */
int64_t calendar_next_us(const struct calendar *calendar, int64_t now_us);

/* ---- which machines ------------------------------------------------------------------------------------ */

/* A machine as a new booking sees it. */
struct booking_node {
    bool would_do; /* it is of the kind that is wanted, and serves */
    unsigned gpus; /* that it has */
    int64_t
        busy_until_us; /* those who are there and cannot be stopped are gone; INT64_MAX: not known */
};

/* Either so many machines, or as few as have so many GPUs together. */
struct booking_wish {
    int64_t from_us, until_us;
    size_t nodes;
    unsigned gpus;
};

/* The machines for WISH among N: those that serve, are not booked then and are left in time. Of machines alike the first; for
 * GPUs those that leave the fewest over. RET is owned by the caller, ascending. -EBUSY: there are not enough, with the
 * numbers. */
int booking_choose(const struct calendar *calendar, const struct booking_node *nodes, size_t n,
                   const struct booking_wish *wish, size_t **ret, size_t *ret_n, struct error *err);

#endif
