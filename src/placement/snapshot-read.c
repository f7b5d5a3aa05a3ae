/* snapshot-read.c - a snapshot from JSON that anybody may have written */
#include "placement/share.h"
#include "placement/snapshot-form.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <inttypes.h>

enum { TEXT_MAX = 1000, PRIORITY_MAX = 1000 };
#define BYTES_MAX (INT64_C(1) << 60)

int snapshot_read_int(const json_t *json, const char *key, int64_t min, int64_t max, int64_t *ret,
                      struct error *err)
{
    const json_t *field = json_object_get(json, key);
    int64_t value = field ? json_integer_value(field) : min > 0 ? min : 0;

    if (field && !json_is_integer(field))
        return error_set(err, -EINVAL, "%s: must be a whole number", key);
    if (value < min || value > max)
        return error_set(err, -EINVAL, "%s: is %" PRId64 "; it must be %" PRId64 " to %" PRId64,
                         key, value, min, max);
    *ret = value;
    return 0;
}

int snapshot_read_us(const json_t *json, const char *key, int64_t max_us, int64_t *ret,
                     struct error *err)
{
    return snapshot_read_int(json, key, 0, max_us, ret, err);
}

static int read_us(const json_t *json, const char *key, int64_t *ret, struct error *err)
{
    return snapshot_read_us(json, key, SNAPSHOT_TIME_MAX_US, ret, err);
}

int snapshot_read_id(const json_t *json, const char *key, bool needed, struct id *ret,
                     struct error *err)
{
    const char *text = json_get_str(json, key, NULL);

    if (!text && !needed)
        return 0;
    if (!text || id_parse(text, ret) < 0)
        return error_set(err, -EINVAL, "%s: '%.60s' is not a UUID", key, text ? text : "");
    return 0;
}

int snapshot_read_text(const json_t *json, const char *key, char **ret, struct error *err)
{
    const char *text = json_get_str(json, key, NULL);

    if (text && strlen(text) > TEXT_MAX)
        return error_set(err, -EINVAL, "%s: is longer than %d bytes", key, TEXT_MAX);
    *ret = xstrdup(text);
    return 0;
}

int snapshot_options_from_json(const json_t *json, struct schedule_options *ret,
                               const struct score **ret_score, struct error *err)
{
    int64_t depth = 0;
    const char *policy = json_get_str(json, "policy", ""), *score = json_get_str(json, "score", "");

    ret->policy = policy_find(policy);
    *ret_score = score_find(score);
    if (!ret->policy)
        return error_set(err, -EINVAL, "policy: there is no policy '%.60s'", policy);
    if (!*ret_score)
        return error_set(err, -EINVAL, "score: there is no score '%.60s'", score);
    int r = read_us(json, "guaranteed_us", &ret->guaranteed_us, err);
    if (r >= 0)
        r = read_us(json, "restart_us", &ret->restart_us, err);
    if (r >= 0)
        r = read_us(json, "patience_us", &ret->patience_us, err);
    if (r >= 0)
        r = read_us(json, "notice_us", &ret->notice_us, err);
    if (r >= 0)
        r = read_us(json, "half_life_us", &ret->half_life_us, err);
    if (r >= 0)
        r = read_us(json, "backoff_us", &ret->backoff_us, err);
    if (r >= 0)
        r = snapshot_read_int(json, "depth", 0, SNAPSHOT_JOBS_MAX, &depth, err);
    ret->depth = (unsigned) depth;
    return r;
}

/* ---- machines --------------------------------------------------------------------------------------- */

static int read_others(struct node *node, const json_t *json, struct error *err)
{
    int64_t cores = 0, gpus = 0;

    int r = snapshot_read_int(json, "others_cores", 0, CPU_SET_MAX, &cores, err);
    if (r >= 0)
        r = snapshot_read_int(json, "others_gpus", 0, CPU_SET_MAX, &gpus, err);
    if (r >= 0)
        r = snapshot_read_int(json, "others_memory", 0, BYTES_MAX, &node->others_memory_bytes, err);
    node->others_cores = (unsigned) cores;
    node->others_gpus = (unsigned) gpus;
    return r;
}

int snapshot_node_from_json(const json_t *json, struct snapshot_node *ret, struct error *err)
{
    const json_t *body = json_object_get(json, "node"), *tags = json_object_get(json, "tags");
    int64_t skipped = 0;

    *ret = (struct snapshot_node){ 0 };
    int r = node_from_json(body, &ret->node, err);
    if (r < 0)
        return error_context(err, r, "node");
    if (tags && !json_is_object(tags))
        return error_set(err, -EINVAL, "tags: must be an object of texts");
    ret->node->tags = tags ? json_deep_copy(tags) : NULL;
    r = snapshot_read_text(body, "fault", &ret->node->fault, err);
    if (r >= 0)
        r = read_others(ret->node, body, err);
    if (r >= 0)
        r = snapshot_read_int(json, "skipped", 0, SNAPSHOT_NODES_MAX, &skipped, err);
    ret->skipped = (unsigned) skipped;
    return r < 0 ? r
                 : snapshot_read_int(json, "disk_used", 0, BYTES_MAX, &ret->disk_used_bytes, err);
}

/* Until all are read S has the sum. */
static int count_skipped(struct snapshot *s, unsigned skipped, struct error *err)
{
    s->skipped += skipped;
    if (s->skipped > SNAPSHOT_NODES_MAX)
        return error_set(err, -E2BIG, "skipped: more than %d places are of no machine",
                         SNAPSHOT_NODES_MAX);
    return 0;
}

static int read_node(struct snapshot *s, const json_t *json, struct map *names, struct error *err)
{
    struct snapshot_node one;
    int r = snapshot_node_from_json(json, &one, err);

    if (!one.node)
        return r;
    vec_push(&s->nodes, one);
    if (r >= 0 && map_set_str(names, one.node->name, one.node))
        r = error_set(err, -EINVAL, "node: there are two machines %s", one.node->name);
    return r < 0 ? r : count_skipped(s, one.skipped, err);
}

/* ---- jobs ------------------------------------------------------------------------------------------- */

static int read_allocations(struct snapshot_job *job, const json_t *json, struct error *err)
{
    const json_t *list = json_object_get(json, "allocations");
    size_t n = json_array_size(list), tasks = workload_spec_n_tasks(job->spec);

    if (n != (job->started_us || job->claim ? tasks : 0))
        return error_set(
            err, -EINVAL,
            "allocations: has %zu; it must be one of each task of a job that runs: %zu", n,
            job->started_us || job->claim ? tasks : 0);
    for (size_t i = 0; i < n; i++) {
        struct allocation *allocation;
        int r = allocation_from_json(json_array_get(list, i), &allocation, err);
        if (r < 0)
            return error_context(err, r, "allocations[%zu]", i);
        vec_push(&job->allocations, allocation);
    }
    return 0;
}

/* Who is to begin later came then, for the queue. */
static int read_times(struct snapshot_job *job, const json_t *json, int64_t now_us,
                      struct error *err)
{
    int r = read_us(json, "eligible_us", &job->eligible_us, err);
    int64_t since_max_us = job->eligible_us > now_us ? job->eligible_us : now_us;
    if (r >= 0)
        r = snapshot_read_int(json, "since_us", 0, since_max_us, &job->since_us, err);
    if (r >= 0)
        r = read_us(json, "ran_us", &job->ran_us, err);
    if (r >= 0)
        r = snapshot_read_int(json, "waits_since_us", 0, now_us, &job->waits_since_us, err);
    return r < 0 ? r : snapshot_read_int(json, "started_us", 0, now_us, &job->started_us, err);
}

/* Is it on its way in or out? */
static int read_stage(struct snapshot_job *job, const json_t *json, int64_t now_us,
                      struct error *err)
{
    int64_t claim = 0;

    job->leaves = json_get_bool(json, "leaves", false);
    int r = snapshot_read_int(json, "claim", 0, SNAPSHOT_JOBS_MAX, &claim, err);
    if (r >= 0)
        r = snapshot_read_int(json, "claimed_us", claim ? 1 : 0, now_us, &job->claimed_us, err);
    job->claim = (unsigned) claim;
    if (r >= 0 && job->leaves && !job->started_us)
        r = error_set(err, -EINVAL, "leaves: who waits leaves nothing: started_us is missing");
    if (r >= 0 && job->claim && job->started_us)
        r = error_set(err, -EINVAL, "claim: who runs claims nothing: it has started_us");
    return r;
}

static int read_counts(struct snapshot_job *job, const json_t *json, struct error *err)
{
    int64_t returns = 0, stopped = 0;

    int r = snapshot_read_int(json, "returns", 0, INT32_MAX, &returns, err);
    if (r >= 0)
        r = snapshot_read_int(json, "stopped", 0, INT32_MAX, &stopped, err);
    job->returns = (unsigned) returns;
    job->stopped = (unsigned) stopped;
    return r;
}

static int read_asks(struct snapshot_job *job, const json_t *json, struct error *err)
{
    const json_t *asks = json_object_get(json, "asks");

    if (!json_is_object(asks))
        return error_set(err, -EINVAL, "asks: is missing");
    int r = workload_wishes_from_json(asks, &job->spec, err);
    return r < 0 ? error_context(err, r, "asks") : 0;
}

int snapshot_job_from_json(const json_t *json, int64_t now_us, struct snapshot_job *ret,
                           struct error *err)
{
    int64_t priority = 0;

    *ret = (struct snapshot_job){ 0 };
    int r = snapshot_read_id(json, "id", true, &ret->id, err);
    if (r >= 0)
        r = snapshot_read_id(json, "org", false, &ret->org, err);
    if (r >= 0)
        r = snapshot_read_id(json, "project", false, &ret->project, err);
    if (r >= 0)
        r = snapshot_read_id(json, "user", false, &ret->user, err);
    if (r >= 0)
        r = snapshot_read_int(json, "priority", -PRIORITY_MAX, PRIORITY_MAX, &priority, err);
    if (r >= 0)
        r = read_times(ret, json, now_us, err);
    if (r >= 0)
        r = read_stage(ret, json, now_us, err);
    if (r >= 0)
        r = read_counts(ret, json, err);
    if (r >= 0)
        r = snapshot_read_text(json, "name", &ret->name, err);
    if (r >= 0)
        r = snapshot_read_text(json, "held", &ret->held, err);
    if (r >= 0)
        r = read_asks(ret, json, err);
    ret->priority = (int) priority;
    return r < 0 ? r : read_allocations(ret, json, err);
}

static int read_job(struct snapshot *s, const json_t *json, struct map *ids, struct error *err)
{
    struct snapshot_job job;
    int r = snapshot_job_from_json(json, s->now_us, &job, err);

    vec_push(&s->jobs, job);
    if (r >= 0 && map_set(ids, &job.id, sizeof job.id, s))
        r = error_set(err, -EINVAL, "id: is another job's, too");
    return r;
}

/* ---- all -------------------------------------------------------------------------------------------- */

typedef int (*read_item_f)(struct snapshot *s, const json_t *json, struct map *seen,
                           struct error *err);

static int read_weight(struct snapshot *s, const json_t *json, struct map *seen, struct error *err)
{
    struct snapshot_weight one;
    int r = snapshot_weight_from_json(json, s->now_us, &one, err);

    (void) seen;
    if (r >= 0)
        vec_push(&s->weights, one);
    return r;
}

static int read_project(struct snapshot *s, const json_t *json, struct map *seen, struct error *err)
{
    struct snapshot_project one;
    int r = snapshot_project_from_json(json, &one, err);

    vec_push(&s->projects, one);
    if (r >= 0 && map_set(seen, &one.id, sizeof one.id, s))
        r = error_set(err, -EINVAL, "id: is another project's, too");
    return r;
}

static int read_promise(struct snapshot *s, const json_t *json, struct map *seen, struct error *err)
{
    struct snapshot_promise one;
    int r = snapshot_promise_from_json(json, &one, err);

    vec_push(&s->promises, one);
    if (r >= 0 && map_set(seen, &one.job, sizeof one.job, s))
        r = error_set(err, -EINVAL, "job: is promised two times");
    return r;
}

static int read_list(struct snapshot *s, const json_t *json, const char *key, read_item_f read,
                     struct error *err)
{
    const json_t *list = json_object_get(json, key);
    _cleanup_(map_freep) struct map *seen = map_new();
    size_t max = read == read_node ? SNAPSHOT_NODES_MAX : SNAPSHOT_JOBS_MAX;

    if (!list && read != read_node && read != read_job)
        return 0;
    if (!json_is_array(list))
        return error_set(err, -EINVAL, "%s: must be a list", key);
    if (json_array_size(list) > max)
        return error_set(err, -E2BIG, "%s: has more than %zu items", key, max);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = read(s, json_array_get(list, i), seen, err);
        if (r < 0)
            return error_context(err, r, "%s[%zu]", key, i);
    }
    return 0;
}

static int read_history(struct snapshot *s, const json_t *json, struct error *err)
{
    struct history *history;
    int r = history_from_json(json_object_get(json, "history"), &history, err);

    if (r < 0)
        return error_context(err, r, "history");
    history_free(s->history);
    s->history = history;
    return 0;
}

/* What the first format has not. */
static int read_rest(struct snapshot *s, const json_t *json, struct error *err)
{
    int64_t skipped = 0;

    int r = snapshot_memory_from_json(json_object_get(json, "memory"), &s->memory, err);
    if (r < 0)
        return error_context(err, r, "memory");
    r = snapshot_spots_from_json(json_object_get(json, "spots"), s, err);
    if (r >= 0)
        r = snapshot_read_int(json, "skipped", 0, SNAPSHOT_NODES_MAX, &skipped, err);
    if (r >= 0)
        r = count_skipped(s, (unsigned) skipped, err);
    s->skipped = (unsigned) skipped;
    return r < 0 ? r : snapshot_read_int(json, "passed_us", 0, s->now_us, &s->passed_us, err);
}

int snapshot_from_json(const json_t *json, struct snapshot **ret, struct error *err)
{
    _cleanup_(snapshot_freep) struct snapshot *s = snapshot_new();
    const json_t *options = json_object_get(json, "options");

    int64_t format = json_get_int(json, "format", 0);
    if (format < SNAPSHOT_FORMAT_OLDEST || format > SNAPSHOT_FORMAT)
        return error_set(
            err, -EINVAL,
            "format: is %" PRId64
            "; it must be %d to %d, those of a snapshot (berth scheduler snapshot) that this Berth reads",
            format, SNAPSHOT_FORMAT_OLDEST, SNAPSHOT_FORMAT);
    if (time_parse(json_get_str(json, "time", ""), &s->now_us) < 0)
        return error_set(err, -EINVAL, "time: must be one such as 2026-11-21T12:00:00Z");
    int r = json_is_object(options)
                ? snapshot_options_from_json(options, &s->options, &s->score, err)
                : error_set(err, -EINVAL, "must be an object");
    if (r < 0)
        return error_context(err, r, "options");
    r = read_list(s, json, "nodes", read_node, err);
    if (r >= 0)
        r = read_list(s, json, "jobs", read_job, err);
    if (r >= 0)
        r = read_list(s, json, "weights", read_weight, err);
    if (r >= 0)
        r = read_list(s, json, "projects", read_project, err);
    if (r >= 0)
        r = read_list(s, json, "promises", read_promise, err);
    if (r >= 0)
        r = snapshot_read_bookings(s, json, err);
    if (r >= 0)
        r = read_history(s, json, err);
    if (r >= 0 && format > 1)
        r = read_rest(s, json, err);
    if (r < 0)
        return r;
    *ret = take_ptr(s);
    return 0;
}
