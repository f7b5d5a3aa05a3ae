/* upgrade.c - berth upgrade: with the settings as a server of this version would read them */
#include "main/roles.h"

#include "admin/admin.h"
#include "base/alloc.h"
#include "main/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *from_environment(const char *name) { return getenv(name); }

/* The one flag that is a setting; the others are the command's own. */
static int state_flag(int argc, char **argv, char *ret[static 2])
{
    for (int i = 1; i < argc; i++) {
        bool joined = str_starts(argv[i], "--state=");
        if (!joined && !(str_equal(argv[i], "--state") && i + 1 < argc))
            continue;
        ret[0] = argv[i];
        ret[1] = joined ? NULL : argv[i + 1];
        return joined ? 1 : 2;
    }
    return 0;
}

/* Where to look, when the rest is refused. */
static const char *places_only(const char *name)
{
    static const char *const places[] = { "BERTH_STATE", "BERTH_RUNTIME", "BERTH_SOCKET",
                                          "BERTH_STORE" };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (str_equal(name, places[i]))
            return getenv(name);
    return str_equal(name, "BERTH_CONFIG") ? "/dev/null" : NULL;
}

int role_upgrade(int argc, char **argv)
{
    _cleanup_(settings_done) struct settings settings = { 0 };
    struct error err = { 0 };
    char *flags[2] = { 0 };
    int n = state_flag(argc, argv, flags);
    int r = settings_load(n, flags, from_environment, &settings, &err);
    if (r >= 0 && (r = settings_check(&settings, &err)) < 0)
        settings_done(&settings);

    /* That a server would refuse the settings is part of the answer. */
    if (r < 0 && settings_load(n, flags, places_only, &settings, NULL) < 0)
        return EXIT_FAILURE;
    const struct upgrade_where where = {
        .version = BERTH_VERSION,
        .state = settings.state,
        .store = settings.store,
        .socket = settings.socket,
        .problem = r < 0 ? err.text : NULL,
    };
    return admin_upgrade(argc, argv, &where);
}
