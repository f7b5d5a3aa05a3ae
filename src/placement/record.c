/* record.c - the calls of a planner as lines */
#include "placement/record.h"

#include "base/alloc.h"
#include "base/map.h"
#include "placement/snapshot-form.h"

#include <stdlib.h>

struct record {
    struct record_sink sink;
    struct map *nodes; /* by name: its line as it was written last, without what its disk is */
};

/* Takes JSON. */
static void write_line(const struct record *r, json_t *json)
{
    _cleanup_text_ struct text line = { 0 };

    text_add_json(&line, json);
    text_add_char(&line, '\n');
    json_decref(json);
    r->sink.line(r->sink.userdata, text_str(&line), line.len);
}

static json_t *line_new(const char *what)
{
    json_t *json = json_object();

    json_put_str(json, "do", what);
    return json;
}

struct record *record_new(const struct record_sink *sink, const struct planner_options *options)
{
    struct record *r = xnew(struct record);
    json_t *line = line_new("new");

    r->sink = *sink;
    r->nodes = map_new();
    json_put_int(line, "format", RECORD_FORMAT);
    json_put(line, "options", snapshot_options_to_json(&options->schedule, options->score));
    write_line(r, line);
    return r;
}

void record_free(struct record *r)
{
    if (!r)
        return;
    map_free_with(r->nodes, free);
    free(r);
}

/* ---- machines --------------------------------------------------------------------------------------- */

/* What is on its disk changes every few seconds; the rest hardly ever does. */
static char *text_without_disk(const struct node *node)
{
    _cleanup_json_ json_t *json = snapshot_node_to_json(node, 0);

    (void) json_object_del(json_object_get(json, "node"), "disk_free");
    return json_text(json);
}

void record_set_node(struct record *r, const struct node *node, int64_t disk_used_bytes)
{
    if (!r)
        return;
    char *text = text_without_disk(node);
    const char *known = map_get_str(r->nodes, node->name);
    json_t *line;

    if (str_equal(text, known)) {
        line = line_new("disk");
        json_put_str(line, "name", node->name);
        json_put_int(line, "free", node->disk_free_bytes);
        json_put_int(line, "used", disk_used_bytes);
    } else {
        line = snapshot_node_to_json(node, disk_used_bytes);
        json_put_str(line, "do", "node");
    }
    free(map_set_str(r->nodes, node->name, text));
    write_line(r, line);
}

void record_drop_node(struct record *r, const char *name)
{
    if (!r)
        return;
    json_t *line = line_new("drop");
    free(map_remove_str(r->nodes, name));
    json_put_str(line, "name", name);
    write_line(r, line);
}

/* ---- jobs ------------------------------------------------------------------------------------------- */

static json_t *allocations_to_json(struct allocation *const *list, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(array, allocation_to_json(list[i]));
    return array;
}

/* What it waits for is nobody's matter. */
static json_t *job_to_json(const struct planner_job *job)
{
    static char something[] = "something";
    const struct snapshot_job one = {
        .id = job->id,
        .org = job->org,
        .project = job->project,
        .user = job->user,
        .spec = (struct workload_spec *) (uintptr_t) job->spec,
        .priority = job->priority,
        .since_us = job->since_us,
        .eligible_us = job->eligible_us,
        .ran_us = job->ran_us,
        .waits_since_us = job->waits_since_us,
        .returns = job->returns,
        .stopped = job->stopped,
        .held = job->held ? something : NULL,
    };

    return snapshot_job_to_json(&one);
}

void record_submit(struct record *r, const struct planner_job *job, int64_t now_us)
{
    if (!r)
        return;
    json_t *line = line_new("submit");
    json_put_int(line, "now_us", now_us);
    json_put(line, "job", job_to_json(job));
    write_line(r, line);
}

void record_weigh(struct record *r, const struct id *org, const struct id *project, unsigned weight)
{
    if (!r)
        return;
    json_t *line = line_new("weigh");
    json_put_id(line, "org", org);
    if (project)
        json_put_id(line, "project", project);
    json_put_int(line, "weight", weight);
    write_line(r, line);
}

void record_used(struct record *r, const struct planner_share *share, int64_t at_us)
{
    if (!r)
        return;
    json_t *line = line_new("used");
    json_put_id(line, "org", &share->org);
    if (!id_is_none(&share->project))
        json_put_id(line, "project", &share->project);
    if (!id_is_none(&share->user))
        json_put_id(line, "user", &share->user);
    json_put_int(line, "used", share->used);
    json_put_int(line, "at_us", at_us);
    write_line(r, line);
}

void record_book(struct record *r, const struct planner_booking *booking)
{
    if (!r)
        return;
    json_t *line = line_new("book");
    const struct snapshot_booking one = {
        .id = booking->id,
        .org = booking->org,
        .project = booking->project,
        .from_us = booking->from_us,
        .until_us = booking->until_us,
        .places = (struct booking_place *) (uintptr_t) booking->places,
        .n_places = booking->n_places,
    };
    json_put(line, "booking", snapshot_booking_to_json(&one));
    write_line(r, line);
}

void record_unbook(struct record *r, const struct id *booking)
{
    if (!r)
        return;
    json_t *line = line_new("unbook");
    json_put_id(line, "id", booking);
    write_line(r, line);
}

void record_hold(struct record *r, const struct id *job, bool held)
{
    if (!r)
        return;
    json_t *line = line_new("hold");
    json_put_id(line, "id", job);
    json_put(line, "held", json_boolean(held));
    write_line(r, line);
}

void record_run(struct record *r, const struct planner_job *job, const struct planner_place *tasks,
                size_t n, int64_t started_us)
{
    if (!r)
        return;
    json_t *line = line_new("run"), *one = job_to_json(job), *on = json_array(),
           *allocations = json_array();
    for (size_t i = 0; i < n; i++) {
        (void) json_array_append_new(allocations, allocation_to_json(tasks[i].allocation));
        (void) json_array_append_new(on, tasks[i].node ? json_string(tasks[i].node) : json_null());
    }
    json_put_int(one, "started_us", started_us);
    json_put(one, "allocations", allocations);
    json_put(line, "job", one);
    json_put(line, "on", on);
    write_line(r, line);
}

void record_gone(struct record *r, const struct id *job, int64_t now_us)
{
    if (!r)
        return;
    json_t *line = line_new("end");
    json_put_id(line, "id", job);
    json_put_int(line, "now_us", now_us);
    write_line(r, line);
}

/* ---- decisions -------------------------------------------------------------------------------------- */

json_t *record_plan(int64_t now_us, unsigned limit, const struct planner_plan *plan)
{
    json_t *line = line_new("pass"), *stops = json_array(), *starts = json_array();
    char a[ID_TEXT_LEN + 1], b[ID_TEXT_LEN + 1];

    vec_foreach(&plan->stops, stop)
        (void) json_array_append_new(stops, json_pack("[s, s]", id_format(&stop->id, a),
                                                      id_format(&stop->started, b)));
    vec_foreach(&plan->starts, start) {
        json_t *one = json_object();
        json_put_id(one, "id", &start->id);
        json_put(one, "allocations", allocations_to_json(start->allocations, start->n_allocations));
        (void) json_array_append_new(starts, one);
    }
    json_put_int(line, "now_us", now_us);
    json_put_int(line, "limit", limit);
    json_put(line, "stops", stops);
    json_put(line, "starts", starts);
    return line;
}

void record_pass(struct record *r, int64_t now_us, unsigned limit, const struct planner_plan *plan)
{
    if (!r)
        return;
    write_line(r, record_plan(now_us, limit, plan));
}
