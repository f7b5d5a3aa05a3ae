/* install.h - `berth engine install slurm`, between its files */
#ifndef ADMIN_INSTALL_H
#define ADMIN_INSTALL_H

#include "admin/admin.h"
#include "admin/order.h"

/* What becomes of one machine. */
struct machine {
    const char *name;    /* of the cluster's node */
    const char *state;   /* "waiting", "running", "done", "failed" */
    char *step, *detail; /* NULL: none */
    json_t *steps;       /* as carry.h has them */
    char *order;         /* id, once it was given; NULL: this machine, or not yet */
    size_t said;         /* steps that were shown */
    int64_t since_s;     /* monotonic, when the order was given */
};

struct install {
    const struct engine_settings *settings;
    const char *form; /* table, json, yaml */
    const char *name, *controller;
    bool only_looks;
    struct order order; /* what all get, but for controller, self and key */
    json_t *items;      /* of nodes_ask() */
    const char *own;    /* this machine's name */
    VEC(struct machine) machines;
};

bool install_is_quiet(const struct install *in);
/* Show what MACHINE did since it was shown last. */
void install_show(const struct install *in, struct machine *machine);
void machine_fail(struct machine *machine, const char *detail);

/* install-orders.c: this machine first, then the others at once, each until it has ended. */
void install_here(struct install *in, struct machine *machine);
void install_others(struct install *in);

/* install-settings.c. Pure: TEXT of a file of settings with KEY: VALUE, in place of the line that has it or behind all. */
void settings_put(const char *text, const char *key, const char *value, struct text *out);
/* The URL by which nodes reach the server, of what they joined by; NULL: nothing needs to be set. */
const char *install_home_url(const struct engine_settings *settings, const json_t *items);
/* The server runs on Slurm from now on: its settings are changed, and it is started anew where systemd runs it. 1: somebody
 * has to start it. */
int install_switch(const struct install *in, struct error *err);

#endif
