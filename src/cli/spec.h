/* spec.h - what to submit: a file, flags over it, and the source */
#ifndef CLI_SPEC_H
#define CLI_SPEC_H

#include "cli/pack.h"

enum source_sort { FROM_SPEC, FROM_DIRECTORY, FROM_GIT, FROM_NOTHING };

struct source {
    enum source_sort sort;
    char *directory; /* FROM_DIRECTORY */
    bool chosen;     /* said by --source, not the current directory by default */
};

/* The job_request from --file, flags and operands, with what --source says of git and a name for the image
 * of --dockerfile; checked. */
int spec_build(const struct args *args, json_t **ret, struct source *ret_source, struct error *err);
void source_done(struct source *source);
/* Name the packed workspace in the request. */
void spec_set_workspace(json_t *request, const struct pack *pack);

#endif
