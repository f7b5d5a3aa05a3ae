/* node-orders.c - machines wait for orders, and say how they go */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"

#include <string.h>

/* ---- the machine's side ------------------------------------------------------------------------------ */

struct node_wait {
    struct node_wait *next, **link;
    struct call *call;
    char *node;
    struct watch *timer;
};

static void wait_free(void *state)
{
    struct node_wait *w = state;

    watch_free(w->timer);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    free(w->node);
    free(w);
}

static void answer_order(struct call *call, json_t *order)
{
    json_t *answer = json_object();

    json_put(answer, "order", order);
    call_answer(call, 200, answer);
}

static void on_wait_over(void *userdata)
{
    struct node_wait *w = userdata;

    answer_order(w->call, NULL);
}

/* The newest one that waits for NODE is answered; those before it are what broken connections left. */
static void order_changed(struct api *api, const char *node)
{
    for (struct node_wait *w = api->node_waits; w; w = w->next)
        if (str_equal(w->node, node)) {
            answer_order(w->call, lifecycle_fetch_order(api->options.lifecycle, node));
            return;
        }
}

void node_orders_end(struct api *api)
{
    while (api->node_waits)
        call_refuse(api->node_waits->call, -EAGAIN, "the server ends");
}

static void end_older(struct api *api, const char *node)
{
    for (struct node_wait *w = api->node_waits, *next; w; w = next) {
        next = w->next;
        if (str_equal(w->node, node))
            on_wait_over(w);
    }
}

static void machine_orders(struct call *call)
{
    const char *node = call_param(call, "node");
    int64_t wait_s = json_get_int(call->query, "wait", 0);
    struct api *api = call->api;
    struct error err = { 0 };

    int r = auth_node(call, &err);
    if (r < 0) {
        call_fail(call, r, &err);
        return;
    }
    end_older(api, node);
    json_t *order = lifecycle_fetch_order(api->options.lifecycle, node);
    if (order || wait_s == 0) {
        answer_order(call, order);
        return;
    }
    struct node_wait *w = xnew(struct node_wait);
    *w = (struct node_wait){ .call = call, .node = xstrdup(node), .next = api->node_waits };
    w->link = &api->node_waits;
    if (w->next)
        w->next->link = &w->next;
    api->node_waits = w;
    w->timer = loop_timer(api->options.loop, wait_s * US_PER_S, on_wait_over, w);
    call->state = w;
    call->free_state = wait_free;
}

static void heard(void *userdata) { call_answer_empty(userdata); }

static void machine_order_report(struct call *call)
{
    struct error err = { 0 };

    int r = auth_node(call, &err);
    if (r >= 0)
        r = lifecycle_hear_order(call->api->options.lifecycle, call_param(call, "node"), call->body,
                                 heard, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

/* ---- the operator's ------------------------------------------------------------------------------------ */

static void ordered(void *userdata)
{
    struct call *call = userdata;
    const struct node *node = node_of_path(call);

    if (!node)
        return;
    _cleanup_json_ json_t *standing = json_object();
    lifecycle_node_standing(call->api->options.lifecycle, node, standing);
    json_t *order = json_deep_copy(json_object_get(standing, "order"));
    order_changed(call->api, node->name);
    call_answer(call, 201, order ? order : json_object());
}

static void machine_order(struct call *call)
{
    const struct node *node = node_of_path(call);
    struct error err = { 0 };
    struct id id;

    if (!node)
        return;
    /* It makes root obey on that machine: no key does. */
    if (http_peer_uid(call->req) != 0) {
        call_refuse(call, -EPERM, "only root on the server's machine may do this");
        return;
    }
    const struct new_order new = { .node = node->name,
                                   .payload = call->body,
                                   .actor = call->actor };
    int r = lifecycle_order(call->api->options.lifecycle, &new, ordered, call, &id, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

const struct api_route node_order_routes[] = {
    { "machine.order", machine_order },
    { "machine.orders", machine_orders },
    { "machine.order_report", machine_order_report },
    { NULL, NULL },
};
