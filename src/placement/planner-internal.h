/* planner-internal.h - what the files of the planner share: its jobs, and where they stand */
#ifndef PLACEMENT_PLANNER_INTERNAL_H
#define PLACEMENT_PLANNER_INTERNAL_H

#include "placement/host.h"
#include "placement/planner-snapshot.h"
#include "placement/record.h"

enum state {
    STATE_WAITS,
    STATE_CLAIMS,  /* it has its places, and others may still be there */
    STATE_RUNS,    /* a plan said so */
    STATE_LEAVES,  /* it runs, and a plan said to stop it */
    STATE_OUTSIDE, /* it runs, and not all of its machines are known: the schedule has no say */
};

struct group_place {
    size_t machine;
    struct grant *grant;
};

struct item {
    uint64_t number; /* in the schedule */
    struct id id, org;
    struct terms *terms;
    enum state state;
    bool held, is_noted; /* in CHANGES */
    unsigned claim;      /* of one that claims: its place among these when a snapshot was taken */
    int64_t eligible_us;
    struct group_place
        *places; /* of what runs, claims or leaves; by group, of STATE_OUTSIDE by task */
    struct allocation **allocations;
    unsigned n_places;
};

/* A booking; the schedule knows what of it is on machines that are known. */
struct kept {
    uint64_t number; /* in the schedule */
    struct id id;
    uint32_t group;
    int64_t from_us, until_us;
    struct booking_place *places; /* owned */
    size_t n_places;
};

/* What planner_tell_news() has to say. */
struct changes {
    bool is_wanted;     /* somebody asked */
    VEC(uint64_t) jobs; /* by number; who is not there any more is gone */
    VEC(size_t) machines;
    VEC(bool) is_noted; /* by machine: it is among these */
};

struct planner {
    struct changes changes;
    struct record *record; /* of the calls; NULL: nobody wants it */
    struct host host;
    struct schedule *schedule;
    struct map *by_id, *by_number; /* the second in the order in which they came */
    struct map *groups;            /* of orgs and projects, by id: their number */
    uint64_t last;
    VEC(struct item *) claims; /* in the order of the plan */
    VEC(struct item *) leaving;
    VEC(struct item *) deferred; /* not before their time; in no order */
    VEC(struct kept) bookings;   /* that were told */
    struct schedule_acts acts;
};

/* The number of an org or a project; PARENT: of what it is below. */
uint32_t planner_group(struct planner *planner, uint32_t parent, const struct id *id);
/* PROJECT NULL: the org's own; USER NULL or none: the project's own. */
uint32_t planner_group_of(struct planner *planner, const struct id *org, const struct id *project,
                          const struct id *user);
/* What the schedule is told of JOB: of group GROUP, with TERMS. Its id is 0. */
struct schedule_job planner_describe(const struct planner_job *job, const struct terms *terms,
                                     uint32_t group);

/* ---- planner-news.c ---- */
/* What a snapshot says of ITEM, or of the machine of that name, may be otherwise now. */
void changes_note_job(struct planner *planner, struct item *item);
void changes_note_machine(struct planner *planner, const char *name);
/* Who claims gets his place among these as his number. */
void changes_number_claims(struct planner *planner);
void changes_done(struct changes *changes);

/* ---- planner-snapshot.c ---- */
/* The caller's. */
struct snapshot_job tell_job(const struct planner *planner, const struct snapshot_source *source,
                             const struct item *item);
/* All but machines and jobs is appended to RET. */
void tell_rest(const struct planner *planner, struct snapshot *ret);

/* ---- planner-booking.c ---- */
/* Machine NAME is new, or gone: what is booked there is, too. */
void bookings_look(struct planner *planner, const char *name);
void bookings_free(struct planner *planner);

#endif
