/* bookings.h - what bookings.c and stays.c share: what is booked, and who is on the machines meanwhile */
#ifndef LIFECYCLE_BOOKINGS_H
#define LIFECYCLE_BOOKINGS_H

#include "lifecycle/internal.h"
#include "placement/placement.h"

struct booked {
    struct booking_record *record;
    uint64_t number; /* in the calendar */
    char *words;     /* "is booked for p1 from …" */
};

struct bookings {
    VEC(struct booked) items; /* that have not ended, as they were made */
    struct calendar *calendar;
    uint64_t last_number;
    bool is_asked;      /* the planner asks its guard */
    struct map *places; /* name of a machine -> its place in NAMES, and in the calendar */
    VEC(char *) names;  /* owned */
    VEC(const struct booking_record *) list; /* as last asked for */
};

/* Who is on a machine. */
struct presence {
    struct booking_node node; /* its stays are STAYS */
    bool serves;              /* it takes work */
    VEC(struct stay) stays;
    VEC(struct job *) jobs; /* whose they are */
};

/* ---- stays.c ---- */
/* Of a project, as the calendar knows it. */
uint32_t booking_group(const struct project *project);
/* Has it GPUs of MODEL and no others? NULL: that is all the same. */
bool booking_would_do(const struct node *node, const char *model);
/* RET ends with presence_done(). */
void presence_of(struct lifecycle *lc, const struct node *node, struct presence *ret);
void presence_done(struct presence *presence);
/* Have those leave who are where they are not to be any more. */
void stays_vacate(struct lifecycle *lc);

/* ---- bookings.c ---- */
size_t booking_place(struct bookings *bookings, const char *node);

#endif
