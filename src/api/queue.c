/* queue.c - what waits and runs, in the order of the policy */
#include "api/ahead.h"

static bool is_user(const struct workload *w, const char *user)
{
    static const char key[] = "key:";

    return w->user && (str_equal(w->user, user) ||
                       (str_starts(w->user, key) && str_equal(w->user + sizeof key - 1, user)));
}

/* Does W fit what the query asks for? */
static bool is_asked_for(const struct call *call, const struct workload *w)
{
    const json_t *states = json_object_get(call->query, "state"), *state;
    const char *flavor = json_get_str(call->query, "flavor", NULL);
    const char *user = json_get_str(call->query, "user", NULL);
    bool is_in = json_array_size(states) == 0;
    size_t i;

    json_array_foreach(states, i, state)
        is_in |= str_equal(json_string_value(state), workload_state_name(w->state));
    return is_in && (!flavor || str_equal(flavor, w->spec->flavor)) &&
           (!user || is_user(w, user)) && tags_fit(call, w->tags);
}

static json_t *item_of(const struct api *api, const struct workload *w)
{
    struct lifecycle *lc = api->options.lifecycle;
    json_t *item = json_object(), *why = lifecycle_why(lc, w);
    char id[ID_TEXT_LEN + 1];
    const struct project *project = lifecycle_project(lc, id_format(&w->project, id));

    json_put_str(item, "project", project ? project->name : id);
    json_put(item, "job", workload_to_json(w, false));
    eta_put(api, w, why);
    json_put(item, "why", why);
    return item;
}

/* A flavor that is gone may still be that of a job. */
static bool is_known_flavor(const struct call *call, struct workload *const *jobs, size_t n)
{
    const char *name = json_get_str(call->query, "flavor", NULL);
    const struct flavor *const *flavors;
    size_t n_flavors;

    for (size_t i = 0; name && i < n; i++)
        if (str_equal(jobs[i]->spec->flavor, name))
            return true;
    lifecycle_flavors(call->api->options.lifecycle, &flavors, &n_flavors);
    for (size_t i = 0; name && i < n_flavors; i++)
        if (str_equal(flavors[i]->name, name))
            return true;
    return !name;
}

/* Of the path's project, or of all. */
static void show(struct call *call)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    size_t n, total = 0, limit = (size_t) json_get_int(call->query, "limit", 100);
    _cleanup_free_ struct workload **jobs = lifecycle_queue(lc, &call->project, &n);
    struct error err = { 0 };

    if (!is_known_flavor(call, jobs, n)) {
        call_fail(call, lifecycle_unknown_flavor(lc, json_get_str(call->query, "flavor", ""), &err),
                  &err);
        return;
    }
    json_t *answer = json_object(), *array = json_array();
    for (size_t i = 0; i < n; i++)
        if (is_asked_for(call, jobs[i]) && total++ < limit)
            (void) json_array_append_new(array, item_of(call->api, jobs[i]));
    json_put(answer, "items", array);
    json_put_int(answer, "total", (int64_t) total);
    call_answer(call, 200, answer);
}

static void queue_show(struct call *call) { ahead_await(call, NULL, show); }

const struct api_route queue_routes[] = {
    { "queue.show", queue_show },
    { "queue.all", queue_show },
    { NULL, NULL },
};
