/* events.c - what happened: pages, and a stream that reads pages as events are committed */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct event_stream {
    struct follower follower; /* first */
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    uint64_t seq;             /* of the last event sent */
    bool wanted, busy, dirty;
    struct text out;
};

enum { PAGE = 100 };

static void stream_free(struct event_stream *s)
{
    follower_remove(&s->follower);
    text_done(&s->out);
    free(s);
}

static void stream_step(struct event_stream *s);

static void stream_page(void *userdata, int r, struct event **items, size_t n,
                        const struct error *err)
{
    struct event_stream *s = userdata;

    s->busy = false;
    if (!s->req) {
        stream_free(s);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char id[24];
        _cleanup_json_ json_t *json = event_to_json(items[i]);
        _cleanup_free_ char *text = json_text(json);
        (void) snprintf(id, sizeof id, "%llu", (unsigned long long) items[i]->seq);
        sse_format(&s->out, id, NULL, text, strlen(text));
        s->seq = items[i]->seq;
    }
    s->dirty |= n == PAGE;
    stream_step(s);
}

static void stream_step(struct event_stream *s)
{
    if (s->busy || !s->wanted)
        return;
    if (s->out.len > 0) {
        _cleanup_text_ struct text out = s->out;
        s->out = (struct text){ 0 };
        s->wanted = false;
        http_send(s->req, out.data, out.len, false); /* may call proceed, or stop */
    } else if (s->dirty) {
        s->dirty = false;
        s->busy = true;
        store_list_events(s->api->options.store, &s->follower.project, &s->follower.job, s->seq,
                          PAGE, stream_page, s);
    }
}

static void stream_wake(struct follower *follower)
{
    struct event_stream *s = (struct event_stream *) follower;

    s->dirty = true;
    stream_step(s);
}

static void stream_beat(struct follower *follower)
{
    struct event_stream *s = (struct event_stream *) follower;

    if (s->out.len == 0)
        text_add(&s->out, ":\n\n");
    stream_step(s);
}

static void proceed(void *userdata, struct http_request *req)
{
    struct event_stream *s = userdata;

    s->wanted = true;
    stream_step(s);
}

static void stop(void *userdata, struct http_request *req)
{
    struct event_stream *s = userdata;

    s->req = NULL;
    s->wanted = false;
    follower_remove(&s->follower);
    if (!s->busy)
        stream_free(s);
}

/* After which event the answer begins. */
static long long first_seq(const struct call *call)
{
    struct store_health health;

    if (!json_get_bool(call->query, "new", false))
        return json_get_int(call->query, "cursor", 0);
    store_health(call->api->options.store, &health);
    return (long long) health.seq;
}

static void follow(struct call *call, const struct id *job)
{
    struct event_stream *s = xnew(struct event_stream);
    const char *last = http_header_get(call->req, "Last-Event-ID");
    long long seq = first_seq(call);

    if (last)
        (void) str_to_i64(last, 0, INT64_MAX, &seq);
    *s = (struct event_stream){
        .follower = { .project = call->project,
                      .job = *job,
                      .wake = stream_wake,
                      .beat = stream_beat },
        .api = call->api,
        .seq = (uint64_t) seq,
        .dirty = true,
    };
    if (!last && json_get_bool(call->query, "new", false))
        text_addf(&s->out, "id: %lld\n\n", seq); /* a lost connection goes on from here */
    follower_add(call->api, &s->follower);

    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = s };
    s->req = call_take_request(call);
    s->api->answers[2]++;
    http_add_header(s->req, "Cache-Control", "no-store");
    http_respond_stream(s->req, 200, "text/event-stream", -1, &generator);
}

static void listed(void *userdata, int r, struct event **items, size_t n, const struct error *err)
{
    struct call *call = userdata;
    char next[24];

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    json_t *answer = json_object(), *array = json_array();
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(array, event_to_json(items[i]));
    json_put(answer, "items", array);
    if (n > 0 && (int64_t) n == json_get_int(call->query, "limit", 100)) {
        (void) snprintf(next, sizeof next, "%llu", (unsigned long long) items[n - 1]->seq);
        json_put_str(answer, "next", next);
    }
    call_answer(call, 200, answer);
}

static void list(struct call *call, const struct id *job)
{
    if (json_get_bool(call->query, "follow", false))
        follow(call, job);
    else
        store_list_events(call->api->options.store, &call->project, job, (uint64_t) first_seq(call),
                          (unsigned) json_get_int(call->query, "limit", 100), listed, call);
}

static void list_of_job(struct call *call, const struct workload *w) { list(call, &w->id); }

static void event_list(struct call *call)
{
    if (json_object_get(call->query, "job"))
        job_find(call, list_of_job);
    else
        list(call, &id_none);
}

const struct api_route event_routes[] = {
    { "event.list", event_list },
    { NULL, NULL },
};
