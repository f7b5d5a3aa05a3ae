/* node-record.c - what is decided and known of a machine, and its JSON form */
#include "fleet/fleet.h"

#include "base/alloc.h"
#include "base/time.h"

#include <errno.h>

void node_record_free(struct node_record *machine)
{
    if (!machine)
        return;
    free(machine->name);
    free(machine->reason);
    free(machine->partitions);
    free(machine->actor);
    node_free(machine->node);
    free(machine->url);
    free(machine->orders_key);
    json_decref(machine->order);
    free(machine);
}

static int64_t get_time(const json_t *json, const char *key)
{
    int64_t us = 0;

    (void) time_parse(json_get_str(json, key, ""), &us);
    return us;
}

json_t *node_record_to_json(const struct node_record *machine)
{
    json_t *json = json_object();
    char sum[SHA256_HEX_LEN + 1];

    json_put_str(json, "name", machine->name);
    json_put(json, "cordoned", json_boolean(machine->cordoned));
    json_put(json, "drained", json_boolean(machine->drained));
    json_put_str(json, "reason", machine->reason);
    json_put_str(json, "by", machine->actor);
    json_put_str(json, "partitions", machine->partitions);
    json_put_time(json, "since", machine->cordoned_us);
    json_put_time(json, "joined", machine->joined_us);
    if (machine->joined_us)
        json_put_str(json, "machine", sha256_format(&machine->machine, sum));
    json_put_str(json, "url", machine->url);
    json_put_str(json, "orders_key", machine->orders_key);
    if (machine->order)
        json_put(json, "order", json_deep_copy(machine->order));
    if (machine->node)
        json_put(json, "node", node_to_json(machine->node));
    return json;
}

int node_record_from_json(const json_t *json, struct node_record **ret, struct error *err)
{
    _cleanup_(node_record_freep) struct node_record *machine = xnew(struct node_record);
    const json_t *node = json_object_get(json, "node");
    const char *sum = json_get_str(json, "machine", NULL);

    int r = name_check("name", json_get_str(json, "name", ""), err);
    if (r >= 0 && sum && sha256_parse(sum, &machine->machine) < 0)
        r = error_set(err, -EINVAL, "machine: is not a SHA-256 in hexadecimal");
    if (r >= 0 && node)
        r = node_from_json(node, &machine->node, err);
    if (r < 0)
        return r;
    machine->name = xstrdup(json_get_str(json, "name", NULL));
    machine->cordoned = json_get_bool(json, "cordoned", false);
    machine->drained = json_get_bool(json, "drained", false);
    machine->reason = xstrdup(json_get_str(json, "reason", NULL));
    machine->actor = xstrdup(json_get_str(json, "by", NULL));
    machine->partitions = xstrdup(json_get_str(json, "partitions", NULL));
    machine->url = xstrdup(json_get_str(json, "url", NULL));
    machine->orders_key = xstrdup(json_get_str(json, "orders_key", NULL));
    machine->order = json_incref(json_object_get(json, "order"));
    machine->cordoned_us = get_time(json, "since");
    machine->joined_us = get_time(json, "joined");
    *ret = take_ptr(machine);
    return 0;
}
