/* batch-refused.c - options of sbatch that mean something which Berth does not do, and what to do instead */
#include "cli/batch-set.h"

#include <string.h>

static const struct {
    const char *name, *letter, *instead;
} refused[] = {
    { "acctg-freq", NULL, "leave it out: berth job metrics has a sample a second" },
    { "batch", NULL, "the script runs on the first machine; choose machines with --constraint" },
    { "bb", NULL, "there are no burst buffers; /storage and datasets are the ways for data" },
    { "bbf", NULL, "there are no burst buffers; /storage and datasets are the ways for data" },
    { "cluster-constraint", NULL, "there is one cluster; choose machines with --constraint" },
    { "clusters", "M", "choose another server with --context" },
    { "container", NULL, "say the image with `berth run --image`" },
    { "contiguous", NULL, "machines have no order here; name them with --nodelist" },
    { "core-spec", "S", "the operator reserves cores of a machine (setting reserve)" },
    { "cores-per-socket", NULL, "say with -c how many cores a task needs, or --exclusive" },
    { "cpu-freq", NULL, "the frequency of cores is the operator's" },
    { "deadline", NULL, "limit its time with --time, and when it begins with --begin" },
    { "delay-boot", NULL, "machines are not booted for a job; leave it out" },
    { "export-file", NULL, "name the variables with --export" },
    { "extra-node-info", "B", "say with -c how many cores a task needs, or --exclusive" },
    { "get-user-env", NULL,
      "the container has its image's environment; source a file in the script" },
    { "gid", NULL, "a container has users of its own; leave it out" },
    { "gpu-bind", NULL,
      "each GPU of the job is visible to all its tasks; choose by SLURM_LOCALID" },
    { "gpu-freq", NULL, "the frequency of GPUs is the operator's" },
    { "gpus-per-socket", NULL, "say --gpus-per-node" },
    { "hold", "H", "there is no hold; use --begin or --dependency" },
    { "ignore-pbs", NULL, "lines of #PBS are never read; leave it out" },
    { "input", "i", "redirect in the script: command <file" },
    { "licenses", "L", "licences are not counted; limit an array with %N" },
    { "mcs-label", NULL, "projects are what keeps tenants apart" },
    { "mem-bind", NULL, "memory lies at the cores of the job already; leave it out" },
    { "mincpus", NULL, "choose machines with --constraint or --exclusive" },
    { "network", NULL, "say the network with `berth run --network`" },
    { "no-kill", "k", "a machine that is lost ends its attempt; use --requeue" },
    { "ntasks-per-core", NULL, "a task has whole cores; say with -c how many" },
    { "ntasks-per-gpu", NULL, "say -n and --gpus" },
    { "ntasks-per-socket", NULL, "say --ntasks-per-node" },
    { "overcommit", "O", "a task has its own cores; say -n 1 and start more processes" },
    { "oversubscribe", "s", "cores are a job's own; a flavor that shares them is named with -p" },
    { "power", NULL, "power is the operator's" },
    { "prefer", NULL, "say --constraint for what must be, and leave wishes out" },
    { "priority", NULL, "say --nice, which lowers the priority" },
    { "profile", NULL, "berth job metrics shows what a job used" },
    { "propagate", NULL, "limits are the container's; use ulimit in the script" },
    { "reboot", NULL, "machines are not booted for a job" },
    { "reservation", NULL, "there are no reservations; name machines with --nodelist" },
    { "sockets-per-node", NULL, "say with -c how many cores a task needs, or --exclusive" },
    { "spread-job", NULL, "say -N and --ntasks-per-node" },
    { "switches", NULL, "name machines with --nodelist or --constraint" },
    { "thread-spec", NULL, "the operator reserves cores of a machine (setting reserve)" },
    { "time-min", NULL, "say the longest time with --time" },
    { "uid", NULL, "a container has users of its own; leave it out" },
    { "use-min-nodes", NULL, "say with -N how many machines" },
    { "wait-all-nodes", NULL, "all machines of a job are always waited for; leave it out" },
    { "wckey", NULL, "find jobs by --comment, which is a tag" },
};

const char *batch_refused(const char *name, size_t len, bool is_letter)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *known = is_letter ? refused[i].letter : refused[i].name;
        if (known && strlen(known) == len && memcmp(known, name, len) == 0)
            return refused[i].instead;
    }
    return NULL;
}
