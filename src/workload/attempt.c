/* attempt.c - allocations and attempts, and their JSON forms */
#include "workload/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>

void allocation_free(struct allocation *a)
{
    if (!a)
        return;
    free(a->node);
    free(a->parts);
    texts_free(a->gpus);
    texts_free(a->devices);
    texts_free(a->nics);
    free(a);
}

struct allocation *allocation_copy(const struct allocation *a)
{
    struct allocation *copy = xnew(struct allocation);

    *copy = *a;
    copy->node = xstrdup(a->node);
    copy->parts = a->n_parts ? xmemdup(a->parts, a->n_parts * sizeof *a->parts) : NULL;
    copy->gpus = texts_copy(a->gpus);
    copy->devices = texts_copy(a->devices);
    copy->nics = texts_copy(a->nics);
    return copy;
}

int64_t allocation_gpu_milli(const struct allocation *a)
{
    int64_t n = 0;

    while (a->gpus && a->gpus[n])
        n++;
    return a->gpu_milli ? n * a->gpu_milli : n * 1000;
}

json_t *texts_to_json(char *const *list)
{
    json_t *array = json_array();

    for (; *list; list++)
        (void) json_array_append_new(array, json_string(*list));
    return array;
}

static json_t *parts_to_json(const struct allocation *a)
{
    json_t *array = json_array();

    for (size_t i = 0; i < a->n_parts; i++) {
        json_t *json = json_object();
        json_put_int(json, "numa", a->parts[i].numa);
        json_put_int(json, "memory", a->parts[i].memory_bytes);
        huge_pages_put(json, &a->parts[i].huge_pages);
        (void) json_array_append_new(array, json);
    }
    return array;
}

static int read_numa_part(const json_t *json, struct numa_part *ret, struct error *err)
{
    int64_t numa = json_get_int(json, "numa", -1);

    if (numa < 0 || numa >= CPU_SET_MAX)
        return error_set(err, -EINVAL, "numa: must be 0 to %d", CPU_SET_MAX - 1);
    ret->numa = (unsigned) numa;
    int r = read_bytes(json, "memory", &ret->memory_bytes, err);
    return r < 0 ? r : huge_pages_read(json, &ret->huge_pages, err);
}

static int read_numa_parts(const json_t *json, struct allocation *a, struct error *err)
{
    const json_t *array = json_object_get(json, "numas");
    size_t i;
    json_t *item;

    if (json_array_size(array) == 0)
        return 0;
    if (json_array_size(array) > CPU_SET_MAX)
        return error_set(err, -E2BIG, "numas: more than %d", CPU_SET_MAX);
    a->parts = xnew_n(struct numa_part, json_array_size(array));
    json_array_foreach(array, i, item) {
        int r = read_numa_part(item, &a->parts[a->n_parts++], err);
        if (r < 0)
            return error_context(err, r, "numas[%zu]", i);
    }
    return 0;
}

json_t *allocation_to_json(const struct allocation *a)
{
    json_t *json = json_object();
    _cleanup_free_ char *cpus = cpu_set_format(&a->cpus);
    _cleanup_free_ char *mems = cpu_set_format(&a->mems);

    json_put_str(json, "node", a->node);
    json_put_str(json, "cpus", cpus);
    json_put_str(json, "mems", mems);
    json_put_int(json, "memory", a->memory_bytes);
    json_put_int(json, "disk", a->disk_bytes);
    if (a->parts)
        json_put(json, "numas", parts_to_json(a));
    if (a->gpus)
        json_put(json, "gpus", texts_to_json(a->gpus));
    if (a->devices)
        json_put(json, "devices", texts_to_json(a->devices));
    if (a->gpu_milli)
        json_put_int(json, "gpu_milli", a->gpu_milli);
    if (a->nics)
        json_put(json, "nics", texts_to_json(a->nics));
    if (a->in_partition)
        json_put_int(json, "partition", a->partition);
    if (a->splits_islands)
        json_put(json, "splits_islands", json_true());
    json_put(json, "shared", json_boolean(a->shared));
    return json;
}

static int read_set(const json_t *json, const char *key, struct cpu_set *ret, struct error *err)
{
    const char *text = json_get_str(json, key, "");

    if (cpu_set_parse(text, ret) < 0)
        return error_set(err, -EINVAL, "%s: '%s' is not a list such as 0-3,8", key, text);
    return 0;
}

int texts_read(const json_t *json, const char *key, char ***ret, struct error *err)
{
    const json_t *list = json_object_get(json, key);
    size_t n = json_array_size(list);

    if (n == 0)
        return 0;
    *ret = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            return error_set(err, -EINVAL, "%s[%zu]: must be text", key, i);
        (*ret)[i] = xstrdup(text);
    }
    return 0;
}

static int read_part(const json_t *json, struct allocation *a, struct error *err)
{
    int64_t milli = json_get_int(json, "gpu_milli", 0);

    if (milli < 0 || milli > 999)
        return error_set(err, -EINVAL, "gpu_milli: is %" PRId64 "; it must be 1 to 999", milli);
    a->gpu_milli = (unsigned) milli;
    return 0;
}

int allocation_from_json(const json_t *json, struct allocation **ret, struct error *err)
{
    _cleanup_(allocation_freep) struct allocation *a = xnew(struct allocation);

    a->node = xstrdup(json_get_str(json, "node", NULL));
    if (!a->node)
        return error_set(err, -EINVAL, "node: is missing");
    a->shared = json_get_bool(json, "shared", false);
    a->splits_islands = json_get_bool(json, "splits_islands", false);
    a->in_partition = json_is_integer(json_object_get(json, "partition"));
    a->partition = (unsigned) json_get_int(json, "partition", 0);

    int r = read_set(json, "cpus", &a->cpus, err);
    if (r >= 0)
        r = read_set(json, "mems", &a->mems, err);
    if (r >= 0)
        r = read_bytes(json, "memory", &a->memory_bytes, err);
    if (r >= 0)
        r = read_bytes(json, "disk", &a->disk_bytes, err);
    if (r >= 0)
        r = read_numa_parts(json, a, err);
    if (r >= 0)
        r = texts_read(json, "gpus", &a->gpus, err);
    if (r >= 0)
        r = texts_read(json, "devices", &a->devices, err);
    if (r >= 0)
        r = texts_read(json, "nics", &a->nics, err);
    if (r >= 0)
        r = read_part(json, a, err);
    if (r < 0)
        return r;

    *ret = take_ptr(a);
    return 0;
}

void attempt_free(struct attempt *attempt)
{
    if (!attempt)
        return;
    allocation_free(attempt->allocation);
    free(attempt->reason);
    json_decref(attempt->record);
    json_decref(attempt->evidence);
    json_decref(attempt->artifacts);
    json_decref(attempt->usage);
    attempt_tasks_free(attempt->tasks, attempt->n_tasks);
    free(attempt);
}

static void put_tree(json_t *json, const char *key, json_t *tree)
{
    if (tree)
        json_put(json, key, json_incref(tree));
}

json_t *attempt_to_json(const struct attempt *attempt)
{
    json_t *json = json_object();

    json_put_id(json, "id", &attempt->id);
    json_put_id(json, "job", &attempt->workload);
    json_put_int(json, "number", attempt->number);
    json_put_int(json, "epoch", attempt->epoch);
    json_put_str(json, "state", workload_state_name(attempt->state));
    json_put_time(json, "created", attempt->created_us);
    json_put_time(json, "started", attempt->started_us);
    json_put_time(json, "ended", attempt->ended_us);
    if (attempt->cause != END_NONE)
        json_put_str(json, "cause", end_cause_name(attempt->cause));
    if (attempt->exit_code >= 0)
        json_put_int(json, "exit_code", attempt->exit_code);
    json_put_str(json, "reason", attempt->reason);
    if (attempt->allocation)
        json_put(json, "allocation", allocation_to_json(attempt->allocation));
    put_tree(json, "record", attempt->record);
    put_tree(json, "evidence", attempt->evidence);
    put_tree(json, "artifacts", attempt->artifacts);
    put_tree(json, "usage", attempt->usage);
    if (!attempt->n_tasks)
        return json;
    json_put(json, "tasks", attempt_tasks_to_json(attempt));
    if (attempt->failed_rank >= 0)
        json_put_int(json, "failed_rank", attempt->failed_rank);
    return json;
}

/* An object that is kept: copied, so that no tree has two owners on two threads. */
static json_t *copy_tree(const json_t *json, const char *key)
{
    json_t *tree = json_object_get(json, key);

    return json_is_object(tree) ? json_deep_copy(tree) : NULL;
}

static int read_identity(struct attempt *attempt, const json_t *json, struct error *err)
{
    int64_t number = json_get_int(json, "number", 0), epoch = json_get_int(json, "epoch", 0);

    int r = read_id(json, "id", &attempt->id, err);
    if (r >= 0)
        r = read_id(json, "job", &attempt->workload, err);
    if (r < 0)
        return r;
    if (number < 1 || number > INT32_MAX || epoch < 1 || epoch > INT32_MAX)
        return error_set(err, -EINVAL, "number, epoch: must be positive");

    attempt->number = (unsigned) number;
    attempt->epoch = (unsigned) epoch;
    attempt->state = workload_state_parse(json_get_str(json, "state", NULL));
    if (attempt->state == WORKLOAD_STATE_INVALID)
        return error_set(err, -EINVAL, "state: is no state");
    attempt->cause = end_cause_parse(json_get_str(json, "cause", "none"));
    if (attempt->cause == END_CAUSE_INVALID)
        return error_set(err, -EINVAL, "cause: is no cause");
    return 0;
}

int attempt_from_json(const json_t *json, struct attempt **ret, struct error *err)
{
    _cleanup_(attempt_freep) struct attempt *attempt = xnew(struct attempt);
    const json_t *allocation = json_object_get(json, "allocation");

    int r = read_identity(attempt, json, err);
    if (r >= 0)
        r = read_time(json, "created", &attempt->created_us, err);
    if (r >= 0)
        r = read_time(json, "started", &attempt->started_us, err);
    if (r >= 0)
        r = read_time(json, "ended", &attempt->ended_us, err);
    if (r >= 0 && allocation)
        r = allocation_from_json(allocation, &attempt->allocation, err);
    if (r >= 0)
        r = attempt_tasks_read(json, attempt, err);
    if (r < 0)
        return error_context(err, r, "attempt");

    attempt->exit_code = (int) json_get_int(json, "exit_code", -1);
    attempt->reason = xstrdup(json_get_str(json, "reason", NULL));
    attempt->record = copy_tree(json, "record");
    attempt->evidence = copy_tree(json, "evidence");
    attempt->artifacts = copy_tree(json, "artifacts");
    attempt->usage = copy_tree(json, "usage");
    *ret = take_ptr(attempt);
    return 0;
}
