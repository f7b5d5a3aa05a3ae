/* job-submit.c - submit a job or an array, or say what that would do
 *
 * What the job waits for is looked up first (job-after.c), so that from then on it is known by its id.
 */
#include "api/ahead.h"
#include "api/job-after.h"

#include "base/alloc.h"

#include <string.h>

struct submission {
    struct after_search after; /* first: it finds itself by the call's state */
    struct submit submit;
    bool plans;
    char *text; /* the answer, made once: the one that is stored for an Idempotency-Key is sent */
};

static void submission_free(void *state)
{
    struct submission *s = state;

    workload_spec_free(s->submit.spec);
    json_decref(s->submit.tags);
    after_search_done(&s->after);
    free(s->text);
    free(s);
}

/* Of an array all jobs are queued now. */
static char *job_text_of(const struct workload *w)
{
    unsigned states[WORKLOAD_STATE_MAX] = { 0 };
    struct workload head = *w;

    if (workload_heads_array(w)) {
        states[WORKLOAD_QUEUED] = w->spec->array->count;
        head.array_states = states;
    }
    _cleanup_json_ json_t *json =
        workload_heads_array(w) ? workload_array_to_json(&head, true) : workload_to_json(w, true);
    return json_text(json);
}

static char *stored_text(void *userdata, const struct workload *w)
{
    struct submission *s = ((struct call *) userdata)->state;

    s->text = job_text_of(w);
    return xstrdup(s->text);
}

static void job_submitted(void *userdata, const struct workload *w)
{
    struct call *call = userdata;
    const struct submission *s = call->state;
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *location =
        xasprintf("/v1/projects/%s/jobs/%s", call_param(call, "project"), id_format(&w->id, id));
    _cleanup_free_ char *text = s->text ? xstrdup(s->text) : job_text_of(w);

    http_add_header(call->req, "Location", location);
    call_answer_text(call, 201, text, strlen(text));
}

static void planned(struct call *call, const struct snapshot_job *job,
                    const struct expectation *expectation, json_t *spec)
{
    json_t *json = json_object();
    json_t *placement = lifecycle_planned(call->api->options.lifecycle, job, expectation);

    if (!json_object_get(placement, "allocation"))
        eta_put_planned(expectation, &job->id, placement);
    json_put(json, "spec", spec);
    json_put(json, "placement", placement);
    call_answer(call, 200, json);
}

static void plan(struct call *call, struct submission *s)
{
    struct error err = { 0 };
    struct snapshot_job job;
    json_t *spec = NULL;
    int r = lifecycle_plan(call->api->options.lifecycle, &s->submit, &job, &spec, &err);

    if (r < 0)
        call_fail(call, r, &err);
    else
        ahead_plan(call, &job, spec, planned);
}

static void create(struct call *call, struct submission *s)
{
    struct error err = { 0 };

    s->submit.answer = call_idempotent_answer(call, 201);
    int r = lifecycle_submit(call->api->options.lifecycle, &s->submit, job_submitted, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void finish(struct call *call)
{
    struct submission *s = call->state;

    s->submit.counterparts = s->after.counterparts.items;
    s->submit.n_counterparts = s->after.counterparts.len;
    (s->plans ? plan : create)(call, s);
}

/* The parts of the body; what is submitted borrows from the call. */
static void begin(struct call *call, bool plans)
{
    struct submission *s = xnew(struct submission);
    struct error err = { 0 };

    call->state = s;
    call->free_state = submission_free;
    s->plans = plans;
    s->submit = (struct submit){ .project = call->project,
                                 .actor = call->actor,
                                 .name = json_get_str(call->body, "name", NULL),
                                 .priority = (int) json_get_int(call->body, "priority", 0),
                                 .format = stored_text,
                                 .format_userdata = call };
    int r = workload_spec_from_json(call->body, &s->submit.spec, &err);
    if (r < 0) {
        call_fail(call, r, &err);
        return;
    }
    s->submit.tags = json_incref(json_object_get(call->body, "tags"));
    after_search_begin(call, s->submit.spec, finish);
}

static void job_create(struct call *call) { begin(call, false); }

static void job_plan(struct call *call) { begin(call, true); }

const struct api_route submit_routes[] = {
    { "job.create", job_create },
    { "job.plan", job_plan },
    { NULL, NULL },
};
