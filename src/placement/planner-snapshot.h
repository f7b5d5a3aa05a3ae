/* planner-snapshot.h - a planner from a snapshot */
#ifndef PLACEMENT_PLANNER_SNAPSHOT_H
#define PLACEMENT_PLANNER_SNAPSHOT_H

#include "placement/planner.h"
#include "placement/snapshot.h"

/* It decides as the one that the snapshot was taken of. Borrows the snapshot's machines. */
struct planner *planner_from_snapshot(const struct snapshot *snapshot);
/* What a planner is told of JOB; borrows its specification. */
struct planner_job planner_job_of(const struct snapshot_job *job);
struct planner_booking planner_booking_of(const struct snapshot_booking *booking);
/* JOB waits from now on; or runs, if it has started. */
void planner_add(struct planner *planner, const struct snapshot_job *job, int64_t now_us);

#endif
