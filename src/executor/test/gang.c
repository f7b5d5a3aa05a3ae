/* What a task of a gang is told of the others. */
#include "executor/gang-view.h"
#include "tests/tap.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static struct error err;
static struct workload_spec work = { .nodes = 2, .tasks_per_node = 2 };

struct fixture {
    struct task_gang gang;
    struct task_spec spec;
    json_t *peers;
    struct gang_view view;
};

static void add(json_t *peers, unsigned node, unsigned local, const char *role, unsigned role_rank)
{
    json_t *peer = json_pack("{s:i,s:i,s:i}", "rank", (int) json_array_size(peers), "node_rank",
                             (int) node, "local_rank", (int) local);
    _cleanup_free_ char *address = xasprintf("10.113.0.%u", 2 + node);

    json_put_str(peer, "address", address);
    if (role) {
        json_put_str(peer, "role", role);
        json_put_int(peer, "role_rank", role_rank);
    }
    (void) json_array_append_new(peers, peer);
}

/* Two nodes of two tasks each, seen by rank 2. */
static void begin(struct fixture *f, bool has_roles)
{
    static const char *const roles[] = { "master", "ps", "worker", "worker" };
    static const unsigned role_ranks[] = { 0, 0, 0, 1 };

    *f = (struct fixture){ .gang = { .rank = 2,
                                     .world_size = 4,
                                     .local_size = 2,
                                     .node_rank = 1,
                                     .n_nodes = 2,
                                     .role = (char *) (uintptr_t) (has_roles ? "worker" : NULL),
                                     .role_size = has_roles ? 2 : 0,
                                     .master_port = 29500 } };
    f->spec = (struct task_spec){ .gang = &f->gang, .workload_spec = &work };
    f->peers = json_array();
    for (unsigned i = 0; i < 4; i++)
        add(f->peers, i / 2, i % 2, has_roles ? roles[i] : NULL, role_ranks[i]);
    ok(gang_view_init(&f->view, &f->spec, f->peers, "eth0", &err) == 0);
}

static void end(struct fixture *f)
{
    gang_view_done(&f->view);
    json_decref(f->peers);
}

/* The value of NAME, NULL: there is none. */
static const char *value(char **env, const char *name)
{
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static void free_all(char **env)
{
    for (char **it = env; *it; it++)
        free(*it);
    free(env);
}

TEST(every_name_of_a_node_is_its_address)
{
    struct fixture f;

    begin(&f, true);
    _cleanup_free_ char *hosts = gang_hosts(&f.view);
    _cleanup_free_ char *hostfile = gang_hostfile(&f.view);
    _cleanup_free_ char *hostname = gang_hostname(&f.gang);
    is_str(hosts, "10.113.0.2 node-0 rank-0 master-0 rank-1 ps-0\n"
                  "10.113.0.3 node-1 rank-2 worker-0 rank-3 worker-1\n");
    is_str(hostfile, "node-0 slots=2\nnode-1 slots=2\n");
    is_str(hostname, "node-1");
    end(&f);
}

TEST(torch_finds_its_rank)
{
    struct fixture f;

    begin(&f, false);
    char **env = gang_variables(&f.view);
    is_str(value(env, "RANK"), "2");
    is_str(value(env, "WORLD_SIZE"), "4");
    is_str(value(env, "LOCAL_RANK"), "0");
    is_str(value(env, "LOCAL_WORLD_SIZE"), "2");
    is_str(value(env, "GROUP_RANK"), "1");
    ok(!value(env, "PET_NNODES")); /* each rank is there already */
    free_all(env);
    end(&f);
}

TEST(frameworks_find_rendezvous_and_interface)
{
    struct fixture f;

    begin(&f, false);
    char **env = gang_variables(&f.view);
    is_str(value(env, "MASTER_ADDR"), "10.113.0.2");
    is_str(value(env, "MASTER_PORT"), "29500");
    is_str(value(env, "NCCL_SOCKET_IFNAME"), "eth0");
    is_str(value(env, "BERTH_ADDRESS"), "10.113.0.3");
    ok(!value(env, "TYPE") && !value(env, "OMPI_MCA_plm_rsh_agent"));
    free_all(env);
    end(&f);
}

TEST(torchrun_finds_its_node_where_it_starts_the_ranks)
{
    struct fixture f;

    begin(&f, false);
    f.gang.local_size = 1;
    char **env = gang_variables(&f.view);
    is_str(value(env, "PET_NNODES"), "2");
    is_str(value(env, "PET_NODE_RANK"), "1");
    is_str(value(env, "PET_MASTER_ADDR"), "10.113.0.2");
    free_all(env);
    end(&f);
}

TEST(roles_are_a_cluster_of_tensorflow_and_of_gradient)
{
    struct fixture f;

    begin(&f, true);
    char **env = gang_variables(&f.view);
    is_str(value(env, "TF_CONFIG"),
           "{\"cluster\":{\"master\":[\"10.113.0.2:2222\"],\"ps\":[\"10.113.0.2:2223\"],"
           "\"worker\":[\"10.113.0.3:2222\",\"10.113.0.3:2223\"]},"
           "\"task\":{\"type\":\"worker\",\"index\":0}}");
    /* As gradient-utils decodes it: with "environment", in the alphabet for URLs, padded. */
    is_str(value(env, "PS_CONFIG"),
           "eyJjbHVzdGVyIjp7Im1hc3RlciI6WyIxMC4xMTMuMC4yOjIyMjIiXSwicHMiOlsiMTAuMTEzLjAu"
           "MjoyMjIzIl0sIndvcmtlciI6WyIxMC4xMTMuMC4zOjIyMjIiLCIxMC4xMTMuMC4zOjIyMjMiXX0s"
           "InRhc2siOnsidHlwZSI6IndvcmtlciIsImluZGV4IjowfSwiZW52aXJvbm1lbnQiOiJjbG91ZCJ9");
    free_all(env);
    end(&f);
}

TEST(roles_are_lists_of_hosts)
{
    struct fixture f;

    begin(&f, true);
    char **env = gang_variables(&f.view);
    is_str(value(env, "PS_HOSTS"), "10.113.0.2:2223");
    is_str(value(env, "WORKER_HOSTS"), "10.113.0.3:2222,10.113.0.3:2223");
    is_str(value(env, "TYPE"), "worker");
    is_str(value(env, "INDEX"), "0");
    is_str(value(env, "BERTH_ROLE"), "worker");
    free_all(env);
    end(&f);
}

TEST(mpirun_finds_agent_and_nodes_and_no_rank_is_claimed)
{
    struct fixture f;

    begin(&f, false);
    work.mpi = true;
    work.tasks_per_node = 8;
    char **env = gang_variables(&f.view);
    _cleanup_free_ char *hostfile = gang_hostfile(&f.view);
    is_str(value(env, "OMPI_MCA_plm_rsh_agent"), "/run/berth/mpi-agent");
    is_str(value(env, "OMPI_MCA_orte_default_hostfile"), "/run/berth/hostfile");
    is_str(value(env, "OMPI_MCA_btl_tcp_if_include"), "eth0");
    is_str(hostfile, "node-0 slots=8\nnode-1 slots=8\n");
    ok(!value(env, "RANK") && !value(env, "WORLD_SIZE"));
    is_str(value(env, "BERTH_NODE_RANK"), "1");
    work.mpi = false;
    free_all(env);
    end(&f);
}

TEST(addresses_of_six_are_in_brackets)
{
    struct fixture f;

    begin(&f, false);
    gang_view_done(&f.view);
    json_put_str(json_array_get(f.peers, 3), "address", "fd00::3");
    ok(gang_view_init(&f.view, &f.spec, f.peers, "eth0", &err) == 0);
    char **env = gang_variables(&f.view);
    ok(strstr(value(env, "WORKER_HOSTS") ? value(env, "WORKER_HOSTS") : value(env, "TF_CONFIG"),
              "[fd00::3]:2223") != NULL);
    free_all(env);
    end(&f);
}

TEST(a_list_that_says_less_or_else_is_refused)
{
    struct fixture f;
    struct gang_view view;

    begin(&f, true);
    json_put_str(json_array_get(f.peers, 1), "address", "10.0.0.1\n10.0.0.2");
    ok(gang_view_init(&view, &f.spec, f.peers, "eth0", &err) == -EINVAL);
    is_str(err.text, "peers[1]: address: is no IP address");
    json_put_str(json_array_get(f.peers, 1), "address", "10.0.0.1");
    json_put_str(json_array_get(f.peers, 1), "role", "ps evil");
    ok(gang_view_init(&view, &f.spec, f.peers, "eth0", &err) == -EINVAL);
    json_put_str(json_array_get(f.peers, 1), "role", "ps");
    json_put_int(json_array_get(f.peers, 1), "node_rank", 2);
    ok(gang_view_init(&view, &f.spec, f.peers, "eth0", &err) == -EINVAL);
    json_put_int(json_array_get(f.peers, 1), "node_rank", 0);
    json_put_int(json_array_get(f.peers, 1), "rank", 2);
    ok(gang_view_init(&view, &f.spec, f.peers, "eth0", &err) == -EINVAL);
    (void) json_array_remove(f.peers, 1);
    ok(gang_view_init(&view, &f.spec, f.peers, "eth0", &err) == -EPROTO);
    end(&f);
}

TAP_MAIN
