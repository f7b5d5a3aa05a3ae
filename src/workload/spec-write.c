/* spec-write.c - a specification as JSON: the form of src/api/job.json */
#include "workload/internal.h"

#include "base/alloc.h"

static json_t *command_to_json(char *const *command)
{
    json_t *array = json_array();

    for (; command && *command; command++)
        (void) json_array_append_new(array, json_string(*command));
    return array;
}

static json_t *source_to_json(const struct workload_spec *spec)
{
    if (spec->source == SOURCE_NONE)
        return NULL;

    json_t *json = json_object();
    if (spec->source == SOURCE_GIT) {
        json_t *git = json_object();
        json_put_str(git, "url", spec->git_url);
        json_put_str(git, "ref", spec->git_ref);
        json_put(json, "git", git);
    } else {
        char sum[SHA256_HEX_LEN + 1];
        json_put_str(json, "workspace", sha256_format(&spec->workspace, sum));
    }
    json_put_str(json, "commit", spec->git_commit);
    return json;
}

static json_t *env_to_json(const struct workload_spec *spec)
{
    json_t *json = json_object();

    for (size_t i = 0; i < spec->n_env; i++) {
        const struct env_var *var = &spec->env[i];
        if (var->secret) {
            _cleanup_free_ char *text = xasprintf("secret:%s", var->value);
            json_put_str(json, var->name, text);
        } else {
            json_put_str(json, var->name, var->value);
        }
    }
    return json;
}

static json_t *ports_to_json(const struct workload_spec *spec)
{
    json_t *array = json_array();

    for (size_t i = 0; i < spec->n_ports; i++) {
        json_t *port = json_object();
        json_put_str(port, "name", spec->ports[i].name);
        json_put_int(port, "port", spec->ports[i].port);
        if (spec->ports[i].published)
            json_put_int(port, "publish", spec->ports[i].publish);
        (void) json_array_append_new(array, port);
    }
    return array;
}

/* Numbers that are left out when they are 0. */
static void put_positive(json_t *json, const char *key, int64_t value)
{
    if (value > 0)
        json_put_int(json, key, value);
}

static void put_hardware(json_t *json, const struct workload_spec *spec)
{
    json_put_str(json, "flavor", spec->flavor);
    put_positive(json, "cpus", spec->cores);
    put_positive(json, "memory", spec->memory_bytes);
    put_positive(json, "disk", spec->disk_bytes);
    if (spec->gpus)
        json_put_milli(json, "gpus", workload_spec_gpu_milli(spec));
    json_put_str(json, "gpu_model", spec->gpu_model);
    if (spec->devices)
        json_put(json, "devices", texts_to_json(spec->devices));
    put_positive(json, "pids", spec->pids);
    huge_pages_put(json, &spec->huge_pages);
    if (spec->rdma)
        json_put(json, "rdma", json_true());
    if (spec->numa_strict)
        json_put(json, "numa_strict", json_true());
    if (spec->network_optimised)
        json_put(json, "network_optimised", json_true());
    if (spec->splits_islands)
        json_put(json, "splits_islands", json_true());
    if (spec->shared)
        json_put(json, "shared", json_true());
}

json_t *workload_spec_to_json(const struct workload_spec *spec)
{
    json_t *json = json_object();

    char digest[SHA256_HEX_LEN + 1];

    json_put_str(json, "image", spec->image);
    if (spec->image_pinned)
        json_put_str(json, "image_digest", sha256_format(&spec->image_digest, digest));
    json_put(json, "source", source_to_json(spec));
    if (spec->command[0])
        json_put(json, "command", command_to_json(spec->command));
    put_hardware(json, spec);
    if (spec->n_env)
        json_put(json, "env", env_to_json(spec));
    if (spec->n_ports)
        json_put(json, "ports", ports_to_json(spec));
    put_data(json, spec);
    put_tasks(json, spec);
    json_put_str(json, "network", spec->network);
    put_positive(json, "max_time", spec->max_time_s);
    /* A node that is lost before a job began is no retry, and waits as long. */
    if (spec->retries_max || spec->retry_backoff_s != RETRY_BACKOFF_DEFAULT) {
        json_t *retries = json_object();
        json_put_int(retries, "max", spec->retries_max);
        json_put_int(retries, "backoff", spec->retry_backoff_s);
        json_put(json, "retries", retries);
    }
    if (spec->checkpoint_signal) {
        json_t *checkpoint = json_object();
        json_put_str(checkpoint, "signal", signal_name(spec->checkpoint_signal));
        json_put(json, "checkpoint", checkpoint);
    }
    if (spec->grace_s >= 0)
        json_put_int(json, "grace", spec->grace_s);
    if (spec->preemptible)
        json_put(json, "preemptible", json_true());
    put_batch(json, spec);
    put_where(json, spec);
    return json;
}
