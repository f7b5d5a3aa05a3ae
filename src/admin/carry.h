/* carry.h - an order carried out on this machine, as root
 *
 * Every step compares first and changes only what is not so: carried out twice, an order changes nothing.
 */
#ifndef ADMIN_CARRY_H
#define ADMIN_CARRY_H

#include "admin/order.h"

struct carry {
    const struct order *order;
    const char *key;             /* file of this machine's secret key, see box.h */
    const char *state, *runtime; /* Berth's directories here */
    json_t *steps; /* {"step","changed","detail"} of each that was done; owned by the caller */
    /* A step begins; STEPS has those before it. */
    void (*on_step)(void *userdata, const char *step, const json_t *steps); /* NULL: none */
    void *userdata;
};

/* STEP is the one that failed, or the last. */
int carry_out(struct carry *carry, const char **step, struct error *err);

/* What a step finds: whether it changed anything, or would, and what, in words. */
struct found {
    bool changed;
    struct text detail;
};

/* carry-daemons.c: munge, slurmctld, slurmd and the launcher run, with what they read now. */
int carry_daemons(struct carry *carry, struct found *found, struct error *err);
int carry_launcher(struct carry *carry, struct found *found, struct error *err);

#endif
