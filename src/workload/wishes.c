/* wishes.c - of a specification only what decides where and when it runs: no command, no environment, no data */
#include "workload/internal.h"

#include "base/alloc.h"

#include <assert.h>

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

struct workload_spec *workload_wishes_copy(const struct workload_spec *spec)
{
    _cleanup_json_ json_t *json = workload_wishes_to_json(spec);
    struct workload_spec *copy = NULL;
    int r = workload_wishes_from_json(json, &copy, NULL);

    assert(r == 0);
    return copy;
}
