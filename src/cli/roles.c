/* roles.c - what the help of a role says about its flags and verbs */
#include "cli/roles.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"

static const struct cli_role *all;

void roles_set(const struct cli_role *roles) { all = roles; }

const struct cli_role *role_find(const char *name)
{
    for (const struct cli_role *role = all; role && role->name; role++)
        if (str_equal(role->name, name))
            return role;
    return NULL;
}

const struct cli_role *role_match(int argc, char *const *argv, int *ret_words)
{
    const struct cli_role *role = NULL;

    if (argc > 1) {
        _cleanup_free_ char *both = xasprintf("%s %s", argv[0], argv[1]);
        *ret_words = 2;
        role = role_find(both);
    }
    if (role || argc < 1)
        return role;
    *ret_words = 1;
    return role_find(argv[0]);
}

const char *role_verb(const struct cli_role *role, const char *noun)
{
    size_t n = strlen(noun);

    return str_starts(role->name, noun) && role->name[n] == ' ' ? role->name + n + 1 : NULL;
}

bool role_is_noun(const char *word)
{
    for (const struct cli_role *role = all; role && role->name; role++)
        if (role_verb(role, word))
            return true;
    return false;
}

void roles_each(void (*f)(void *userdata, const struct cli_role *role), void *userdata)
{
    for (const struct cli_role *role = all; role && role->name; role++)
        if (role->summary)
            f(userdata, role);
}

/* The words of LETTERS that follow MARK in ROLE's help, with the last KEEP characters of MARK. */
static void each_after(const struct cli_role *role, const char *mark, size_t keep,
                       const char *letters, void (*f)(void *userdata, const char *word),
                       void *userdata)
{
    _cleanup_text_ struct text help = { 0 };
    size_t skip = strlen(mark) - keep;

    if (!role->help)
        return;
    role->help(&help);
    for (const char *p = text_str(&help); (p = strstr(p, mark)); p += skip + keep) {
        size_t n = strspn(p + skip + keep, letters);
        if (n == 0)
            continue;
        _cleanup_free_ char *word = xstrndup(p + skip, keep + n);
        f(userdata, word);
    }
}

void role_each_flag(const struct cli_role *role, void (*f)(void *userdata, const char *word),
                    void *userdata)
{
    each_after(role, "--", 2, LOWER "-", f, userdata);
}

void role_each_verb(const struct cli_role *role, void (*f)(void *userdata, const char *word),
                    void *userdata)
{
    _cleanup_free_ char *mark = xasprintf("berth %s ", role->name);
    each_after(role, mark, 0, LOWER, f, userdata);
}
