/* idempotency.c - a POST with an Idempotency-Key is carried out once
 *
 * The scope names actor, path and key. An answer in the store is given again; a second request while
 * the first is under way is refused. Requests without the header pay nothing.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <string.h>

struct wait {
    struct call *call;
    handler_f go;
};

static void answer_known(void *userdata, int r, const struct idempotent_answer *answer,
                         const struct error *err)
{
    struct wait wait = *(struct wait *) userdata;
    struct call *call = wait.call;

    free(userdata);
    if (r < 0) {
        call_fail(call, r, err);
    } else if (!answer) {
        wait.go(call);
    } else if (!sha256_equal(&answer->request, &call->request_sum)) {
        call_refuse(call, -EILSEQ, "this Idempotency-Key came with another body before");
    } else {
        http_add_header(call->req, "Idempotency-Replayed", "true");
        if (answer->body && answer->body[0])
            call_answer_text(call, answer->status, answer->body, strlen(answer->body));
        else
            call_answer_empty(call);
    }
}

void idempotency_begin(struct call *call, const char *body, size_t len, handler_f go)
{
    enum { KEY_MAX = 255 };
    const char *key = http_header_get(call->req, "Idempotency-Key");

    if (!key || http_method(call->req) != HTTP_POST) {
        go(call);
        return;
    }
    if (!*key || strlen(key) > KEY_MAX) {
        call_refuse(call, -EINVAL, "Idempotency-Key must have 1 to %d characters", KEY_MAX);
        return;
    }
    char *scope = xasprintf("%s %s %s", call->actor, http_path(call->req), key);
    if (map_get_str(call->api->under_way, scope)) {
        free(scope);
        call_refuse(call, -EINPROGRESS, "ask again when the first request was answered");
        return;
    }
    call->scope = scope;
    call->request_sum = sha256_of(body, len);
    map_set_str(call->api->under_way, scope, call);

    struct wait *wait = xnew(struct wait);
    *wait = (struct wait){ .call = call, .go = go };
    store_get_answer(call->api->options.store, scope, answer_known, wait);
}

void idempotency_end(struct call *call)
{
    if (!call->scope)
        return;
    map_remove_str(call->api->under_way, call->scope);
    free(call->scope);
    call->scope = NULL;
}

struct idempotent_answer *call_idempotent_answer(struct call *call, int status)
{
    if (!call->scope)
        return NULL;

    struct idempotent_answer *answer = xnew(struct idempotent_answer);
    *answer = (struct idempotent_answer){ .scope = xstrdup(call->scope),
                                          .request = call->request_sum,
                                          .status = status,
                                          .created_us = clock_now_us() };
    return answer;
}

struct stored {
    struct call *call;
    int status;
    struct text body;
};

static void answer_stored(void *userdata, struct event *const *events, size_t n)
{
    struct stored *s = userdata;

    if (s->body.len)
        call_answer_text(s->call, s->status, s->body.data, s->body.len);
    else
        call_answer_empty(s->call);
    text_done(&s->body);
    free(s);
}

void call_answer_once(struct call *call, int status, json_t *json)
{
    struct idempotent_answer *answer = call_idempotent_answer(call, status);

    if (!answer) {
        if (json)
            call_answer(call, status, json);
        else
            call_answer_empty(call);
        return;
    }

    struct stored *s = xnew(struct stored);
    struct store_batch *batch = store_batch_new();
    s->call = call;
    s->status = status;
    if (json)
        text_add_json(&s->body, json);
    json_decref(json);
    answer->body = xstrdup(text_str(&s->body));
    store_put_answer(batch, answer);
    free(answer->scope);
    free(answer->body);
    free(answer);
    store_commit(call->api->options.store, batch, answer_stored, s);
}

void idempotency_sweep(struct api *api)
{
    struct store_batch *batch = store_batch_new();

    store_delete_answers_before(batch, clock_now_us() - api->options.idempotency_keep_s * US_PER_S);
    store_commit(api->options.store, batch, NULL, NULL);
}
