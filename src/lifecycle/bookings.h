/* bookings.h - what the files of bookings share */
#ifndef LIFECYCLE_BOOKINGS_H
#define LIFECYCLE_BOOKINGS_H

#include "lifecycle/internal.h"

struct booked {
    struct booking_record *record;
    int64_t
        broken_us; /* since then, by the clock of boot, a machine of it takes no work; 0: all do */
};

struct bookings {
    VEC(struct booked) items; /* that have not ended, as they were made */
    int64_t armed_us;         /* the first timer that is set is due then; 0: none is */
    VEC(const struct booking_record *) list; /* as last asked for */
};

/* ---- bookings.c ---- */
/* The planner is told, from now on or anew. */
void booking_keep(struct lifecycle *lc, const struct booking_record *record);
/* What RECORD asks the planner for. */
struct planner_wish booking_wish(struct lifecycle *lc, const struct booking_record *record);
/* RECORD has these machines now, and no others; takes PLACES. */
void booking_hold(struct booking_record *record, struct booking_place *places, size_t n);
/* An event about RECORD; IS_KEPT: the row is as it is now, otherwise it goes. */
struct commit *booking_note(struct lifecycle *lc, const struct booking_record *record,
                            const char *type, const char *actor, bool is_kept);
/* Look at all of them at AT_US, by the clock of boot. */
void bookings_arm(struct lifecycle *lc, int64_t at_us);

/* ---- bookings-mend.c ---- */
/* Have others stand in for machines that take no work, where that is due. */
void bookings_mend(struct lifecycle *lc);
/* When that is, by the clock of boot; INT64_MAX: nothing is amiss. */
int64_t booking_mend_due_us(struct lifecycle *lc, const struct booked *one);

#endif
