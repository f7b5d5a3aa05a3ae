/* entry.h - what the files of the schedule share: who waits and who runs
 *
 * A million jobs wait in few *lines*: jobs of one demand, priority, group and range of declared times, in the order in which they
 * came. None of a line goes before the one ahead of it, so a pass looks at the first of each, and passes over whole lines, and
 * over whole columns of them (column.h).
 * Only who has a past (ran, came back, was told to wait until some time) is looked at alone: it stands *apart*.
 */
#ifndef PLACEMENT_ENTRY_H
#define PLACEMENT_ENTRY_H

#include "placement/schedule.h"
#include "placement/table.h"

/* What jobs ask for: TASKS tasks of one shape, all or none, where they wish to be. */
struct demand {
    struct link link;
    struct ask ask;
    unsigned tasks;
    struct wish wish;
    size_t n_lines; /* that refer to it; it goes with the last */
    size_t n_ready; /* jobs that may start now */
    /* In pass number PASS: what it was refused, and how many of the refusals of others it has read. */
    uint64_t pass;
    unsigned refused;
    size_t n_read;
    /* Under conservative, beyond the depth: in that pass, with promises as they were then, it could not begin at once for so long. */
    uint64_t far_pass, far_version;
    int64_t far_length_us;
};

struct line {
    struct link link;
    struct demand *demand;
    struct column *column;
    struct line *before, *after; /* while somebody is in it: of its column */
    int priority;
    uint32_t group;
    bool preemptible;
    unsigned limits; /* jobs that declare 2^(LIMITS-1) to 2^LIMITS - 1 microseconds; 0: nothing */
    struct entry *first, *last;
    size_t n_entries; /* that are of it, in it or not; it goes with the last */
};

/* Lines of one demand (and group, where these go by shares) in which somebody waits, in order: see column.h. */
struct column {
    struct link link;
    struct demand *demand;
    uint32_t group; /* the root where groups do not count */
    struct line *top;
    size_t n_lines;  /* that refer to it; it goes with the last */
    size_t at;       /* among those of its group, while it has a line */
    uint64_t limits; /* bit I - 1: there was a line of limits I since it was empty */
    /* In pass number PASS: nobody can be stopped for it, and up to which refusal of its group was looked at. */
    uint64_t pass;
    bool no_victims;
    size_t read;
};

struct columns {
    struct column **items; /* a vec */
    size_t len, cap;
};

/* What is known of a job that ever ran, or must wait until some time. */
struct past {
    int64_t ran_us; /* in all, before it started last */
    int64_t started_us;
    int64_t waits_since_us; /* it was stopped then */
    int64_t wake_us;        /* it runs: when its right changes; it must wait: until then */
    size_t wake_at;         /* in the schedule's heap, from 1; 0: it is not there */
    size_t at;              /* among those who run, or who stand apart */
    size_t end_at; /* it runs: in the schedule's heap of ends, from 1; 0: it is not there */
    unsigned level;
    unsigned returns;      /* it came back so often, since it ran for long */
    unsigned stopped;      /* so many were stopped for it, since then */
    bool halted;           /* while victims are sought: its places are given back */
    struct choice *places; /* while it runs, one a task */
};

/* A job that waits or runs. */
struct entry {
    struct link link;
    uint64_t id;
    uint64_t number; /* in the order in which they came */
    struct line *line;
    struct entry *ahead, *behind; /* in its line */
    struct entry *older, *newer;  /* of those whose patience has not run out */
    int64_t since_us;
    int64_t limit_us;
    struct past *past; /* NULL: it only waited */
    bool is_held;
    bool is_ready;   /* it waits, and may start */
    bool is_patient; /* it is among those of OLDER and NEWER */
};

struct entries {
    struct entry **items; /* a vec; borrowed */
    size_t len, cap;
};

/* Who runs says that it is gone by then. */
struct end {
    int64_t at_us;
    struct entry *entry;
};

/* A task on a machine. */
struct tenant {
    struct entry *entry;
    const struct choice *place; /* the entry's */
    /* Of the entry, at hand. */
    int64_t milli;
    uint32_t group;
    bool preemptible;
};

/* Of the tasks on a machine that somebody might be given the place of: bounds, so that most machines need no closer look. */
struct prospect {
    bool is_known;
    int priority;           /* the lowest */
    unsigned level;         /* the highest */
    unsigned gpus;          /* of all of them */
    int64_t price, per_gpu; /* the least */
    int64_t milli;          /* the least */
    uint64_t groups;        /* bits, of group numbers modulo 64 */
};

struct tenants {
    struct tenant *items; /* a vec */
    size_t len, cap;
    struct prospect prospect;
};

struct machines {
    size_t *items; /* a vec */
    size_t len, cap;
};

struct schedule {
    struct schedule_options options;
    struct capacity *capacity;
    struct share *share;
    struct promises *promises; /* NULL: the policy makes none */
    struct booked *booked;     /* NULL: nothing was ever booked */
    struct table by_id, demands, lines, columns;
    size_t n_lines;             /* that have somebody */
    VEC(struct columns) groups; /* columns that have a line, by group */
    struct entries apart;
    struct entries running;
    struct entries wakes; /* a heap by wake_us */
    VEC(struct end) ends; /* a heap of those who run and say when they end (ends.h) */
    struct entry *oldest, *newest;
    struct tenants *machines; /* by machine: the tasks there */
    uint64_t *groups_at;      /* by machine: of its prospect; all bits: not known */
    struct memo *memo;        /* of victims.c */
    size_t n_machines;
    uint64_t n_came, n_passes, n_starts;
    uint64_t work_max; /* of a slice of a pass, in looks at a machine; 0: no limit */
    struct pass *pass; /* that is to be gone on with; NULL: there is none */
    unsigned n_broken; /* passes that were given up since the last that came to its end */
    bool is_cut;       /* the last call ended a slice, or somebody came during the pass */
    bool is_kept;      /* since the last pass machines are kept */
    uint64_t kept_for; /* for that job */
    size_t n_waiting;  /* with those that must wait until some time */
    int64_t looked_us; /* the last pass: until when what time changes was looked at */
    size_t n_ready, n_patient;
    size_t n_demands_ready; /* demands of whom somebody is ready */
    struct choice *places;  /* of the job that is looked at */
    size_t n_places;
};

/* ---- entry.c: jobs, and the lines in which they wait ---- */

static inline bool entry_runs(const struct entry *entry)
{
    return entry->past && entry->past->places && !entry->past->halted;
}
static inline const struct ask *entry_ask(const struct entry *entry)
{
    return &entry->line->demand->ask;
}
static inline unsigned entry_tasks(const struct entry *entry) { return entry->line->demand->tasks; }

struct entry *entry_new(struct schedule *s, const struct schedule_job *job, int64_t now_us);
/* It neither waits nor runs. */
void entry_free(struct schedule *s, struct entry *entry);
struct entry *entry_find(const struct schedule *s, uint64_t id);
struct past *entry_past(struct entry *entry);
/* Did A come before B? */
bool entry_is_before(const struct entry *a, const struct entry *b);
/* It waits, and may start unless it is held or must wait until some time; and no longer. */
void entry_join(struct schedule *s, struct entry *entry);
void entry_leave(struct schedule *s, struct entry *entry);
/* Since when it waits, from when it came or was stopped. */
int64_t entry_waits_since(const struct entry *entry);
/* Has it waited so long that machines are kept for it? */
bool entry_is_due(const struct schedule *s, const struct entry *entry, int64_t now_us);
/* Where groups go by what they had, new ones could go before an old one for ever. So shares do not count for who has waited for
 * twice the patience: he goes first when his group runs nothing, in the order in which they began to wait. */
bool entry_is_overdue(const struct schedule *s, const struct entry *entry, int64_t now_us);
/* Those who are due are no longer among those who are not. */
void patience_look(struct schedule *s, int64_t now_us);

/* What a job counts for: its GPUs, or 1. */
int64_t entry_weight(const struct entry *entry);
/* What its group is charged with while it runs: thousandths of a GPU; eight cores without one count as one. */
int64_t entry_milli(const struct entry *entry);
struct claim entry_claim(const struct entry *entry, int64_t now_us);
unsigned entry_level(const struct schedule *s, const struct entry *entry, int64_t now_us);
/* The level that the pass goes by. */
unsigned entry_right(const struct schedule *s, const struct entry *entry);

/* ---- running.c: jobs that run, and what time changes for them ---- */

/* On PLACES, which are taken already, one a task. */
void entry_start(struct schedule *s, struct entry *entry, const struct choice *places,
                 int64_t now_us);
/* It runs no longer, and its places are free. It waits for nothing yet. */
void entry_stop(struct schedule *s, struct entry *entry, int64_t now_us);
/* It waits again after it ran, and longer each time that it comes back soon. */
void entry_return(struct schedule *s, struct entry *entry, int64_t now_us);
/* How many may be stopped for it now. */
unsigned entry_stops_max(const struct entry *entry);
/* Give its places back, and take them again: between them it is not among the tasks of its machines. */
void entry_halt(struct schedule *s, struct entry *entry);
void entry_resume(struct schedule *s, struct entry *entry);
/* Do what the time that has come changes: rights of those who run, who may start again. */
void wakes_look(struct schedule *s, int64_t now_us);
void wake_set(struct schedule *s, struct entry *entry, int64_t at_us);
void wake_clear(struct schedule *s, struct entry *entry);
/* What was known of who may be stopped on machine NODE no longer holds. */
void prospect_forget(struct schedule *s, size_t node);

/* ---- booked.c: bookings ---- */

void booked_free(struct booked *booked);
/* Forget what is over. */
void booked_look(struct schedule *s, int64_t now_us);
/* Whom to stop now for bookings; halted, and appended to RET. */
void booked_leave(struct schedule *s, int64_t now_us, struct entries *ret);
/* Close the machines that are kept from ENTRY, if it were to start now, BY_FORCE if others are to be stopped for it; true: there
 * are some. And open them. */
bool booked_close(struct schedule *s, const struct entry *entry, bool by_force, int64_t now_us);
void booked_open(struct schedule *s);
/* The machines that are closed so. */
size_t booked_closed(const struct schedule *s, const size_t **ret);
/* Might ENTRY, which has one task, begin on NODE if N tasks GONE were? Whether it has room there is not looked at. */
bool booked_lets(struct schedule *s, const struct entry *entry, size_t node,
                 const struct taken *gone, size_t n, int64_t now_us);
/* Open NODE again if ENTRY may begin there as it is now. */
void booked_admit(struct schedule *s, const struct entry *entry, size_t node, int64_t now_us);
/* Take a place on a machine that is kept for ENTRY's group now, if it has one task. */
bool booked_take(struct schedule *s, const struct entry *entry, struct choice *places,
                 int64_t now_us);
/* Goes up with every change of bookings. */
uint64_t booked_version(const struct schedule *s);
int64_t booked_next_us(const struct schedule *s, int64_t now_us);

/* ---- victims.c, reserve.c ---- */

/* Who on machine NODE may be stopped. */
const struct prospect *prospect_of(struct schedule *s, size_t node, int64_t now_us);
/* What is kept of who may be stopped is freed. */
void victims_done(struct schedule *s);
/* Make room for ENTRY by stopping jobs of less right, at most MAX, at the least cost, and take it (PLACES of S). The stopped are
 * appended to STOPPED. False: that is not possible, and nothing was changed. */
bool victims_take(struct schedule *s, const struct entry *entry, int64_t now_us, unsigned max,
                  struct entries *stopped);

/* The machines that come nearest to holding ENTRY, in one domain where it wishes for one: those that lack the fewest GPUs. RET stays
 * empty where none would hold all of it even empty. */
void reserve_nearest(const struct schedule *s, const struct entry *entry, struct machines *ret);
/* Do the machines that are in service and not kept for others hold ENTRY while they are empty? */
bool reserve_could(const struct schedule *s, const struct entry *entry);
/* When ENTRY can start at the latest if nobody else is let in, by declared times; on RET: the machines that
 * it needs then. INT64_MAX: that cannot be known, and nothing is on RET. */
int64_t reserve_for(const struct schedule *s, const struct entry *entry, int64_t now_us,
                    struct machines *ret);

#endif
