/* calendar.h - what the files of bookings share */
#ifndef PLACEMENT_CALENDAR_H
#define PLACEMENT_CALENDAR_H

#include "base/map.h"
#include "base/vec.h"
#include "placement/booking.h"

/* What is kept of one machine, in the order in which it begins. */
struct page {
    VEC(struct page_entry {
        const struct booking *booking;
        uint32_t milli;
    }) entries;
};

struct calendar {
    struct calendar_options options;
    VEC(struct booking *) bookings; /* owned, with their parts */
    struct map *pages;              /* by machine */
};

/* What some stays take together. Zero: nothing. */
struct take {
    uint64_t milli, whole; /* of all of them; of those that share no GPU */
    uint32_t gpus;         /* bits: of which they have parts */
};
void take_add(struct take *take, const struct stay *stay);
uint64_t take_sum(const struct take *take);

/* NULL: nothing of the machine is kept. */
const struct page *calendar_page(const struct calendar *calendar, size_t node);
bool calendar_is_within(const struct calendar *calendar, uint32_t group, uint32_t ancestor);
/* Is STAY still there at that time, even if it is told to leave for it in time, from NOW_US on? */
bool stay_is_fixed(const struct calendar *calendar, const struct stay *stay, int64_t now_us,
                   int64_t at_us);

#endif
