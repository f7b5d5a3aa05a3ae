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
    vec_foreach(&s->bookings, booking)
        snapshot_booking_done(booking);
    vec_done(&s->bookings);
    history_free(s->history);
    free(s);
}

void snapshot_add_node(struct snapshot *s, const struct node *node, int64_t disk_used_bytes)
{
    vec_push(&s->nodes, ((struct snapshot_node){ node_copy(node), disk_used_bytes }));
}

const struct node *snapshot_node(const struct snapshot *s, const char *name)
{
    vec_foreach(&s->nodes, node)
        if (str_equal(node->node->name, name))
            return node->node;
    return NULL;
}

struct snapshot *snapshot_copy(const struct snapshot *s)
{
    struct snapshot *copy = snapshot_new();

    copy->now_us = s->now_us;
    copy->options = s->options;
    copy->score = s->score;
    vec_foreach(&s->weights, weight)
        vec_push(&copy->weights, *weight);
    vec_foreach(&s->bookings, booking)
        snapshot_add_booking(copy, booking);
    vec_foreach(&s->nodes, node)
        snapshot_add_node(copy, node->node, node->disk_used_bytes);
    vec_foreach(&s->jobs, job) {
        struct snapshot_job one = *job;
        one.name = xstrdup(job->name);
        one.held = xstrdup(job->held);
        one.spec = workload_wishes_copy(job->spec);
        memset(&one.allocations, 0, sizeof one.allocations);
        vec_foreach(&job->allocations, allocation)
            vec_push(&one.allocations, allocation_copy(*allocation));
        vec_push(&copy->jobs, one);
    }
    history_free(copy->history);
    copy->history = history_copy(s->history);
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
    if (!job->started_us)
        return json;
    json_t *allocations = json_array();
    json_put_int(json, "started_us", job->started_us);
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
    return json;
}

static json_t *weights_to_json(const struct snapshot *s)
{
    json_t *list = json_array();

    vec_foreach(&s->weights, weight) {
        json_t *json = json_object();
        json_put_id(json, "org", &weight->org);
        json_put_id(json, "project", &weight->project);
        json_put_int(json, "weight", weight->weight);
        json_put_int(json, "used", weight->used);
        (void) json_array_append_new(list, json);
    }
    return list;
}

json_t *snapshot_to_json(const struct snapshot *s)
{
    json_t *json = json_object(), *nodes = json_array(), *jobs = json_array(),
           *bookings = json_array();
    char time[TIME_TEXT_LEN + 1];

    json_put_int(json, "format", SNAPSHOT_FORMAT);
    json_put_str(json, "time", time_format(s->now_us, time));
    json_put(json, "options", snapshot_options_to_json(&s->options, s->score));
    vec_foreach(&s->nodes, node)
        (void) json_array_append_new(nodes,
                                     snapshot_node_to_json(node->node, node->disk_used_bytes));
    vec_foreach(&s->jobs, job)
        (void) json_array_append_new(jobs, snapshot_job_to_json(job));
    json_put(json, "nodes", nodes);
    json_put(json, "jobs", jobs);
    json_put(json, "weights", weights_to_json(s));
    vec_foreach(&s->bookings, booking)
        (void) json_array_append_new(bookings, snapshot_booking_to_json(booking));
    json_put(json, "bookings", bookings);
    json_put(json, "history", history_to_json(s->history));
    return json;
}
