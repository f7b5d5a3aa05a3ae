/* sessions.c - the endpoints that lead into a running job */
#include "api/session.h"

#include <string.h>

/* An upgrade of ours? Answers itself if not. */
static bool check_upgrade(struct call *call)
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

/* Is there something to go into? Answers itself if not. */
static bool check_running(struct call *call, const struct workload *w)
{
    if (!id_is_none(&call->ticket_job) && !id_equal(&call->ticket_job, &w->id)) {
        call_refuse(call, -EKEYREJECTED, "the ticket is for another job");
        return false;
    }
    if (w->attempt && (w->state == WORKLOAD_RUNNING || w->state == WORKLOAD_STOPPING))
        return true;
    call_refuse(call, -EBUSY, "the job %s is %s, not running", w->name,
                workload_state_name(w->state));
    return false;
}

static void exec_in(struct call *call, const struct workload *w)
{
    if (check_running(call, w))
        session_relay(call, w, declare_type("exec_request"), NULL);
}

static void session_exec(struct call *call)
{
    if (check_upgrade(call))
        job_find(call, exec_in);
}

const struct api_route session_routes[] = {
    { "session.exec", session_exec },
    { NULL, NULL },
};
