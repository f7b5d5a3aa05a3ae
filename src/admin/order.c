/* order.c - what a machine that joined is told to do, as JSON and checked */
#include "admin/order.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

enum { NODES_MAX = 10000, UID_LAST = 0xfffffffe };

/* ---- clusters ----------------------------------------------------------------------------------------- */

void cluster_done(struct cluster *cluster)
{
    free(cluster->name);
    free(cluster->controller);
    free(cluster->controller_address);
    vec_foreach(&cluster->nodes, node)
        node_free(*node);
    vec_foreach(&cluster->items, item)
        free((char *) (uintptr_t) item->rack);
    vec_done(&cluster->nodes);
    vec_done(&cluster->items);
}

void cluster_add(struct cluster *cluster, struct node *node, const char *rack)
{
    const struct render_node item = { node, xstrdup(rack) };

    vec_push(&cluster->nodes, node);
    vec_push(&cluster->items, item);
}

struct render_cluster cluster_view(const struct cluster *cluster)
{
    return (struct render_cluster){
        .name = cluster->name,
        .controller = cluster->controller,
        .controller_address = cluster->controller_address,
        .nodes = cluster->items.items,
        .n_nodes = cluster->items.len,
    };
}

const struct node *cluster_find(const struct cluster *cluster, const char *name)
{
    vec_foreach(&cluster->nodes, node)
        if (str_equal((*node)->name, name))
            return *node;
    return NULL;
}

/* ---- to JSON --------------------------------------------------------------------------------------------- */

static json_t *cluster_to_json(const struct cluster *cluster)
{
    json_t *json = json_object(), *nodes = json_array();

    json_put_str(json, "name", cluster->name);
    json_put_str(json, "controller", cluster->controller);
    json_put_str(json, "address", cluster->controller_address);
    vec_foreach(&cluster->items, item) {
        json_t *one = json_object();
        json_put(one, "node", node_to_json(item->node));
        json_put_str(one, "rack", item->rack);
        (void) json_array_append_new(nodes, one);
    }
    json_put(json, "nodes", nodes);
    return json;
}

json_t *order_to_json(const struct order *order)
{
    json_t *json = json_object(), *account = json_object();

    json_put_str(json, "op", "slurm");
    json_put(json, "look", json_boolean(order->only_looks));
    json_put(json, "controller", json_boolean(order->is_controller));
    json_put_str(account, "name", order->account);
    json_put_int(account, "uid", order->uid);
    json_put_int(account, "gid", order->gid);
    json_put(json, "account", account);
    json_put(json, "cluster", cluster_to_json(&order->cluster));
    json_put(json, "sums", json_incref(order->sums));
    return json;
}

/* ---- from JSON --------------------------------------------------------------------------------------------- */

void order_free(struct order *order)
{
    if (!order)
        return;
    cluster_done(&order->cluster);
    free(order->account);
    free(order->munge_key);
    json_decref(order->sums);
    free(order);
}

/* Racks become names of switches: whatever stands there, it is one word (engine/slurm/render.c). */
static int read_node(struct cluster *cluster, const json_t *json, struct error *err)
{
    struct node *node = NULL;

    int r = node_from_json(json_object_get(json, "node"), &node, err);
    if (r < 0)
        return r;
    if (cluster_find(cluster, node->name)) {
        r = error_set(err, -EINVAL, "'%s' is there twice", node->name);
        node_free(node);
        return r;
    }
    cluster_add(cluster, node, json_get_str(json, "rack", NULL));
    return 0;
}

static int read_cluster(const json_t *json, struct cluster *cluster, struct error *err)
{
    const json_t *nodes = json_object_get(json, "nodes");
    const char *address = json_get_str(json, "address", NULL);

    int r = name_check("name", json_get_str(json, "name", ""), err);
    if (r >= 0)
        r = name_check("controller", json_get_str(json, "controller", ""), err);
    if (r >= 0 && address && (!*address || address[strspn(address, "0123456789.")]))
        r = error_set(err, -EINVAL, "address '%s' is not one such as 10.0.0.7", address);
    if (r >= 0 && (json_array_size(nodes) == 0 || json_array_size(nodes) > NODES_MAX))
        r = error_set(err, -EINVAL, "nodes: there are none, or more than %d", NODES_MAX);
    if (r < 0)
        return r;
    cluster->name = xstrdup(json_get_str(json, "name", NULL));
    cluster->controller = xstrdup(json_get_str(json, "controller", NULL));
    cluster->controller_address = xstrdup(address);
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        r = read_node(cluster, json_array_get(nodes, i), err);
        if (r < 0)
            return error_context(err, r, "nodes[%zu]", i);
    }
    return 0;
}

static int read_account(const json_t *json, struct order *order, struct error *err)
{
    int64_t uid = json_get_int(json, "uid", 0), gid = json_get_int(json, "gid", 0);

    int r = name_check("name", json_get_str(json, "name", ""), err);
    if (r >= 0 && (uid <= 0 || uid > UID_LAST || gid <= 0 || gid > UID_LAST))
        r = error_set(err, -EINVAL, "uid and gid are those of an ordinary account");
    if (r < 0)
        return r;
    order->account = xstrdup(json_get_str(json, "name", NULL));
    order->uid = (uid_t) uid;
    order->gid = (gid_t) gid;
    return 0;
}

int order_from_json(const json_t *json, const char *name, struct order **ret, struct error *err)
{
    _cleanup_(order_freep) struct order *order = xnew(struct order);
    const char *op = json_get_str(json, "op", "");

    if (!str_equal(op, "slurm"))
        return error_set(err, -EINVAL, "op: '%s' is not 'slurm', which is all that is known here",
                         op);
    int r = read_cluster(json_object_get(json, "cluster"), &order->cluster, err);
    if (r < 0)
        return error_context(err, r, "cluster");
    r = read_account(json_object_get(json, "account"), order, err);
    if (r < 0)
        return error_context(err, r, "account");
    order->self = cluster_find(&order->cluster, name);
    if (!order->self)
        return error_set(err, -EINVAL, "cluster.nodes: '%s', which is this machine, is not there",
                         name);
    order->only_looks = json_get_bool(json, "look", false);
    order->is_controller = json_get_bool(json, "controller", false);
    if (order->is_controller != str_equal(order->cluster.controller, name))
        return error_set(err, -EINVAL, "controller: the cluster names '%s', and this is '%s'",
                         order->cluster.controller, name);
    order->munge_key = xstrdup(json_get_str(json, "munge_key", NULL));
    order->sums = json_incref(json_object_get(json, "sums"));
    *ret = take_ptr(order);
    return 0;
}
