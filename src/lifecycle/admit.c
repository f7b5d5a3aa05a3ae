/* admit.c - may a job come in, and with what exactly
 *
 * What the user left open is settled here and kept in the spec, so that a job does not change when a
 * flavor or a default does.
 */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)

enum { PRIORITY_MAX = 1000, TAGS_MAX = 64, PIDS_DEFAULT = 4096 };

static const struct flavor *find_flavor(const struct lifecycle *lc, const char *name)
{
    vec_foreach(&lc->flavors, flavor)
        if (str_equal((*flavor)->name, name))
            return *flavor;
    return NULL;
}

/* The shape that stands for one core where a job asks for cores by number. */
static const struct flavor *unit_flavor(const struct lifecycle *lc)
{
    vec_foreach(&lc->flavors, flavor)
        if (!(*flavor)->shared && (*flavor)->gpus == 0)
            return *flavor;
    return NULL;
}

int lifecycle_unknown_flavor(const struct lifecycle *lc, const char *name, struct error *err)
{
    struct text known = { 0 };

    vec_foreach(&lc->flavors, flavor)
        text_addf(&known, "%s%s", known.len ? ", " : "", (*flavor)->name);
    int r = error_set(err, -EINVAL, "flavor: there is no '%s'; there are %s", name,
                      known.len ? text_str(&known) : "none");
    text_done(&known);
    return r;
}

/* Of what FLAVOR has, in units, as much as falls to SPEC's part of a GPU. */
static int64_t in_proportion(const struct workload_spec *spec, const struct flavor *flavor,
                             int64_t whole, int64_t unit)
{
    if (!flavor->gpu_milli || spec->gpu_milli == flavor->gpu_milli)
        return whole;
    return (whole / unit * spec->gpu_milli + flavor->gpu_milli - 1) / flavor->gpu_milli * unit;
}

static void from_flavor(struct workload_spec *spec, const struct flavor *flavor)
{
    if (!spec->gpu_milli)
        spec->gpu_milli = flavor->gpu_milli;
    spec->cores = (unsigned) in_proportion(spec, flavor, flavor->cores, 1);
    spec->gpus = flavor->gpus;
    spec->shared = flavor->shared;
    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        spec->huge_pages.n[i] = (unsigned) in_proportion(spec, flavor, flavor->huge_pages.n[i], 1);
    spec->rdma = flavor->rdma;
    spec->numa_strict = flavor->numa_strict;
    spec->network_optimised = flavor->network_optimised;
    spec->splits_islands = flavor->splits_islands;
    spec->machines.exclusive |= flavor->whole_node;
    if (flavor->gpu_model)
        xstr_set(&spec->gpu_model, flavor->gpu_model);
    if (spec->memory_bytes == 0)
        spec->memory_bytes = in_proportion(spec, flavor, flavor->memory_bytes, MIB);
    if (spec->disk_bytes == 0)
        spec->disk_bytes = in_proportion(spec, flavor, flavor->disk_bytes, MIB);
    if (spec->pids == 0)
        spec->pids = flavor->pids;
}

static void from_cores(struct workload_spec *spec, const struct flavor *unit)
{
    if (unit && spec->memory_bytes == 0)
        spec->memory_bytes = unit->memory_bytes / unit->cores * spec->cores;
    if (unit && spec->disk_bytes == 0)
        spec->disk_bytes = unit->disk_bytes / unit->cores * spec->cores;
    if (spec->pids == 0)
        spec->pids = unit ? unit->pids : PIDS_DEFAULT;
}

static struct hardware_ask ask_of(const struct workload_spec *spec)
{
    return (struct hardware_ask){ .flavor = spec->flavor,
                                  .gpu_model = spec->gpu_model,
                                  .gpu_milli = (unsigned) workload_spec_gpu_milli(spec),
                                  .cores = spec->cores,
                                  .memory_bytes = spec->memory_bytes };
}

/* The flavor that is meant by a number of GPUs: it says what they bring with them, or lets the job have a part of one. */
static const struct flavor *gpu_flavor(const struct lifecycle *lc, const struct workload_spec *spec)
{
    const struct hardware_ask ask = ask_of(spec);
    const struct flavor *const *flavors;
    size_t n;

    lifecycle_flavors(lc, &flavors, &n);
    return flavor_for(flavors, n, &ask);
}

static void from_gpus(const struct lifecycle *lc, struct workload_spec *spec)
{
    const struct flavor *unit = gpu_flavor(lc, spec);

    if (!unit)
        unit = unit_flavor(lc);
    if (!unit)
        return;
    unsigned of = unit->gpus ? unit->gpus : 1;
    spec->cores = (unit->cores * spec->gpus + of - 1) / of;
    if (spec->memory_bytes == 0)
        spec->memory_bytes = unit->memory_bytes / of * spec->gpus;
    if (spec->disk_bytes == 0)
        spec->disk_bytes = unit->disk_bytes / of * spec->gpus;
}

static int check_part(const struct lifecycle *lc, const struct workload_spec *spec,
                      struct error *err)
{
    char part[32];

    if (!spec->gpu_milli)
        return 0;
    if (lc->engine->ops->whole_gpus)
        return error_set(err, -EINVAL,
                         "gpus: is %s%s%s, and engine %s gives whole GPUs only; ask for 1 or more",
                         milli_to_str(spec->gpu_milli, part), spec->flavor ? " by flavor " : "",
                         spec->flavor ? spec->flavor : "", lc->engine->ops->name);
    return workload_spec_check_part(spec, err);
}

/* A part of a GPU without a flavor: what lets the job have it says the rest, or the numbers do. */
static int from_part(const struct lifecycle *lc, struct workload_spec *spec, struct error *err)
{
    const struct flavor *flavor = gpu_flavor(lc, spec);
    char part[32];

    if (lc->engine->ops->whole_gpus)
        return check_part(lc, spec, err);
    if (!flavor)
        return error_set(
            err, -EINVAL,
            "gpus: is %s, and no flavor%s%s allows a part of a GPU; ask for whole ones, "
            "or have a flavor with gpu_milli (setting flavors)",
            milli_to_str(spec->gpu_milli, part), spec->gpu_model ? " of model " : "",
            spec->gpu_model ? spec->gpu_model : "");
    if (spec->cores == 0)
        spec->flavor = xstrdup(flavor->name);
    else if (flavor->gpu_model)
        xstr_set(&spec->gpu_model, flavor->gpu_model);
    return 0;
}

static int check_gpus(const struct workload_spec *spec, struct error *err)
{
    if (spec->gpu_model && spec->gpus == 0)
        return error_set(err, -EINVAL,
                         "gpu_model: says which GPUs, but gpus is not there; ask for "
                         "gpus: 1 or more");
    return 0;
}

static int check_ratio(const struct lifecycle *lc, const struct workload_spec *spec,
                       struct error *err)
{
    const struct hardware_ask ask = ask_of(spec);
    const struct flavor *const *flavors;
    size_t n;

    lifecycle_flavors(lc, &flavors, &n);
    return flavor_check_ratio_of(flavors, n, &ask, err);
}

static int check_flavor_gpus(const struct workload_spec *spec, const struct flavor *flavor,
                             struct error *err)
{
    char part[32];

    if (spec->gpu_milli && !flavor->gpu_milli)
        return error_set(err, -EINVAL,
                         "gpus: is %s, and flavor %s does not allow a part of a GPU; see berth "
                         "flavor list",
                         milli_to_str(spec->gpu_milli, part), flavor->name);
    if (spec->gpus && !spec->gpu_milli && flavor->gpu_milli)
        return error_set(err, -EINVAL,
                         "gpus: flavor %s has %s of a GPU and the job asks for %u; say less than "
                         "1, or leave one of them out",
                         flavor->name, milli_to_str(flavor->gpu_milli, part), spec->gpus);
    if (spec->gpus && spec->gpus != flavor->gpus)
        return error_set(err, -EINVAL,
                         "gpus: flavor %s has %u and the job asks for %u; leave one of them out",
                         flavor->name, flavor->gpus, spec->gpus);
    if (spec->gpu_model && flavor->gpu_model && !str_equal(spec->gpu_model, flavor->gpu_model))
        return error_set(err, -EINVAL, "gpu_model: flavor %s has %s; leave one of them out",
                         flavor->name, flavor->gpu_model);
    return 0;
}

static int resolve_hardware(const struct lifecycle *lc, struct workload_spec *spec,
                            struct error *err)
{
    if (!spec->flavor && spec->gpu_milli) {
        int r = from_part(lc, spec, err);
        if (r < 0)
            return r;
    }
    if (!spec->flavor && spec->cores == 0 && spec->gpus > 0)
        from_gpus(lc, spec);
    if (!spec->flavor && spec->cores == 0 && lc->flavors.len > 0)
        spec->flavor = xstrdup(lc->flavors.items[0]->name);
    if (spec->flavor) {
        const struct flavor *flavor = find_flavor(lc, spec->flavor);
        if (!flavor)
            return lifecycle_unknown_flavor(lc, spec->flavor, err);
        int r = check_flavor_gpus(spec, flavor, err);
        if (r < 0)
            return r;
        from_flavor(spec, flavor);
        return check_gpus(spec, err);
    }
    if (spec->cores == 0)
        return error_set(err, -EINVAL,
                         "cpus: there is no flavor here; say how many cores the job needs");
    from_cores(spec, unit_flavor(lc));
    if (spec->memory_bytes == 0)
        return error_set(err, -EINVAL,
                         "memory: there is no flavor to take it from; say how much the job needs");
    return check_gpus(spec, err);
}

/* Those below are for services of the machine; who asks one at such a port takes it for one of them. */
#define PUBLISH_MIN 1024u

static int check_published(const struct workload_spec *spec, struct error *err)
{
    for (size_t i = 0; i < spec->n_ports; i++)
        if (spec->ports[i].publish && spec->ports[i].publish < PUBLISH_MIN)
            return error_set(err, -EINVAL,
                             "ports[%zu].publish: %u belongs to the machine; choose %u to 65535, "
                             "or 0 for a free one",
                             i, spec->ports[i].publish, PUBLISH_MIN);
    return 0;
}

static int resolve_rest(const struct lifecycle *lc, struct workload_spec *spec, struct error *err)
{
    const struct lifecycle_settings *set = &lc->settings;

    if (spec->network && !set->network_choice && !str_equal(spec->network, "none") &&
        !str_equal(spec->network, set->network_default))
        return error_set(
            err, -EINVAL,
            "network: the operator allows '%s' only, not '%s' (setting network_choice)",
            set->network_default, spec->network);
    int r = check_published(spec, err);
    if (r >= 0)
        r = check_part(lc, spec, err);
    if (r >= 0)
        r = check_ratio(lc, spec, err);
    if (r < 0)
        return r;
    if (spec->machines.exclusive && spec->shared)
        return error_set(err, -EINVAL,
                         "exclusive: flavor %s shares its cores; choose one that does not",
                         spec->flavor);
    if (!spec->network)
        spec->network = xstrdup(set->network_default);
    if (spec->grace_s < 0)
        spec->grace_s = set->grace_default_s;
    if (spec->max_time_s == 0)
        spec->max_time_s = set->max_time_default_s;
    return 0;
}

static int check_secrets(const struct lifecycle *lc, const struct workload_spec *spec,
                         const struct id *project, struct error *err)
{
    for (size_t i = 0; i < spec->n_env; i++) {
        const struct env_var *var = &spec->env[i];
        if (var->secret && (*var->value == '@' || !secret_find(lc, project, var->value)))
            return error_set(
                err, -EINVAL,
                "env.%s: the project has no secret '%s'; make it with: berth secret set %s",
                var->name, var->value, var->value);
    }
    return 0;
}

static int check_priority(const struct submit *submit, struct error *err)
{
    if (submit->priority < -PRIORITY_MAX || submit->priority > PRIORITY_MAX)
        return error_set(err, -EINVAL, "priority: is %d; it must be -%d to %d", submit->priority,
                         PRIORITY_MAX, PRIORITY_MAX);
    return 0;
}

/* Most jobs have one of a few shapes: each is asked once. */
static int check_fits(struct lifecycle *lc, const struct workload_spec *spec, struct error *err)
{
    enum { SHAPES_MAX = 4096 };
    char shape[256];
    int n =
        snprintf(shape, sizeof shape,
                 "%ux%u%s/%u/%" PRId64 "/%" PRId64 "/%u/%u/%" PRId64 "/%d%d/%s", spec->nodes,
                 spec->tasks_per_node, spec->mpi ? "m" : "", spec->cores, spec->memory_bytes,
                 spec->disk_bytes, spec->huge_pages.n[HUGE_PAGE_1G],
                 spec->huge_pages.n[HUGE_PAGE_2M], workload_spec_gpu_milli(spec), spec->numa_strict,
                 spec->network_optimised, spec->gpu_model ? spec->gpu_model : "");
    const struct machine_rules *rules = &spec->machines;
    bool is_whole = n > 0 && (size_t) n < sizeof shape && !spec->devices && !rules->names &&
                    !rules->without && !rules->tags && !rules->exclusive;

    if (is_whole && map_get_str(lc->shapes_admitted, shape))
        return 0;
    int r = placement_can_ever_fit(lc->node_list.items, lc->node_list.len, spec, err);
    if (r < 0)
        return r;
    if (is_whole && map_len(lc->shapes_admitted) < SHAPES_MAX)
        map_set_str(lc->shapes_admitted, shape, lc);
    return 0;
}

static int check_store(const struct lifecycle *lc, struct error *err)
{
    struct store_health health;

    store_health(lc->store, &health);
    if (health.failing)
        return error_set(err, -EAGAIN, "the store cannot write now: %s; try again later",
                         health.text);
    if (health.reserve_low)
        return error_set(err, -ENOSPC,
                         "the disk is almost full: what is left is kept for jobs that run");
    return 0;
}

/* The longest name of one of its jobs is a name too. */
static int check_array(const struct submit *submit, struct error *err)
{
    const struct array_place *place = submit->spec->array;
    struct array_indexes indexes = { 0 };
    char last[16];

    if (!place || place->count > 0)
        return 0;
    for (size_t i = 0; i < submit->spec->n_after; i++)
        if (submit->spec->after[i].when == AFTER_SINGLETON)
            return error_set(err, -EINVAL,
                             "after[%zu]: the jobs of an array have names of their own; write "
                             "array: %s%%1 to run one at a time",
                             i, place->indexes);
    int r = array_indexes_parse(place->indexes, &indexes, err);
    if (r >= 0 && submit->name) {
        int n = snprintf(last, sizeof last, "_%u", indexes.list[indexes.n - 1]);
        if (strlen(submit->name) + (size_t) n > 63)
            r = error_set(err, -EINVAL, "name: with %s it is longer than 63 characters", last);
    }
    array_indexes_done(&indexes);
    return r;
}

static int check_after(const struct workload_spec *spec, struct error *err)
{
    for (size_t i = 0; i < spec->n_after; i++)
        if (spec->after[i].when != AFTER_SINGLETON && !spec->after[i].is_pinned)
            return error_set(err, -EINVAL, "after[%zu]: '%s' was not looked up", i,
                             spec->after[i].name);
    return 0;
}

static int check_account(const struct lifecycle *lc, const struct project *project,
                         struct error *err)
{
    if (!lc->settings.by_account || project->account)
        return 0;
    return error_set(err, -EPERM,
                     "project '%s' has no account on the cluster; an administrator names one: "
                     "berth project update %s --account NAME",
                     project->name, project->name);
}

int admit(struct lifecycle *lc, struct submit *submit, const struct project *project,
          struct error *err)
{
    int r = check_store(lc, err);
    if (r >= 0 && submit->name)
        r = name_check("name", submit->name, err);
    if (r >= 0)
        r = check_account(lc, project, err);
    if (r >= 0)
        r = check_priority(submit, err);
    if (r >= 0)
        r = tags_check(submit->tags, err);
    if (r >= 0)
        r = check_array(submit, err);
    if (r >= 0)
        r = check_after(submit->spec, err);
    if (r >= 0)
        r = resolve_hardware(lc, submit->spec, err);
    if (r >= 0)
        r = resolve_rest(lc, submit->spec, err);
    if (r >= 0)
        r = check_secrets(lc, submit->spec, &project->id, err);
    if (r >= 0)
        r = datasets_admit(lc, submit->spec, &project->id, err);
    if (r >= 0)
        r = images_admit(lc, &project->id, submit->spec, err);
    return r < 0 ? r : check_fits(lc, submit->spec, err);
}

void lifecycle_add_flavor(struct lifecycle *lc, struct flavor *flavor)
{
    vec_push(&lc->flavors, flavor);
}

void lifecycle_flavors(const struct lifecycle *lc, const struct flavor *const **ret, size_t *ret_n)
{
    *ret = (const struct flavor *const *) lc->flavors.items;
    *ret_n = lc->flavors.len;
}
