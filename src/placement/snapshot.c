/* snapshot.c - a snapshot, and its JSON form */
#include "placement/snapshot-form.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"

#include <stdlib.h>

struct snapshot *snapshot_new(void)
{
    struct snapshot *s = xnew(struct snapshot);

    s->options.policy = &policy_las;
    s->score = &score_best_fit;
    s->history = history_new();
    return s;
}

void snapshot_job_done(struct snapshot_job *job)
{
    free(job->name);
    free(job->held);
    workload_spec_free(job->spec);
    vec_foreach(&job->allocations, allocation)
        allocation_free(*allocation);
    vec_done(&job->allocations);
}

void snapshot_free(struct snapshot *s)
{
    if (!s)
        return;
    vec_foreach(&s->nodes, node)
        node_free(node->node);
    vec_done(&s->nodes);
    vec_foreach(&s->jobs, job)
        snapshot_job_done(job);
    vec_done(&s->jobs);
    vec_done(&s->weights);
    vec_foreach(&s->projects, project)
        free(project->name);
    vec_done(&s->projects);
    vec_foreach(&s->bookings, booking)
        snapshot_booking_done(booking);
    vec_done(&s->bookings);
    vec_foreach(&s->spots, name)
        free(*name);
    vec_done(&s->spots);
    vec_foreach(&s->promises, promise)
        free(promise->places);
    vec_done(&s->promises);
    capacity_memory_done(&s->memory);
    history_free(s->history);
    free(s);
}

void snapshot_add_node(struct snapshot *s, const struct node *node, int64_t disk_used_bytes)
{
    const struct snapshot_node one = { .node = node_copy(node),
                                       .disk_used_bytes = disk_used_bytes };

    vec_push(&s->nodes, one);
}

const struct node *snapshot_node(const struct snapshot *s, const char *name)
{
    vec_foreach(&s->nodes, node)
        if (str_equal(node->node->name, name))
            return node->node;
    return NULL;
}

static struct snapshot_job copy_job(const struct snapshot_job *job)
{
    struct snapshot_job one = *job;

    one.name = xstrdup(job->name);
    one.held = xstrdup(job->held);
    one.spec = workload_wishes_copy(job->spec);
    memset(&one.allocations, 0, sizeof one.allocations);
    vec_foreach(&job->allocations, allocation)
        vec_push(&one.allocations, allocation_copy(*allocation));
    return one;
}

static void copy_rest(const struct snapshot *s, struct snapshot *copy)
{
    copy->skipped = s->skipped;
    copy->passed_us = s->passed_us;
    vec_foreach(&s->spots, name)
        vec_push(&copy->spots, xstrdup(*name));
    vec_foreach(&s->weights, weight)
        vec_push(&copy->weights, *weight);
    vec_foreach(&s->projects, project)
        snapshot_add_project(copy, project);
    vec_foreach(&s->promises, promise) {
        struct snapshot_promise one = *promise;
        one.places = xmemdup(promise->places, promise->n_places * sizeof *promise->places);
        vec_push(&copy->promises, one);
    }
    copy->memory = s->memory;
    memset(&copy->memory.shapes, 0, sizeof copy->memory.shapes);
    vec_foreach(&s->memory.shapes, shape)
        vec_push(&copy->memory.shapes, *shape);
    history_free(copy->history);
    copy->history = history_copy(s->history);
}

struct snapshot *snapshot_copy(const struct snapshot *s)
{
    struct snapshot *copy = snapshot_new();

    copy->now_us = s->now_us;
    copy->options = s->options;
    copy->score = s->score;
    vec_foreach(&s->bookings, booking)
        snapshot_add_booking(copy, booking);
    vec_foreach(&s->nodes, node) {
        snapshot_add_node(copy, node->node, node->disk_used_bytes);
        copy->nodes.items[copy->nodes.len - 1].skipped = node->skipped;
    }
    vec_foreach(&s->jobs, job)
        vec_push(&copy->jobs, copy_job(job));
    copy_rest(s, copy);
    return copy;
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

/* What a machine says of itself has its own form; what is known of it beside is written next to that. */
json_t *snapshot_node_to_json(const struct node *node, int64_t disk_used_bytes)
{
    json_t *json = json_object();

    json_put(json, "node", node_to_json(node));
    if (node->tags)
        json_put(json, "tags", json_deep_copy(node->tags));
    if (disk_used_bytes)
        json_put_int(json, "disk_used", disk_used_bytes);
    return json;
}

static void put_positive(json_t *json, const char *key, int64_t value)
{
    if (value > 0)
        json_put_int(json, key, value);
}

json_t *snapshot_job_to_json(const struct snapshot_job *job)
{
    json_t *json = json_object();

    json_put_id(json, "id", &job->id);
    json_put_id(json, "org", &job->org);
    json_put_id(json, "project", &job->project);
    json_put_id(json, "user", &job->user);
    json_put_str(json, "name", job->name);
    if (job->priority)
        json_put_int(json, "priority", job->priority);
    json_put_int(json, "since_us", job->since_us);
    put_positive(json, "eligible_us", job->eligible_us);
    json_put_str(json, "held", job->held);
    put_positive(json, "ran_us", job->ran_us);
    put_positive(json, "waits_since_us", job->waits_since_us);
    put_positive(json, "returns", job->returns);
    put_positive(json, "stopped", job->stopped);
    json_put(json, "asks", workload_wishes_to_json(job->spec));
    put_positive(json, "started_us", job->started_us);
    put_positive(json, "claim", job->claim);
    put_positive(json, "claimed_us", job->claimed_us);
    if (job->leaves)
        json_put(json, "leaves", json_true());
    if (!job->started_us && !job->claim)
        return json;
    json_t *allocations = json_array();
    vec_foreach(&job->allocations, allocation)
        (void) json_array_append_new(allocations, allocation_to_json(*allocation));
    json_put(json, "allocations", allocations);
    return json;
}

json_t *snapshot_options_to_json(const struct schedule_options *options, const struct score *score)
{
    json_t *json = json_object();

    json_put_str(json, "policy", options->policy->name);
    json_put_str(json, "score", score->name);
    json_put_int(json, "guaranteed_us", options->guaranteed_us);
    json_put_int(json, "restart_us", options->restart_us);
    json_put_int(json, "patience_us", options->patience_us);
    json_put_int(json, "notice_us", options->notice_us);
    json_put_int(json, "half_life_us", options->half_life_us);
    json_put_int(json, "backoff_us", options->backoff_us);
    put_positive(json, "depth", options->depth);
    return json;
}

static json_t *nodes_to_json(const struct snapshot *s)
{
    json_t *list = json_array();

    vec_foreach(&s->nodes, node) {
        json_t *json = snapshot_node_to_json(node->node, node->disk_used_bytes);
        put_positive(json, "skipped", node->skipped);
        (void) json_array_append_new(list, json);
    }
    return list;
}

#define list_to_json(list, to_json)                                                                \
    ({                                                                                             \
        json_t *array_ = json_array();                                                             \
        vec_foreach((list), one_)                                                                  \
            (void) json_array_append_new(array_, (to_json) (one_));                                \
        array_;                                                                                    \
    })

json_t *snapshot_to_json(const struct snapshot *s)
{
    json_t *json = json_object();
    char time[TIME_TEXT_LEN + 1];

    json_put_int(json, "format", SNAPSHOT_FORMAT);
    json_put_str(json, "time", time_format(s->now_us, time));
    json_put(json, "options", snapshot_options_to_json(&s->options, s->score));
    json_put(json, "nodes", nodes_to_json(s));
    put_positive(json, "skipped", s->skipped);
    json_put(json, "spots", snapshot_spots_to_json(s));
    json_put(json, "jobs", list_to_json(&s->jobs, snapshot_job_to_json));
    json_put(json, "weights", list_to_json(&s->weights, snapshot_weight_to_json));
    json_put(json, "projects", list_to_json(&s->projects, snapshot_project_to_json));
    json_put(json, "bookings", list_to_json(&s->bookings, snapshot_booking_to_json));
    json_put(json, "promises", list_to_json(&s->promises, snapshot_promise_to_json));
    json_put(json, "memory", snapshot_memory_to_json(&s->memory));
    put_positive(json, "passed_us", s->passed_us);
    json_put(json, "history", history_to_json(s->history));
    return json;
}
