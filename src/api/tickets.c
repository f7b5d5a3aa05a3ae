/* tickets.c - a page cannot send a key with a WebSocket: it asks for a ticket with its key, and offers
 * that as a subprotocol. A ticket opens one session of one job, once, within seconds, so it may lie in
 * a proxy's log afterwards. They live in memory: a restart forgets them.
 */
#include "api/session.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/hash.h"

#include <string.h>

enum { TICKET_BYTES = 24, TICKETS_MAX = 1000, TICKET_S = 30 };

struct tickets {
    VEC(struct ticket) list; /* oldest first */
};

void tickets_free(struct tickets *tickets)
{
    if (!tickets)
        return;
    vec_done(&tickets->list);
    free(tickets);
}

static void forget_old(struct tickets *tickets)
{
    while (tickets->list.len && (tickets->list.len >= TICKETS_MAX ||
                                 tickets->list.items[0].expires_us <= clock_boot_us()))
        vec_remove(&tickets->list, 0);
}

bool tickets_take(struct api *api, const struct http_request *req, struct ticket *ret)
{
    _cleanup_free_ char *text = NULL;

    if (!api->tickets || !websocket_offers(req, CHANNEL_TICKET, &text))
        return false;
    struct sha256 sum = sha256_of(text, strlen(text));
    vec_foreach(&api->tickets->list, t) {
        if (memcmp(&t->sum, &sum, sizeof sum) != 0)
            continue;
        *ret = *t;
        vec_remove(&api->tickets->list, (size_t) (t - api->tickets->list.items));
        return ret->expires_us > clock_boot_us();
    }
    return false;
}

static void make_ticket(struct call *call, const struct workload *w)
{
    struct api *api = call->api;
    char bytes[TICKET_BYTES], text[2 * TICKET_BYTES + 1], expires[TIME_TEXT_LEN + 1];

    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, text);
    if (!api->tickets)
        api->tickets = xnew(struct tickets);
    forget_old(api->tickets);
    struct ticket ticket = { .sum = sha256_of(text, strlen(text)),
                             .job = w->id,
                             .role = call->role,
                             .key_project = call->key_project,
                             .expires_us = clock_boot_us() + TICKET_S * US_PER_S };
    memcpy(ticket.actor, call->actor, sizeof ticket.actor);
    vec_push(&api->tickets->list, ticket);
    json_t *json = json_object();
    json_put_str(json, "ticket", text);
    json_put_str(json, "expires", time_format(clock_now_us() + TICKET_S * US_PER_S, expires));
    call_answer(call, 201, json);
}

static void session_ticket(struct call *call) { job_find(call, make_ticket); }

const struct api_route ticket_routes[] = {
    { "session.ticket", session_ticket },
    { NULL, NULL },
};
