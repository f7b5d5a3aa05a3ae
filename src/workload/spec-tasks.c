/* spec-tasks.c - how many tasks a workload has, and what each of them is */
#include "workload/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { ROLES_MAX = 16, ROLE_NAME_MAX = 32, ARGS_MAX = 4096 };

static unsigned tasks_per_group(const struct workload_spec *spec)
{
    return spec->mpi || spec->tasks_per_node == 0 ? 1 : spec->tasks_per_node;
}

unsigned workload_spec_n_tasks(const struct workload_spec *spec)
{
    return (spec->nodes ? spec->nodes : 1) * tasks_per_group(spec);
}

int workload_spec_check_part(const struct workload_spec *spec, struct error *err)
{
    char part[32];

    if (!spec->gpu_milli || spec->tasks_per_node <= 1)
        return 0;
    return error_set(err, -EINVAL,
                     "gpus: is %s, and a part of a GPU is for one task of a node; leave "
                     "tasks_per_node out",
                     milli_to_str(spec->gpu_milli, part));
}

int64_t workload_spec_gpu_milli(const struct workload_spec *spec)
{
    return spec->gpu_milli ? spec->gpu_milli : (int64_t) spec->gpus * 1000;
}

unsigned workload_spec_task_cores(const struct workload_spec *spec)
{
    return spec->mpi && spec->tasks_per_node ? spec->cores * spec->tasks_per_node : spec->cores;
}

bool workload_spec_is_gang(const struct workload_spec *spec)
{
    return workload_spec_n_tasks(spec) > 1 || spec->mpi || spec->n_roles > 0;
}

void workload_spec_place(const struct workload_spec *spec, unsigned rank, struct task_place *ret)
{
    unsigned first = 0;

    *ret = (struct task_place){
        .node_rank = rank / tasks_per_group(spec),
        .local_rank = rank % tasks_per_group(spec),
        .local_size = tasks_per_group(spec),
        .is_service = spec->mpi && rank > 0,
    };
    for (size_t i = 0; i < spec->n_roles; first += spec->roles[i++].count) {
        const struct role_spec *role = &spec->roles[i];
        if (rank >= first + role->count)
            continue;
        ret->role = role;
        ret->role_rank = rank - first;
        ret->is_service = role->service;
        return;
    }
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int read_role_command(struct role_spec *role, const json_t *json, struct error *err)
{
    const json_t *command = json_object_get(json, "command");
    size_t n = json_array_size(command);

    if (json_is_string(command)) {
        role->command = xnew_n(char *, 4);
        role->command[0] = xstrdup("/bin/sh");
        role->command[1] = xstrdup("-c");
        role->command[2] = xstrdup(json_string_value(command));
        return 0;
    }
    if (n > ARGS_MAX)
        return error_set(err, -EINVAL, "command: has %zu words; %d are allowed", n, ARGS_MAX);
    return texts_read(json, "command", &role->command, err);
}

static int read_role(struct workload_spec *spec, const json_t *json, struct error *err)
{
    struct role_spec *role = &spec->roles[spec->n_roles++];
    int64_t count = json_get_int(json, "count", 1);

    role->name = xstrdup(json_get_str(json, "name", ""));
    role->service = json_get_bool(json, "service", str_equal(role->name, "ps"));
    if (name_check("name", role->name, err) < 0)
        return -EINVAL;
    if (strlen(role->name) > ROLE_NAME_MAX)
        return error_set(err, -EINVAL, "name: is longer than %d characters", ROLE_NAME_MAX);
    for (const struct role_spec *other = spec->roles; other < role; other++)
        if (str_equal(other->name, role->name))
            return error_set(err, -EINVAL, "name: '%s' is there twice", role->name);
    if (count < 1 || count > WORKLOAD_TASKS_MAX)
        return error_set(err, -EINVAL, "count: is %" PRId64 "; it must be 1 to %d", count,
                         WORKLOAD_TASKS_MAX);
    role->count = (unsigned) count;
    return read_role_command(role, json, err);
}

static int read_roles(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *roles = json_object_get(json, "roles");
    size_t n = json_array_size(roles);

    if (n > ROLES_MAX)
        return error_set(err, -EINVAL, "roles: has %zu items; %d are allowed", n, ROLES_MAX);
    spec->roles = xnew_n(struct role_spec, n + 1);
    for (size_t i = 0; i < n; i++) {
        int r = read_role(spec, json_array_get(roles, i), err);
        if (r < 0)
            return error_context(err, r, "roles[%zu]", i);
    }
    if (n && spec->mpi)
        return error_set(err, -EINVAL, "roles: exclude mpi, which runs one program everywhere");
    return 0;
}

/* Without `nodes`, roles say how many there are. */
static int check_roles(struct workload_spec *spec, bool nodes_given, struct error *err)
{
    unsigned sum = 0;
    bool only_services = true;

    for (size_t i = 0; i < spec->n_roles; i++) {
        sum += spec->roles[i].count;
        only_services &= spec->roles[i].service;
    }
    if (spec->n_roles == 0)
        return 0;
    for (size_t i = 0; i < spec->n_roles; i++)
        if (!spec->roles[i].command && !spec->command[0] && str_equal(spec->image, "host"))
            return error_set(err, -EINVAL,
                             "roles[%zu].command: is missing, and the job has none either", i);
    if (only_services)
        return error_set(
            err, -EINVAL,
            "roles: all are services, which run as long as others do; one must not be");
    if (!nodes_given)
        spec->nodes = (sum + spec->tasks_per_node - 1) / spec->tasks_per_node;
    if (spec->nodes * spec->tasks_per_node != sum)
        return error_set(err, -EINVAL,
                         "roles: have %u tasks in all, but %u nodes with %u tasks each have %u",
                         sum, spec->nodes, spec->tasks_per_node,
                         spec->nodes * spec->tasks_per_node);
    return 0;
}

static int read_number(const json_t *json, const char *key, unsigned *ret, struct error *err)
{
    int64_t value = json_get_int(json, key, 1);

    if (value < 1 || value > WORKLOAD_TASKS_MAX)
        return error_set(err, -EINVAL, "%s: is %" PRId64 "; it must be 1 to %d", key, value,
                         WORKLOAD_TASKS_MAX);
    *ret = (unsigned) value;
    return 0;
}

int read_tasks(struct workload_spec *spec, const json_t *json, struct error *err)
{
    spec->mpi = json_get_bool(json, "mpi", false);
    int r = read_number(json, "nodes", &spec->nodes, err);
    if (r >= 0)
        r = read_number(json, "tasks_per_node", &spec->tasks_per_node, err);
    if (r >= 0)
        r = read_roles(spec, json, err);
    if (r >= 0)
        r = check_roles(spec, json_object_get(json, "nodes") != NULL, err);
    if (r < 0)
        return r;
    if ((uint64_t) spec->nodes * spec->tasks_per_node > WORKLOAD_TASKS_MAX)
        return error_set(err, -EINVAL, "nodes: %u with %u tasks each are more than %d tasks",
                         spec->nodes, spec->tasks_per_node, WORKLOAD_TASKS_MAX);
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------------- */

void put_tasks(json_t *json, const struct workload_spec *spec)
{
    json_t *roles = json_array();

    if (spec->nodes > 1)
        json_put_int(json, "nodes", spec->nodes);
    if (spec->tasks_per_node > 1)
        json_put_int(json, "tasks_per_node", spec->tasks_per_node);
    if (spec->mpi)
        json_put(json, "mpi", json_true());
    for (size_t i = 0; i < spec->n_roles; i++) {
        const struct role_spec *role = &spec->roles[i];
        json_t *item = json_object();
        json_put_str(item, "name", role->name);
        json_put_int(item, "count", role->count);
        if (role->command)
            json_put(item, "command", texts_to_json(role->command));
        json_put(item, "service", json_boolean(role->service));
        (void) json_array_append_new(roles, item);
    }
    if (spec->n_roles)
        json_put(json, "roles", json_incref(roles));
    json_decref(roles);
}

void free_tasks(struct workload_spec *spec)
{
    for (size_t i = 0; i < spec->n_roles; i++) {
        free(spec->roles[i].name);
        texts_free(spec->roles[i].command);
    }
    free(spec->roles);
}
