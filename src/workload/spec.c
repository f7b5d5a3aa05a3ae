/* spec.c - specifications as values, and the small readers that the folder shares */
#include "workload/internal.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>

static const struct {
    const char *name;
    int signo;
} signals[] = {
    { "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT },
    { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "TERM", SIGTERM },
};

const char *signal_name(int signo)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i].signo == signo)
            return signals[i].name;
    return NULL;
}

int signal_parse(const char *name)
{
    if (name && str_starts(name, "SIG"))
        name += 3;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (str_equal(signals[i].name, name))
            return signals[i].signo;
    return 0;
}

void workload_spec_free(struct workload_spec *spec)
{
    if (!spec)
        return;
    free(spec->image);
    for (char **arg = spec->command; arg && *arg; arg++)
        free(*arg);
    free(spec->command);
    free(spec->git_url);
    free(spec->git_ref);
    free(spec->git_commit);
    free(spec->flavor);
    free(spec->gpu_model);
    texts_free(spec->devices);
    for (size_t i = 0; i < spec->n_env; i++) {
        free(spec->env[i].name);
        free(spec->env[i].value);
    }
    free(spec->env);
    for (size_t i = 0; i < spec->n_ports; i++)
        free(spec->ports[i].name);
    free(spec->ports);
    free_data(spec);
    free_tasks(spec);
    free_batch(spec);
    free_where(spec);
    free(spec->network);
    free(spec);
}

int read_time(const json_t *json, const char *key, int64_t *ret, struct error *err)
{
    const char *text = json_get_str(json, key, NULL);

    *ret = 0;
    if (text && time_parse(text, ret) < 0)
        return error_set(err, -EINVAL, "%s: '%s' is not a time such as 2026-01-31T12:00:00Z", key,
                         text);
    return 0;
}

int read_id(const json_t *json, const char *key, struct id *ret, struct error *err)
{
    const char *text = json_get_str(json, key, "");

    if (id_parse(text, ret) < 0)
        return error_set(err, -EINVAL, "%s: '%s' is not a UUID", key, text);
    return 0;
}

static int read_quantity(const json_t *json, const char *key,
                         int (*parse)(const char *, long long *), int64_t *ret, struct error *err)
{
    const json_t *value = json_object_get(json, key);
    long long number = json_is_integer(value) ? json_integer_value(value) : 0;

    if (!value || json_is_null(value))
        return 0;
    if (json_is_string(value) && parse(json_string_value(value), &number) < 0)
        return error_set(err, -EINVAL, "%s: '%s' is not a quantity", key, json_string_value(value));
    if (number < 0 || (!json_is_string(value) && !json_is_integer(value)))
        return error_set(err, -EINVAL, "%s: must be a number of 0 or more", key);
    *ret = number;
    return 0;
}

int read_bytes(const json_t *json, const char *key, int64_t *ret, struct error *err)
{
    return read_quantity(json, key, str_to_bytes, ret, err);
}

int read_seconds(const json_t *json, const char *key, int64_t *ret, struct error *err)
{
    return read_quantity(json, key, str_to_seconds, ret, err);
}
