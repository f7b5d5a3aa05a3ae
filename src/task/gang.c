/* gang.c - what a task knows of the others of its attempt, in spec.json and in `ready` */
#include "task/task.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

json_t *task_gang_to_json(const struct task_gang *gang)
{
    char buf[ID_TEXT_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "attempt", id_format(&gang->attempt, buf));
    json_put_int(json, "rank", gang->rank);
    json_put_int(json, "world_size", gang->world_size);
    json_put_int(json, "local_rank", gang->local_rank);
    json_put_int(json, "local_size", gang->local_size);
    json_put_int(json, "node_rank", gang->node_rank);
    json_put_int(json, "n_nodes", gang->n_nodes);
    if (gang->role) {
        json_put_str(json, "role", gang->role);
        json_put_int(json, "role_rank", gang->role_rank);
        json_put_int(json, "role_size", gang->role_size);
    }
    if (gang->is_service)
        json_put(json, "is_service", json_true());
    json_put_int(json, "master_port", gang->master_port);
    return json;
}

/* POSITION of SIZE: sizes are 1 to WORKLOAD_TASKS_MAX, positions are below their size. */
static int read_place(const json_t *json, const char *position, const char *size,
                      unsigned ret[static 2], struct error *err)
{
    int64_t at = json_get_int(json, position, -1), of = json_get_int(json, size, -1);

    if (of < 1 || of > WORKLOAD_TASKS_MAX || at < 0 || at >= of)
        return error_set(err, -EINVAL, "gang: %s, %s: must be a place and how many there are",
                         position, size);
    ret[0] = (unsigned) at;
    ret[1] = (unsigned) of;
    return 0;
}

static int read_places(const json_t *json, struct task_gang *gang, struct error *err)
{
    unsigned world[2] = { 0 }, local[2] = { 0 }, node[2] = { 0 }, role[2] = { 0 };
    int64_t port = json_get_int(json, "master_port", -1);

    int r = read_place(json, "rank", "world_size", world, err);
    if (r >= 0)
        r = read_place(json, "local_rank", "local_size", local, err);
    if (r >= 0)
        r = read_place(json, "node_rank", "n_nodes", node, err);
    if (r >= 0 && json_get_str(json, "role", NULL))
        r = read_place(json, "role_rank", "role_size", role, err);
    if (r < 0)
        return r;
    if (port < 1 || port > 65535)
        return error_set(err, -EINVAL, "gang: master_port: must be from 1 to 65535");
    gang->rank = world[0];
    gang->world_size = world[1];
    gang->local_rank = local[0];
    gang->local_size = local[1];
    gang->node_rank = node[0];
    gang->n_nodes = node[1];
    gang->role_rank = role[0];
    gang->role_size = role[1];
    gang->master_port = (unsigned) port;
    return 0;
}

int task_gang_from_json(const json_t *json, struct task_gang **ret, struct error *err)
{
    _cleanup_(task_gang_freep) struct task_gang *gang = xnew(struct task_gang);

    if (id_parse(json_get_str(json, "attempt", ""), &gang->attempt) < 0)
        return error_set(err, -EINVAL, "gang: attempt: is no id");
    int r = read_places(json, gang, err);
    if (r < 0)
        return r;
    gang->is_service = json_get_bool(json, "is_service", false);
    gang->role = xstrdup(json_get_str(json, "role", NULL));
    *ret = take_ptr(gang);
    return 0;
}

void task_gang_free(struct task_gang *gang)
{
    if (!gang)
        return;
    free(gang->role);
    free(gang);
}

json_t *task_ready_to_json(const struct task_ready *ready)
{
    json_t *json = json_object();

    json_put_int(json, "version", TASK_FORMAT_VERSION);
    json_put_int(json, "epoch", ready->epoch);
    json_put_str(json, "address", ready->address);
    return json;
}

int task_ready_from_json(const json_t *json, struct task_ready **ret, struct error *err)
{
    _cleanup_(task_ready_freep) struct task_ready *ready = xnew(struct task_ready);
    const char *address = json_get_str(json, "address", "");
    int64_t epoch = json_get_int(json, "epoch", 0);

    int r = task_version_check(json_get_int(json, "version", 0), err);
    if (r < 0)
        return error_context(err, r, "ready");
    if (epoch < 1 || epoch > UINT32_MAX)
        return error_set(err, -EINVAL, "ready: epoch: must be positive");
    /* It goes into files that others read line by line. */
    size_t len = strspn(address, "0123456789abcdefABCDEF.:");
    if (!*address || address[len] || len > TASK_ADDRESS_MAX)
        return error_set(err, -EINVAL, "ready: address: is no IP address");
    ready->epoch = (unsigned) epoch;
    ready->address = xstrdup(address);
    *ret = take_ptr(ready);
    return 0;
}

void task_ready_free(struct task_ready *ready)
{
    if (!ready)
        return;
    free(ready->address);
    free(ready);
}

json_t *task_peer_to_json(const struct task_peer *peer)
{
    char buf[ID_TEXT_LEN + 1];
    json_t *json = task_gang_to_json(&peer->gang);

    json_put_str(json, "task", id_format(&peer->task, buf));
    json_put_str(json, "node", peer->node);
    json_put_str(json, "address", peer->address);
    return json;
}
