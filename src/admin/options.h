/* options.h - flags of commands that need no server, and where the state is without them */
#ifndef ADMIN_OPTIONS_H
#define ADMIN_OPTIONS_H

#include <stdbool.h>

/* The value of an option that takes one, as "--name VALUE" or "--name=VALUE"; moves *I to its last word. */
const char *option_value(const char *name, int argc, char **argv, int *i);
/* table, json or yaml */
bool option_is_form(const char *form);
/* VARIABLE of the environment, or OTHERWISE when it is not set or empty. */
const char *option_setting(const char *variable, const char *otherwise);

#endif
