/* The files of a cluster say what the machines said, in Slurm's grammar and nothing else. */
#include "engine/engine.h"

#include "base/alloc.h"
#include "tests/tap.h"

static struct node *machine(const char *name, unsigned sockets, unsigned cores, unsigned gpus)
{
    struct node *node = xnew(struct node);

    node->name = xstrdup(name);
    node->memory_bytes = (INT64_C(64) << 30) + 1000;
    for (unsigned i = 0; i < sockets * cores; i++) {
        struct core core = { .id = i, .socket = i / cores, .numa = i / cores };
        cpu_siblings_add(&core.cpus, i);
        cpu_siblings_add(&core.cpus, i + sockets * cores);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < gpus; i++) {
        struct gpu gpu = { .minor = (int) i, .index = i, .numa = (int) (i % sockets) };
        gpu.uuid = xasprintf("GPU-%u", i);
        vec_push(&node->gpus, gpu);
    }
    return node;
}

static char *file_of(const struct render_cluster *cluster, const char *file)
{
    struct text text = { 0 };

    return render_file(cluster, file, &text) ? text_take(&text) : NULL;
}

/* No line is anything but a comment, empty, or KEY=VALUE words. */
static bool is_grammar(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        _cleanup_free_ char *line = xstrndup(text, n);
        if (*line && *line != '#' && !strchr(line, '='))
            return false;
        text += n + (text[n] == '\n');
    }
    return true;
}

TEST(machines_are_said_as_they_are)
{
    _cleanup_(node_freep) struct node *a = machine("gpu01", 2, 4, 2),
                                      *b = machine("cpu01", 1, 3, 0);
    const struct render_node nodes[] = { { a, "b2" }, { b, NULL } };
    const struct render_cluster cluster = { "berth", "head", nodes, 2 };

    b->cores.items[1].cpus = (struct cpu_siblings){ { 7 }, 1 }; /* without its sibling */
    _cleanup_free_ char *conf = file_of(&cluster, "slurm.conf"),
                        *gres = file_of(&cluster, "gres.conf"),
                        *topology = file_of(&cluster, "topology.conf"),
                        *cgroup = file_of(&cluster, "cgroup.conf");
    ok(strstr(conf, "\nSlurmctldHost=head\n") && strstr(conf, "\nGresTypes=gpu\n"));
    ok(strstr(conf, "\nNodeName=gpu01 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2 "
                    "RealMemory=65536 Gres=gpu:2 State=UNKNOWN\n") != NULL);
    ok(strstr(conf, "\nNodeName=cpu01 CPUs=5 RealMemory=65536 State=UNKNOWN\n") != NULL);
    ok(strstr(gres, "\nNodeName=gpu01 Name=gpu File=/dev/nvidia1 Cores=4-7\n") != NULL);
    ok(strstr(topology, "\nSwitchName=rack-b2 Nodes=gpu01\nSwitchName=rack-none Nodes=cpu01\n") !=
       NULL);
    ok(strstr(topology, "\nSwitchName=site Switches=rack-b2,rack-none\n") != NULL);
    ok(is_grammar(conf) && is_grammar(gres) && is_grammar(topology) && is_grammar(cgroup));
}

TEST(a_cluster_without_gpus_and_racks_needs_two_files)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 1, 1, 0);
    const struct render_node nodes[] = { { node, NULL } };
    const struct render_cluster cluster = { "berth", "n1", nodes, 1 };

    _cleanup_free_ char *conf = file_of(&cluster, "slurm.conf");
    ok(conf && !strstr(conf, "GresTypes") && !strstr(conf, "TopologyPlugin"));
    ok(!file_of(&cluster, "gres.conf") && !file_of(&cluster, "topology.conf"));
}

TEST(words_of_others_are_no_lines_of_ours)
{
    _cleanup_(node_freep) struct node *node = machine("n1", 1, 1, 1);
    const struct render_node nodes[] = { { node, "b2\nEpilog=/tmp/evil Switches=x,y" } };
    const struct render_cluster cluster = { "berth", "n1", nodes, 1 };

    node->gpus.items[0].minor = -1;
    node->gpus.items[0].pci = xstrdup("0000:17:00.0\nEpilog=/tmp/evil");
    _cleanup_free_ char *gres = file_of(&cluster, "gres.conf"),
                        *topology = file_of(&cluster, "topology.conf");
    ok(!strstr(gres, "\nEpilog") && !strstr(topology, "\nEpilog"));
    ok(strstr(topology, "SwitchName=rack-b2-Epilog--tmp-evil-Switches-x-y Nodes=n1\n") != NULL);
}

TAP_MAIN
