/* replay.c - lines of a record as calls */
#include "placement/replay.h"

#include "base/alloc.h"
#include "base/map.h"
#include "placement/planner-snapshot.h"
#include "placement/snapshot-form.h"

#include <errno.h>
#include <stdlib.h>

struct replay {
    struct planner *planner;
    struct map *nodes; /* by name; owned */
    struct replay_counts counts;
};

static void free_node(void *node) { node_free(node); }

struct replay *replay_new(void)
{
    struct replay *r = xnew(struct replay);

    r->nodes = map_new();
    return r;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    planner_free(r->planner);
    map_free_with(r->nodes, free_node);
    free(r);
}

const struct replay_counts *replay_counts(const struct replay *r) { return &r->counts; }

static int read_now(const json_t *json, int64_t *ret, struct error *err)
{
    return snapshot_read_us(json, "now_us", SNAPSHOT_TIME_MAX_US, ret, err);
}

static int do_new(struct replay *r, const json_t *json, struct error *err)
{
    struct planner_options options = { 0 };

    if (json_get_int(json, "format", 0) != RECORD_FORMAT)
        return error_set(err, -EBADMSG, "format: must be %d", RECORD_FORMAT);
    int n = snapshot_options_from_json(json_object_get(json, "options"), &options.schedule,
                                       &options.score, err);
    if (n < 0)
        return error_context(err, n, "options");
    planner_free(r->planner);
    map_free_with(r->nodes, free_node);
    r->nodes = map_new();
    r->planner = planner_new(&options);
    return 0;
}

/* ---- machines --------------------------------------------------------------------------------------- */

static int do_node(struct replay *r, const json_t *json, struct error *err)
{
    struct snapshot_node one = { 0 };
    int n = snapshot_node_from_json(json, &one, err);

    if (n < 0) {
        node_free(one.node);
        return n;
    }
    planner_set_node(r->planner, one.node, one.disk_used_bytes);
    node_free(map_set_str(r->nodes, one.node->name, one.node));
    return 0;
}

static struct node *known_node(const struct replay *r, const json_t *json, struct error *err)
{
    const char *name = json_get_str(json, "name", "");
    struct node *node = map_get_str(r->nodes, name);

    if (!node)
        (void) !error_set(err, -EBADMSG, "name: no machine '%.60s' was told of", name);
    return node;
}

static int do_disk(struct replay *r, const json_t *json, struct error *err)
{
    struct node *node = known_node(r, json, err);
    int64_t free_bytes = json_get_int(json, "free", 0), used = json_get_int(json, "used", 0);

    if (!node)
        return -EBADMSG;
    if (free_bytes < 0 || used < 0)
        return error_set(err, -EBADMSG, "free, used: must be bytes, 0 or more");
    node->disk_free_bytes = free_bytes;
    planner_set_node(r->planner, node, used);
    return 0;
}

static int do_drop(struct replay *r, const json_t *json, struct error *err)
{
    struct node *node = known_node(r, json, err);

    if (!node)
        return -EBADMSG;
    planner_drop_node(r->planner, node->name);
    (void) map_remove_str(r->nodes, json_get_str(json, "name", ""));
    node_free(node);
    return 0;
}

/* ---- jobs ------------------------------------------------------------------------------------------- */

static int do_submit(struct replay *r, const json_t *json, struct error *err)
{
    struct snapshot_job job = { 0 };
    int64_t now_us;
    int n = read_now(json, &now_us, err);

    if (n >= 0)
        n = snapshot_job_from_json(json_object_get(json, "job"), SNAPSHOT_TIME_MAX_US, &job, err);
    if (n >= 0) {
        const struct planner_job one = planner_job_of(&job);
        planner_submit(r->planner, &one, now_us);
        r->counts.jobs++;
    }
    snapshot_job_done(&job);
    return n;
}

static int run(struct replay *r, const json_t *json, const struct snapshot_job *job,
               struct error *err)
{
    const json_t *on = json_object_get(json, "on");
    size_t n = job->allocations.len;
    _cleanup_free_ struct planner_place *places = xnew_n(struct planner_place, n + 1);
    const struct planner_job one = planner_job_of(job);

    if (n == 0 || json_array_size(on) != n)
        return error_set(err, -EBADMSG, "on: must name the machine of each of %zu tasks", n);
    for (size_t i = 0; i < n; i++)
        places[i] = (struct planner_place){ json_string_value(json_array_get(on, i)),
                                            job->allocations.items[i] };
    planner_run(r->planner, &one, places, n, job->started_us);
    r->counts.jobs++;
    return 0;
}

static int do_run(struct replay *r, const json_t *json, struct error *err)
{
    struct snapshot_job job = { 0 };
    int n = snapshot_job_from_json(json_object_get(json, "job"), SNAPSHOT_TIME_MAX_US, &job, err);

    if (n >= 0)
        n = run(r, json, &job, err);
    snapshot_job_done(&job);
    return n;
}

static int do_weigh(struct replay *r, const json_t *json, struct error *err)
{
    int64_t weight = json_get_int(json, "weight", 0);
    struct id org, project = id_none;
    int n = snapshot_read_id(json, "org", true, &org, err);

    if (n >= 0)
        n = snapshot_read_id(json, "project", false, &project, err);
    if (n >= 0 && (weight < 1 || weight > SHARE_WEIGHT_MAX))
        n = error_set(err, -EBADMSG, "weight: must be from 1 to %d", SHARE_WEIGHT_MAX);
    if (n >= 0)
        planner_weigh(r->planner, &org, id_is_none(&project) ? NULL : &project, (unsigned) weight);
    return n;
}

static int do_used(struct replay *r, const json_t *json, struct error *err)
{
    struct planner_share share = { .used = json_get_int(json, "used", -1) };
    int64_t used = share.used, at_us = json_get_int(json, "at_us", -1);
    int n = snapshot_read_id(json, "org", true, &share.org, err);

    if (n >= 0)
        n = snapshot_read_id(json, "project", false, &share.project, err);
    if (n >= 0)
        n = snapshot_read_id(json, "user", false, &share.user, err);
    if (n >= 0 && (used < 0 || used > SHARE_USED_MAX || at_us < 0 || at_us > SNAPSHOT_TIME_MAX_US))
        n = error_set(err, -EBADMSG, "used: must be what a group can have had, and at_us a time");
    if (n >= 0)
        planner_set_used(r->planner, &share, at_us);
    return n;
}

static int do_book(struct replay *r, const json_t *json, struct error *err)
{
    struct snapshot_booking booking;
    int n = snapshot_booking_from_json(json_object_get(json, "booking"), &booking, err);

    if (n >= 0) {
        const struct planner_booking one = planner_booking_of(&booking);
        planner_book(r->planner, &one);
    }
    snapshot_booking_done(&booking);
    return n;
}

static int do_unbook(struct replay *r, const json_t *json, struct error *err)
{
    struct id id;
    int n = snapshot_read_id(json, "id", true, &id, err);

    if (n >= 0)
        planner_unbook(r->planner, &id);
    return n;
}

static int do_hold(struct replay *r, const json_t *json, struct error *err)
{
    struct id id;
    int n = snapshot_read_id(json, "id", true, &id, err);

    if (n >= 0)
        planner_hold(r->planner, &id, json_get_bool(json, "held", false));
    return n;
}

static int do_end(struct replay *r, const json_t *json, struct error *err)
{
    struct id id;
    int64_t now_us;
    int n = snapshot_read_id(json, "id", true, &id, err);

    if (n >= 0)
        n = read_now(json, &now_us, err);
    if (n >= 0)
        planner_end(r->planner, &id, now_us);
    return n;
}

/* ---- decisions -------------------------------------------------------------------------------------- */

static int compare(const json_t *was, const json_t *is, const char *key, struct error *err)
{
    const json_t *a = json_object_get(was, key), *b = json_object_get(is, key);

    if (json_equal((json_t *) (uintptr_t) a, (json_t *) (uintptr_t) b))
        return 0;
    _cleanup_free_ char *before = a ? json_text(a) : xstrdup("nothing"), *now = json_text(b);
    (void) !error_set(err, 1, "%s: was %.90s, is %.90s", key, before, now);
    return 1;
}

static int do_pass(struct replay *r, const json_t *json, struct error *err)
{
    struct planner_plan plan;
    int64_t now_us, limit = json_get_int(json, "limit", 0);
    int n = read_now(json, &now_us, err);

    if (n >= 0 && (limit < 0 || limit > UINT32_MAX))
        n = error_set(err, -EBADMSG, "limit: must be a count");
    if (n < 0)
        return n;
    planner_pass(r->planner, now_us, (unsigned) limit, &plan);
    _cleanup_json_ json_t *is = record_plan(now_us, (unsigned) limit, &plan);
    r->counts.passes++;
    r->counts.starts += plan.starts.len;
    r->counts.stops += plan.stops.len;
    r->counts.first_us = r->counts.first_us ? r->counts.first_us : now_us;
    r->counts.last_us = now_us;
    planner_plan_done(&plan);
    n = compare(json, is, "stops", err);
    return n ? n : compare(json, is, "starts", err);
}

static const struct {
    const char *name;
    int (*run)(struct replay *r, const json_t *json, struct error *err);
} calls[] = {
    { "new", do_new },       { "node", do_node },     { "disk", do_disk }, { "drop", do_drop },
    { "book", do_book },     { "submit", do_submit }, { "run", do_run },   { "hold", do_hold },
    { "end", do_end },       { "pass", do_pass },     { "used", do_used }, { "weigh", do_weigh },
    { "unbook", do_unbook },
};

int replay_line(struct replay *r, const char *line, size_t len, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    int n = json_parse(line, len, &json, err);

    if (n < 0)
        return error_set(err, -EBADMSG, "is no line of a record: JSON with \"do\"");
    const char *what = json_get_str(json, "do", "");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (!str_equal(calls[i].name, what))
            continue;
        if (!r->planner && calls[i].run != do_new)
            return error_set(err, -EBADMSG, "do: a record begins with \"new\", not with \"%s\"",
                             what);
        r->counts.calls++;
        n = calls[i].run(r, json, err);
        return n >= 0 ? n : error_context(err, -EBADMSG, "%s", what);
    }
    return error_set(err, -EBADMSG, "do: '%.40s' is no call of a planner", what);
}
