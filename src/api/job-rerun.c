/* job-rerun.c - the same job again from its record, and two jobs compared by theirs */
#include "api/internal.h"

#include "base/alloc.h"

#include <string.h>

/* ---- again ------------------------------------------------------------------------------------------- */

static const char *const hardware[] = { "flavor",         "cpus",          "memory",
                                        "disk",           "gpus",          "gpu_model",
                                        "devices",        "pids",          "shared",
                                        "rdma",           "numa_strict",   "network_optimised",
                                        "splits_islands", "huge_pages_1g", "huge_pages_2m" };

/* Another shape is resolved anew, as a whole; more memory alone changes nothing else. */
static void change_hardware(json_t *spec, const json_t *body)
{
    if (!json_object_get(body, "flavor") && !json_object_get(body, "cpus"))
        return;
    for (size_t i = 0; i < sizeof hardware / sizeof *hardware; i++)
        (void) json_object_del(spec, hardware[i]);
}

/* "NAME…" takes the place of the dataset of that name, or comes beside it. */
static void change_datasets(json_t *spec, const json_t *datasets)
{
    json_t *list = json_object_get(spec, "datasets"), *item;
    size_t i, k;

    if (!list) {
        list = json_array();
        json_put(spec, "datasets", list);
    }
    json_array_foreach(datasets, i, item) {
        const char *text = json_string_value(item);
        size_t len = strcspn(text, "@:");
        bool replaced = false;
        for (k = 0; k < json_array_size(list) && !replaced; k++) {
            const char *name = json_get_str(json_array_get(list, k), "name", "");
            replaced = strlen(name) == len && strncmp(name, text, len) == 0;
            if (replaced)
                (void) json_array_set(list, k, item);
        }
        if (!replaced)
            (void) json_array_append(list, item);
    }
}

/* A branch has moved since; the commit that ran is in the record. */
static void pin_source(json_t *spec, const json_t *record)
{
    const char *commit = json_get_str(record, "git_commit", NULL);
    json_t *git = json_object_get(json_object_get(spec, "source"), "git");

    if (git && commit)
        json_put_str(git, "ref", commit);
}

/* It stands for itself: it waits for nobody, and keeps of an array only what its command sees. */
static void leave_others(json_t *spec)
{
    json_t *array = json_object_get(spec, "array");

    (void) json_object_del(spec, "after");
    (void) json_object_del(spec, "begin");
    (void) json_object_del(array, "id");
    (void) json_object_del(array, "indexes");
    (void) json_object_del(array, "limit");
}

static json_t *changed_spec(const struct workload *w, const json_t *body)
{
    static const char *const plain[] = { "image",  "command", "flavor",   "cpus",
                                         "memory", "disk",    "max_time", "network" };
    json_t *spec = workload_spec_to_json(w->spec), *env = json_object_get(body, "env");
    const json_t *datasets = json_object_get(body, "datasets");

    leave_others(spec);
    pin_source(spec, w->attempt ? w->attempt->record : NULL);
    change_hardware(spec, body);
    if (json_object_get(body, "image"))
        (void) json_object_del(spec, "image_digest");
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (json_object_get(body, plain[i]))
            (void) json_object_set(spec, plain[i], json_object_get(body, plain[i]));
    if (env && !json_object_get(spec, "env"))
        json_put(spec, "env", json_object());
    if (env)
        (void) json_object_update(json_object_get(spec, "env"), env);
    if (datasets)
        change_datasets(spec, datasets);
    return spec;
}

static void submitted(void *userdata, const struct workload *w)
{
    struct call *call = userdata;
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *location =
        xasprintf("/v1/projects/%s/jobs/%s", call_param(call, "project"), id_format(&w->id, id));

    http_add_header(call->req, "Location", location);
    call_answer_once(call, 201, workload_to_json(w, true));
}

static void rerun(struct call *call, const struct workload *w)
{
    const json_t *priority = json_object_get(call->body, "priority");
    const json_t *tags = json_object_get(call->body, "tags");
    _cleanup_json_ json_t *spec = changed_spec(w, call->body);
    struct submit submit = {
        .project = call->project,
        .actor = call->actor,
        .name = json_get_str(call->body, "name", w->name),
        .tags = json_deep_copy(w->tags),
        .priority = priority ? (int) json_integer_value(priority) : w->priority,
        .rerun_of = w->id,
    };
    struct error err = { 0 };
    int r = workload_spec_from_json(spec, &submit.spec, &err);

    if (tags)
        (void) json_object_update(submit.tags, (json_t *) (uintptr_t) tags);
    if (r < 0)
        json_decref(submit.tags);
    else
        r = lifecycle_submit(call->api->options.lifecycle, &submit, submitted, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void job_rerun(struct call *call) { job_find(call, rerun); }

/* ---- compared ---------------------------------------------------------------------------------------- */

/* What was run and what came of it. */
static json_t *whole_record(const struct workload *w)
{
    const struct attempt *attempt = w->attempt;
    json_t *json = attempt && attempt->record ? json_deep_copy(attempt->record)
                                              : workload_spec_to_json(w->spec);

    json_put_str(json, "state", workload_state_name(w->state));
    if (w->exit_code >= 0)
        json_put_int(json, "exit_code", w->exit_code);
    if (attempt && attempt->artifacts)
        json_put(json, "artifacts", json_deep_copy(attempt->artifacts));
    return json;
}

struct comparison {
    struct call *call;
    json_t *first;
};

static void comparison_free(void *state)
{
    struct comparison *c = state;

    json_decref(c->first);
    free(c);
}

static void compare(struct call *call, const struct workload *w)
{
    const struct comparison *c = call->state;
    _cleanup_json_ json_t *second = whole_record(w);
    json_t *answer = json_object();

    json_put(answer, "items", record_diff(c->first, second));
    call_answer(call, 200, answer);
}

static void first_found(struct call *call, const struct workload *w)
{
    struct comparison *c = call->state;

    c->first = whole_record(w);
    job_find_named(call, json_get_str(call->query, "with", ""), compare);
}

static void job_diff(struct call *call)
{
    struct comparison *c = xnew(struct comparison);

    c->call = call;
    call->state = c;
    call->free_state = comparison_free;
    job_find(call, first_found);
}

const struct api_route rerun_routes[] = {
    { "job.rerun", job_rerun },
    { "job.diff", job_diff },
    { NULL, NULL },
};
