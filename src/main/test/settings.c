#include "main/settings.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const char *no_env(const char *name) { return NULL; }

static const char *some_env(const char *name)
{
    if (str_equal(name, "BERTH_STATE"))
        return "/srv/from-env";
    if (str_equal(name, "BERTH_LOG_LIMIT"))
        return "2Gi";
    return NULL;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok(fd >= 0);
    ok(write(fd, text, strlen(text)) == (ssize_t) strlen(text));
    close(fd);
}

TEST(defaults_stand_alone)
{
    struct settings s;
    struct error err = { 0 };
    ok(settings_load(0, NULL, no_env, &s, &err) == 0);
    is_str(s.state, "/var/lib/berth");
    is_str(s.socket, "/run/berth/api.sock");
    is_str(s.store, "sqlite:/var/lib/berth/berth.db");
    is_str(s.listen[0], "127.0.0.1:7077");
    ok(!s.listen[1]);
    ok(s.log_limit == 4LL << 30);
    settings_done(&s);
}

TEST(flag_over_environment_over_file_over_default)
{
    char path[] = "/tmp/berth-settings-XXXXXX";
    int fd = mkstemp(path);
    ok(fd >= 0);
    close(fd);
    write_file(
        path,
        "state: /srv/from-file\nlog_limit: 1Gi\ngrace: 5s\nlisten: ['127.0.0.1:1', '[::1]:2']\n");

    char *argv[] = { (char[]){ "--config" }, path, (char[]){ "--state=/srv/from-flag" } };
    struct settings s;
    struct error err = { 0 };
    ok(settings_load(3, argv, some_env, &s, &err) == 0);
    is_str(s.state, "/srv/from-flag");
    ok(s.log_limit == 2LL << 30);
    ok(s.grace == 5);
    is_str(s.listen[1], "[::1]:2");

    _cleanup_text_ struct text out = { 0 };
    settings_print(&s, &out);
    ok(strstr(text_str(&out), "state: \"/srv/from-flag\"  # flag\n"));
    ok(strstr(text_str(&out), "log_limit: 2147483648  # environment\n"));
    ok(strstr(text_str(&out), "grace: 5  # file\n"));
    ok(strstr(text_str(&out), "pool: \"10.113.0.0/16\"  # default\n"));
    settings_done(&s);
    unlink(path);
}

TEST(wrong_settings_are_refused_by_name)
{
    struct settings s;
    struct error err = { 0 };
    char *unknown[] = { (char[]){ "--colour=red" } };
    ok(settings_load(1, unknown, no_env, &s, &err) == -EINVAL);
    ok(strstr(err.text, "--colour=red"));

    char *bad[] = { (char[]){ "--log-limit=lots" } };
    ok(settings_load(1, bad, no_env, &s, &err) == -EINVAL);
    ok(strstr(err.text, "log_limit") && strstr(err.text, "lots"));

    char *missing[] = { (char[]){ "--state" } };
    ok(settings_load(1, missing, no_env, &s, &err) == -EINVAL);
    ok(strstr(err.text, "needs a value"));
}

TAP_MAIN
