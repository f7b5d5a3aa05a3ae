/* options.c - flags of commands that need no server */
#include "admin/options.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

const char *option_value(const char *name, int argc, char **argv, int *i)
{
    size_t n = strlen(name);
    const char *arg = argv[*i];

    if (!arg || strncmp(arg, name, n) != 0)
        return NULL;
    if (arg[n] == '=')
        return arg + n + 1;
    return arg[n] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

bool option_is_form(const char *form)
{
    return str_equal(form, "table") || str_equal(form, "json") || str_equal(form, "yaml");
}

const char *option_setting(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);

    return value && value[0] ? value : otherwise;
}
