/* wishes.c - of a specification only what decides where and when it runs: no command, no environment, no data */
#include "workload/internal.h"

#include "base/alloc.h"
#include "base/texts.h"

static const char *const fields[] = {
    "flavor",
    "cpus",
    "memory",
    "disk",
    "gpus",
    "gpu_model",
    "devices",
    "pids",
    "huge_pages_1g",
    "huge_pages_2m",
    "rdma",
    "shared",
    "numa_strict",
    "network_optimised",
    "splits_islands",
    "nodes",
    "tasks_per_node",
    "mpi",
    "on_nodes",
    "not_nodes",
    "node_tags",
    "exclusive",
    "begin",
    "within",
    "max_time",
    "grace",
    "checkpoint",
    "preemptible",
    NULL,
};

static json_t *only_wishes(const json_t *json)
{
    json_t *wishes = json_object();

    for (const char *const *field = fields; *field; field++)
        json_put(wishes, *field, json_incref(json_object_get(json, *field)));
    return wishes;
}

json_t *workload_wishes_to_json(const struct workload_spec *spec)
{
    _cleanup_json_ json_t *json = workload_spec_to_json(spec);

    return only_wishes(json);
}

int workload_wishes_from_json(const json_t *json, struct workload_spec **ret, struct error *err)
{
    _cleanup_json_ json_t *wishes = only_wishes(json);

    /* A specification without one is refused; nothing runs this one. */
    json_put(wishes, "command", json_pack("[s]", "true"));
    return workload_spec_from_json(wishes, ret, err);
}

/* Field by field: a server copies those of all its jobs whenever it looks ahead. */
struct workload_spec *workload_wishes_copy(const struct workload_spec *spec)
{
    struct workload_spec *copy = xnew(struct workload_spec);
    const struct machine_rules *rules = &spec->machines;

    *copy = (struct workload_spec){
        .command = xnew_n(char *, 1), /* nothing runs this one */
        .flavor = xstrdup(spec->flavor),
        .cores = spec->cores,
        .memory_bytes = spec->memory_bytes,
        .disk_bytes = spec->disk_bytes,
        .gpus = spec->gpus,
        .gpu_milli = spec->gpu_milli,
        .gpu_model = xstrdup(spec->gpu_model),
        .devices = texts_copy(spec->devices),
        .pids = spec->pids,
        .huge_pages = spec->huge_pages,
        .rdma = spec->rdma,
        .numa_strict = spec->numa_strict,
        .network_optimised = spec->network_optimised,
        .splits_islands = spec->splits_islands,
        .shared = spec->shared,
        .nodes = spec->nodes,
        .tasks_per_node = spec->tasks_per_node,
        .mpi = spec->mpi,
        .max_time_s = spec->max_time_s,
        .retry_backoff_s = RETRY_BACKOFF_DEFAULT,
        .checkpoint_signal = spec->checkpoint_signal,
        .grace_s = spec->grace_s,
        .preemptible = spec->preemptible,
        .begin_us = spec->begin_us,
        .machines = { .names = texts_copy(rules->names),
                      .without = texts_copy(rules->without),
                      .tags = texts_copy(rules->tags),
                      .exclusive = rules->exclusive,
                      .within = rules->within },
    };
    return copy;
}
