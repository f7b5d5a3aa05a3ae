/* spec.c - spec.json: all that a supervisor needs to know */
#include "task/task.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static void storage_free(struct task_storage *storage)
{
    if (!storage)
        return;
    free(storage->root);
    free(storage->mark);
    free(storage);
}

static json_t *storage_to_json(const struct task_storage *storage)
{
    json_t *json = json_object();

    json_put_str(json, "root", storage->root);
    json_put_str(json, "mark", storage->mark);
    json_put(json, "measure", json_boolean(storage->measure));
    return json;
}

static int storage_from_json(const json_t *json, struct task_storage **ret, struct error *err)
{
    const char *root = json_get_str(json, "root", ""), *mark = json_get_str(json, "mark", "");

    if (root[0] != '/' || !mark[0])
        return error_set(err, -EINVAL, "storage: needs an absolute root and a mark");
    *ret = xnew(struct task_storage);
    **ret = (struct task_storage){ .root = xstrdup(root),
                                   .mark = xstrdup(mark),
                                   .measure = json_get_bool(json, "measure", false) };
    return 0;
}

static json_t *push_to_json(const struct task_push *push)
{
    json_t *json = json_object();

    json_put_str(json, "list", push->list);
    json_put_int(json, "bytes", push->bytes);
    json_put_int(json, "time", push->time_us);
    return json;
}

static int push_from_json(const json_t *json, struct task_push **ret, struct error *err)
{
    const char *list = json_get_str(json, "list", NULL);
    struct sha256 sum;

    if (!json_is_object(json) || (list && sha256_parse(list, &sum) < 0))
        return error_set(err, -EINVAL, "push: must be an object with a digest");
    struct task_push *push = xnew(struct task_push);
    push->list = xstrdup(list);
    push->bytes = json_get_int(json, "bytes", 0);
    push->time_us = json_get_int(json, "time", 0);
    *ret = push;
    return 0;
}

static void push_free(struct task_push *push)
{
    if (!push)
        return;
    free(push->list);
    free(push);
}

json_t *task_spec_to_json(const struct task_spec *spec)
{
    char buf[ID_TEXT_LEN + 1];
    json_t *json = json_object();

    json_put_int(json, "version", TASK_FORMAT_VERSION);
    json_put_str(json, "attempt", id_format(&spec->attempt, buf));
    json_put_str(json, "workload", id_format(&spec->workload, buf));
    json_put_str(json, "project", id_format(&spec->project, buf));
    json_put_str(json, "project_name", spec->project_name);
    json_put_str(json, "workload_name", spec->workload_name);
    json_put_int(json, "number", spec->number);
    json_put_int(json, "epoch", spec->epoch);
    json_put_str(json, "account", spec->account);
    json_put_int(json, "uid_base", spec->uid_base);
    json_put_int(json, "range", spec->range);
    json_put(json, "spec", workload_spec_to_json(spec->workload_spec));
    json_put(json, "allocation", allocation_to_json(spec->allocation));
    json_put_str(json, "network", spec->network);
    json_put_str(json, "publish_address", spec->publish_address);
    json_put_str(json, "workspace_tree", spec->workspace_tree);
    json_put(json, "has_secrets", json_boolean(spec->has_secrets));
    json_put_str(json, "api_socket", spec->api_socket);
    json_put_int(json, "log_limit", spec->log_limit_bytes);
    json_put(json, "resume", json_boolean(spec->resume));
    if (spec->image)
        json_put(json, "image", task_image_to_json(spec->image));
    if (spec->storage)
        json_put(json, "storage", storage_to_json(spec->storage));
    if (spec->is_away)
        json_put(json, "is_away", json_true());
    json_put_str(json, "artifacts", spec->artifacts);
    if (spec->push)
        json_put(json, "push", push_to_json(spec->push));
    if (spec->gang)
        json_put(json, "gang", task_gang_to_json(spec->gang));
    return json;
}

void task_spec_free(struct task_spec *spec)
{
    if (!spec)
        return;
    free(spec->project_name);
    free(spec->workload_name);
    free(spec->account);
    workload_spec_free(spec->workload_spec);
    allocation_free(spec->allocation);
    free(spec->network);
    free(spec->publish_address);
    free(spec->workspace_tree);
    free(spec->api_socket);
    task_image_free(spec->image);
    task_gang_free(spec->gang);
    storage_free(spec->storage);
    push_free(spec->push);
    free(spec->artifacts);
    free(spec);
}

static unsigned count(char *const *list)
{
    unsigned n = 0;

    while (list && list[n])
        n++;
    return n;
}

int task_spec_take_gpus(struct task_spec *spec, const char *indices, struct error *err)
{
    struct allocation *a = spec->allocation;
    _cleanup_free_ char *copy = xstrdup(indices ? indices : "");
    unsigned wanted = count(a->gpus), n = 0;
    char *save = NULL;

    if (!wanted)
        return 0;
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save), n++) {
        long long index = 0;
        if (n == wanted || str_to_i64(word, 0, 1023, &index) < 0)
            return error_set(err, -ENODEV, "the step has GPUs '%.60s', but %u were placed", indices,
                             wanted);
        xstr_set(&a->gpus[n], word);
        if (n >= count(a->devices))
            continue;
        _cleanup_free_ char *device =
            xasprintf("%.*s=%lld", (int) strcspn(a->devices[n], "="), a->devices[n], index);
        xstr_set(&a->devices[n], device);
    }
    return n == wanted ? 0
                       : error_set(err, -ENODEV, "the step has %u of the %u GPUs that were placed",
                                   n, wanted);
}

static int read_id(const json_t *json, const char *key, struct id *ret, struct error *err)
{
    const char *text = json_get_str(json, key, "");

    if (id_parse(text, ret) < 0)
        return error_set(err, -EINVAL, "%s: '%s' is no id", key, text);
    return 0;
}

static int read_u32(const json_t *json, const char *key, uint32_t *ret, struct error *err)
{
    int64_t value = json_get_int(json, key, -1);

    if (value < 0 || value > UINT32_MAX)
        return error_set(err, -EINVAL, "%s: must be a number from 0 to 4294967295", key);
    *ret = (uint32_t) value;
    return 0;
}

static int read_identity(const json_t *json, struct task_spec *spec, struct error *err)
{
    int r = task_version_check(json_get_int(json, "version", 0), err);

    if (r >= 0)
        r = read_id(json, "attempt", &spec->attempt, err);
    if (r >= 0)
        r = read_id(json, "workload", &spec->workload, err);
    if (r >= 0)
        r = read_id(json, "project", &spec->project, err);
    if (r >= 0)
        r = read_u32(json, "number", &spec->number, err);
    if (r >= 0)
        r = read_u32(json, "epoch", &spec->epoch, err);
    if (r >= 0)
        r = read_u32(json, "uid_base", &spec->uid_base, err);
    if (r >= 0)
        r = read_u32(json, "range", &spec->range, err);
    return r;
}

int task_spec_from_json(const json_t *json, struct task_spec **ret, struct error *err)
{
    _cleanup_(task_spec_freep) struct task_spec *spec = xnew(struct task_spec);

    int r = read_identity(json, spec, err);
    if (r >= 0)
        r = workload_spec_from_json(json_object_get(json, "spec"), &spec->workload_spec, err);
    if (r >= 0)
        r = allocation_from_json(json_object_get(json, "allocation"), &spec->allocation, err);
    if (r >= 0 && json_object_get(json, "image"))
        r = task_image_from_json(json_object_get(json, "image"), &spec->image, err);
    if (r >= 0 && json_object_get(json, "gang"))
        r = task_gang_from_json(json_object_get(json, "gang"), &spec->gang, err);
    if (r >= 0 && json_object_get(json, "storage"))
        r = storage_from_json(json_object_get(json, "storage"), &spec->storage, err);
    if (r >= 0 && json_object_get(json, "push"))
        r = push_from_json(json_object_get(json, "push"), &spec->push, err);
    if (r < 0)
        return error_context(err, r, "task");

    spec->project_name = xstrdup(json_get_str(json, "project_name", NULL));
    spec->workload_name = xstrdup(json_get_str(json, "workload_name", NULL));
    spec->account = xstrdup(json_get_str(json, "account", NULL));
    spec->network = xstrdup(json_get_str(json, "network", "none"));
    spec->publish_address = xstrdup(json_get_str(json, "publish_address", NULL));
    spec->workspace_tree = xstrdup(json_get_str(json, "workspace_tree", NULL));
    spec->has_secrets = json_get_bool(json, "has_secrets", false);
    spec->api_socket = xstrdup(json_get_str(json, "api_socket", NULL));
    spec->log_limit_bytes = json_get_int(json, "log_limit", 0);
    spec->resume = json_get_bool(json, "resume", false);
    spec->is_away = json_get_bool(json, "is_away", false);
    spec->artifacts = xstrdup(json_get_str(json, "artifacts", NULL));
    *ret = take_ptr(spec);
    return 0;
}
