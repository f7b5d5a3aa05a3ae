/* queue-bookings.h - machines that are kept for a group while a queue is replayed
 *
 * A booking is a text: "group=physics,gpus=16,from=2017-10-05T12:00:00Z,for=4h", with nodes=N instead of gpus=N for whole machines,
 * until=TIME instead of for=TIME, and made=TIME when it is made; from the beginning on if that is left out.
 */
#ifndef SIM_QUEUE_BOOKINGS_H
#define SIM_QUEUE_BOOKINGS_H

#include "sim/queue-groups.h"
#include "sim/queue.h"

struct queue_bookings {
    VEC(struct queue_booking) list;
    struct schedule *schedule; /* borrowed */
};

void queue_bookings_done(struct queue_bookings *bookings);
/* Add N TEXTS; groups that no job is of are made. -EINVAL: names the booking, the word and what would do. */
int queue_bookings_read(struct queue_bookings *bookings, const char *const *texts, size_t n,
                        struct queue_groups *groups, struct error *err);
/* When one is made next; INT64_MAX: all are. */
int64_t queue_bookings_next_us(const struct queue_bookings *bookings);
/* Make those that are due. */
void queue_bookings_make(struct queue_bookings *bookings, int64_t now_us);

/* What those who are not of GROUP have of machine NODE, in thousandths of a GPU. */
typedef uint64_t (*queue_others_f)(const void *userdata, uint32_t group, size_t node);
/* After a pass: note of those that have begun whether what they keep is there. */
void queue_bookings_look(struct queue_bookings *bookings, int64_t now_us, queue_others_f others,
                         const void *userdata);

#endif
