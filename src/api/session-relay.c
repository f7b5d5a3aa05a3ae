/* session-relay.c - messages between a WebSocket and a supervisor (reach.h)
 *
 *     first message -> checked -> session.started is committed -> connect -> messages both ways
 *
 * A message is a packet, so nothing is cut or joined, and what one side does not take is not read from
 * the other: memory is bounded by WEBSOCKET_PENDING and one message. What was typed is not looked at.
 */
#include "api/session.h"

#include "api/reach.h"

#include "base/alloc.h"
#include "base/time.h"

#include <string.h>

#define FIRST_MESSAGE_US 10000000

struct session {
    struct api *api;
    struct session *next, **link; /* among those of the api */
    struct websocket *ws;         /* NULL: the client has left */
    struct session_purpose purpose;
    json_t *order; /* for the supervisor; NULL before the first message */
    struct id id, project;
    struct reach_target target;
    char actor[80];
    struct watch *timer; /* for the first message */
    struct reach *reach; /* the supervisor; NULL: not connected */
    bool committing, started;
    int64_t began_us, began_wall_us;
    int exit_code; /* -1: none came */
    char *reason;
};

static void join(struct session *s)
{
    s->next = s->api->sessions;
    s->link = &s->api->sessions;
    if (s->next)
        s->next->link = &s->next;
    s->api->sessions = s;
}

static void session_free(struct session *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    watch_free(s->timer);
    reach_close(s->reach);
    json_decref(s->order);
    free(s->reason);
    free(s);
}

/* ---- on record ----------------------------------------------------------------------------------- */

/* What was asked for, without what was typed. */
static void put_order(const struct session *s, json_t *into)
{
    static const char *const shown[] = { "tty", "path", "direction", "port" };
    const json_t *command = json_object_get(s->order, "command");

    json_put_str(into, "kind", s->purpose.op);
    if (command)
        json_put(into, "command", session_words(command));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (json_object_get(s->order, shown[i]))
            json_put(into, shown[i], json_incref(json_object_get(s->order, shown[i])));
}

static struct session_record record_of(struct session *s, bool ended)
{
    char text[ID_TEXT_LEN + 1];
    struct session_record record = { .project = s->project,
                                     .job = s->target.job,
                                     .actor = s->actor,
                                     .ended = ended,
                                     .data = json_object() };

    json_put_str(record.data, "session", id_format(&s->id, text));
    if (!ended) {
        json_put_str(record.data, "attempt", id_format(&s->target.task, text));
        put_order(s, record.data);
    } else {
        if (s->exit_code >= 0)
            json_put_int(record.data, "exit_code", s->exit_code);
        if (s->reason)
            json_put_str(record.data, "reason", s->reason);
        json_put(record.data, "seconds", json_real((double) (clock_boot_us() - s->began_us) / 1e6));
    }
    return record;
}

static void record_end(struct session *s)
{
    if (!s->started)
        return;
    struct session_record record = record_of(s, true);
    lifecycle_record_session(s->api->options.lifecycle, &record, NULL, NULL);
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* A word of ours on the control channel. */
static void say(struct session *s, json_t *json)
{
    _cleanup_text_ struct text t = { 0 };

    text_add_char(&t, CHANNEL_CONTROL);
    text_add_json(&t, json);
    json_decref(json);
    if (s->ws)
        websocket_send(s->ws, t.data, t.len, true);
}

static void end(struct session *s, unsigned code, const char *reason)
{
    record_end(s);
    if (s->ws)
        websocket_close(s->ws, code, reason);
    s->ws = NULL;
    if (!s->committing)
        session_free(s);
}

static void refuse(struct session *s, int code, const char *detail)
{
    int status = 0;
    _cleanup_free_ char *text = problem_text(code, detail, &status);
    json_t *problem = NULL, *json = json_object();

    if (json_parse(text, strlen(text), &problem, NULL) >= 0)
        json_put(json, "error", problem);
    say(s, json);
    xstr_set(&s->reason, detail);
    end(s, status < 500 ? WS_POLICY : WS_INTERNAL, "refused");
}

static void on_closed(void *userdata, unsigned code, const char *reason)
{
    struct session *s = userdata;

    s->ws = NULL;
    if (!s->reason)
        s->reason = xasprintf("the client left (%u%s%.80s)", code, *reason ? ": " : "", reason);
    end(s, code, reason);
}

/* ---- from the supervisor ------------------------------------------------------------------------- */

/* True when it was the last word. */
static bool note_exit(struct session *s, const char *bytes, size_t len)
{
    _cleanup_json_ json_t *json = NULL;

    if (json_parse(bytes, len, &json, NULL) < 0)
        return false;
    const json_t *exit = json_object_get(json, "exit");
    if (!exit)
        return false;
    s->exit_code = (int) json_get_int(exit, "code", -1);
    xstr_set(&s->reason, json_get_str(exit, "reason", NULL));
    return true;
}

static void on_packet(void *userdata, const char *bytes, size_t len)
{
    struct session *s = userdata;

    if ((unsigned char) bytes[0] > CHANNEL_CONTROL)
        return; /* the supervisor's news for the engine */
    bool last = bytes[0] == CHANNEL_CONTROL && note_exit(s, bytes + 1, len - 1);
    websocket_send(s->ws, bytes, len, true);
    if (last)
        end(s, WS_NORMAL, "");
    else if (websocket_pending(s->ws) > WEBSOCKET_PENDING)
        reach_pause(s->reach);
}

static void on_over(void *userdata, const char *why)
{
    struct session *s = userdata;

    s->reach = NULL;
    refuse(s, -EBUSY, why);
}

/* ---- to the supervisor --------------------------------------------------------------------------- */

static void on_ready(void *userdata)
{
    const struct session *s = userdata;

    websocket_resume(s->ws);
}

static void connect_both(struct session *s)
{
    const struct reach_events events = {
        .ready = on_ready, .packet = on_packet, .closed = on_over, .userdata = s
    };
    struct error err = { 0 };
    int r = reach_open(s->api, &s->target, s->order, &events, &s->reach, &err);

    if (r < 0)
        refuse(s, r, err.text);
}

static void on_committed(void *userdata)
{
    struct session *s = userdata;

    s->committing = false;
    s->started = !s->purpose.connection;
    if (s->ws) {
        connect_both(s);
    } else { /* it left meanwhile */
        record_end(s);
        session_free(s);
    }
}

static void begin(struct session *s)
{
    json_put_str(s->order, "op", s->purpose.op);
    timer_clear(s->timer);
    websocket_pause(s->ws);
    if (s->purpose.recorded) {
        connect_both(s);
        return;
    }
    struct session_record record = record_of(s, false);
    s->committing = true;
    lifecycle_record_session(s->api->options.lifecycle, &record, on_committed, s);
}

/* Channel and, for control, content; a refusal ends the session. */
static bool check_message(struct session *s, const char *bytes, size_t len,
                          const struct declare_type *type, json_t **ret)
{
    struct error err = { 0 };
    int r = 0;

    if (len == 0 || (bytes[0] != CHANNEL_IN && bytes[0] != CHANNEL_CONTROL))
        r = error_set(&err, -EINVAL, "a message begins with channel 0 or 3");
    else if (bytes[0] == CHANNEL_CONTROL && (r = json_parse(bytes + 1, len - 1, ret, &err)) >= 0)
        r = declare_check(type, *ret, &err);
    if (r < 0)
        refuse(s, r, err.text);
    return r >= 0;
}

static void first_message(struct session *s, const char *bytes, size_t len)
{
    json_t *order = NULL;

    if (!check_message(s, bytes, len, s->purpose.first, &order)) {
        json_decref(order);
        return;
    }
    if (!order) {
        refuse(s, -EINVAL, "the first message says on channel 3 what to do");
        return;
    }
    const json_t *size = json_object_get(order, "size");
    if (size) {
        json_put_int(order, "rows", json_get_int(size, "rows", 24));
        json_put_int(order, "columns", json_get_int(size, "columns", 80));
    }
    s->order = order;
    begin(s);
}

static void later_message(struct session *s, const char *bytes, size_t len)
{
    _cleanup_json_ json_t *order = NULL;

    if (!check_message(s, bytes, len, declare_type("session_order"), &order))
        return;
    if (!reach_send(s->reach, bytes, len))
        websocket_pause(s->ws);
}

static void on_message(void *userdata, const char *bytes, size_t len, bool binary)
{
    struct session *s = userdata;

    if (!binary)
        refuse(s, -EINVAL, "messages are binary");
    else if (!s->order)
        first_message(s, bytes, len);
    else
        later_message(s, bytes, len);
}

static void on_drained(void *userdata)
{
    const struct session *s = userdata;

    if (s->reach)
        reach_resume(s->reach);
}

static void on_late(void *userdata) { refuse(userdata, -EINVAL, "no first message came"); }

/* ---- the beginning ------------------------------------------------------------------------------- */

void session_relay(struct call *call, const struct workload *w,
                   const struct session_purpose *purpose)
{
    struct api *api = call->api;
    struct session *s = xnew(struct session);
    struct websocket_events events = {
        .message = on_message, .drained = on_drained, .closed = on_closed, .userdata = s
    };

    *s = (struct session){ .api = api,
                           .purpose = *purpose,
                           .order = purpose->order,
                           .id = id_new(),
                           .project = w->project,
                           .target = { .job = w->id,
                                       .task = *task_asked(call, w->attempt),
                                       .epoch = w->attempt->epoch },
                           .began_us = clock_boot_us(),
                           .began_wall_us = clock_now_us(),
                           .exit_code = -1 };
    join(s);
    memcpy(s->actor, call->actor, sizeof s->actor);
    api->answers[1]++;
    s->ws = websocket_accept(call_take_request(call), CHANNEL_PROTOCOL, NULL, &events);
    if (!s->ws) {
        session_free(s);
        return;
    }
    s->timer = loop_timer(api->options.loop, FIRST_MESSAGE_US, on_late, s);
    if (s->order)
        begin(s);
}

size_t sessions_of(const struct api *api, const char *actor)
{
    size_t n = 0;

    for (const struct session *s = api->sessions; s; s = s->next)
        n += str_equal(s->actor, actor);
    return n;
}

json_t *sessions_in(const struct api *api, const struct id *job)
{
    char text[TIME_TEXT_LEN + ID_TEXT_LEN];
    json_t *list = json_array();

    for (const struct session *s = api->sessions; s; s = s->next) {
        if (!id_equal(&s->target.job, job))
            continue;
        json_t *one = json_object();
        json_put_str(one, "id", id_format(&s->id, text));
        put_order(s, one);
        json_object_del(one, "tty");
        json_object_del(one, "direction");
        json_put_str(one, "actor", s->actor);
        json_put_str(one, "attempt", id_format(&s->target.task, text));
        json_put_str(one, "started", time_format(s->began_wall_us, text));
        (void) json_array_append_new(list, one);
    }
    return list;
}
