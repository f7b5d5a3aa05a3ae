/* roles.h - the programs beside the command line, for help, completion and the manual */
#ifndef CLI_ROLES_H
#define CLI_ROLES_H

#include "cli/cli.h"

/* Set once, by cli_main. */
void roles_set(const struct cli_role *roles);
const struct cli_role *role_find(const char *name);
/* The one that the first words of ARGV name, one or two ("node join"); *RET_WORDS says how many. */
const struct cli_role *role_match(int argc, char *const *argv, int *ret_words);
/* Of a role of two words whose first is NOUN, the second; NULL otherwise. */
const char *role_verb(const struct cli_role *role, const char *noun);
/* Is WORD the first of a role of two words? */
bool role_is_noun(const char *word);
/* Those for people. */
void roles_each(void (*f)(void *userdata, const struct cli_role *role), void *userdata);
/* The flags that ROLE's help names, or its verbs. A word may come twice. */
void role_each_flag(const struct cli_role *role, void (*f)(void *userdata, const char *word),
                    void *userdata);
void role_each_verb(const struct cli_role *role, void (*f)(void *userdata, const char *word),
                    void *userdata);

#endif
