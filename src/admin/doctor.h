/* doctor.h - what the checks of `berth doctor` report to */
#ifndef ADMIN_DOCTOR_H
#define ADMIN_DOCTOR_H

#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"

#include <stdbool.h>

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL };

struct finding {
    enum level level;
    const char *check; /* "crun" */
    char *seen;        /* what was found, for a person */
    char *mend;        /* the exact command; NULL when there is nothing to mend */
};

struct doctor {
    const char *state, *runtime; /* directories as the server would use them */
    const char *listen;          /* addresses of the API, with commas between */
    const char *cdi;             /* of CDI specifications, with commas between */
    const char *driver_root;     /* of the tree in which drivers lie */
    const char *nvml;            /* library */
    bool is_root;
    VEC(struct finding) findings;
};

/* SEEN and MEND are taken. */
void doctor_add(struct doctor *d, enum level level, const char *check, char *seen, char *mend);
void doctor_done(struct doctor *d);
/* Print what was found in FORM (table, json, yaml). Returns the exit code: 1 when something fails. */
int doctor_report(const struct doctor *d, const char *form);

/* The nearest existing directory at or above PATH; owned by the caller. */
char *existing_parent(const char *path);
/* Run F(USERDATA) in a child with mount and network namespaces of its own; its result (0 or a
 * negative errno with ERR's text) comes back. Whatever it mounts or makes ends with it. */
int in_sandbox(int (*f)(void *userdata, struct error *err), void *userdata, struct error *err);

/* doctor-kernel.c, doctor-runtime.c, doctor-machine.c, doctor-gpu.c */
void check_account(struct doctor *d);
void check_kernel(struct doctor *d);
void check_cgroups(struct doctor *d);
void check_overlay(struct doctor *d);
void check_container(struct doctor *d);
void check_network(struct doctor *d);
void check_ports(struct doctor *d);
void check_disk(struct doctor *d);
void check_time(struct doctor *d);
void check_cores(struct doctor *d);
void check_gpus(struct doctor *d);
/* Of a batch system: is the API where its steps look for it (engine-home.c)? */
struct engine_settings;
void check_home(struct doctor *d, const struct engine_settings *settings);

/* Where the cgroup hierarchies are. Pure: MOUNTS is the text of /proc/self/mounts. */
struct cgroup_view {
    bool has_v2, has_v1;
    char v2_path[128];
    char v1_base[128]; /* directory of the v1 hierarchies: "/sys/fs/cgroup" */
};
void cgroup_view_parse(const char *mounts, size_t len, struct cgroup_view *ret);

#endif
