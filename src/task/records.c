/* records.c - `started`, exit.json and log.idx */
#include "task/task.h"

#include "base/alloc.h"
#include "base/time.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static int64_t get_time(const json_t *json, const char *key)
{
    const char *text = json_get_str(json, key, NULL);
    int64_t us = 0;

    return text && time_parse(text, &us) >= 0 ? us : 0;
}

static json_t *copy_object(const json_t *json, const char *key)
{
    json_t *tree = json_object_get(json, key);

    return json_is_object(tree) ? json_deep_copy(tree) : NULL;
}

static void put_tree(json_t *json, const char *key, json_t *tree)
{
    if (tree)
        json_put(json, key, json_incref(tree));
}

/* The first format has none before it. */
enum { FORMAT_OLDEST = TASK_FORMAT_VERSION > 1 ? TASK_FORMAT_VERSION - 1 : 1 };

int task_version_check(int64_t version, struct error *err)
{
    if (version > TASK_FORMAT_VERSION)
        return error_set(
            err, -EPROTONOSUPPORT,
            "is of format %lld, newer than this Berth knows (%d): use the newer version",
            (long long) version, TASK_FORMAT_VERSION);
    if (version < FORMAT_OLDEST)
        return error_set(
            err, -EPROTONOSUPPORT,
            "is of format %lld, older than this Berth reads (from %d): use the version "
            "between them first",
            (long long) version, FORMAT_OLDEST);
    return 0;
}

static int read_head(const json_t *json, unsigned *ret_epoch, struct error *err)
{
    int64_t epoch = json_get_int(json, "epoch", 0);

    int r = task_version_check(json_get_int(json, "version", 0), err);
    if (r < 0)
        return r;
    if (epoch < 1 || epoch > UINT32_MAX)
        return error_set(err, -EINVAL, "epoch: must be positive");
    *ret_epoch = (unsigned) epoch;
    return 0;
}

json_t *task_started_to_json(const struct task_started *started)
{
    json_t *json = json_object();

    json_put_int(json, "version", TASK_FORMAT_VERSION);
    json_put_int(json, "epoch", started->epoch);
    json_put_time(json, "started", started->started_us);
    json_put_str(json, "boot_id", started->boot_id);
    put_tree(json, "evidence", started->evidence);
    return json;
}

int task_started_from_json(const json_t *json, struct task_started **ret, struct error *err)
{
    _cleanup_(task_started_freep) struct task_started *started = xnew(struct task_started);

    int r = read_head(json, &started->epoch, err);
    if (r < 0)
        return error_context(err, r, "started");
    started->started_us = get_time(json, "started");
    started->boot_id = xstrdup(json_get_str(json, "boot_id", NULL));
    started->evidence = copy_object(json, "evidence");
    *ret = take_ptr(started);
    return 0;
}

void task_started_free(struct task_started *started)
{
    if (!started)
        return;
    free(started->boot_id);
    json_decref(started->evidence);
    free(started);
}

json_t *task_exit_to_json(const struct task_exit *ex)
{
    json_t *json = json_object();

    json_put_int(json, "version", TASK_FORMAT_VERSION);
    json_put_int(json, "epoch", ex->epoch);
    json_put_str(json, "cause", end_cause_name(ex->cause));
    if (ex->exit_code >= 0)
        json_put_int(json, "exit_code", ex->exit_code);
    json_put_str(json, "reason", ex->reason);
    json_put_str(json, "hint", ex->hint);
    json_put_time(json, "started", ex->started_us);
    json_put_time(json, "ended", ex->ended_us);
    put_tree(json, "artifacts", ex->artifacts);
    put_tree(json, "storage", ex->storage);
    put_tree(json, "usage", ex->usage);
    return json;
}

int task_exit_from_json(const json_t *json, struct task_exit **ret, struct error *err)
{
    _cleanup_(task_exit_freep) struct task_exit *ex = xnew(struct task_exit);

    int r = read_head(json, &ex->epoch, err);
    if (r < 0)
        return error_context(err, r, "exit");
    ex->cause = end_cause_parse(json_get_str(json, "cause", ""));
    if (ex->cause == END_CAUSE_INVALID)
        return error_set(err, -EINVAL, "exit: cause: is no cause");
    int64_t code = json_get_int(json, "exit_code", -1);
    if (code < -1 || code > 255)
        return error_set(err, -EINVAL, "exit: exit_code: must be from 0 to 255");
    ex->exit_code = (int) code;
    ex->reason = xstrdup(json_get_str(json, "reason", NULL));
    ex->hint = xstrdup(json_get_str(json, "hint", NULL));
    ex->started_us = get_time(json, "started");
    ex->ended_us = get_time(json, "ended");
    ex->artifacts = copy_object(json, "artifacts");
    ex->storage = copy_object(json, "storage");
    ex->usage = copy_object(json, "usage");
    *ret = take_ptr(ex);
    return 0;
}

void task_exit_free(struct task_exit *ex)
{
    if (!ex)
        return;
    free(ex->reason);
    free(ex->hint);
    json_decref(ex->artifacts);
    json_decref(ex->storage);
    json_decref(ex->usage);
    free(ex);
}

void log_record_encode(const struct log_record *record, uint8_t ret[static 32])
{
    struct log_record little = {
        .offset = htole64(record->offset),
        .line = htole64(record->line),
        .time_us = (int64_t) htole64((uint64_t) record->time_us),
        .stream = record->stream,
        .flags = record->flags,
    };

    memcpy(ret, &little, sizeof little);
}

void log_record_decode(const uint8_t bytes[static 32], struct log_record *ret)
{
    struct log_record little;

    memcpy(&little, bytes, sizeof little);
    *ret = (struct log_record){
        .offset = le64toh(little.offset),
        .line = le64toh(little.line),
        .time_us = (int64_t) le64toh((uint64_t) little.time_us),
        .stream = little.stream,
        .flags = little.flags,
    };
}
