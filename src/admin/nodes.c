/* nodes.c - the machines as the server of this machine knows them */
#include "admin/nodes.h"

#include "admin/node.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "http/http.h"

#include <errno.h>
#include <string.h>

enum { ANSWER_MAX = 64 << 20 };

static int judge(const struct http_response *response, json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *answer = NULL;

    (void) json_parse(text_str(&response->body), response->body.len, &answer, NULL);
    if (response->status < 200 || response->status > 299)
        return error_set(err, response->status == 409 ? -EBUSY : -EREMOTEIO, "%s",
                         json_get_str(answer, "detail", "the server refuses"));
    if (ret)
        *ret = json_incref(answer);
    return 0;
}

int nodes_call(const char *method, const char *target, const json_t *body, json_t **ret,
               struct error *err)
{
    static const char *const headers[] = { "Content-Type", "application/json", NULL };
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    _cleanup_free_ char *text = body ? json_text(body) : NULL;
    _cleanup_free_ char *url =
        xasprintf("unix:%s", option_setting("BERTH_SOCKET", "/run/berth/api.sock"));
    struct http_response response = { 0 };
    const struct http_call call = { .method = method,
                                    .target = target,
                                    .headers = body ? headers : NULL,
                                    .body = text,
                                    .body_len = text ? strlen(text) : 0,
                                    .limit = ANSWER_MAX };

    int r = http_client_new(url, &client, err);
    if (r >= 0)
        r = http_client_call(client, &call, &response, err);
    if (r >= 0)
        r = judge(&response, ret, err);
    http_response_done(&response);
    return r;
}

int nodes_ask(json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *answer = NULL;

    int r = nodes_call("GET", "/v1/nodes?reported=true", NULL, &answer, err);
    if (r < 0)
        return error_context(err, r, "asking the server for its machines");
    *ret = json_incref(json_object_get(answer, "items"));
    return *ret ? 0 : error_set(err, -EBADMSG, "the server names no machines");
}

/* This machine, seen from the others: from the first that says where it is. */
static void find_own_address(struct cluster *cluster, struct node *own)
{
    for (size_t i = 0; i < cluster->nodes.len && !own->address; i++)
        if (cluster->nodes.items[i]->address)
            own->address = address_towards(cluster->nodes.items[i]->address);
    /* Alone, it need not even know its own name. */
    if (cluster->nodes.len == 0)
        own->address = xstrdup("127.0.0.1");
}

static const char *rack_of(const json_t *item)
{
    return json_get_str(json_object_get(item, "tags"), "rack", NULL);
}

static int add_others(struct cluster *cluster, const json_t *items, const struct node *own,
                      const char **own_rack, struct error *err)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        struct node *node = NULL;
        int r = node_from_json(item, &node, err);
        if (r < 0)
            return r;
        if (str_equal(node->name, own->name)) {
            *own_rack = rack_of(item);
            node_free(node);
        } else if (json_object_get(item, "joined")) {
            cluster_add(cluster, node, rack_of(item));
        } else {
            node_free(node); /* the engine's, of which nothing joined */
        }
    }
    return 0;
}

int nodes_gather(struct cluster *cluster, json_t **items, struct error *err)
{
    _cleanup_(node_freep) struct node *own = NULL;
    _cleanup_json_ json_t *seen = NULL;
    const char *own_rack = NULL;

    int r = nodes_ask(items, err);
    if (r >= 0)
        r = node_look(option_setting("BERTH_STATE", "/var/lib/berth"), NULL, NULL, &seen, err);
    if (r >= 0)
        r = node_from_json(seen, &own, err);
    if (r >= 0)
        r = add_others(cluster, *items, own, &own_rack, err);
    if (r < 0)
        return r;
    find_own_address(cluster, own);
    cluster_add(cluster, take_ptr(own), own_rack);
    const struct node *controller = cluster_find(cluster, cluster->controller);
    if (controller && controller->address && !strchr(controller->address, ':'))
        cluster->controller_address = xstrdup(controller->address);
    return 0;
}
