/* arrays.c - an array of jobs as one: why it stands as it does, and its end */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <string.h>

/* ---- why ---------------------------------------------------------------------------------------------- */

const struct workload *array_next(const struct api *api, const struct id *array)
{
    size_t n;
    _cleanup_free_ struct workload **jobs = lifecycle_queue(api->options.lifecycle, NULL, &n);

    for (size_t i = 0; i < n; i++)
        if (jobs[i]->state == WORKLOAD_QUEUED && workload_in_array(jobs[i]) &&
            id_equal(&jobs[i]->spec->array->id, array))
            return jobs[i];
    return NULL;
}

/* The first job that waits says what all of them wait for. */
static json_t *next_why(const struct api *api, const struct id *array, char **ret_name)
{
    const struct workload *w = array_next(api, array);

    if (!w)
        return NULL;
    *ret_name = xstrdup(w->name);
    json_t *why = lifecycle_why_at_length(api->options.lifecycle, w);
    eta_put(api, w, why);
    return why;
}

void array_why(struct call *call, const struct workload *w)
{
    static const char *const of_next[] = { "position", "before", "changes", "eta" };
    _cleanup_free_ char *states = workload_array_text(w), *name = NULL;
    _cleanup_json_ json_t *next = next_why(call->api, &w->id, &name);
    const char *reason = json_get_str(next, "text", NULL);
    _cleanup_free_ char *text =
        reason ? xasprintf("%s; next is %s: %s", states, name, reason) : xstrdup(states);
    enum workload_state state = w->array_states ? array_state(w->array_states) : w->state;
    json_t *json = json_object(), *numbers = json_object();

    for (int i = 0; w->array_states && i < WORKLOAD_STATE_MAX; i++)
        if (w->array_states[i])
            json_put_int(numbers, workload_state_name((enum workload_state) i), w->array_states[i]);
    json_put_int(numbers, "count", w->spec->array->count);
    if (w->spec->array->limit)
        json_put_int(numbers, "limit", w->spec->array->limit);
    json_put_str(json, "state", workload_state_name(state));
    json_put_str(json, "rule", reason ? json_get_str(next, "rule", "array") : "array");
    json_put_str(json, "text", text);
    json_put(json, "numbers", numbers);
    if (next)
        for (size_t i = 0; i < sizeof of_next / sizeof *of_next; i++)
            json_put(json, of_next[i], json_incref(json_object_get(next, of_next[i])));
    call_answer(call, 200, json);
}

/* ---- delete ------------------------------------------------------------------------------------------- */

enum { PAGE = 1000 };

struct removal {
    struct id array;
};

static void next_page(struct call *call);

static void all_deleted(void *userdata) { call_answer_empty(userdata); }

/* A page without its deletions yet: the next one begins after them. */
static void page_settled(void *userdata) { next_page(userdata); }

static void page_listed(void *userdata, int r, struct workload **items, size_t n,
                        const struct error *err)
{
    struct call *call = userdata;
    struct lifecycle *lc = call->api->options.lifecycle;
    struct error why = { 0 };

    for (size_t i = 0; i < n && r >= 0; i++)
        r = lifecycle_delete(lc, items[i], call->actor, NULL, NULL, &why);
    if (r < 0)
        call_fail(call, r, why.code ? &why : err);
    else
        lifecycle_settle(lc, n < PAGE ? all_deleted : page_settled, call);
}

static void next_page(struct call *call)
{
    const struct removal *removal = call->state;
    const struct workload_filter filter = { .project = call->project,
                                            .array = removal->array,
                                            .limit = PAGE };

    store_list_workloads(call->api->options.store, &filter, page_listed, call);
}

void array_remove(struct call *call, const struct workload *w)
{
    struct removal *removal = xnew(struct removal);

    if (lifecycle_array_lives(call->api->options.lifecycle, &w->id)) {
        free(removal);
        call_refuse(call, -EBUSY, "the array is %s; only an array that has ended can be deleted",
                    workload_state_name(w->array_states ? array_state(w->array_states) : w->state));
        return;
    }
    removal->array = w->id;
    call->state = removal;
    call->free_state = free;
    next_page(call);
}
