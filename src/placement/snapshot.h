/* snapshot.h - all that placement decides from, as plain data: to be saved, sent, looked ahead from and replayed
 *
 * A planner made from a snapshot decides as the one that it was taken of. Of jobs it holds what decides where and when they
 * run, and their names: no command, no environment, no secret. Times are microseconds since 1970.
 */
#ifndef PLACEMENT_SNAPSHOT_H
#define PLACEMENT_SNAPSHOT_H

#include "base/vec.h"
#include "fleet/fleet.h"
#include "placement/history.h"
#include "placement/schedule.h"
#include "placement/score.h"
#include "workload/workload.h"

enum {
    SNAPSHOT_FORMAT = 2,
    SNAPSHOT_FORMAT_OLDEST =
        1, /* that is read; it lacks what a plan rests on beside jobs and machines */
    SNAPSHOT_NODES_MAX = 100000,
    SNAPSHOT_JOBS_MAX = 2000000,
    SNAPSHOT_BOOKINGS_MAX = 10000,
};

struct snapshot_node {
    struct node *node; /* with its cordon, fault, tags and others */
    int64_t disk_used_bytes;
    unsigned skipped; /* so many places just before it are of machines that are gone */
};

/* A job that waits or runs. */
struct snapshot_job {
    struct id id, org, project, user; /* USER none: not known */
    char *name;                       /* for people; NULL: none */
    int priority;
    int64_t since_us;          /* it came to the queue */
    int64_t eligible_us;       /* not before; 0: at once */
    char *held;                /* what it waits for that is no hardware, in words; NULL: nothing */
    int64_t ran_us;            /* in all, before it began last; of one that leaves: with that */
    int64_t waits_since_us;    /* it was stopped or came back then; 0: it did not */
    unsigned returns, stopped; /* as schedule_job has them */
    int64_t started_us;        /* 0: it waits */
    bool leaves;               /* it runs, and is being stopped for others */
    unsigned claim; /* it waits for others to leave its places; from 1, in the order of the plan */
    int64_t claimed_us;                   /* since then; 0: it claims nothing */
    struct workload_spec *spec;           /* wishes alone (workload_wishes_to_json()) */
    VEC(struct allocation *) allocations; /* while it runs or claims, one a rank */
};

/* An org, project or user that ever had a job. */
struct snapshot_weight {
    struct id org, project, user; /* PROJECT none: the org's own; USER none: the project's */
    unsigned weight;
    int64_t used, at_us; /* it had so much then, as share_set_used() takes it */
};

/* Of all projects, with jobs or without: for who asks about one by its name. */
struct snapshot_project {
    struct id id, org;
    char *name; /* owned; NULL: not known */
};

/* A time that a job can count on. */
struct snapshot_promise {
    struct id job;
    int64_t start_us;
    size_t *places; /* of machines, by the order of the planner; one a task, ascending */
    unsigned n_places;
    bool is_current; /* nothing came free since */
};

/* Machines are kept for a project. */
struct snapshot_booking {
    struct id id, org, project;
    char *whose; /* the project's name, for people; NULL: not known */
    int64_t from_us, until_us;
    struct booking_place *places; /* owned */
    size_t n_places;
};

struct snapshot {
    int64_t now_us;
    struct schedule_options options;
    const struct score *score;
    VEC(struct snapshot_node) nodes; /* in the order in which ties go to them */
    unsigned skipped;                /* places after the last of them */
    VEC(char *) spots;             /* names of sites, blocks and leaves, as they were seen first */
    VEC(struct snapshot_job) jobs; /* in the order in which they came */
    VEC(struct snapshot_weight) weights; /* in the order in which ties go to them */
    VEC(struct snapshot_project) projects;
    VEC(struct snapshot_booking)
    bookings; /* that are not over, in the order in which they were made */
    VEC(struct snapshot_promise) promises;
    struct snapshot_promise
        chosen; /* machines to be kept for a job that waits long; no places: none */
    struct capacity_memory memory; /* without shapes and machines: nothing is remembered */
    int64_t passed_us;             /* the last pass; 0: not known */
    struct history *history;       /* of run times; never NULL */
};

struct snapshot *snapshot_new(void);
void snapshot_free(struct snapshot *snapshot);
DEFINE_CLEANUP(struct snapshot *, snapshot_free);
/* A deep copy. */
struct snapshot *snapshot_copy(const struct snapshot *snapshot);

json_t *snapshot_to_json(const struct snapshot *snapshot);
/* -EINVAL and the path of the field that is wrong: "jobs[3].asks.gpus: …". */
int snapshot_from_json(const json_t *json, struct snapshot **ret, struct error *err);

/* NODE and what is known of it is copied. */
void snapshot_add_node(struct snapshot *snapshot, const struct node *node, int64_t disk_used_bytes);
/* NULL: there is none of that name. */
const struct node *snapshot_node(const struct snapshot *snapshot, const char *name);
/* BOOKING is copied. */
void snapshot_add_booking(struct snapshot *snapshot, const struct snapshot_booking *booking);
void snapshot_booking_done(struct snapshot_booking *booking);
/* PROJECT is copied. */
void snapshot_add_project(struct snapshot *snapshot, const struct snapshot_project *project);
/* By its name or id; of equal names the first. NULL: there is none. */
const struct snapshot_project *snapshot_project(const struct snapshot *snapshot, const char *name);
void snapshot_job_done(struct snapshot_job *job);

#endif
