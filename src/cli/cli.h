/* cli.h - the command line: talks to the API only */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

/* A program of its own in the same executable, which works without the API. Its help names every flag as
 * "--flag" and every verb as "berth NAME VERB": completion and the manual are made of it. */
struct cli_role {
    const char *name;
    const char *summary; /* NULL: not for people */
    void (*help)(struct text *out);
    int (*run)(int argc, char **argv); /* ARGV[0] is the name; gives the exit code */
};

/* ARGV as main() got it; ROLES end with a NULL name. Returns the exit code: that of the role, or 0, 1
 * failed, 2 usage, 3 not found, 4 denied, 5 no capacity or conflict; `berth run` gives the job's own, or 125
 * when Berth itself failed. */
int cli_main(int argc, char **argv, const struct cli_role *roles);

/* GET TARGET from the server of the context, for roles. RET_PROJECT: the context's project, owned by the caller; NULL: none. */
int cli_fetch(const char *target, json_t **ret, char **ret_project, struct error *err);

#endif
