/* sessions.c - the endpoints that lead into a running job */
#include "api/session.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/hash.h"

#include <string.h>

enum { PORT_USE_S = 3600, PORT_USES_MAX = 1000 };

bool check_upgrade(struct call *call)
{
    struct error err = { 0 };
    int r = websocket_check(call->req, &err);

    if (r >= 0 && !websocket_offers(call->req, CHANNEL_PROTOCOL, NULL))
        r = error_set(&err, -EINVAL, "Sec-WebSocket-Protocol: offer " CHANNEL_PROTOCOL);
    if (r >= 0)
        return true;
    if (r == -EPROTO) {
        http_add_header(call->req, "Upgrade", "websocket");
        http_add_header(call->req, "Sec-WebSocket-Version", "13");
    }
    call_fail(call, r, &err);
    return false;
}

/* May there be one more of whoever asks? Answers itself if not. */
static bool check_number(struct call *call)
{
    size_t open = sessions_of(call->api, call->actor);

    if ((int64_t) open < call->api->options.sessions_per_key)
        return true;
    call_refuse(call, -EAGAIN,
                "%s has %zu sessions open, as many as one key may have (setting sessions_per_key)",
                call->actor, open);
    return false;
}

/* Is there something to go into? Answers itself if not. */
static bool check_running(struct call *call, const struct workload *w)
{
    if (!id_is_none(&call->ticket_job) && !id_equal(&call->ticket_job, &w->id)) {
        call_refuse(call, -EKEYREJECTED, "the ticket is for another job");
        return false;
    }
    if (w->attempt && (w->state == WORKLOAD_RUNNING || w->state == WORKLOAD_STOPPING))
        return check_rank(call, w->attempt) && check_number(call);
    call_refuse(call, -EBUSY, "the job %s is %s, not running", w->name,
                workload_state_name(w->state));
    return false;
}

static void exec_in(struct call *call, const struct workload *w)
{
    struct session_purpose purpose = { .op = "exec", .first = declare_type("exec_request") };

    if (check_running(call, w))
        session_relay(call, w, &purpose);
}

static void session_exec(struct call *call)
{
    if (check_upgrade(call))
        job_find(call, exec_in);
}

static void copy_in(struct call *call, const struct workload *w)
{
    struct session_purpose purpose = { .op = "copy", .first = declare_type("copy_request") };

    if (check_running(call, w))
        session_relay(call, w, &purpose);
}

static void session_copy(struct call *call)
{
    if (check_upgrade(call))
        job_find(call, copy_in);
}

/* ---- ports --------------------------------------------------------------------------------------- */

/* The number, or the one behind the name; 0: there is none. */
static unsigned port_of(const struct workload_spec *spec, const char *text)
{
    long long number = 0;

    for (size_t i = 0; spec && i < spec->n_ports; i++)
        if (str_equal(spec->ports[i].name, text))
            return spec->ports[i].port;
    return str_to_i64(text, 1, 65535, &number) < 0 ? 0 : (unsigned) number;
}

/* A page alone makes dozens of connections: who uses which port goes on record once an hour. */
static bool port_is_recorded(struct api *api, const struct workload *w, unsigned port,
                             const char *actor)
{
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *text = xasprintf("%s %u %s", id_format(&w->attempt->id, id), port, actor);
    struct port_use use = { .what = sha256_of(text, strlen(text)),
                            .until_us = clock_boot_us() + PORT_USE_S * US_PER_S };

    while (api->port_uses.len && (api->port_uses.len >= PORT_USES_MAX ||
                                  api->port_uses.items[0].until_us <= clock_boot_us()))
        vec_remove(&api->port_uses, 0);
    vec_foreach(&api->port_uses, known)
        if (sha256_equal(&known->what, &use.what))
            return true;
    vec_push(&api->port_uses, use);
    return false;
}

static void forward_to(struct call *call, const struct workload *w)
{
    const char *text = call_param(call, "port");
    unsigned port = port_of(w->spec, text);

    if (!port) {
        call_refuse(call, -ENOENT, "the job %s has no port '%s': give a number or one of its names",
                    w->name, text);
        return;
    }
    if (!check_running(call, w))
        return;
    struct session_purpose purpose = { .op = "forward",
                                       .order = json_object(),
                                       .connection = true,
                                       .recorded =
                                           port_is_recorded(call->api, w, port, call->actor) };
    json_put_int(purpose.order, "port", port);
    session_relay(call, w, &purpose);
}

static void session_forward(struct call *call)
{
    if (check_upgrade(call))
        job_find(call, forward_to);
}

static void list_in(struct call *call, const struct workload *w)
{
    json_t *answer = json_object();

    json_put(answer, "items", sessions_in(call->api, &w->id));
    call_answer(call, 200, answer);
}

static void job_sessions(struct call *call) { job_find(call, list_in); }

const struct api_route session_routes[] = {
    { "job.sessions", job_sessions },
    { "session.copy", session_copy },
    { "session.exec", session_exec },
    { "session.forward", session_forward },
    { NULL, NULL },
};
