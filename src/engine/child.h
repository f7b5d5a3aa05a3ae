/* child.h - a role of this executable as a process: one request in, lines of JSON out */
#ifndef ENGINE_CHILD_H
#define ENGINE_CHILD_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "os/loop.h"

struct child;

struct child_options {
    struct loop *loop;
    const char *role;
    const char *request; /* goes by memory: it may hold a password */
    /* For each line. false: the child was freed meanwhile. */
    bool (*line)(void *userdata, const json_t *line);
    /* It has closed its output. */
    void (*end)(void *userdata);
    void *userdata;
};

int child_start(const struct child_options *options, struct child **ret, struct error *err);
/* Ends the process. */
void child_free(struct child *child);
DEFINE_CLEANUP(struct child *, child_free);

#endif
