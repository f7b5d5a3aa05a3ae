/* booking.h - machines, or parts of them, that are kept for a group from a time to a time
 *
 * Until a booking begins others may be there who are gone by then: who said how long they run, or who may be stopped.
 * While it lasts what it keeps is the group's alone. What is kept, and what somebody takes, is a number of GPUs in
 * thousandths, with cores and memory in proportion: who takes half of a machine's cores takes half of it, without any GPU
 * too. Of a GPU that several have parts of nothing is left for a booking: together they take one. A machine without GPUs counts as one, and a GPU that is broken for nothing.
 *
 * Pure: times are the caller's, in microseconds, and so is who is where. Of equal machines the first is chosen.
 */
#ifndef PLACEMENT_BOOKING_H
#define PLACEMENT_BOOKING_H

#include "base/cleanup.h"
#include "base/error.h"
#include "placement/capacity.h"

/* What is kept of a machine. */
struct booking_part {
    size_t node;
    uint32_t milli;
};

/* The same by a machine's name. */
struct booking_place {
    char *node;
    uint32_t milli;
};

struct booking {
    uint64_t id;                      /* the caller's, of no other booking */
    uint32_t group;                   /* of those whom it is for */
    int64_t from_us, until_us;        /* UNTIL is not in it */
    const struct booking_part *parts; /* each machine once */
    size_t n_parts;
};

/* Somebody's time on a machine, with all that it takes there. */
struct stay {
    uint32_t group;
    int64_t from_us;
    int64_t until_us; /* it is gone then at the latest; INT64_MAX: not known */
    bool preemptible;
    uint32_t milli;
    uint32_t
        gpus; /* bits: it has a part of these, and others may have the rest; 0: what it has is its own */
};

/* A machine, and who is there. */
struct booking_node {
    uint32_t milli; /* all of it; 0: it is not to be booked */
    bool has_gpus;
    const struct stay *stays;
    size_t n_stays;
};

/* What a machine of SIZE has in all. */
uint32_t booking_size(const struct room *size);
/* What TASKS tasks of ASK take of it. */
uint32_t booking_share(const struct room *size, const struct ask *ask, unsigned tasks);

/* All bookings that are known. */
struct calendar;

struct calendar_options {
    int64_t notice_us;     /* before a booking begins others are told to leave */
    int64_t guaranteed_us; /* nobody is told to leave sooner than that */
    /* Is GROUP below ANCESTOR, or the same? NULL: only if it is the same. */
    bool (*is_within)(const void *userdata, uint32_t group, uint32_t ancestor);
    const void *userdata;
};

struct calendar *calendar_new(const struct calendar_options *options);
void calendar_free(struct calendar *calendar);
DEFINE_CLEANUP(struct calendar *, calendar_free);

/* BOOKING is copied. */
void calendar_add(struct calendar *calendar, const struct booking *booking);
/* False: there is none of that id. */
bool calendar_remove(struct calendar *calendar, uint64_t id);
/* Forget those that ended before NOW_US. */
void calendar_expire(struct calendar *calendar, int64_t now_us);
bool calendar_is_empty(const struct calendar *calendar);
/* Is something of NODE kept, now or later? */
bool calendar_has(const struct calendar *calendar, size_t node);
/* When something begins, is to be left, or ends next after NOW_US; INT64_MAX: nothing does. */
int64_t calendar_next_us(const struct calendar *calendar, int64_t now_us);

/* The booking that keeps STAY from beginning on machine INDEX, which has room for it: NULL, it may begin. It may if what is
 * kept is there in time though it stays until its end; if it may be stopped, if it has its guaranteed time before that.
 * Valid until the calendar changes. */
const struct booking *calendar_obstacle(const struct calendar *calendar, size_t index,
                                        const struct booking_node *node, const struct stay *stay);
/* Who of the stays on machine INDEX is to be told to leave at NOW_US, so that what is kept is there in time: of those who may
 * be stopped the first, no more than it takes. RET[I] is set for stay I. False: nobody. */
bool calendar_leave(const struct calendar *calendar, size_t index, const struct booking_node *node,
                    int64_t now_us, bool *ret);

void booking_places_free(struct booking_place *places, size_t n);
/* "booked for p1 from 2030-01-31 14:00 until 16:00 UTC"; owned by the caller. */
char *booking_text(const char *whose, int64_t from_us, int64_t until_us);

/* ---- a new booking ------------------------------------------------------------------------------------- */

/* Either so many whole machines, or so many GPUs on as few machines as possible. */
struct booking_wish {
    uint32_t group;
    int64_t now_us; /* when others can be told to leave at the earliest */
    int64_t from_us, until_us;
    size_t nodes;
    unsigned gpus;
};

/* The parts for WISH of N machines, which are there then if everybody keeps his word. RET is owned by the caller, ascending.
 * -EBUSY: there are not enough, with the numbers. */
int booking_choose(const struct calendar *calendar, const struct booking_node *nodes, size_t n,
                   const struct booking_wish *wish, struct booking_part **ret, size_t *ret_n,
                   struct error *err);

#endif
