/* gang-view.c - see gang-view.h: the list of peers, and the files made of it */
#include "executor/gang-view.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"

#include <errno.h>
#include <string.h>

/* It becomes a word of files that are read line by line. */
static bool is_word(const char *text, const char *allowed, size_t max)
{
    size_t len = strlen(text);

    return len >= 1 && len <= max && strspn(text, allowed) == len;
}

static int read_number(const json_t *json, const char *key, unsigned below, unsigned *ret,
                       struct error *err)
{
    int64_t value = json_get_int(json, key, -1);

    if (value < 0 || value >= below)
        return error_set(err, -EINVAL, "%s: must be from 0 to %u", key, below - 1);
    *ret = (unsigned) value;
    return 0;
}

static int read_peer(const json_t *json, const struct task_gang *gang, struct gang_peer *ret,
                     struct error *err)
{
    static const char address[] = "0123456789abcdefABCDEF.:",
                      role[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";

    int r = read_number(json, "rank", gang->world_size, &ret->rank, err);
    if (r >= 0)
        r = read_number(json, "node_rank", gang->n_nodes, &ret->node, err);
    if (r >= 0)
        r = read_number(json, "local_rank", gang->world_size, &ret->local_rank, err);
    ret->address = json_get_str(json, "address", "");
    ret->role = json_get_str(json, "role", NULL);
    if (r >= 0 && ret->role)
        r = read_number(json, "role_rank", gang->world_size, &ret->role_rank, err);
    if (r < 0)
        return r;
    if (!is_word(ret->address, address, TASK_ADDRESS_MAX))
        return error_set(err, -EINVAL, "address: is no IP address");
    if (ret->role && !is_word(ret->role, role, 63))
        return error_set(err, -EINVAL, "role: is no name");
    return 0;
}

int gang_view_init(struct gang_view *ret, const struct task_spec *spec, const json_t *peers,
                   const char *interface, struct error *err)
{
    unsigned n = spec->gang->world_size;
    struct gang_view view = { .spec = spec, .interface = interface };

    if (json_array_size(peers) != n)
        return error_set(err, -EPROTO, "peers: names %zu tasks of %u", json_array_size(peers), n);
    view.peers = xnew_n(struct gang_peer, n);
    for (unsigned i = 0; i < n; i++) {
        int r = read_peer(json_array_get(peers, i), spec->gang, &view.peers[i], err);
        if (r >= 0 && view.peers[i].rank != i)
            r = error_set(err, -EINVAL, "rank: is %u", view.peers[i].rank);
        if (r < 0) {
            gang_view_done(&view);
            return error_context(err, r, "peers[%u]", i);
        }
    }
    *ret = view;
    return 0;
}

void gang_view_done(struct gang_view *view)
{
    free(view->peers);
    view->peers = NULL;
}

char *gang_hostname(const struct task_gang *gang) { return xasprintf("node-%u", gang->node_rank); }

static void add_node(const struct gang_view *view, unsigned node, struct text *out)
{
    bool first = true;

    for (unsigned i = 0; i < view->spec->gang->world_size; i++) {
        const struct gang_peer *peer = &view->peers[i];
        if (peer->node != node)
            continue;
        if (first)
            text_addf(out, "%s node-%u", peer->address, node);
        first = false;
        text_addf(out, " rank-%u", peer->rank);
        if (peer->role)
            text_addf(out, " %s-%u", peer->role, peer->role_rank);
    }
    if (!first)
        text_add(out, "\n");
}

char *gang_hosts(const struct gang_view *view)
{
    struct text out = { 0 };

    for (unsigned node = 0; node < view->spec->gang->n_nodes; node++)
        add_node(view, node, &out);
    return text_take(&out);
}

/* What mpirun may start there. */
static unsigned slots_of(const struct gang_view *view, unsigned node)
{
    unsigned n = 0;

    if (view->spec->workload_spec->mpi)
        return view->spec->workload_spec->tasks_per_node;
    for (unsigned i = 0; i < view->spec->gang->world_size; i++)
        n += view->peers[i].node == node;
    return n;
}

char *gang_hostfile(const struct gang_view *view)
{
    struct text out = { 0 };

    for (unsigned node = 0; node < view->spec->gang->n_nodes; node++)
        text_addf(&out, "node-%u slots=%u\n", node, slots_of(view, node));
    return text_take(&out);
}
