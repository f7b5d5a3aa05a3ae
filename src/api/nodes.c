/* nodes.c - machines join and report; operators keep them from work */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Two reports may be lost. */
static int64_t interval_s(const struct call *call)
{
    int64_t timeout_s = call->api->options.node_timeout_s;

    return timeout_s < 6 ? 1 : timeout_s < 35 ? timeout_s / 3 : 10;
}

/* ---- decisions ---------------------------------------------------------------------------------------- */

static void decided(void *userdata)
{
    struct call *call = userdata;
    const struct node *node = node_of_path(call);

    if (!node)
        return;
    struct id subject = lifecycle_node_subject(call->api->options.lifecycle, node);
    call_answer(call, 200, with_tags(call, &subject, node_json(call, node)));
}

static void set_cordon(struct call *call, bool is_cordoned, bool is_drained)
{
    const struct node *node = node_of_path(call);
    struct error err = { 0 };

    if (!node)
        return;
    const struct cordon cordon = {
        .node = node->name,
        .cordoned = is_cordoned,
        .drained = is_drained,
        .preempt = json_get_bool(call->body, "preempt", false),
        .reason = json_get_str(call->body, "reason", NULL),
        .actor = call->actor,
    };
    int r = lifecycle_cordon(call->api->options.lifecycle, &cordon, decided, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void node_cordon(struct call *call) { set_cordon(call, true, false); }
static void node_drain(struct call *call) { set_cordon(call, true, true); }
static void node_uncordon(struct call *call) { set_cordon(call, false, false); }

static void node_partition(struct call *call)
{
    const struct node *node = node_of_path(call);
    const char *table = json_get_str(call->body, "table", NULL);
    struct error err = { 0 };

    if (!node)
        return;
    const struct partitioning partitioning = { .node = node->name,
                                               .table = str_equal(table, "reported") ? NULL : table,
                                               .actor = call->actor };
    int r = lifecycle_partition(call->api->options.lifecycle, &partitioning, decided, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

/* ---- join tokens ------------------------------------------------------------------------------------- */

struct token {
    struct id id;
    char name[32], text[KEY_TEXT_LEN + 1];
    int64_t expires_us;
};

static void token_free(void *state)
{
    explicit_bzero(state, sizeof(struct token));
    free(state);
}

static void token_made(void *userdata)
{
    struct call *call = userdata;
    const struct token *token = call->state;
    json_t *answer = json_object();
    char time[TIME_TEXT_LEN + 1];

    json_put_str(answer, "name", token->name);
    json_put_str(answer, "token", token->text);
    json_put_str(answer, "expires", time_format(token->expires_us, time));
    call_answer(call, 201, answer);
}

static void node_token(struct call *call)
{
    struct token *token = xnew(struct token);
    struct error err = { 0 };
    uint8_t random[4];

    call->state = token;
    call->free_state = token_free;
    random_bytes(random, sizeof random);
    (void) snprintf(token->name, sizeof token->name, "join-%02x%02x%02x%02x", random[0], random[1],
                    random[2], random[3]);
    token->expires_us = clock_now_us() + json_get_int(call->body, "valid", 0) * US_PER_S;
    const struct new_key new = {
        .name = token->name,
        .role = KEY_ROLE_JOIN,
        .expires_us = token->expires_us,
        .actor = call->actor,
    };
    int r = lifecycle_create_key(call->api->options.lifecycle, &new, token->text, token_made, call,
                                 &token->id, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

/* ---- machines ------------------------------------------------------------------------------------------ */

static void joining_free(void *state)
{
    explicit_bzero(state, sizeof(struct joined));
    free(state);
}

static void joined(void *userdata)
{
    struct call *call = userdata;
    const struct joined *node = call->state;
    json_t *answer = json_object();

    json_put_str(answer, "name", node->name);
    json_put(answer, "again", json_boolean(node->again));
    json_put_str(answer, "key", node->key);
    json_put_int(answer, "interval", interval_s(call));
    /* A batch system starts jobs as the account that this server is, by its number. */
    json_put_int(answer, "uid", geteuid());
    json_put_int(answer, "gid", getegid());
    call_answer(call, 201, answer);
}

/* What a machine says of itself; never what is decided here. */
static int read_node(const struct call *call, struct node **ret, struct error *err)
{
    int r = node_from_json(json_object_get(call->body, "node"), ret, err);

    if (r < 0)
        return error_context(err, r, "node");
    (*ret)->cordoned = false;
    (*ret)->id = id_none;
    if ((*ret)->cores.len > 0 && (*ret)->memory_bytes > 0)
        return 0;
    return error_set(err, -EINVAL, "node: has no cores or no memory");
}

static void machine_join(struct call *call)
{
    _cleanup_(node_freep) struct node *node = NULL;
    struct joined *state = xnew(struct joined);
    struct new_machine new = { .actor = call->actor };
    struct error err = { 0 };

    call->state = state;
    call->free_state = joining_free;
    int r = auth_machine(call, KEY_ROLE_JOIN, &err);
    if (r >= 0)
        r = read_node(call, &node, &err);
    if (r < 0) {
        call_fail(call, r, &err);
        return;
    }
    new.node = node;
    new.url = json_get_str(call->body, "url", NULL);
    new.orders_key = json_get_str(call->body, "orders_key", NULL);
    new.token_name = call->actor + strlen("key:");
    (void) sha256_parse(json_get_str(call->body, "machine", ""), &new.machine); /* checked */
    r = lifecycle_join(call->api->options.lifecycle, &new, state, joined, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

/* The key's name says which node it is. */
int auth_node(struct call *call, struct error *err)
{
    static const char prefix[] = "key:node-";
    int r = auth_machine(call, KEY_ROLE_NODE, err);

    if (r < 0)
        return r;
    if (str_starts(call->actor, prefix) &&
        str_equal(call->actor + sizeof prefix - 1, call_param(call, "node")))
        return 0;
    return error_set(err, -EPERM, "the key is another node's");
}

static void machine_report(struct call *call)
{
    _cleanup_(node_freep) struct node *node = NULL;
    struct error err = { 0 };

    int r = auth_node(call, &err);
    if (r >= 0)
        r = read_node(call, &node, &err);
    if (r >= 0)
        r = lifecycle_hear_node(call->api->options.lifecycle, call_param(call, "node"), node, &err);
    if (r < 0) {
        call_fail(call, r, &err);
        return;
    }
    json_t *answer = json_object();
    json_put_int(answer, "interval", interval_s(call));
    call_answer(call, 200, answer);
}

static void forgotten(void *userdata) { call_answer_empty(userdata); }

static void node_delete(struct call *call)
{
    const struct node *node = node_of_path(call);
    struct error err = { 0 };

    if (!node)
        return;
    int r = lifecycle_forget_node(call->api->options.lifecycle, node->name, call->actor, forgotten,
                                  call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

const struct api_route node_routes[] = {
    { "node.cordon", node_cordon },       { "node.uncordon", node_uncordon },
    { "node.drain", node_drain },         { "node.resume", node_uncordon },
    { "node.partition", node_partition }, { "node.token", node_token },
    { "node.delete", node_delete },       { "machine.join", machine_join },
    { "machine.report", machine_report }, { NULL, NULL },
};
