/* promise.h - conservative backfill: times that jobs which wait can count on
 *
 * The first jobs of the queue, to a depth, each have a time and machines at which they start at the latest, if everybody keeps
 * to the time declared. Whoever else is let in, or promised a time, stands where no promise is touched. When somebody
 * leaves early promises move forward, one by one in the order of the queue, each with all others where they are: so none
 * ever moves back, but for a job of higher priority, a machine that is lost, or somebody who stays longer than he said
 * (Mu'alem and Feitelson, "Utilization, predictability, workloads, and user runtime estimates", TPDS 2001).
 */
#ifndef PLACEMENT_PROMISE_H
#define PLACEMENT_PROMISE_H

#include "placement/entry.h"

struct promises;

void promises_free(struct promises *promises);
/* Before and after a pass; those who were not looked at in it have no promise any more. */
void promises_begin(struct schedule *s, int64_t now_us);
void promises_finish(struct schedule *s);
/* ENTRY is the next in order: take its places (true), or promise it a time if it is not too far back. */
bool promise_try(struct schedule *s, const struct entry *entry, struct choice *places,
                 int64_t now_us);
/* ENTRY takes places now that no promise touches, for which at most MAX jobs of less priority are stopped: those of the lowest
 * priority, of them those that lose least. They are halted, and on STOPPED. False: that is not possible, and nothing was
 * changed. */
bool promise_force(struct schedule *s, const struct entry *entry, struct choice *places,
                   int64_t now_us, unsigned max, struct entries *stopped);
/* In this pass NODE is kept free for ENTRY, to whom no time can be promised. */
void promise_keep_free(struct schedule *s, const struct entry *entry, size_t node, int64_t now_us);
/* When it starts at the latest; INT64_MAX: nothing is promised. */
int64_t promise_time(const struct schedule *s, uint64_t id);
int64_t promises_next_us(const struct schedule *s, int64_t now_us);
/* What was promised, as it is kept: number I of N. */
struct promise_facts {
    uint64_t id;
    int64_t start_us;
    const size_t *nodes; /* one a task, ascending; borrowed */
    unsigned n_nodes;
    bool is_current; /* nothing came free since it was made: it need not be looked at again */
};
size_t promises_len(const struct schedule *s);
/* Are machines and bookings as they were in the last pass? Otherwise none is current in the next. */
bool promises_settled(const struct schedule *s);
struct promise_facts promise_at(const struct schedule *s, size_t i);
/* And so it is promised again, with all who run and all machines known. */
void promise_again(struct schedule *s, const struct promise_facts *facts);
/* ENTRY runs on its places; it no longer does; a job waits no more. */
void promises_start(struct schedule *s, const struct entry *entry);
void promises_stop(struct schedule *s, const struct entry *entry);
void promises_forget(struct schedule *s, uint64_t id);

#endif
