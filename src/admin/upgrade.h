/* upgrade.h - what `berth upgrade --check` knows, and what it makes of that */
#ifndef ADMIN_UPGRADE_H
#define ADMIN_UPGRADE_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/vec.h"
#include "store/store.h"

#include <stdbool.h>

/* An attempt whose supervisor lives. */
struct upgrade_task {
    char *attempt, *job, *project;
    int64_t format; /* of its records; -1: unknown */
    char *problem;  /* why this program could not take it over; NULL: it can */
};

struct upgrade {
    const char *version; /* of this program */
    char *path;          /* of this program */
    const char *state;   /* directory */
    char *problem;       /* of the settings; NULL: none */
    bool has_state;
    struct store_seen store;
    char *server_version; /* NULL: unknown */
    char *server_problem; /* why it is unknown */
    bool same_file;       /* the server is this very file */
    VEC(struct upgrade_task) tasks;
};

enum upgrade_verdict {
    UPGRADE_CURRENT, /* the next start of the server changes nothing */
    UPGRADE_WAITING, /* it puts this version in place */
    UPGRADE_REFUSED, /* this version would not start */
};

/* Pure: the verdict, and into WORDS (may be NULL) one line for each thing that would happen, or keeps this
 * version from starting. */
enum upgrade_verdict upgrade_judge(const struct upgrade *u, struct text *words);

void upgrade_done(struct upgrade *u);

#endif
