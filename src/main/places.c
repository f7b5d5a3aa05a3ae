/* places.c - where the settings have state and sockets, for roles that know the environment alone */
#include "main/roles.h"

#include "admin/admin.h"
#include "main/settings.h"

#include <stdio.h>
#include <stdlib.h>

static const char *from_environment(const char *name) { return getenv(name); }

/* What is set already wins over the file, as everywhere. */
static void take_places(void)
{
    _cleanup_(settings_done) struct settings settings = { 0 };
    struct error err = { 0 };

    if (settings_load(0, NULL, from_environment, &settings, &err) < 0) {
        (void) fprintf(stderr, "berth: a server would refuse its settings: %s\n", err.text);
        return;
    }
    (void) setenv("BERTH_STATE", settings.state, 0);
    (void) setenv("BERTH_RUNTIME", settings.runtime, 0);
    _cleanup_text_ struct text listen = { 0 };
    for (char *const *address = settings.listen; *address; address++)
        text_addf(&listen, "%s%s", listen.len ? "," : "", *address);
    (void) setenv("BERTH_LISTEN", text_str(&listen), 0);
}

int role_doctor(int argc, char **argv)
{
    take_places();
    return admin_doctor(argc, argv);
}

int role_store(int argc, char **argv)
{
    take_places();
    return admin_store(argc, argv);
}

int role_engine_check(int argc, char **argv)
{
    _cleanup_(settings_done) struct settings s = { 0 };
    struct error err = { 0 };

    if (settings_load(0, NULL, from_environment, &s, &err) < 0) {
        (void) fprintf(stderr, "berth: a server would refuse its settings: %s\n", err.text);
        return admin_engine_check(argc, argv, NULL);
    }
    (void) setenv("BERTH_SOCKET", s.socket, 0);
    const struct engine_settings settings = { .file = s.config,
                                              .engine = s.engine,
                                              .home_url = s.home_url,
                                              .home_ca = s.home_ca,
                                              .listen = s.listen };
    return admin_engine_check(argc, argv, &settings);
}

int role_engine_install(int argc, char **argv)
{
    _cleanup_(settings_done) struct settings s = { 0 };
    struct error err = { 0 };

    if (settings_load(0, NULL, from_environment, &s, &err) < 0) {
        (void) fprintf(stderr, "berth engine install: %s\n", err.text);
        return EXIT_FAILURE;
    }
    (void) setenv("BERTH_STATE", s.state, 0);
    (void) setenv("BERTH_RUNTIME", s.runtime, 0);
    (void) setenv("BERTH_SOCKET", s.socket, 0);
    const struct engine_settings settings = { .file = s.config,
                                              .engine = s.engine,
                                              .user = s.user,
                                              .home_url = s.home_url,
                                              .listen = s.listen,
                                              .hosts = s.hosts };
    return admin_engine_install(argc, argv, &settings);
}
