/* fleet.c - the machines that Slurm has, and what others hold on them
 *
 * The last list is kept in STATE/slurm-nodes, so that a server that starts while Slurm is away knows where its
 * tasks run.
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { HELD_NODES_MAX = 65536, CACHE_MAX = 64 << 20 };

/* Where a node states no TmpDisk: Slurm does not look after disks. */
#define DISK_UNKNOWN (INT64_C(1) << 40)

struct machine {
    struct slurm_node facts;
    struct node *node;
    unsigned tasks, cpus, gpus; /* of others */
    int64_t memory_bytes;
};

struct slurm_fleet {
    VEC(struct machine *) machines;
    struct map *by_name;
    struct text said; /* what was reported last: the lines, and what others hold */
    struct text lines;
};

struct slurm_fleet *slurm_fleet_new(void)
{
    struct slurm_fleet *fleet = xnew(struct slurm_fleet);

    fleet->by_name = map_new();
    return fleet;
}

static void clear(struct slurm_fleet *fleet)
{
    vec_foreach(&fleet->machines, machine) {
        node_free((*machine)->node);
        free(*machine);
    }
    fleet->machines.len = 0;
    map_free(fleet->by_name);
    fleet->by_name = map_new();
}

void slurm_fleet_free(struct slurm_fleet *fleet)
{
    if (!fleet)
        return;
    clear(fleet);
    map_free(fleet->by_name);
    vec_done(&fleet->machines);
    text_done(&fleet->said);
    text_done(&fleet->lines);
    free(fleet);
}

/* ---- machines ------------------------------------------------------------------------------------ */

static struct node *make_node(const struct slurm_node *facts)
{
    struct node *node = xnew(struct node);
    unsigned cores = facts->cpus / facts->threads;

    node->name = xstrdup(facts->name);
    node->kernel = facts->kernel[0] ? xstrdup(facts->kernel) : NULL;
    node->memory_bytes = facts->memory_bytes;
    node->disk_bytes = facts->disk_bytes > 0 ? facts->disk_bytes : DISK_UNKNOWN;
    vec_push(&node->numas, ((struct numa_node){ 0, facts->memory_bytes }));
    for (unsigned i = 0; i < cores && (i + 1) * facts->threads <= CPU_SET_MAX; i++) {
        struct core core = { .id = i };
        for (unsigned thread = 0; thread < facts->threads; thread++)
            cpu_siblings_add(&core.cpus, i * facts->threads + thread);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < facts->gpus; i++)
        vec_push(&node->gpus,
                 ((struct gpu){ .uuid = xasprintf("%s/gpu%u", facts->name, i),
                                .model = xstrdup(facts->gpu_model[0] ? facts->gpu_model : "gpu"),
                                .index = i,
                                .minor = -1,
                                .numa = -1 }));
    return node;
}

/* Berth's names of machines are lower case, and its cores have a few threads; one that is not so cannot be used. */
static void add_machine(struct slurm_fleet *fleet, const struct slurm_node *facts)
{
    struct error err = { 0 };

    if (name_check("name", facts->name, &err) < 0) {
        log_warn("a node of Slurm is left out", "node", facts->name, "reason", err.text);
        return;
    }
    if (facts->threads > CPU_SIBLINGS_MAX) {
        log_warn("a node of Slurm is left out", "node", facts->name, "reason",
                 "its ThreadsPerCore must be 1 to 8");
        return;
    }
    if (map_get_str(fleet->by_name, facts->name))
        return;
    struct machine *machine = xnew(struct machine);
    machine->facts = *facts;
    machine->node = make_node(facts);
    vec_push(&fleet->machines, machine);
    (void) map_set_str(fleet->by_name, facts->name, machine);
}

static void take_lines(struct slurm_fleet *fleet, const struct text *text)
{
    clear(fleet);
    for (const char *p = text_str(text), *end = p + text->len; p < end;) {
        const char *eol = memchr(p, '\n', (size_t) (end - p));
        size_t len = eol ? (size_t) (eol - p) : (size_t) (end - p);
        struct slurm_node facts;
        struct error err = { 0 };
        if (slurm_parse_node(p, len, &facts, &err) >= 0)
            add_machine(fleet, &facts);
        else if (len > 0)
            log_debug("a line of scontrol is no node", "reason", err.text);
        p += len + 1;
    }
}

void slurm_fleet_nodes(struct slurm *slurm, const struct text *text)
{
    take_lines(slurm->fleet, text);
    text_clear(&slurm->fleet->lines);
    text_add_bytes(&slurm->fleet->lines, text_str(text), text->len);
}

const char *slurm_fleet_fault(const struct slurm *slurm, const char *node)
{
    const struct machine *machine = map_get_str(slurm->fleet->by_name, node);

    if (!machine)
        return slurm->fleet->machines.len > 0 ? "Slurm does not know it any more" : NULL;
    return machine->facts.usable ? NULL : machine->facts.fault;
}

/* ---- what others hold ---------------------------------------------------------------------------- */

struct holding {
    struct slurm_fleet *fleet;
    const struct slurm_held *held;
};

static void hold(void *userdata, const char *name)
{
    const struct holding *holding = userdata;
    struct machine *machine = map_get_str(holding->fleet->by_name, name);

    if (!machine)
        return;
    machine->tasks++;
    machine->cpus += holding->held->cpus;
    machine->gpus += holding->held->gpus;
    machine->memory_bytes += holding->held->memory_bytes;
}

static bool is_own(const struct slurm *slurm, uint32_t job)
{
    return slurm_who_has_job(slurm, job) || slurm_find_job(slurm, job);
}

void slurm_fleet_held(struct slurm *slurm, const struct text *text)
{
    struct slurm_fleet *fleet = slurm->fleet;

    vec_foreach(&fleet->machines, machine) {
        (*machine)->tasks = (*machine)->cpus = (*machine)->gpus = 0;
        (*machine)->memory_bytes = 0;
    }
    for (const char *p = text_str(text), *end = p + text->len; p < end;) {
        const char *eol = memchr(p, '\n', (size_t) (end - p));
        size_t len = eol ? (size_t) (eol - p) : (size_t) (end - p);
        struct slurm_held held;
        if (slurm_parse_held(p, len, &held) && !is_own(slurm, held.job)) {
            struct holding holding = { fleet, &held };
            (void) slurm_each_node(held.nodes, held.nodes_len, HELD_NODES_MAX, hold, &holding);
        }
        p += len + 1;
    }
}

/* ---- reporting ----------------------------------------------------------------------------------- */

static void describe(const struct slurm_fleet *fleet, struct text *ret)
{
    vec_foreach(&fleet->machines, it) {
        const struct machine *m = *it;
        text_addf(ret, "%s %u %u %lld %lld %u %s %s|%u %u %u %lld\n", m->facts.name, m->facts.cpus,
                  m->facts.threads, (long long) m->facts.memory_bytes,
                  (long long) m->facts.disk_bytes, m->facts.gpus, m->facts.gpu_model,
                  m->facts.fault, m->tasks, m->cpus, m->gpus, (long long) m->memory_bytes);
    }
}

void slurm_fleet_report(struct slurm *slurm)
{
    struct slurm_fleet *fleet = slurm->fleet;
    const struct engine_listener *listener = &slurm->engine.listener;
    _cleanup_text_ struct text now = { 0 };

    describe(fleet, &now);
    if (!listener->fleet || (now.len == fleet->said.len &&
                             memcmp(text_str(&now), text_str(&fleet->said), now.len) == 0))
        return;
    text_clear(&fleet->said);
    text_add_bytes(&fleet->said, text_str(&now), now.len);
    struct engine_machine *machines = xnew_n(struct engine_machine, fleet->machines.len + 1);
    for (size_t i = 0; i < fleet->machines.len; i++) {
        const struct machine *m = fleet->machines.items[i];
        machines[i] = (struct engine_machine){
            .name = m->facts.name,
            .node = m->node,
            .fault = m->facts.usable ? NULL : m->facts.fault,
            .others_tasks = m->tasks,
            .others_cores = (m->cpus + m->facts.threads - 1) / m->facts.threads,
            .others_gpus = m->gpus,
            .others_memory_bytes = m->memory_bytes,
        };
    }
    listener->fleet(listener->userdata, machines, fleet->machines.len);
    free(machines);
    if (fleet->lines.len > 0)
        (void) file_replace(AT_FDCWD, slurm->cache, 0600, fleet->lines.data, fleet->lines.len,
                            false, NULL);
}

void slurm_fleet_suspect(struct slurm *slurm, const char *node)
{
    struct machine *machine = map_get_str(slurm->fleet->by_name, node);

    if (machine && machine->facts.usable) {
        machine->facts.usable = false;
        (void) snprintf(machine->facts.fault, sizeof machine->facts.fault,
                        "Slurm could not run a job there just now");
    }
    slurm_fleet_report(slurm); /* also what the last list said, and nobody was told yet */
}

void engine_slurm_report(struct engine *engine) { slurm_fleet_report(slurm_of(engine)); }

int slurm_fleet_load(struct slurm *slurm, const struct commands_options *commands,
                     struct error *err)
{
    static const char *const argv[] = { "scontrol", "-o", "show", "node", NULL };
    _cleanup_text_ struct text text = { 0 };
    struct error why = { 0 };

    int r = command_run_now(commands, argv, &text, &why);
    if (r == -ENOENT)
        return error_set(err, r,
                         "setting engine is slurm, and its commands cannot be run: %s (Debian: "
                         "slurm-client; setting slurm_bin says where they lie)",
                         why.text);
    if (r < 0) {
        slurm_set_away(slurm, why.text);
        text_clear(&text);
        (void) file_read(AT_FDCWD, slurm->cache, CACHE_MAX, &text, NULL);
    }
    slurm_fleet_nodes(slurm, &text);
    return 0;
}
