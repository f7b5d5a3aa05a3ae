/* fleet.c - machines and flavors */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

json_t *node_json(const struct call *call, const struct node *node)
{
    json_t *json = node_to_json(node);

    if (node->gpus.len > 1 || (node->gpus.len > 0 && node->nics.len > 0))
        json_put(json, "gpu_paths", node_gpu_paths(node));
    if (node->gpus.len > 0 && node->nics.len > 0)
        json_put(json, "nic_paths", node_nic_paths(node));
    json_put(json, "use", lifecycle_node_use(call->api->options.lifecycle, node));
    lifecycle_node_standing(call->api->options.lifecycle, node, json);
    return json;
}

const struct node *node_of_path(struct call *call)
{
    const struct node *const *nodes;
    const char *name = call_param(call, "node");
    char id[ID_TEXT_LEN + 1];
    size_t n;

    lifecycle_nodes(call->api->options.lifecycle, &nodes, &n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(nodes[i]->name, name) || str_equal(id_format(&nodes[i]->id, id), name))
            return nodes[i];
    call_refuse(call, -ENOENT, "there is no node '%s'", name);
    return NULL;
}

/* As it says itself what it is; whether work can begin there is still the engine's word. */
static json_t *reported_json(const struct call *call, const struct node *node)
{
    json_t *json = node_json(call, lifecycle_reported_node(call->api->options.lifecycle, node));

    json_put_str(json, "fault", node->fault);
    return json;
}

static void node_list(struct call *call)
{
    bool is_reported = json_get_bool(call->query, "reported", false);
    const struct node *const *nodes;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_nodes(call->api->options.lifecycle, &nodes, &n);
    for (size_t i = 0; i < n; i++) {
        struct id subject = lifecycle_node_subject(call->api->options.lifecycle, nodes[i]);
        add_tagged(call, array, &subject,
                   is_reported ? reported_json(call, nodes[i]) : node_json(call, nodes[i]));
    }
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static void node_show(struct call *call)
{
    const struct node *node = node_of_path(call);

    if (!node)
        return;
    struct id subject = lifecycle_node_subject(call->api->options.lifecycle, node);
    call_answer(call, 200, with_tags(call, &subject, node_json(call, node)));
}

struct distance {
    const struct node *node;
    bool is_known;
    enum fabric part;
};

/* The nearest first, then by name. */
static int compare_distances(const void *pa, const void *pb)
{
    const struct distance *a = pa, *b = pb;
    int from_a = a->is_known ? (int) a->part : -1, from_b = b->is_known ? (int) b->part : -1;

    return from_a != from_b ? from_b - from_a : strcmp(a->node->name, b->node->name);
}

static json_t *distance_json(const struct distance *distance)
{
    json_t *json = json_object();

    json_put_str(json, "node", distance->node->name);
    if (!distance->is_known)
        return json;
    json_put_str(json, "within", fabric_name(distance->part));
    json_put_int(json, "hops", fabric_hops(distance->part));
    return json;
}

static void node_hops(struct call *call)
{
    const struct node *node = node_of_path(call), *const * nodes;
    const char *to = json_get_str(call->query, "to", NULL);
    json_t *answer = json_object(), *items = json_array();
    size_t n, found = 0;

    json_put(answer, "items", items);
    if (!node) {
        json_decref(answer);
        return;
    }
    lifecycle_nodes(call->api->options.lifecycle, &nodes, &n);
    _cleanup_free_ struct distance *all = xnew_n(struct distance, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct distance *distance = &all[found];
        if (nodes[i] == node || (to && !str_equal(to, nodes[i]->name)))
            continue;
        distance->node = nodes[i];
        distance->is_known = nodes_stand_together(node, nodes[i], &distance->part);
        found++;
    }
    qsort(all, found, sizeof *all, compare_distances);
    for (size_t i = 0; i < found; i++)
        (void) json_array_append_new(items, distance_json(&all[i]));
    if (found > 0 || !to) {
        call_answer(call, 200, answer);
        return;
    }
    json_decref(answer);
    call_refuse(call, -ENOENT, "there is no other node '%s'", to);
}

static void flavor_list(struct call *call)
{
    const struct flavor *const *flavors;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_flavors(call->api->options.lifecycle, &flavors, &n);
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(array, flavor_to_json(flavors[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

const struct api_route fleet_routes[] = {
    { "flavor.list", flavor_list },
    { "node.list", node_list },
    { "node.show", node_show },
    { "node.hops", node_hops },
    { NULL, NULL },
};
