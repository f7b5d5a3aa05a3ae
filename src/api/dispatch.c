/* dispatch.c - route, check the key, check the declared parts, call the handler */
#include "api/dispatch.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { BODY_MAX = 1 << 20 }; /* of declared bodies; raw ones have limits of their own */

/* One a line, for the sake of merges. */
/* clang-format off */
static const struct api_route *const tables[] = {
    artifact_routes,
    booking_routes,
    chart_routes,
    dataset_file_routes,
    dataset_routes,
    event_routes,
    fleet_routes,
    image_routes,
    job_routes,
    submit_routes,
    key_routes,
    log_routes,
    metrics_routes,
    node_order_routes,
    top_routes,
    node_routes,
    project_routes,
    queue_routes,
    scheduler_routes,
    rerun_routes,
    secret_routes,
    volume_routes,
    session_routes,
    system_routes,
    tag_routes,
    task_routes,
    ticket_routes,
    upload_routes,
};
/* clang-format on */

void dispatch_init(struct api *api)
{
    size_t n_handlers = 0;

    api->handlers = xnew_n(handler_f, declare_n_endpoints);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct api_route *route = tables[i]; route->name; route++) {
            const struct declare_endpoint *e = declare_endpoint(route->name);
            assert(e); /* a handler without a declaration */
            assert(!api->handlers[e - declare_endpoints]);
            api->handlers[e - declare_endpoints] = route->handle;
            n_handlers++;
        }
    assert(n_handlers == declare_n_endpoints); /* a declaration without a handler */
}

static int decode_params(struct call *call, const struct declare_match *match, struct error *err)
{
    if (!call->endpoint->params->n_fields)
        return 0;

    _cleanup_json_ json_t *object = json_object();
    for (size_t i = 0; i < call->endpoint->params->n_fields; i++) {
        const struct declare_field *field = &call->endpoint->params->fields[i];
        struct text t = { 0 };
        int r = url_decode(match->params[i].start, match->params[i].len, false, &t);
        call->params[i] = text_take(&t);
        if (r < 0)
            return error_set(err, -EINVAL, "%s: bad percent-encoding", field->name);
        if (!utf8_is_valid(call->params[i], strlen(call->params[i])))
            return error_set(err, -ENOENT, "%s: must be UTF-8", field->name);
        json_put(object, field->name, json_string_nocheck(call->params[i]));
    }
    /* What cannot be a name is not there: 404 rather than 400. */
    return declare_check(call->endpoint->params, object, err) < 0 ? -ENOENT : 0;
}

static int read_query(struct call *call, struct error *err)
{
    const char *name, *text;
    int r;

    if (!call->endpoint->query->n_fields && !*http_query(call->req))
        return 0;
    call->query = json_object();
    for (size_t i = 0; (r = http_query_at(call->req, i, &name, &text)) >= 0; i++) {
        const struct declare_field *field = declare_field(call->endpoint->query, name);
        json_t *value = NULL;
        if (!field)
            return error_set(err, -EINVAL, "%.60s: there is no such parameter", name);
        if (json_object_get(call->query, name))
            return error_set(err, -EINVAL, "%s: is given twice", field->name);
        r = declare_value_of(field->type, text, &value, err);
        if (r < 0)
            return error_context(err, r, "%s", field->name);
        json_put(call->query, field->name, value);
    }
    if (r != -ENOENT)
        return error_set(err, -EINVAL, "the query has a bad percent-encoding");
    return declare_check(call->endpoint->query, call->query, err);
}

static void run(struct call *call)
{
    call->api->handlers[call->endpoint - declare_endpoints](call);
}

static int check_media(const struct call *call, struct error *err)
{
    bool patch = strcmp(call->endpoint->method, "PATCH") == 0;
    const char *want = patch ? "application/merge-patch+json" : "application/json";
    const char *type = http_header_get(call->req, "Content-Type");
    size_t n = type ? strcspn(type, "; ") : 0;

    if (!type || (n == strlen(want) && strncasecmp(type, want, n) == 0) ||
        (n == 16 && strncasecmp(type, "application/json", n) == 0))
        return 0;
    return error_set(err, -EPROTOTYPE, "'%.60s': send %s", type, want);
}

static void body_read(void *userdata, struct http_request *req, int r, const char *bytes,
                      size_t len)
{
    struct call *call = userdata;
    struct error err = { 0 };

    if (r < 0) {
        call_refuse(call, r, "the body could not be read; at most %d bytes are taken", BODY_MAX);
        return;
    }
    r = check_media(call, &err);
    if (r == 0)
        r = len ? json_parse(bytes, len, &call->body, &err) : 0;
    if (r == 0 && !call->body)
        call->body = json_object();
    if (r == 0)
        r = strcmp(call->endpoint->method, "PATCH") == 0
                ? declare_check_patch(call->endpoint->body, call->body, &err)
                : declare_check(call->endpoint->body, call->body, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        idempotency_begin(call, bytes, len, run);
}

static void begin(struct call *call, const struct declare_match *match)
{
    struct error err = { 0 };
    int r = decode_params(call, match, &err);

    /* Nobody learns what exists without a key. */
    int allowed = r == -ENOENT || r == 0 ? auth_check(call, r == 0 ? &err : NULL) : 0;
    if (allowed < 0 && (r == 0 || allowed == -EKEYREJECTED))
        r = allowed;
    if (r == 0)
        r = read_query(call, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else if (call->endpoint->body)
        http_read_body(call->req, BODY_MAX, body_read, call);
    else
        run(call);
}

static const char *method_text(enum http_method method)
{
    static const char *const names[HTTP_METHOD_MAX] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS",
    };

    return method < HTTP_METHOD_MAX ? names[method] : "?";
}

static void refuse_method(struct api *api, struct http_request *req, unsigned methods)
{
    static const char *const names[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
    _cleanup_text_ struct text allow = { 0 };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (methods >> i & 1)
            text_addf(&allow, "%s%s", allow.len ? ", " : "", names[i]);
    http_add_header(req, "Allow", text_str(&allow));
    problem_respond(api, req, -EOPNOTSUPP, allow.data);
}

void dispatch_request(void *userdata, struct http_request *req)
{
    struct api *api = userdata;
    const char *path = http_path(req);
    struct declare_match match = { 0 };
    int r = declare_route(method_text(http_method(req)), path, strlen(path), &match);

    /* Logs, results and names are written by others: nobody shall take them for anything but what is said. */
    http_add_header(req, "X-Content-Type-Options", "nosniff");
    if (r == -EOPNOTSUPP) {
        refuse_method(api, req, match.methods);
    } else if (r == -ENOENT && page_respond(api, req)) {
        return;
    } else if (r < 0) {
        problem_respond(api, req, r, "there is no such path; see /openapi.json");
    } else {
        struct call *call = xnew(struct call);
        *call = (struct call){ .api = api, .req = req, .endpoint = match.endpoint };
        begin(call, &match);
    }
}
