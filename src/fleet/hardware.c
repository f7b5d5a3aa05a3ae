/* hardware.c - the tree of a hardware file: sites, blocks, leaves and the nodes on them */
#include "fleet/hardware-internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>

/* The levels of the network; nodes may stand on each. */
static const struct level {
    const char *key;
} levels[] = { { "sites" }, { "blocks" }, { "leaves" } };
enum { LEVELS = sizeof levels / sizeof *levels };

struct place {
    unsigned depth;
    const char *names[LEVELS];
};

/* "n[01-16]": numbers with leading zeros as the first has. */
struct name_range {
    char prefix[64], suffix[64];
    unsigned first, last, width;
};

static bool range_parse(const char *pattern, struct name_range *ret)
{
    char first[10] = "", last[10] = "";

    *ret = (struct name_range){ .last = 0 };
    if (!strchr(pattern, '[')) {
        (void) snprintf(ret->prefix, sizeof ret->prefix, "%s", pattern);
        return strlen(pattern) < sizeof ret->prefix;
    }
    int n = sscanf(pattern, "%63[^[][%9[0-9]-%9[0-9]]%63s", ret->prefix, first, last, ret->suffix);
    _cleanup_free_ char *again = xasprintf("%s[%s-%s]%s", ret->prefix, first, last, ret->suffix);
    ret->first = (unsigned) strtoul(first, NULL, 10);
    ret->last = (unsigned) strtoul(last, NULL, 10);
    ret->width = (unsigned) strlen(first);
    return n >= 3 && str_equal(again, pattern) && ret->first <= ret->last &&
           ret->last - ret->first < HARDWARE_NODES_MAX;
}

static char *range_name(const struct name_range *range, unsigned i)
{
    return range->width ? xasprintf("%s%0*u%s", range->prefix, (int) range->width, range->first + i,
                                    range->suffix)
                        : xstrdup(range->prefix);
}

static void chain_done(struct chain *chain)
{
    for (size_t i = 1; i < chain->n; i++) /* the first is the caller's */
        spot_done(&chain->links[i]);
}

/* Append the machine that the last link is like. */
static int follow(struct reader *r, struct chain *chain)
{
    struct spot *from = &chain->links[chain->n - 1];
    const char *key = chain->n == 1 ? "machine" : "like";
    _cleanup_spot_ struct spot at = spot_member(from, key);
    const char *name = json_string_value(at.json);

    if (!at.json)
        return 0;
    const json_t *machine = name ? json_object_get(r->machines, name) : NULL;
    if (!machine || strchr(name, '/'))
        return refuse(r, &at, "must be the name of one of \"machines\" (without '/')");
    for (size_t i = 1; i < chain->n; i++)
        if (chain->links[i].json == machine)
            return refuse(r, &at, "goes in a circle: %s is like itself", name);
    if (chain->n == HARDWARE_CHAIN_MAX)
        return refuse(r, &at, "is the %d. in a row; that is too many", HARDWARE_CHAIN_MAX);
    struct spot link = { machine, xasprintf("/machines/%s", name) };
    chain->links[chain->n++] = link;
    int code = check_object(r, &link, machine_keys);
    return code < 0 ? code : 1;
}

static int add_node(struct reader *r, const struct spot *name, const struct chain *chain,
                    const struct place *place, char *node_name)
{
    _cleanup_(node_freep) struct node *node = xnew(struct node);

    node->name = node_name;
    struct error why = { 0 };
    if (name_check("name", node_name, &why) < 0)
        return refuse(r, name, "%s", why.text);
    if (map_set_str(r->names, node_name, r))
        return refuse(r, name, "node %s is there already", node_name);
    node->site = xstrdup(place->names[0]);
    node->block = xstrdup(place->names[1]);
    node->leaf = xstrdup(place->names[2]);
    int code = machine_read(r, chain, node);
    r->n_cores += node->cores.len;
    if (code >= 0)
        vec_push(&r->out->nodes, take_ptr(node));
    return code;
}

/* A short name may stand for more than memory holds: N further nodes like the one that was read last? */
static int check_size(struct reader *r, const struct spot *name, size_t n)
{
    size_t cores = r->out->nodes.len ? r->out->nodes.items[r->out->nodes.len - 1]->cores.len : 0;

    if (r->out->nodes.len + n > HARDWARE_NODES_MAX)
        return refuse(r, name, "makes more than %d nodes in all", HARDWARE_NODES_MAX);
    if (r->n_cores + n * cores > HARDWARE_CORES_MAX)
        return refuse(r, name, "makes more than %d cores in all", HARDWARE_CORES_MAX);
    return 0;
}

static int read_node(struct reader *r, const struct spot *spot, void *arg)
{
    const struct place *place = arg;
    _cleanup_spot_ struct spot name = spot_member(spot, "name");
    _cleanup_(chain_done) struct chain chain = { { *spot }, 1 };
    struct name_range range = { 0 };
    int code = check_object(r, spot, machine_keys);

    if (code >= 0 &&
        (!json_is_string(name.json) || !range_parse(json_string_value(name.json), &range)))
        code = refuse(r, json_is_string(name.json) ? &name : spot,
                      "must have a name such as \"n1\" or, for sixteen, \"n[01-16]\"");
    if (code < 0)
        return code;
    while ((code = follow(r, &chain)) > 0)
        ;
    unsigned more = range.last - range.first;
    for (unsigned i = 0; i <= more && code >= 0; i++) {
        code = add_node(r, &name, &chain, place, range_name(&range, i));
        if (code >= 0 && i == 0)
            code = check_size(r, &name, more);
    }
    return code;
}

static int read_level(struct reader *r, const struct spot *spot, void *arg);

/* What stands at PLACE: its nodes, and the level below. */
static int read_place(struct reader *r, const struct spot *spot, struct place *place)
{
    int code = each_item(r, spot, "nodes", HARDWARE_NODES_MAX, read_node, place);

    if (code >= 0 && place->depth < LEVELS)
        code = each_item(r, spot, levels[place->depth].key, HARDWARE_NODES_MAX, read_level, place);
    return code;
}

static int read_level(struct reader *r, const struct spot *spot, void *arg)
{
    struct place place = *(const struct place *) arg;
    const char *const known[] = { "name", "nodes",
                                  place.depth + 1 < LEVELS ? levels[place.depth + 1].key : NULL,
                                  NULL };
    _cleanup_free_ char *name = NULL;

    int code = check_object(r, spot, known);
    if (code >= 0)
        code = get_string(r, spot, "name", &name);
    if (code >= 0 && !name)
        code = refuse(r, spot, "has no name");
    place.names[place.depth++] = name;
    return code < 0 ? code : read_place(r, spot, &place);
}

static int read_all(struct reader *r, const json_t *json)
{
    static const char *const known[] = { "machines", "sites", "nodes", NULL };
    char empty[] = "";
    const struct spot root = { json, empty };
    _cleanup_spot_ struct spot machines = spot_member(&root, "machines");
    struct place place = { 0 };

    int code = check_object(r, &root, known);
    if (code >= 0 && machines.json && !json_is_object(machines.json))
        code = refuse(r, &machines, "must be an object of machines by name");
    r->machines = machines.json;
    if (code >= 0)
        code = read_place(r, &root, &place);
    if (code >= 0 && r->out->nodes.len == 0)
        code =
            refuse(r, &root, "has no nodes; they are listed as \"nodes\", below \"sites\" or not");
    return code;
}

int hardware_read(const char *bytes, size_t len, const char *name, struct hardware *ret,
                  struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(map_freep) struct map *names = map_new();
    struct reader r = {
        .bytes = bytes, .len = len, .name = name, .out = ret, .names = names, .err = err
    };

    *ret = (struct hardware){ 0 };
    if (len > HARDWARE_BYTES_MAX)
        return error_set(err, -EFBIG, "%s: is larger than %d MiB", name, HARDWARE_BYTES_MAX >> 20);
    int code = json_parse(bytes, len, &json, err);
    if (code < 0)
        return error_context(err, code, "%s", name);
    code = read_all(&r, json);
    if (code < 0)
        hardware_done(ret);
    return code;
}

void hardware_done(struct hardware *hardware)
{
    vec_foreach(&hardware->nodes, node)
        node_free(*node);
    vec_done(&hardware->nodes);
}
