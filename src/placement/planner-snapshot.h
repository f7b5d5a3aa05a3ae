/* planner-snapshot.h - a planner as a snapshot, and one from a snapshot */
#ifndef PLACEMENT_PLANNER_SNAPSHOT_H
#define PLACEMENT_PLANNER_SNAPSHOT_H

#include "placement/planner.h"
#include "placement/snapshot.h"

/* Who knows of a job what a planner does not keep. */
struct snapshot_source {
    /* Of the job with JOB's id: whose it is, what it asks for, and of one that runs where; the planner says the rest. */
    void (*describe)(void *userdata, struct snapshot_job *job);
    void *userdata;
};

/* All that PLANNER decides from is appended to RET, but for its options and the time. */
void planner_tell(struct planner *planner, const struct snapshot_source *source,
                  struct snapshot *ret);
/* It decides as the one that the snapshot was taken of. Borrows the snapshot's machines. */
struct planner *planner_from_snapshot(const struct snapshot *snapshot);
/* What a planner is told of JOB; borrows its specification. */
struct planner_job planner_job_of(const struct snapshot_job *job);
struct planner_booking planner_booking_of(const struct snapshot_booking *booking);
/* JOB waits from now on; or runs, claims or leaves, if it did. */
void planner_add(struct planner *planner, const struct snapshot_job *job, int64_t now_us);

#endif
