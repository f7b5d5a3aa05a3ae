/* call.c - one call: its declared parts, and its answer */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void call_free(struct call *call)
{
    if (!call)
        return;
    idempotency_end(call);
    if (call->free_state)
        call->free_state(call->state);
    for (size_t i = 0; i < DECLARE_MAX_PARAMS; i++)
        free(call->params[i]);
    json_decref(call->query);
    json_decref(call->body);
    free(call);
}

struct http_request *call_take_request(struct call *call)
{
    struct http_request *req = call->req;

    call_free(call);
    return req;
}

void call_answer_text(struct call *call, int status, const char *json, size_t len)
{
    struct api *api = call->api;
    struct http_request *req = call_take_request(call);

    api->answers[status / 100]++;
    http_respond(req, status, "application/json", json, len);
}

void call_answer(struct call *call, int status, json_t *json)
{
    _cleanup_text_ struct text t = { 0 };

    text_add_json(&t, json);
    json_decref(json);
    call_answer_text(call, status, t.data, t.len);
}

void call_answer_empty(struct call *call)
{
    struct api *api = call->api;
    struct http_request *req = call_take_request(call);

    api->answers[2]++;
    http_respond(req, 204, NULL, NULL, 0);
}

void call_fail(struct call *call, int code, const struct error *err)
{
    struct api *api = call->api;
    struct error reason = err ? *err : (struct error){ 0 }; /* it may lie in the call's state */
    struct http_request *req = call_take_request(call);

    problem_respond(api, req, code, reason.text);
}

void call_refuse(struct call *call, int code, const char *fmt, ...)
{
    struct error err = { .code = code };
    va_list ap;

    va_start(ap, fmt);
    (void) vsnprintf(err.text, sizeof err.text, fmt, ap);
    va_end(ap);
    call_fail(call, code, &err);
}

const char *call_param(const struct call *call, const char *name)
{
    const struct declare_type *params = call->endpoint->params;

    for (size_t i = 0; i < params->n_fields; i++)
        if (strcmp(params->fields[i].name, name) == 0)
            return call->params[i];
    return NULL;
}
