/* jobs.c - list, show, change, stop and delete jobs */
#include "api/ahead.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- list ---- */

static void jobs_listed(void *userdata, int r, struct workload **items, size_t n,
                        const struct error *err)
{
    struct call *call = userdata;
    int64_t limit = json_get_int(call->query, "limit", 100);
    bool one_by_one = json_object_get(call->query, "array") != NULL;
    char id[ID_TEXT_LEN + 1];

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    json_t *answer = json_object(), *array = json_array();
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(array, workload_heads_array(items[i]) && !one_by_one
                                                ? workload_array_to_json(items[i], false)
                                                : workload_to_json(items[i], false));
    json_put(answer, "items", array);
    if (n > 0 && (int64_t) n == limit)
        json_put_str(answer, "next", id_format(&items[n - 1]->id, id));
    call_answer(call, 200, answer);
}

/* A point in time, or so long before now. */
static int read_since(const char *text, int64_t *ret, struct error *err)
{
    long long seconds;

    if (!text || time_parse(text, ret) == 0)
        return 0;
    if (str_to_seconds(text, &seconds) < 0)
        return error_set(
            err, -EINVAL,
            "since: \"%.40s\" must be a time such as 2026-01-31T12:00:00Z, or a duration such as 2h",
            text);
    int64_t now = clock_now_us();
    *ret = seconds < now / US_PER_S ? now - seconds * US_PER_S : 1;
    return 0;
}

static unsigned read_states(const json_t *states)
{
    unsigned bits = 0;

    for (size_t i = 0; i < json_array_size(states); i++)
        bits |= 1u << workload_state_parse(json_string_value(json_array_get(states, i)));
    return bits;
}

static void list(struct call *call, const struct id *of_array)
{
    struct error err = { 0 };
    _cleanup_free_ char *tag = xstrdup(json_get_str(call->query, "tag", NULL));
    const char *cursor = json_get_str(call->query, "cursor", NULL);
    struct workload_filter filter = { .project = call->project,
                                      .states = read_states(json_object_get(call->query, "state")),
                                      .name = json_get_str(call->query, "name", NULL),
                                      .tag_key = tag,
                                      .array = *of_array,
                                      .whole_arrays = id_is_none(of_array),
                                      .limit = (unsigned) json_get_int(call->query, "limit", 100) };
    char *equals = tag ? strchr(tag, '=') : NULL;

    if (equals) {
        *equals = '\0';
        filter.tag_value = equals + 1;
    }
    int r = read_since(json_get_str(call->query, "since", NULL), &filter.since_us, &err);
    if (r == 0 && cursor && id_parse(cursor, &filter.before) < 0)
        r = error_set(&err, -EINVAL, "cursor: \"%.60s\" must be `next` of an earlier page", cursor);
    if (r < 0)
        call_fail(call, r, &err);
    else
        store_list_workloads(call->api->options.store, &filter, jobs_listed, call);
}

static void list_array(struct call *call, const struct workload *w) { list(call, &w->id); }

static void refuse_single(struct call *call, const struct workload *w)
{
    call_refuse(call, -EINVAL, "array: %s is a job of its own and no array", w->name);
}

static void job_list(struct call *call)
{
    const char *array = json_get_str(call->query, "array", NULL);

    if (array)
        job_find_any_named(call, array, refuse_single, list_array);
    else
        list(call, &id_none);
}

/* ---- show ---- */

static void answer_job(struct call *call, int status, const struct workload *w)
{
    char tag[32];
    _cleanup_json_ json_t *json = workload_to_json(w, true);
    json_t *tasks = json_object_get(json_object_get(json, "attempt"), "tasks");
    if (tasks)
        lifecycle_put_tasks(call->api->options.lifecycle, w, tasks);

    put_limit(call->api, w, json);
    _cleanup_free_ char *text = json_text(json);
    (void) snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long) w->version);
    http_add_header(call->req, "ETag", tag);
    call_answer_text(call, status, text, strlen(text));
}

/* Does a list of ETags ("1", W/"2", *) name VERSION? */
static bool names_version(const char *tags, uint64_t version)
{
    char tag[32];

    (void) snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long) version);
    return str_equal(tags, "*") || strstr(tags, tag) != NULL;
}

static void show(struct call *call, const struct workload *w)
{
    const char *known = http_header_get(call->req, "If-None-Match");

    /* Of the tasks of a gang more may be known than its version says. */
    bool may_move = w->attempt && w->attempt->n_tasks && workload_has_live_attempt(w);
    if (known && !may_move && names_version(known, w->version)) {
        struct api *api = call->api;
        struct http_request *req = call_take_request(call);
        api->answers[3]++;
        http_respond(req, 304, NULL, NULL, 0);
        return;
    }
    answer_job(call, 200, w);
}

static void show_array(struct call *call, const struct workload *w)
{
    call_answer(call, 200, workload_array_to_json(w, true));
}

static void job_show(struct call *call) { job_find_any(call, show, show_array); }

/* ---- change ---- */

static void job_changed(void *userdata, const struct workload *w) { answer_job(userdata, 200, w); }

/* lifecycle changes live jobs in place, and stored ones by their row. */
static void update(struct call *call, const struct workload *found)
{
    const char *match = http_header_get(call->req, "If-Match");
    const json_t *priority = json_object_get(call->body, "priority");
    const json_t *tags = json_object_get(call->body, "tags");
    int value = (int) json_integer_value(priority);
    struct error err = { 0 };

    if (!match) {
        call_refuse(call, -ENODATA, "send the job's ETag as If-Match, or *");
        return;
    }
    if (!names_version(match, found->version)) {
        call_refuse(call, -ESTALE, "the job is at version %llu",
                    (unsigned long long) found->version);
        return;
    }
    struct job_change change = { tags, priority ? &value : NULL, call->actor };
    int r = lifecycle_update(call->api->options.lifecycle, found, &change, job_changed, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void job_update(struct call *call) { job_find(call, update); }

/* ---- stop, signal, delete ---- */

static void job_stopping(void *userdata, const struct workload *w)
{
    call_answer_once(userdata, 202, workload_to_json(w, true));
}

/* What has ended can neither be stopped nor be sent a signal. */
static bool refuse_ended(struct call *call, const struct workload *w)
{
    if (!workload_state_is_final(w->state))
        return false;
    call_refuse(call, -EBUSY, "the job has ended: it is %s", workload_state_name(w->state));
    return true;
}

static void stop(struct call *call, const struct workload *w)
{
    struct error err = { 0 };

    if (refuse_ended(call, w))
        return;
    int r = lifecycle_stop(call->api->options.lifecycle, &w->id, call->actor,
                           json_get_int(call->body, "grace", -1), job_stopping, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

static void array_stopping(struct call *call, const struct workload *w)
{
    call_answer_once(call, 202, workload_array_to_json(w, true));
}

/* An array of which some are asked to end, and then the next. */
struct stopping {
    struct id array;
    size_t left;
};

static void stop_some(void *userdata)
{
    struct call *call = userdata;
    struct lifecycle *lc = call->api->options.lifecycle;
    struct stopping *s = call->state;

    (void) lifecycle_stop_array(lc, &s->array, call->actor, json_get_int(call->body, "grace", -1),
                                &s->left);
    if (s->left > 0)
        lifecycle_settle(lc, stop_some, call);
    else
        job_array_again(call, &s->array, array_stopping);
}

static void stop_array(struct call *call, const struct workload *w)
{
    if (!lifecycle_array_lives(call->api->options.lifecycle, &w->id)) {
        call_refuse(call, -EBUSY, "the array has ended: it is %s",
                    workload_state_name(w->array_states ? array_state(w->array_states) : w->state));
        return;
    }
    struct stopping *s = xnew(struct stopping);
    *s = (struct stopping){ .array = w->id, .left = SIZE_MAX };
    call->state = s;
    call->free_state = free;
    stop_some(call);
}

static void job_stop(struct call *call) { job_find_any(call, stop, stop_array); }

static void preempt(struct call *call, const struct workload *w)
{
    const struct preempt_request request = { .actor = call->actor,
                                             .grace_s = json_get_int(call->body, "grace", -1),
                                             .force = json_get_bool(call->body, "force", false) };
    struct error err = { 0 };

    if (refuse_ended(call, w))
        return;
    int r =
        lifecycle_preempt(call->api->options.lifecycle, &w->id, &request, job_stopping, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

static void job_preempt(struct call *call) { job_find(call, preempt); }

static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = { { "HUP", SIGHUP },   { "INT", SIGINT },    { "QUIT", SIGQUIT },
                    { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },  { "TERM", SIGTERM },
                    { "CONT", SIGCONT }, { "WINCH", SIGWINCH } };

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (str_equal(signals[i].name, name))
            return signals[i].number;
    return SIGTERM;
}

static void send_signal(struct call *call, const struct workload *w)
{
    struct error err = { 0 };

    if (refuse_ended(call, w))
        return;
    int signo = signal_number(json_get_str(call->body, "signal", ""));
    int r = lifecycle_signal(call->api->options.lifecycle, &w->id, signo, &err);

    if (r < 0)
        call_fail(call, r, &err);
    else
        call_answer_once(call, 204, NULL);
}

static void job_signal(struct call *call) { job_find(call, send_signal); }

static void job_deleted(void *userdata, const struct workload *w) { call_answer_empty(userdata); }

static void job_delete(struct call *call);

static void end_committed(void *userdata, struct event *const *events, size_t n)
{
    job_delete(userdata);
}

static void remove_job(struct call *call, const struct workload *w)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    struct error err = { 0 };

    /* It has just ended and that is on its way to the disk: come after it. */
    if (workload_state_is_final(w->state) && lifecycle_get(lc, &w->id)) {
        store_commit(call->api->options.store, store_batch_new(), end_committed, call);
        return;
    }
    if (workload_in_array(w)) {
        call_refuse(call, -EBUSY, "the job is one of an array; only all of it can be deleted");
        return;
    }
    int r = lifecycle_delete(lc, w, call->actor, job_deleted, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void job_delete(struct call *call) { job_find_any(call, remove_job, array_remove); }

/* ---- why, attempts, record ---- */

static void why(struct call *call, const struct workload *w)
{
    json_t *json = lifecycle_why_at_length(call->api->options.lifecycle, w);

    put_limit(call->api, w, json);
    eta_put(call->api, w, json);
    call_answer(call, 200, json);
}

static void find_why(struct call *call) { job_find_any(call, why, array_why); }

/* Who does not wait is answered at once. */
static void job_why(struct call *call)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    const char *name = call_param(call, "job");
    const struct workload *w = lifecycle_find(lc, &call->project, name);

    if (w && workload_heads_array(w) && workload_means_array(w, name))
        w = array_next(call->api, &w->id);
    if (w && w->state != WORKLOAD_QUEUED)
        find_why(call);
    else
        ahead_await(call, w ? &w->id : NULL, find_why);
}

static void attempts_listed(void *userdata, int r, struct attempt **items, size_t n,
                            const struct error *err)
{
    if (r < 0) {
        call_fail(userdata, r, err);
        return;
    }
    json_t *answer = json_object(), *array = json_array();
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(array, attempt_to_json(items[i]));
    json_put(answer, "items", array);
    call_answer(userdata, 200, answer);
}

static void attempts(struct call *call, const struct workload *w)
{
    store_list_attempts(call->api->options.store, &w->id, attempts_listed, call);
}

static void job_attempts(struct call *call) { job_find(call, attempts); }

static void record(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    char id[ID_TEXT_LEN + 1];

    if (!attempt) {
        call_refuse(call, -EBUSY, "the job is %s; no attempt has begun",
                    workload_state_name(w->state));
        return;
    }
    json_t *answer = json_object();
    json_put_str(answer, "job", id_format(&w->id, id));
    json_put_int(answer, "attempt", attempt->number);
    json_put(answer, "record", attempt->record ? json_incref(attempt->record) : json_object());
    json_put(answer, "evidence", json_incref(attempt->evidence));
    json_put(answer, "spec", w->spec ? workload_spec_to_json(w->spec) : json_object());
    call_answer(call, 200, answer);
}

static void job_record(struct call *call) { attempt_find(call, record); }

const struct api_route job_routes[] = {
    { "job.list", job_list },
    { "job.show", job_show },
    { "job.update", job_update },
    { "job.delete", job_delete },
    { "job.stop", job_stop },
    { "job.signal", job_signal },
    { "job.why", job_why },
    { "job.attempts", job_attempts },
    { "job.record", job_record },
    { "job.preempt", job_preempt },
    { NULL, NULL },
};
