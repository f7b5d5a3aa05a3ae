/* spec-read.c - a specification from JSON
 *
 * Types, limits and unknown fields have been checked against the declaration before; here is what
 * crosses fields, and everything that would be unsafe if a caller forgot that.
 */
#include "workload/internal.h"

#include "base/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    ARGS_MAX = 4096,
    ENV_MAX = 512,
    PORTS_MAX = 16,
    RETRIES_MAX = 100,
};

static int read_command(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *command = json_object_get(json, "command");
    size_t n = json_array_size(command);
    bool is_host = str_equal(json_get_str(json, "image", "host"), "host");

    if (json_is_string(command)) {
        spec->command = xnew_n(char *, 4);
        spec->command[0] = xstrdup("/bin/sh");
        spec->command[1] = xstrdup("-c");
        spec->command[2] = xstrdup(json_string_value(command));
        return 0;
    }
    /* Roles may have their own. */
    if ((n == 0 && is_host && !json_object_get(json, "roles")) || n > ARGS_MAX)
        return error_set(err, -EINVAL, "command: must have 1 to %d words, a program first",
                         ARGS_MAX);

    spec->command = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *arg = json_string_value(json_array_get(command, i));
        if (!arg)
            return error_set(err, -EINVAL, "command[%zu]: must be text", i);
        spec->command[i] = xstrdup(arg);
    }
    if (n && !*spec->command[0])
        return error_set(err, -EINVAL, "command[0]: is empty; it must name a program");
    return 0;
}

static bool git_url_is_allowed(const char *url)
{
    static const char *const schemes[] = { "https://", "http://", "git://", "ssh://" };

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (str_starts(url, schemes[i]) && url[strlen(schemes[i])] != '-')
            return true;
    return false;
}

static int read_git(struct workload_spec *spec, const json_t *git, struct error *err)
{
    const char *url = json_get_str(git, "url", "");
    const char *ref = json_get_str(git, "ref", "HEAD");

    if (!git_url_is_allowed(url))
        return error_set(err, -EINVAL,
                         "source.git.url: '%s' must begin with https://, http://, git:// or ssh://",
                         url);
    if (*ref == '-' || !*ref)
        return error_set(err, -EINVAL, "source.git.ref: '%s' is not a branch, tag or commit", ref);
    spec->source = SOURCE_GIT;
    spec->git_url = xstrdup(url);
    spec->git_ref = xstrdup(ref);
    return 0;
}

static int read_source(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *source = json_object_get(json, "source");
    const char *workspace = json_get_str(source, "workspace", NULL);
    const json_t *git = json_object_get(source, "git");

    spec->git_commit = xstrdup(json_get_str(source, "commit", NULL));
    if (workspace && git)
        return error_set(err, -EINVAL, "source: workspace and git exclude each other; give one");
    if (workspace) {
        if (sha256_parse(workspace, &spec->workspace) < 0)
            return error_set(err, -EINVAL,
                             "source.workspace: '%s' is not a SHA-256 of 64 lower-case hex digits",
                             workspace);
        spec->source = SOURCE_WORKSPACE;
    }
    return git ? read_git(spec, git, err) : 0;
}

/* A name of an environment variable or of a secret. */
static bool identifier_is_valid(const char *s, size_t max)
{
    if (!isalpha((unsigned char) *s) && *s != '_')
        return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char) *p) && *p != '_')
            return false;
    return strlen(s) <= max;
}

static int read_env(struct workload_spec *spec, const json_t *json, struct error *err)
{
    json_t *env = json_object_get(json, "env");
    const char *name;
    json_t *item;

    if (json_object_size(env) > ENV_MAX)
        return error_set(err, -EINVAL, "env: has %zu variables; %d are allowed",
                         json_object_size(env), ENV_MAX);
    spec->env = xnew_n(struct env_var, json_object_size(env) + 1);
    json_object_foreach(env, name, item) {
        const char *value = json_string_value(item);
        if (!identifier_is_valid(name, 255))
            return error_set(err, -EINVAL, "env: '%s' is not a name of letters, digits and '_'",
                             name);
        if (str_starts(name, "BERTH_"))
            return error_set(err, -EINVAL, "env.%s: names that begin with BERTH_ are set by Berth",
                             name);
        if (!value)
            return error_set(err, -EINVAL, "env.%s: must be text", name);

        bool secret = str_starts(value, "secret:");
        if (secret)
            value += strlen("secret:");
        if (secret && !identifier_is_valid(value, 63))
            return error_set(err, -EINVAL, "env.%s: '%s' is not the name of a secret", name, value);
        spec->env[spec->n_env++] =
            (struct env_var){ .name = xstrdup(name), .value = xstrdup(value), .secret = secret };
    }
    return 0;
}

static int check_port(const struct workload_spec *spec, const struct port_spec *port,
                      struct error *err)
{
    if (name_check("name", port->name, err) < 0)
        return -EINVAL;
    for (size_t i = 0; i < spec->n_ports; i++) {
        const struct port_spec *other = &spec->ports[i];
        if (str_equal(other->name, port->name))
            return error_set(err, -EINVAL, "name: '%s' is taken by ports[%zu]", port->name, i);
        if (other->port == port->port)
            return error_set(err, -EINVAL, "port: %u is taken by ports[%zu]", port->port, i);
        if (other->publish && other->publish == port->publish)
            return error_set(err, -EINVAL, "publish: %u is taken by ports[%zu]", port->publish, i);
    }
    return 0;
}

static int read_ports(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *ports = json_object_get(json, "ports");
    size_t n = json_array_size(ports);

    if (n > PORTS_MAX)
        return error_set(err, -EINVAL, "ports: has %zu items; %d are allowed", n, PORTS_MAX);
    spec->ports = xnew_n(struct port_spec, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(ports, i);
        int64_t number = json_get_int(item, "port", 0);
        int64_t publish = json_get_int(item, "publish", 0);
        if (number < 1 || number > 65535 || publish < 0 || publish > 65535)
            return error_set(err, -EINVAL, "ports[%zu]: ports are numbers from 1 to 65535", i);

        struct port_spec port = {
            .name = xstrdup(json_get_str(item, "name", "")),
            .port = (unsigned) number,
            .publish = (unsigned) publish,
            .published = json_is_integer(json_object_get(item, "publish")),
        };
        int r = check_port(spec, &port, err);
        if (r < 0) {
            free(port.name);
            return error_context(err, r, "ports[%zu]", i);
        }
        spec->ports[spec->n_ports++] = port;
    }
    return 0;
}

static int read_count(const json_t *json, const char *key, int64_t max, unsigned *ret,
                      struct error *err)
{
    int64_t value = json_get_int(json, key, 0);

    if (value < 0 || value > max)
        return error_set(err, -EINVAL, "%s: is %" PRId64 "; it must be 0 to %" PRId64, key, value,
                         max);
    *ret = (unsigned) value;
    return 0;
}

/* A number of them, or a part of one in thousandths. */
static int read_gpus(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *value = json_object_get(json, "gpus");
    int64_t milli = 0;

    if (!value || json_is_null(value))
        return 0;
    bool is_read = json_get_milli(json, "gpus", &milli) == 0;
    if (!is_read || milli < 0 || milli > 4096 * 1000 || (milli > 1000 && milli % 1000))
        return error_set(err, -EINVAL,
                         "gpus: is %g; it must be a whole number up to 4096, or a part of one GPU "
                         "in thousandths such as 0.25",
                         json_number_value(value));
    spec->gpus = milli < 1000 ? milli > 0 : (unsigned) (milli / 1000);
    spec->gpu_milli = milli < 1000 ? (unsigned) milli : 0;
    return 0;
}

static int read_devices(struct workload_spec *spec, const json_t *json, struct error *err)
{
    unsigned n = 0;

    int r = texts_read(json, "devices", &spec->devices, err);
    if (r < 0)
        return r;
    for (char **device = spec->devices; device && *device; device++, n++)
        for (char **other = spec->devices; other < device; other++)
            if (str_equal(*device, *other))
                return error_set(err, -EINVAL, "devices[%u]: %.60s is there twice", n, *device);
    if (n && spec->gpus && spec->gpus != n)
        return error_set(err, -EINVAL, "gpus: is %u, but devices names %u; leave gpus out",
                         spec->gpus, n);
    if (n)
        spec->gpus = n;
    return 0;
}

static int read_hardware(struct workload_spec *spec, const json_t *json, struct error *err)
{
    spec->flavor = xstrdup(json_get_str(json, "flavor", NULL));
    spec->gpu_model = xstrdup(json_get_str(json, "gpu_model", NULL));
    spec->shared = json_get_bool(json, "shared", false);
    spec->rdma = json_get_bool(json, "rdma", false);
    spec->numa_strict = json_get_bool(json, "numa_strict", false);
    spec->network_optimised = json_get_bool(json, "network_optimised", false);
    spec->splits_islands = json_get_bool(json, "splits_islands", false);

    int r = read_count(json, "cpus", 4096, &spec->cores, err);
    if (r >= 0)
        r = read_bytes(json, "memory", &spec->memory_bytes, err);
    if (r >= 0)
        r = read_bytes(json, "disk", &spec->disk_bytes, err);
    if (r >= 0)
        r = read_gpus(spec, json, err);
    if (r >= 0)
        r = read_devices(spec, json, err);
    if (r >= 0)
        r = read_count(json, "pids", 4194304, &spec->pids, err);
    if (r >= 0)
        r = huge_pages_read(json, &spec->huge_pages, err);
    return r;
}

static int read_times(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *retries = json_object_get(json, "retries");

    spec->grace_s = -1;
    spec->retry_backoff_s = RETRY_BACKOFF_DEFAULT;
    int r = read_seconds(json, "max_time", &spec->max_time_s, err);
    if (r >= 0)
        r = read_seconds(json, "grace", &spec->grace_s, err);
    if (r < 0)
        return r;

    r = read_count(retries, "max", RETRIES_MAX, &spec->retries_max, err);
    if (r >= 0)
        r = read_seconds(retries, "backoff", &spec->retry_backoff_s, err);
    return r < 0 ? error_context(err, r, "retries") : 0;
}

static int read_image(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const char *digest = json_get_str(json, "image_digest", NULL);

    spec->image = xstrdup(json_get_str(json, "image", "host"));
    if (digest && sha256_parse(digest, &spec->image_digest) < 0)
        return error_set(err, -EINVAL, "image_digest: '%.80s' is no digest", digest);
    spec->image_pinned = digest != NULL;
    return 0;
}

static int read_rest(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const char *signal = json_get_str(json_object_get(json, "checkpoint"), "signal", NULL);
    const char *network = json_get_str(json, "network", NULL);

    spec->kind = WORKLOAD_JOB;
    spec->preemptible = json_get_bool(json, "preemptible", false);
    if (signal && !(spec->checkpoint_signal = signal_parse(signal)))
        return error_set(err, -EINVAL,
                         "checkpoint.signal: '%s' must be HUP, INT, QUIT, USR1, USR2 or TERM",
                         signal);
    if (network && !str_equal(network, "egress") && !str_equal(network, "none"))
        return error_set(err, -EINVAL, "network: '%s' must be egress or none", network);
    spec->network = xstrdup(network);
    return 0;
}

int workload_spec_from_json(const json_t *json, struct workload_spec **ret, struct error *err)
{
    static int (*const readers[])(struct workload_spec *, const json_t *, struct error *) = {
        read_command, read_image, read_source, read_hardware, read_env,   read_ports, read_datasets,
        read_outputs, read_times, read_tasks,  read_array,    read_after, read_where, read_rest,
    };
    _cleanup_(workload_spec_freep) struct workload_spec *spec = xnew(struct workload_spec);

    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        int r = readers[i](spec, json, err);
        if (r < 0)
            return r;
    }
    int r = workload_spec_check_part(spec, err);
    if (r < 0)
        return r;
    *ret = take_ptr(spec);
    return 0;
}
