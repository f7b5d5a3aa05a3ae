/* gang-variables.c - the environment by which frameworks find their peers
 *
 * torch.distributed and torchrun (RANK …, PET_…), NCCL and Gloo, TensorFlow and Gradient's multi-node
 * experiments (TF_CONFIG, PS_CONFIG, PS_HOSTS …), and mpirun of Open MPI 4.
 */
#include "executor/gang-view.h"

#include "agent/agent.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/text.h"
#include "base/vec.h"

#include <string.h>

#define CLUSTER_PORT 2222   /* TensorFlow's; one more for every task of a node */
#define VALUE_MAX    100000 /* the kernel takes 131,071 bytes of one variable */

typedef VEC(char *) strings;

static void put(strings *list, char *text) { vec_push(list, text); }

static char *endpoint(const struct gang_peer *peer)
{
    bool six = strchr(peer->address, ':') != NULL;

    return xasprintf("%s%s%s:%u", six ? "[" : "", peer->address, six ? "]" : "",
                     CLUSTER_PORT + peer->local_rank);
}

/* Without roles all are workers. */
static const char *role_of(const char *role) { return role ? role : "worker"; }

json_t *gang_cluster(const struct gang_view *view)
{
    const struct task_gang *me = view->spec->gang;
    json_t *cluster = json_object(), *task = json_object(), *json = json_object();

    for (unsigned i = 0; i < me->world_size; i++) {
        const struct gang_peer *peer = &view->peers[i];
        _cleanup_free_ char *at = endpoint(peer);
        const char *role = role_of(peer->role);
        if (!json_object_get(cluster, role))
            json_put(cluster, role, json_array());
        (void) json_array_append_new(json_object_get(cluster, role), json_string(at));
    }
    json_put_str(task, "type", role_of(me->role));
    json_put_int(task, "index", me->role ? me->role_rank : me->rank);
    json_put(json, "cluster", cluster);
    json_put(json, "task", task);
    return json;
}

/* The alphabet of RFC 4648, section 5. */
static char *base64url(const char *bytes)
{
    struct text out = { 0 };

    text_add_base64(&out, bytes, strlen(bytes));
    for (char *p = out.data; p && *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    return text_take(&out);
}

/* "a:1,b:2" of those of ROLE. */
static void put_hosts(const struct gang_view *view, const char *role, const char *variable,
                      strings *list)
{
    _cleanup_text_ struct text hosts = { 0 };

    for (unsigned i = 0; i < view->spec->gang->world_size; i++) {
        const struct gang_peer *peer = &view->peers[i];
        if (!str_equal(role_of(peer->role), role))
            continue;
        _cleanup_free_ char *at = endpoint(peer);
        text_addf(&hosts, "%s%s", hosts.len ? "," : "", at);
    }
    if (hosts.len && hosts.len <= VALUE_MAX)
        put(list, xasprintf("%s=%s", variable, hosts.data));
}

/* Roles, as TensorFlow's parameter servers and Gradient's experiments know them. */
static void put_cluster(const struct gang_view *view, strings *list)
{
    const struct task_gang *me = view->spec->gang;
    _cleanup_json_ json_t *cluster = gang_cluster(view);
    _cleanup_free_ char *plain = json_text(cluster);

    json_put_str(cluster, "environment", "cloud");
    _cleanup_free_ char *with_cloud = json_text(cluster);
    _cleanup_free_ char *encoded = base64url(with_cloud);
    if (strlen(plain) <= VALUE_MAX)
        put(list, xasprintf("TF_CONFIG=%s", plain));
    if (strlen(encoded) <= VALUE_MAX)
        put(list, xasprintf("PS_CONFIG=%s", encoded));
    if (!me->role)
        return;
    put(list, xasprintf("BERTH_ROLE=%s", me->role));
    put(list, xasprintf("BERTH_ROLE_RANK=%u", me->role_rank));
    put(list, xasprintf("BERTH_ROLE_SIZE=%u", me->role_size));
    put(list, xasprintf("TYPE=%s", me->role));
    put(list, xasprintf("INDEX=%u", me->role_rank));
    put_hosts(view, "ps", "PS_HOSTS", list);
    put_hosts(view, "worker", "WORKER_HOSTS", list);
    put_hosts(view, "master", "MASTER_HOSTS", list);
}

/* One process a task. */
static void put_ranks(const struct task_gang *me, strings *list)
{
    put(list, xasprintf("RANK=%u", me->rank));
    put(list, xasprintf("WORLD_SIZE=%u", me->world_size));
    put(list, xasprintf("LOCAL_RANK=%u", me->local_rank));
    put(list, xasprintf("LOCAL_WORLD_SIZE=%u", me->local_size));
    put(list, xasprintf("GROUP_RANK=%u", me->node_rank));
    put(list, xasprintf("GROUP_WORLD_SIZE=%u", me->n_nodes));
}

/* torchrun's own options, where it starts the processes of a node itself. */
static void put_torchrun(const struct gang_view *view, strings *list)
{
    const struct task_gang *me = view->spec->gang;

    put(list, xasprintf("PET_NNODES=%u", me->n_nodes));
    put(list, xasprintf("PET_NODE_RANK=%u", me->node_rank));
    put(list, xasprintf("PET_MASTER_ADDR=%s", view->peers[0].address));
    put(list, xasprintf("PET_MASTER_PORT=%u", me->master_port));
}

static void put_mpirun(const struct gang_view *view, strings *list)
{
    static const char *const settings[] = {
        "OMPI_MCA_plm_rsh_agent=" AGENT_PROGRAM,
        "OMPI_MCA_orte_default_hostfile=" GANG_HOSTFILE,
        /* All daemons are node 0's children, and stay so: a connection that breaks ends them. */
        "OMPI_MCA_plm_rsh_no_tree_spawn=1",
        "OMPI_MCA_orte_leave_session_attached=1",
        /* Root of a container is nobody outside. */
        "OMPI_ALLOW_RUN_AS_ROOT=1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
    };

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        put(list, xstrdup(settings[i]));
    put(list, xasprintf("OMPI_MCA_btl_tcp_if_include=%s", view->interface));
    put(list, xasprintf("OMPI_MCA_oob_tcp_if_include=%s", view->interface));
}

static void put_common(const struct gang_view *view, strings *list)
{
    const struct task_gang *me = view->spec->gang;
    _cleanup_free_ char *hostname = gang_hostname(me);

    put(list, xasprintf("BERTH_RANK=%u", me->rank));
    put(list, xasprintf("BERTH_WORLD_SIZE=%u", me->world_size));
    put(list, xasprintf("BERTH_LOCAL_RANK=%u", me->local_rank));
    put(list, xasprintf("BERTH_LOCAL_WORLD_SIZE=%u", me->local_size));
    put(list, xasprintf("BERTH_NODE_RANK=%u", me->node_rank));
    put(list, xasprintf("BERTH_NODES=%u", me->n_nodes));
    put(list, xasprintf("NODE_RANK=%u", me->node_rank));
    put(list, xstrdup("BERTH_HOSTFILE=" GANG_HOSTFILE));
    put(list, xstrdup("BERTH_PEERS=" GANG_PEERS));
    put(list, xasprintf("BERTH_ADDRESS=%s", view->peers[me->rank].address));
    put(list, xasprintf("BERTH_INTERFACE=%s", view->interface));
    put(list, xasprintf("MASTER_ADDR=%s", view->peers[0].address));
    put(list, xasprintf("MASTER_PORT=%u", me->master_port));
    put(list, xasprintf("NCCL_SOCKET_IFNAME=%s", view->interface));
    put(list, xasprintf("GLOO_SOCKET_IFNAME=%s", view->interface));
    put(list, xasprintf("PS_HOSTNAME=%s", hostname));
    put(list, xasprintf("PS_HOST_PRIVATE_IP_ADDRESS=%s", view->peers[me->rank].address));
}

char **gang_variables(const struct gang_view *view)
{
    const struct task_gang *me = view->spec->gang;
    strings list = { 0 };

    put_common(view, &list);
    if (view->spec->workload_spec->mpi) {
        put_mpirun(view, &list);
    } else {
        put_ranks(me, &list);
        put_cluster(view, &list);
        if (me->local_size == 1)
            put_torchrun(view, &list);
    }
    vec_push(&list, NULL);
    return list.items;
}
