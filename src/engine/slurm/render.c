/* render.c - slurm.conf, gres.conf, cgroup.conf and topology.conf for machines that have no Slurm yet */
#include "engine/render.h"

#include "base/alloc.h"

#include <string.h>

#define MARK(file) "# " file ", by `berth engine render slurm`: the same file on every machine"

const char render_mark[] = ", by `berth engine render slurm`";
const char *const render_files[] = { "slurm.conf", "gres.conf", "cgroup.conf", "topology.conf",
                                     NULL };

/* What machines and tags say is not Slurm's grammar: anything but letters, digits and these becomes '-'. */
static void add_plain(struct text *out, const char *s, const char *also)
{
    for (; *s; s++) {
        bool is_plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                        (*s >= '0' && *s <= '9') || strchr(also, *s);
        text_add_char(out, is_plain ? *s : '-');
    }
}

static void add_switch(struct text *out, const char *rack)
{
    text_add(out, "rack-");
    add_plain(out, rack ? rack : "none", "_.");
}

static bool has_gpus(const struct render_cluster *c)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].node->gpus.len > 0)
            return true;
    return false;
}

static bool has_racks(const struct render_cluster *c)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].rack)
            return true;
    return false;
}

/* ---- slurm.conf --------------------------------------------------------------------------------------- */

static unsigned n_sockets(const struct node *node)
{
    unsigned n = 0;

    for (size_t i = 0; i < node->cores.len; i++) {
        bool is_new = true;
        for (size_t k = 0; k < i && is_new; k++)
            is_new = node->cores.items[k].socket != node->cores.items[i].socket;
        n += is_new;
    }
    return n;
}

/* Sockets, cores and threads, where the machine is regular enough to be said so; otherwise CPUs alone. */
static void add_shape(const struct node *node, struct text *out)
{
    unsigned sockets = n_sockets(node), threads = 0, cpus = 0;
    bool is_regular = sockets > 0 && node->cores.len % sockets == 0;

    vec_foreach(&node->cores, core) {
        unsigned n = core->cpus.n;
        is_regular = is_regular && (threads == 0 || threads == n);
        threads = n;
        cpus += n;
    }
    if (is_regular)
        text_addf(out, " Sockets=%u CoresPerSocket=%zu ThreadsPerCore=%u", sockets,
                  node->cores.len / sockets, threads);
    else
        text_addf(out, " CPUs=%u", cpus);
}

/* Slurm takes others only where it is told to, on every machine. */
static bool is_v4(const char *address) { return address && !strchr(address, ':'); }

static void add_node(const struct node *node, struct text *out)
{
    text_addf(out, "NodeName=%s", node->name);
    if (is_v4(node->address))
        text_addf(out, " NodeAddr=%s", node->address);
    add_shape(node, out);
    text_addf(out, " RealMemory=%lld", (long long) (node->memory_bytes >> 20));
    if (node->reserved_memory_bytes >> 20 > 0)
        text_addf(out, " MemSpecLimit=%lld", (long long) (node->reserved_memory_bytes >> 20));
    if (node->gpus.len > 0)
        text_addf(out, " Gres=gpu:%zu", node->gpus.len);
    text_add(out, " State=UNKNOWN\n");
}

static const char slurm_fixed[] =
    "# munge proves who asks; the same /etc/munge/munge.key lies on every machine.\n"
    "AuthType=auth/munge\n"
    "SlurmUser=slurm\n"
    "# Debian's places; on the controller's own disk. Lost state is lost jobs.\n"
    "StateSaveLocation=/var/lib/slurm/slurmctld\n"
    "SlurmdSpoolDir=/var/lib/slurm/slurmd\n"
    "SlurmctldPidFile=/run/slurmctld.pid\n"
    "SlurmdPidFile=/run/slurmd.pid\n"
    "SlurmctldLogFile=/var/log/slurm/slurmctld.log\n"
    "SlurmdLogFile=/var/log/slurm/slurmd.log\n"
    "\n"
    "# A job is what is in its control group: scancel leaves nothing behind.\n"
    "ProctrackType=proctrack/cgroup\n"
    "# Cores are held by cpusets (cgroup.conf) and tasks bound to theirs.\n"
    "TaskPlugin=task/cgroup,task/affinity\n"
    "# Berth says which machine; whole cores, memory and GPUs are counted, so that jobs of others fit beside.\n"
    "SelectType=select/cons_tres\n"
    "SelectTypeParameters=CR_Core_Memory\n"
    "# Berth starts a lost attempt again itself, as another attempt; a copy that Slurm makes would be shut out.\n"
    "JobRequeue=0\n"
    "# A machine that comes back takes work again without anybody's hand.\n"
    "ReturnToService=2\n"
    "# A silent machine is down after this; Berth then gives its attempts up.\n"
    "SlurmdTimeout=60\n"
    "# SIGTERM to SIGKILL where Slurm ends a job; Berth's own grace is the job's.\n"
    "KillWait=30\n"
    "# Ended jobs stay known so long: Berth asks for those whose end it missed.\n"
    "MinJobAge=600\n"
    "MaxJobCount=100000\n"
    "# Jobs bring limits of their own; those of whoever submits are not theirs.\n"
    "PropagateResourceLimits=NONE\n"
    "# Places are given at once and not at the next tick of some seconds.\n"
    "SchedulerParameters=batch_sched_delay=0,sched_min_interval=50000,sched_interval=5,bf_interval=1,bf_continue\n"
    "# Nobody's mail: Berth tells its users itself.\n"
    "MailProg=/bin/true\n";

static void slurm_conf(const struct render_cluster *c, struct text *out)
{
    text_addf(
        out,
        MARK(
            "slurm.conf") ", as /etc/slurm/slurm.conf\n"
                          "\n"
                          "# Names the state; another name later needs an empty StateSaveLocation.\n"
                          "ClusterName=%s\n"
                          "# Where slurmctld runs: its host name and its address; without one every machine must resolve the name.\n"
                          "SlurmctldHost=%s",
        c->name, c->controller);
    if (is_v4(c->controller_address))
        text_addf(out, "(%s)", c->controller_address);
    text_add_char(out, '\n');
    text_add(out, slurm_fixed);
    if (has_gpus(c))
        text_add(out, "# gres.conf says which devices they are.\nGresTypes=gpu\n");
    if (has_racks(c))
        text_add(out, "# topology.conf: tasks of one job come to one rack where they can.\n"
                      "TopologyPlugin=topology/tree\n");
    text_add(
        out,
        "\n# The machines as they reported themselves. A name without NodeAddr is resolved by every machine.\n"
        "# MemSpecLimit is what Berth keeps for the machine itself.\n");
    for (size_t i = 0; i < c->n_nodes; i++)
        add_node(c->nodes[i].node, out);
    text_add(
        out,
        "\n# Time limits are the jobs'; a partition that is no default is not used unless slurm_partition names it.\n"
        "PartitionName=berth Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n");
}

/* ---- gres.conf ------------------------------------------------------------------------------------------ */

/* The cores beside the GPU, as Slurm counts them: by position, not by the kernel's numbers. */
static void add_cores(const struct node *node, const struct gpu *gpu, struct text *out)
{
    struct cpu_set near = { 0 };

    vec_foreach(&node->cores, core)
        if (gpu->numa >= 0 && core->numa == (unsigned) gpu->numa)
            cpu_set_add(&near, core->id);
    if (cpu_set_count(&near) == 0 || cpu_set_count(&near) == node->cores.len)
        return;
    _cleanup_free_ char *list = cpu_set_format(&near);
    text_addf(out, " Cores=%s", list);
}

static void add_gpu(const struct node *node, const struct gpu *gpu, struct text *out)
{
    if (gpu->minor < 0) {
        text_addf(out, "# %s: the GPU ", node->name);
        add_plain(out, gpu->pci ? gpu->pci : gpu->uuid, ":._ ");
        text_add(out, " has no device node: its driver is missing\n");
        return;
    }
    text_addf(out, "NodeName=%s Name=gpu File=/dev/nvidia%d", node->name, gpu->minor);
    add_cores(node, gpu, out);
    text_add_char(out, '\n');
}

static void gres_conf(const struct render_cluster *c, struct text *out)
{
    text_add(
        out,
        MARK(
            "gres.conf") "\n"
                         "\n"
                         "# Devices as the machines reported them; nothing is looked for a second time, with other numbers.\n"
                         "AutoDetect=off\n"
                         "# Cores are those beside the GPU, counted by position.\n");
    for (size_t i = 0; i < c->n_nodes; i++)
        vec_foreach(&c->nodes[i].node->gpus, gpu)
            add_gpu(c->nodes[i].node, gpu, out);
}

/* ---- cgroup.conf ----------------------------------------------------------------------------------------- */

static const char cgroup_conf[] =
    MARK("cgroup.conf") "\n"
                        "\n"
                        "# A job runs on its cores alone,\n"
                        "ConstrainCores=yes\n"
                        "# in its memory, and swaps nothing out beyond it,\n"
                        "ConstrainRAMSpace=yes\n"
                        "ConstrainSwapSpace=yes\n"
                        "AllowedSwapSpace=0\n"
                        "# and opens no GPU that is not its own.\n"
                        "ConstrainDevices=yes\n";

/* ---- topology.conf ---------------------------------------------------------------------------------------- */

static bool is_first_of_rack(const struct render_cluster *c, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (str_equal(c->nodes[i].rack, c->nodes[at].rack))
            return false;
    return true;
}

static void add_rack(const struct render_cluster *c, const char *rack, struct text *out)
{
    const char *separator = "";

    text_add(out, "SwitchName=");
    add_switch(out, rack);
    text_add(out, " Nodes=");
    for (size_t i = 0; i < c->n_nodes; i++)
        if (str_equal(c->nodes[i].rack, rack)) {
            text_addf(out, "%s%s", separator, c->nodes[i].node->name);
            separator = ",";
        }
    text_add_char(out, '\n');
}

static void topology_conf(const struct render_cluster *c, struct text *out)
{
    struct text racks = { 0 };

    text_add(
        out,
        MARK(
            "topology.conf") "\n"
                             "\n"
                             "# A switch a rack, by the tag `rack` of the nodes (berth node update NODE --tag rack=b2).\n");
    for (size_t i = 0; i < c->n_nodes; i++) {
        const char *rack = c->nodes[i].rack;
        if (!is_first_of_rack(c, i))
            continue;
        add_rack(c, rack, out);
        text_add(&racks, racks.len ? "," : "");
        add_switch(&racks, rack);
    }
    text_addf(out, "# They reach each other.\nSwitchName=site Switches=%s\n", text_str(&racks));
    text_done(&racks);
}

bool render_file(const struct render_cluster *cluster, const char *file, struct text *out)
{
    if (str_equal(file, "slurm.conf"))
        slurm_conf(cluster, out);
    else if (str_equal(file, "gres.conf") && has_gpus(cluster))
        gres_conf(cluster, out);
    else if (str_equal(file, "cgroup.conf"))
        text_add(out, cgroup_conf);
    else if (str_equal(file, "topology.conf") && has_racks(cluster))
        topology_conf(cluster, out);
    else
        return false;
    return true;
}
