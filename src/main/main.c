/* main.c - one executable, several roles: the first word says which; all else is the CLI */
#include "admin/admin.h"
#include "base/text.h"
#include "cli/cli.h"
#include "image/image.h"
#include "main/roles.h"

#include <stdio.h>

/* Started by the server alone (image/fetch.h). */
static int role_fetch_image(int argc, char **argv) { return image_fetch_main(); }

static int role_version(int argc, char **argv) { return puts("berth " BERTH_VERSION) < 0; }

/* Those that work without the API; ARGV[0] is the role's name. */
static const struct role {
    const char *name;
    int (*run)(int argc, char **argv);
} roles[] = {
    { "server", role_server },     { "doctor", admin_doctor },          { "store", admin_store },
    { "upgrade", role_upgrade },   { "fetch-image", role_fetch_image }, { "version", role_version },
    { "--version", role_version },
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof roles / sizeof roles[0]; i++)
        if (str_equal(argv[1], roles[i].name))
            return roles[i].run(argc - 1, argv + 1);
    return cli_main(argc, argv);
}
