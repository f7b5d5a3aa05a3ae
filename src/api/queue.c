/* queue.c - what waits and runs, in the order of the policy */
#include "api/internal.h"

static void queue_show(struct call *call)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    size_t n, limit = (size_t) json_get_int(call->query, "limit", 100);
    _cleanup_free_ struct workload **jobs = lifecycle_queue(lc, &call->project, &n);
    json_t *answer = json_object(), *array = json_array();

    for (size_t i = 0; i < n && json_array_size(array) < limit; i++) {
        if (!tags_fit(call, jobs[i]->tags))
            continue;
        json_t *item = json_object();
        json_put(item, "job", workload_to_json(jobs[i], false));
        json_put(item, "why", lifecycle_why(lc, jobs[i]));
        (void) json_array_append_new(array, item);
    }
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

const struct api_route queue_routes[] = {
    { "queue.show", queue_show },
    { NULL, NULL },
};
