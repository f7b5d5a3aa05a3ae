/* tasks.c - the tasks of an attempt: one, which is the attempt itself, or those of a gang by rank
 *
 * Events carry what is new of some tasks, as objects with their rank and the fields that changed; rows
 * carry all of it in the same form.
 */
#include "workload/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>

size_t attempt_n_tasks(const struct attempt *a) { return a->n_tasks ? a->n_tasks : 1; }

const struct id *attempt_task_id(const struct attempt *a, size_t rank)
{
    return a->n_tasks ? &a->tasks[rank].id : &a->id;
}

const struct allocation *attempt_task_allocation(const struct attempt *a, size_t rank)
{
    return a->n_tasks ? a->tasks[rank].allocation : a->allocation;
}

const char *attempt_task_boot_id(const struct attempt *a, size_t rank)
{
    return a->n_tasks ? a->tasks[rank].boot_id : json_get_str(a->record, "boot_id", NULL);
}

bool attempt_task_failed(const struct attempt_task *task)
{
    return task->cause != END_NONE && (task->cause != END_EXITED || task->exit_code != 0);
}

void attempt_tasks_free(struct attempt_task *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(tasks[i].role);
        allocation_free(tasks[i].allocation);
        free(tasks[i].boot_id);
        free(tasks[i].reason);
        json_decref(tasks[i].evidence);
        json_decref(tasks[i].usage);
    }
    free(tasks);
}

json_t *attempt_task_to_json(const struct attempt_task *task, size_t rank)
{
    json_t *json = json_object();

    json_put_int(json, "rank", (int64_t) rank);
    json_put_id(json, "id", &task->id);
    json_put_int(json, "node_rank", task->node_rank);
    json_put_int(json, "local_rank", task->local_rank);
    if (task->role) {
        json_put_str(json, "role", task->role);
        json_put_int(json, "role_rank", task->role_rank);
    }
    if (task->is_service)
        json_put(json, "service", json_true());
    if (task->allocation)
        json_put(json, "allocation", allocation_to_json(task->allocation));
    json_put_str(json, "boot_id", task->boot_id);
    json_put_time(json, "started", task->started_us);
    if (task->evidence)
        json_put(json, "evidence", json_incref(task->evidence));
    if (task->cause == END_NONE)
        return json;
    json_put_time(json, "ended", task->ended_us);
    json_put_str(json, "cause", end_cause_name(task->cause));
    if (task->exit_code >= 0)
        json_put_int(json, "exit_code", task->exit_code);
    json_put_str(json, "reason", task->reason);
    if (task->usage)
        json_put(json, "usage", json_incref(task->usage));
    return json;
}

json_t *attempt_tasks_to_json(const struct attempt *a)
{
    json_t *all = json_array();

    for (size_t i = 0; i < a->n_tasks; i++)
        (void) json_array_append_new(all, attempt_task_to_json(&a->tasks[i], i));
    return all;
}

static int read_number(const json_t *json, const char *key, unsigned *ret, struct error *err)
{
    int64_t value = json_get_int(json, key, 0);

    if (value < 0 || value >= WORKLOAD_TASKS_MAX)
        return error_set(err, -EINVAL, "%s: is %" PRId64 "; it must be 0 to %d", key, value,
                         WORKLOAD_TASKS_MAX - 1);
    *ret = (unsigned) value;
    return 0;
}

static int read_one(const json_t *json, struct attempt_task *task, struct error *err)
{
    int r = read_id(json, "id", &task->id, err);
    if (r >= 0)
        r = read_number(json, "node_rank", &task->node_rank, err);
    if (r >= 0)
        r = read_number(json, "local_rank", &task->local_rank, err);
    if (r >= 0)
        r = read_number(json, "role_rank", &task->role_rank, err);
    if (r >= 0)
        r = allocation_from_json(json_object_get(json, "allocation"), &task->allocation, err);
    if (r < 0)
        return r;
    task->role = xstrdup(json_get_str(json, "role", NULL));
    task->is_service = json_get_bool(json, "service", false);
    task->boot_id = xstrdup(json_get_str(json, "boot_id", NULL));
    task->exit_code = -1;
    return 0;
}

int attempt_tasks_read(const json_t *json, struct attempt *a, struct error *err)
{
    const json_t *list = json_object_get(json, "tasks");
    size_t n = json_array_size(list);

    if (n > WORKLOAD_TASKS_MAX)
        return error_set(err, -EINVAL, "tasks: are %zu; %d are allowed", n, WORKLOAD_TASKS_MAX);
    a->failed_rank = (int) json_get_int(json, "failed_rank", -1);
    if (a->failed_rank >= (int) n)
        return error_set(err, -EINVAL, "failed_rank: there is no such task");
    if (n == 0)
        return 0;
    a->tasks = xnew_n(struct attempt_task, n);
    a->n_tasks = n;
    for (size_t i = 0; i < n; i++) {
        int r = read_one(json_array_get(list, i), &a->tasks[i], err);
        if (r < 0)
            return error_context(err, r, "tasks[%zu]", i);
    }
    int r = attempt_tasks_check(list, a, err);
    if (r >= 0)
        attempt_tasks_merge(list, a);
    return r;
}

/* ---- what is new of them ------------------------------------------------------------------------- */

int attempt_tasks_check(const json_t *news, const struct attempt *a, struct error *err)
{
    const json_t *item;
    int64_t us;
    size_t i;

    json_array_foreach(news, i, item) {
        int64_t rank = json_get_int(item, "rank", -1);
        enum end_cause cause = end_cause_parse(json_get_str(item, "cause", "none"));
        if (rank < 0 || rank >= (int64_t) a->n_tasks)
            return error_set(err, -EPROTO, "tasks[%zu].rank: there is no such task", i);
        if (cause == END_CAUSE_INVALID)
            return error_set(err, -EPROTO, "tasks[%zu].cause: is no cause of an end", i);
        if (read_time(item, "started", &us, err) < 0 || read_time(item, "ended", &us, err) < 0)
            return error_context(err, -EPROTO, "tasks[%zu]", i);
    }
    return 0;
}

static void replace_tree(json_t **tree, const json_t *json, const char *key)
{
    const json_t *new = json_object_get(json, key);

    if (!json_is_object(new))
        return;
    json_decref(*tree);
    *tree = json_deep_copy(new);
}

static void merge_one(const json_t *news, struct attempt_task *task)
{
    enum end_cause cause = end_cause_parse(json_get_str(news, "cause", "none"));

    if (json_object_get(news, "started"))
        (void) read_time(news, "started", &task->started_us, NULL);
    replace_tree(&task->evidence, news, "evidence");
    if (cause == END_NONE)
        return;
    task->cause = cause;
    task->exit_code = (int) json_get_int(news, "exit_code", -1);
    (void) read_time(news, "ended", &task->ended_us, NULL);
    xstr_set(&task->reason, json_get_str(news, "reason", NULL));
    replace_tree(&task->usage, news, "usage");
}

void attempt_tasks_merge(const json_t *news, struct attempt *a)
{
    const json_t *item;
    size_t i;

    json_array_foreach(news, i, item)
        merge_one(item, &a->tasks[json_get_int(item, "rank", 0)]);
}
