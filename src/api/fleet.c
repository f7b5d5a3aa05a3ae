/* fleet.c - machines and flavors */
#include "api/internal.h"

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
    { NULL, NULL },
};
