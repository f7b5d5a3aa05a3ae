/* outlook.c - what a job that waits can expect: who goes before it, and what change would let it begin now */
#include "lifecycle/internal.h"

/* Named of those before it; the others are counted. */
enum { NAMED_MAX = 8 };

static json_t *name_of(const struct workload *w)
{
    char id[ID_TEXT_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "id", id_format(&w->id, id));
    json_put_str(json, "name", w->name);
    return json;
}

/* Jobs of other projects are a number: who asks may not see more of them. */
static void put_before(struct lifecycle *lc, const struct workload *w, json_t *json)
{
    size_t count = turn_of(lc, w), others = 0;
    json_t *before = json_object(), *jobs = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct workload *other = turn_at(lc, i);
        if (!id_equal(&other->project, &w->project))
            others++;
        else if (json_array_size(jobs) < NAMED_MAX)
            (void) json_array_append_new(jobs, name_of(other));
    }
    json_put_int(before, "count", (int64_t) count);
    json_put(before, "jobs", jobs);
    json_put_int(before, "others", (int64_t) others);
    json_put(json, "before", before);
}

void outlook_put(struct lifecycle *lc, const struct workload *w,
                 const struct expectation_job *expectation, json_t *json)
{
    json_t *changes = json_array();

    put_before(lc, w, json);
    if (expectation)
        vec_foreach(&expectation->changes, remedy)
            (void) json_array_append_new(changes, remedy_to_json(remedy));
    json_put(json, "changes", changes);
}

json_t *lifecycle_why_at_length(struct lifecycle *lc, const struct workload *w)
{
    json_t *json = lifecycle_why(lc, w);

    if (w->state == WORKLOAD_QUEUED)
        outlook_put(lc, w, expectation_find(lc->expectation, &w->id), json);
    return json;
}

size_t lifecycle_waiting(const struct lifecycle *lc) { return lc->queue.len; }

uint64_t lifecycle_changes(const struct lifecycle *lc) { return lc->changes; }

struct expectation *lifecycle_look(struct lifecycle *lc, struct expectation *expectation)
{
    struct expectation *before = lc->expectation;

    lc->expectation = expectation;
    turns_done(&lc->turns);
    return before;
}

const struct expectation *lifecycle_expectation(const struct lifecycle *lc)
{
    return lc->expectation;
}
