/* explain.c - why a request does not fit, with the numbers */
#include "placement/numa.h"

#include "base/alloc.h"
#include "base/names.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const rule_names[PLACEMENT_RULE_MAX] = {
    [PLACEMENT_PLACED] = "placed",       [PLACEMENT_BACKOFF] = "backoff",
    [PLACEMENT_HELD] = "image",          [PLACEMENT_NO_CORES] = "no_cores",
    [PLACEMENT_NO_MEMORY] = "no_memory", [PLACEMENT_NO_DISK] = "no_disk",
    [PLACEMENT_NO_ISLAND] = "island",    [PLACEMENT_NO_NUMA] = "numa",
    [PLACEMENT_NO_GPU] = "no_gpu",       [PLACEMENT_CORDONED] = "cordoned",
    [PLACEMENT_BEHIND] = "behind",       [PLACEMENT_NEVER] = "never",
    [PLACEMENT_BEGIN] = "begin",         [PLACEMENT_NOT_ALLOWED] = "not_allowed",
    [PLACEMENT_NOT_EMPTY] = "not_empty", [PLACEMENT_BOOKED] = "booked",
    [PLACEMENT_RESERVED] = "reserved",   [PLACEMENT_NO_HUGE_PAGES] = "no_huge_pages",
};

const char *placement_rule_name(enum placement_rule rule)
{
    return rule >= 0 && rule < PLACEMENT_RULE_MAX ? rule_names[rule] : NULL;
}

/* Longer lists of machines are a number. */
enum { LISTED_MAX = 80 };

static const char *plural(unsigned n) { return n == 1 ? "" : "s"; }
static const char *is_are(unsigned n) { return n == 1 ? "is" : "are"; }

struct shortage {
    const char *what;
    int64_t needs;
    int64_t is_free;
    int64_t of;
};

static bool node_has_others(const struct node *node)
{
    return node->others_cores || node->others_gpus || node->others_memory_bytes;
}

static const char *and_others(const struct node *node)
{
    return node_has_others(node) ? " and by others outside of Berth" : "";
}

bool node_state_is_empty(const struct node_state *state)
{
    return !state->is_given && state->n_grants == 0 && !node_has_others(state->node);
}

static void explain_bytes(const struct shortage *s, const struct node_state *state, char *text,
                          size_t len)
{
    char needs_text[32], free_text[32], of_text[32];

    (void) snprintf(text, len,
                    "needs %s of %s; %s of %s is free on node %s, the rest is held by %u job%s%s",
                    bytes_to_str(s->needs, needs_text), s->what,
                    bytes_to_str(s->is_free > 0 ? s->is_free : 0, free_text),
                    bytes_to_str(s->of > 0 ? s->of : 0, of_text), state->node->name,
                    (unsigned) state->n_grants, plural((unsigned) state->n_grants),
                    and_others(state->node));
}

/* Files take it, too: those of jobs, their results, and what else lies there. */
static void explain_disk(const struct node_state *state, const struct shape *shape, char *text,
                         size_t len)
{
    const struct node *node = state->node;
    int64_t is_free = node->disk_free_bytes - node->reserved_disk_bytes;
    char needs[32], free_text[32], of[32], kept[32];

    if (node->disk_free_bytes == 0) {
        explain_bytes(&(struct shortage){ "disk", shape->disk_bytes, state->disk_free_bytes,
                                          state->disk_usable_bytes },
                      state, text, len);
        return;
    }
    int n = snprintf(text, len, "needs %s of disk; %s of %s is free on node %s",
                     bytes_to_str(shape->disk_bytes, needs),
                     bytes_to_str(is_free > 0 ? is_free : 0, free_text),
                     bytes_to_str(state->disk_usable_bytes, of), node->name);
    if (state->n_grants > 0 && n > 0 && (size_t) n < len)
        (void) snprintf(text + n, len - (size_t) n, ", %s of it is kept for %u job%s",
                        bytes_to_str(state->disk_kept_bytes > 0 ? state->disk_kept_bytes : 0, kept),
                        (unsigned) state->n_grants, plural((unsigned) state->n_grants));
}

static unsigned pages_of(const struct node *node, enum huge_page size)
{
    unsigned n = 0;

    vec_foreach(&node->numas, numa)
        n += numa->huge_pages.n[size];
    return n;
}

static void explain_pages(const struct node_state *state, const struct shape *shape, char *text,
                          size_t len)
{
    enum huge_page size = numa_lacks_pages(state, shape);
    unsigned needs = shape->huge_pages.n[size], is_free = numa_pages_free(state, size);

    (void) snprintf(text, len, "needs %u huge page%s of %s; %u of %u %s free on node %s", needs,
                    plural(needs), huge_page_name(size), is_free, pages_of(state->node, size),
                    is_are(is_free), state->node->name);
}

static void explain_cores(const struct node_state *state, const struct shape *shape, char *text,
                          size_t len)
{
    unsigned held = state->cores_usable - state->cores_free, jobs = (unsigned) state->n_grants;

    (void) snprintf(text, len,
                    "needs %u %score%s; %u of %u %s free on node %s, %u held by %u job%s%s",
                    shape->cores, shape->shared ? "shared " : "", plural(shape->cores),
                    state->cores_free, state->cores_usable, is_are(state->cores_free),
                    state->node->name, held, jobs, plural(jobs), and_others(state->node));
}

/* "2 GPUs of model H100", "nvidia.com/gpu=0, nvidia.com/gpu=3"; owned by the caller. */
static char *wanted_gpus(const struct shape *shape)
{
    struct text out = { 0 };
    char part[32];

    for (char *const *device = shape->devices; device && *device; device++)
        text_addf(&out, "%s%s", out.len ? ", " : "", *device);
    if (shape->gpu_milli)
        text_addf(&out, "%s%s of a GPU", shape->devices ? ": " : "",
                  milli_to_str(shape->gpu_milli, part));
    if (shape->gpu_milli && shape->gpu_model && !shape->devices)
        text_addf(&out, " of model %s", shape->gpu_model);
    if (!shape->devices && !shape->gpu_milli)
        text_addf(&out, "%u GPU%s%s%s", shape->gpus, plural(shape->gpus),
                  shape->gpu_model ? " of model " : "", shape->gpu_model ? shape->gpu_model : "");
    return text_take(&out);
}

/* The most that is left on a GPU which SHAPE may share, and how many of others that have enough. */
static unsigned most_left(const struct node_state *state, const struct shape *shape,
                          unsigned *ret_others)
{
    struct shape least = *shape;
    unsigned most = 0;

    least.gpu_milli = 1;
    *ret_others = 0;
    for (size_t i = 0; i < state->node->gpus.len; i++) {
        if (!gpu_would_do(&state->node->gpus.items[i], shape))
            continue;
        if (!slice_has_gpu(state, &least, i))
            *ret_others += state->gpu_left[i] >= shape->gpu_milli;
        else if (state->gpu_left[i] > most)
            most = state->gpu_left[i];
    }
    return most;
}

static void explain_part(const struct node_state *state, const struct shape *shape, char *text,
                         size_t len)
{
    _cleanup_free_ char *wanted = wanted_gpus(shape);
    unsigned others, all = node_state_gpus(state, shape, true);
    char left[32];
    int n = snprintf(text, len, "needs %s: most free on one is %s, of %u on node %s%s%s", wanted,
                     milli_to_str(most_left(state, shape, &others), left), all, state->node->name,
                     state->node->others_gpus ? ", held by jobs" : "", and_others(state->node));

    if (others > 0 && n > 0 && (size_t) n < len)
        (void) snprintf(text + n, len - (size_t) n, "; %u more %s shared by another org", others,
                        is_are(others));
}

static void explain_gpus(const struct node_state *state, const struct shape *shape, char *text,
                         size_t len)
{
    _cleanup_free_ char *wanted = wanted_gpus(shape);
    unsigned is_free = node_state_gpus(state, shape, false);
    unsigned all = node_state_gpus(state, shape, true);

    (void) snprintf(text, len, "needs %s; %u of %u %s free on node %s%s%s", wanted, is_free, all,
                    is_are(is_free), state->node->name,
                    state->node->others_gpus ? ", held by jobs" : "", and_others(state->node));
}

static void explain_not_empty(const struct node_state *state, char *text, size_t len)
{
    unsigned jobs = (unsigned) state->n_grants;

    (void) snprintf(text, len, "needs a machine to itself; node %s has %u job%s%s",
                    state->node->name, jobs, plural(jobs),
                    node_has_others(state->node) ? " and others outside of Berth" : "");
}

static void explain_island(const struct node_state *state, const struct shape *shape, char *text,
                           size_t len)
{
    _cleanup_free_ char *wanted = wanted_gpus(shape);
    unsigned is_free = node_state_gpus(state, shape, false);
    unsigned apart = (unsigned) __builtin_popcountll(slice_candidates(state, shape));

    (void) snprintf(
        text, len,
        "needs %s; %u %s free on node %s, but %u of them %s joined by NVLink or an IOMMU "
        "group to GPUs of another org%s",
        wanted, is_free, is_are(is_free), state->node->name, is_free - apart,
        is_are(is_free - apart),
        slice_splitting_helps(state, shape)
            ? "; the operator may allow it: splits_islands of flavors"
            : "");
}

/* Is a NIC all that SHAPE lacks on the node? */
static bool lacks_nics(const struct node_state *state, const struct shape *shape)
{
    struct shape without = *shape;
    struct slice slice;

    without.network_optimised = false;
    return shape->network_optimised && !slice_choose(state, shape, &slice) &&
           slice_choose(state, &without, &slice);
}

/* "NUMA node 0 has 1 with 2 of 4 virtual functions free, 1 has none" */
static void add_nics(const struct node_state *state, struct text *out)
{
    vec_foreach(&state->numas, numa) {
        unsigned nics = 0, vfs = 0, is_free = 0;
        for (size_t i = 0; i < state->node->nics.len; i++) {
            const struct nic *nic = &state->node->nics.items[i];
            if (!nic->rdma || nic->numa != (int) numa->id)
                continue;
            nics++;
            vfs += nic->vfs;
            is_free += state->vfs_free[i];
        }
        text_addf(out, "%s%u has ", numa == state->numas.items ? " NUMA node " : ", ", numa->id);
        if (nics == 0)
            text_add(out, "none");
        else
            text_addf(out, "%u", nics);
        if (vfs > 0)
            text_addf(out, " with %u of %u virtual functions free", is_free, vfs);
    }
}

static void explain_nics(const struct node_state *state, const struct shape *shape, char *text,
                         size_t len)
{
    _cleanup_free_ char *gpus = wanted_gpus(shape);
    _cleanup_text_ struct text has = { 0 };

    add_nics(state, &has);
    if (shape->gpus > 0)
        (void) snprintf(text, len,
                        "needs %s and a NIC for RDMA on the same NUMA node; of node %s%s", gpus,
                        state->node->name, text_str(&has));
    else
        (void) snprintf(text, len,
                        "needs %u core%s and a NIC for RDMA on the same NUMA node; of node %s%s",
                        shape->cores, plural(shape->cores), state->node->name, text_str(&has));
}

/* GPUs that are free on N nodes, and the most of them that are near to each other. */
static void explain_numa(const struct node_state *states, size_t n, const struct shape *shape,
                         char *text, size_t len)
{
    _cleanup_free_ char *wanted = wanted_gpus(shape), *others = NULL;
    unsigned is_free = 0, most = 0, kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (states[i].node->cordoned || states[i].node->fault ||
            !rules_allow(shape->rules, states[i].node))
            continue;
        unsigned together = slice_most_together(&states[i], shape);
        is_free += (unsigned) __builtin_popcountll(slice_candidates(&states[i], shape));
        most = together > most ? together : most;
        kept += slice_kept_partitions(&states[i], shape);
    }
    others = kept ? xasprintf("; %u partition%s of so many overlap%s one in use", kept,
                              plural(kept), kept == 1 ? "s" : "")
                  : xstrdup("");
    if (shape->gpus == 0)
        (void) snprintf(text, len, "needs %u core%s with their memory%s on one NUMA node",
                        shape->cores, plural(shape->cores),
                        shape->network_optimised ? " and a NIC" : "");
    else if (most < shape->gpus)
        (void) snprintf(text, len, "needs %s %s: %u %s free, at most %u together%s", wanted,
                        shape->numa_strict ? "on one NUMA node" : "in one partition", is_free,
                        is_are(is_free), most, others);
    else
        (void) snprintf(text, len,
                        "needs %s with %u core%s, memory%s near them: %u %s free, but not these "
                        "with them",
                        wanted, shape->cores, plural(shape->cores),
                        shape->network_optimised ? " and a NIC" : "", is_free, is_are(is_free));
}

static void explain_node(const struct node_state *state, const struct shape *shape,
                         enum placement_rule rule, char *text, size_t len)
{
    switch ((int) rule) {
    case PLACEMENT_NO_CORES:
        explain_cores(state, shape, text, len);
        break;
    case PLACEMENT_NO_GPU:
        (shape->gpu_milli ? explain_part : explain_gpus)(state, shape, text, len);
        break;
    case PLACEMENT_NO_ISLAND:
        explain_island(state, shape, text, len);
        break;
    case PLACEMENT_NO_NUMA:
        if (lacks_nics(state, shape))
            explain_nics(state, shape, text, len);
        else
            explain_numa(state, 1, shape, text, len);
        break;
    case PLACEMENT_NO_MEMORY:
        explain_bytes(&(struct shortage){ "memory", shape->memory_bytes, state->memory_free_bytes,
                                          state->memory_usable_bytes },
                      state, text, len);
        break;
    case PLACEMENT_NO_HUGE_PAGES:
        explain_pages(state, shape, text, len);
        break;
    case PLACEMENT_NO_DISK:
        explain_disk(state, shape, text, len);
        break;
    case PLACEMENT_NOT_EMPTY:
        explain_not_empty(state, text, len);
        break;
    case PLACEMENT_BOOKED:
        (void) snprintf(text, len, "node %s is %s", state->node->name, state->booked);
        break;
    case PLACEMENT_NOT_ALLOWED:
        (void) snprintf(text, len, "node %s is not one that the job wants", state->node->name);
        break;
    default:
        if (state->node->fault)
            (void) snprintf(text, len, "node %s takes no work: %s", state->node->name,
                            state->node->fault);
        else
            (void) snprintf(text, len, "node %s is cordoned: it takes no new work",
                            state->node->name);
    }
}

/* How far a node came before this rule stopped it, in the order of node_state_check(). */
static int progress(enum placement_rule rule)
{
    static const int order[PLACEMENT_RULE_MAX] = {
        [PLACEMENT_NOT_ALLOWED] = 0, [PLACEMENT_CORDONED] = 1,      [PLACEMENT_NOT_EMPTY] = 2,
        [PLACEMENT_NO_GPU] = 3,      [PLACEMENT_NO_ISLAND] = 4,     [PLACEMENT_NO_CORES] = 5,
        [PLACEMENT_NO_MEMORY] = 6,   [PLACEMENT_NO_HUGE_PAGES] = 7, [PLACEMENT_NO_DISK] = 8,
        [PLACEMENT_NO_NUMA] = 9,     [PLACEMENT_BOOKED] = 10,
    };
    return order[rule];
}

/* All of N nodes that are kept from SHAPE for the same reason as NEAREST is; returns how many. */
static size_t explain_booked(const struct node_state *states, size_t n,
                             const struct node_state *nearest, const struct shape *shape,
                             char *text, size_t len)
{
    const char **names = xnew_n(const char *, n);
    _cleanup_text_ struct text list = { 0 };
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        if (str_equal(states[i].booked, nearest->booked) &&
            node_state_check(&states[i], shape) == PLACEMENT_BOOKED)
            names[found++] = states[i].node->name;
    names_add(&list, names, found);
    if (list.len > LISTED_MAX)
        (void) snprintf(text, len, "%zu nodes, the first of them %s, are %s", found, names[0],
                        nearest->booked);
    else
        (void) snprintf(text, len, "node%s %s %s %s", plural((unsigned) found), text_str(&list),
                        is_are((unsigned) found), nearest->booked);
    free(names);
    return found;
}

/* N tasks as one. */
static struct shape multiply(const struct shape *shape, unsigned n)
{
    struct shape all = *shape;

    all.cores *= n;
    if (!all.gpu_milli)
        all.gpus *= n;
    all.memory_bytes *= n;
    all.disk_bytes *= n;
    for (int i = 0; i < HUGE_PAGE_MAX; i++)
        all.huge_pages.n[i] *= n;
    return all;
}

/* What keeps one task more than ROOM off the node. */
static enum placement_rule stop_beyond(const struct node_state *state, const struct shape *shape,
                                       unsigned room)
{
    struct shape all = multiply(shape, room + 1);

    return shape->gpu_milli && slice_parts(state, shape) <= room ? PLACEMENT_NO_GPU
                                                                 : node_state_check(state, &all);
}

/* The node that holds the most of what a gang lacks, among those that do not hold a whole group; of equal ones that which
 * comes nearest to one task more. */
static const struct node_state *nearest_of_gang(const struct node_state *states, size_t n,
                                                const struct shape *shape, unsigned *ret_room)
{
    const struct node_state *nearest = NULL;
    int best = 0;

    for (size_t i = 0; i < n; i++) {
        if (!rules_allow(shape->rules, states[i].node))
            continue;
        unsigned room = states[i].node->cordoned || states[i].node->fault
                            ? 0
                            : node_state_room(&states[i], shape, shape->groups * shape->tasks);
        if ((n > 1 && room >= shape->tasks) || (nearest && room < *ret_room))
            continue;
        int here = progress(stop_beyond(&states[i], shape, room));
        if (nearest && room == *ret_room && here <= best)
            continue;
        nearest = &states[i];
        *ret_room = room;
        best = here;
    }
    return nearest;
}

/* " in one leaf" */
static const char *in_one(const struct shape *shape)
{
    static const char *const words[WITHIN_MAX] = { "", " in one site", " in one block",
                                                   " in one leaf" };

    return words[shape->rules->within];
}

/* How many of N nodes hold a group of SHAPE, wherever they stand. */
static unsigned fit_anywhere(const struct node_state *states, size_t n, const struct shape *shape,
                             bool is_empty)
{
    struct machine_rules rules = *shape->rules;
    struct shape one_each = *shape;

    rules.within = WITHIN_ANY;
    one_each.rules = &rules;
    one_each.groups = (unsigned) n;
    return gang_fit(states, n, &one_each, is_empty, NULL);
}

/* "needs 4 nodes in one leaf: 6 are free, at most 3 in one leaf"; FOUND: the most in one. Returns the text's length. */
static int explain_within(const struct node_state *states, size_t n, const struct shape *shape,
                          unsigned found, char *text, size_t len)
{
    unsigned is_free = fit_anywhere(states, n, shape, false);
    char room[40] = "";

    if (shape->tasks > 1)
        (void) snprintf(room, sizeof room, " with room for %u tasks each", shape->tasks);
    return snprintf(text, len, "needs %u nodes%s%s: %u %s free, at most %u%s", shape->groups,
                    in_one(shape), room, is_free, is_are(is_free), found, in_one(shape));
}

/* How many groups there is room for; ROOM: tasks on the nearest machine that does not hold one. */
static int explain_groups(const struct node_state *states, size_t n, const struct shape *shape,
                          unsigned room, char *text, size_t len)
{
    unsigned found = gang_fit(states, n, shape, false, NULL);

    if (n == 1)
        return snprintf(text, len, "all %u tasks begin at once, and there is room for %u: ",
                        shape->groups * shape->tasks, room);
    if (shape->rules->within == WITHIN_ANY || shape->groups == 1)
        return snprintf(text, len,
                        "all begin at once: %u node%s with room for %u task%s each, and %u of %zu "
                        "%s; ",
                        shape->groups, plural(shape->groups), shape->tasks, plural(shape->tasks),
                        found, n, found == 1 ? "has it" : "have it");
    int used = explain_within(states, n, shape, found, text, len);
    return used + snprintf(text + used, len - (size_t) used, "; ");
}

static enum placement_rule explain_gang(const struct node_state *states, size_t n,
                                        const struct shape *shape, char *text, size_t len)
{
    unsigned room = 0;
    const struct node_state *nearest = nearest_of_gang(states, n, shape, &room);

    if (!nearest && n > 1 && shape->rules->within != WITHIN_ANY)
        (void) explain_within(states, n, shape, gang_fit(states, n, shape, false, NULL), text, len);
    if (!nearest)
        return PLACEMENT_NO_CORES;
    struct shape all = multiply(shape, room + 1);
    enum placement_rule rule = stop_beyond(nearest, shape, room);
    int used = explain_groups(states, n, shape, room, text, len);
    if (used > 0 && (size_t) used < len && rule == PLACEMENT_BOOKED) {
        (void) explain_booked(states, n, nearest, &all, text + used, len - (size_t) used);
        return rule;
    }
    if (n > 1 && used > 0 && (size_t) used < len)
        used += snprintf(text + used, len - (size_t) used,
                         "%s has room for %u: ", nearest->node->name, room);
    if (used > 0 && (size_t) used < len)
        explain_node(nearest, &all, rule, text + used, len - (size_t) used);
    return rule == PLACEMENT_PLACED ? PLACEMENT_NO_CORES : rule;
}

/* Does the node of STATE come nearer to holding SHAPE than that of OTHER, by what stops it there? */
static bool is_nearer(const struct node_state *state, enum placement_rule here,
                      const struct node_state *other, enum placement_rule there,
                      const struct shape *shape)
{
    unsigned others;

    if (here != there)
        return progress(here) > progress(there);
    if (here == PLACEMENT_NO_CORES)
        return state->cores_free > other->cores_free;
    return here == PLACEMENT_NO_GPU && shape->gpu_milli &&
           most_left(state, shape, &others) > most_left(other, shape, &others);
}

enum placement_rule explain_refusal(const struct node_state *states, size_t n,
                                    const struct shape *shape, char *text, size_t len)
{
    const struct node_state *nearest = NULL;
    enum placement_rule rule = PLACEMENT_NO_CORES;

    if (shape_is_gang(shape) && n > 0)
        return explain_gang(states, n, shape, text, len);
    for (size_t i = 0; i < n; i++) {
        enum placement_rule here = node_state_check(&states[i], shape);
        if (nearest && !is_nearer(&states[i], here, nearest, rule, shape))
            continue;
        nearest = &states[i];
        rule = here;
    }
    if (!nearest) {
        (void) snprintf(text, len, "there is no node yet");
        return PLACEMENT_NO_CORES;
    }
    if (rule == PLACEMENT_NO_NUMA && n > 1 && !lacks_nics(nearest, shape)) {
        explain_numa(states, n, shape, text, len);
        return rule;
    }
    size_t named = 1;
    if (rule == PLACEMENT_BOOKED)
        named = explain_booked(states, n, nearest, shape, text, len);
    else
        explain_node(nearest, shape, rule, text, len);
    if (n > named) {
        size_t used = strlen(text);
        (void) snprintf(text + used, len - used, ", the nearest of %zu", n);
    }
    return rule;
}

/* The names that somebody who asked by name could have said; owned by the caller. */
static char *device_names(const struct node *node)
{
    struct text out = { 0 };

    vec_foreach(&node->gpus, gpu)
        if (gpu->cdi && !gpu->fault)
            text_addf(&out, "%s%s", out.len ? ", " : "", gpu->cdi);
    if (!out.len)
        text_add(&out, "no GPU for containers");
    return text_take(&out);
}

static void explain_no_gpus(const struct node_state *state, const struct shape *shape, char *text,
                            size_t len)
{
    _cleanup_free_ char *wanted = wanted_gpus(shape);
    _cleanup_free_ char *has =
        shape->devices ? device_names(state->node) : node_gpus_text(state->node);

    (void) snprintf(text, len, "needs %s; node %s has %s", wanted, state->node->name, has);
}

static void explain_no_pages(const struct node_state *state, const struct shape *shape, char *text,
                             size_t len)
{
    enum huge_page size = numa_lacks_pages(state, shape);

    (void) snprintf(text, len, "needs %u huge page%s of %s; node %s has %u",
                    shape->huge_pages.n[size], plural(shape->huge_pages.n[size]),
                    huge_page_name(size), state->node->name, pages_of(state->node, size));
}

/* GPUs, cores and NICs are there, and never together. */
static bool cannot_slice(const struct node_state *state, const struct shape *shape, char *text,
                         size_t len)
{
    struct slice slice;

    if (!slice_matters(state, shape) || slice_choose(state, shape, &slice))
        return false;
    explain_node(state, shape, PLACEMENT_NO_NUMA, text, len);
    return true;
}

/* One reason why the empty NODE cannot hold SHAPE; false if it can. */
static bool cannot_hold(const struct node_state *state, const struct shape *shape, char *text,
                        size_t len)
{
    char needs[32], has[32];
    unsigned gpus = node_state_gpus(state, shape, true);

    if (gpus < shape->gpus)
        explain_no_gpus(state, shape, text, len);
    else if (state->cores_usable < shape->cores)
        (void) snprintf(text, len, "needs %u core%s; node %s has %u", shape->cores,
                        plural(shape->cores), state->node->name, state->cores_usable);
    else if (state->memory_usable_bytes < shape->memory_bytes)
        (void) snprintf(text, len, "needs %s of memory; node %s has %s",
                        bytes_to_str(shape->memory_bytes, needs), state->node->name,
                        bytes_to_str(state->memory_usable_bytes, has));
    else if (numa_lacks_pages(state, shape) != HUGE_PAGE_MAX)
        explain_no_pages(state, shape, text, len);
    else if (shape->disk_bytes > 0 && state->disk_usable_bytes < shape->disk_bytes)
        (void) snprintf(text, len, "needs %s of disk; node %s has %s",
                        bytes_to_str(shape->disk_bytes, needs), state->node->name,
                        bytes_to_str(state->disk_usable_bytes, has));
    else
        return cannot_slice(state, shape, text, len);
    return true;
}

/* As it is without any task on it. */
static void init_empty(struct node_state *state, const struct placement_node *empty)
{
    node_state_init(state, empty);
    state->disk_free_bytes = state->disk_usable_bytes;
}

/* Borrows all but the numbers. */
static struct node without_others(const struct node *node)
{
    struct node alone = *node;

    alone.others_cores = alone.others_gpus = 0;
    alone.others_memory_bytes = 0;
    return alone;
}

static int gang_can_ever_fit(const struct node *const *nodes, size_t n, const struct shape *shape,
                             struct error *err)
{
    struct placement_node *empty = xnew_n(struct placement_node, n);
    struct node *alone = xnew_n(struct node, n); /* without the tasks of others; borrows the rest */
    struct node_state *states = xnew_n(struct node_state, n);
    unsigned most = 0;

    for (size_t i = 0; i < n; i++) {
        alone[i] = without_others(nodes[i]);
        empty[i].node = &alone[i];
        init_empty(&states[i], &empty[i]);
        unsigned room = node_state_room(&states[i], shape, shape->groups * shape->tasks);
        most = room > most ? room : most;
    }
    unsigned found = gang_fit(states, n, shape, true, NULL);
    unsigned anywhere = fit_anywhere(states, n, shape, true);
    for (size_t i = 0; i < n; i++)
        node_state_done(&states[i]);
    free(states);
    free(empty);
    free(alone);
    if (found == shape->groups)
        return 0;
    if (n == 1)
        return error_set(err, -EDOM,
                         "nodes: all %u tasks must run at once, and the only node %s has room for "
                         "%u of them when it is empty",
                         shape->groups * shape->tasks, nodes[0]->name, most);
    if (anywhere >= shape->groups)
        return error_set(
            err, -EDOM,
            "within: the job needs %u nodes%s with room for %u task%s each: %u have it "
            "when they are empty, at most %u%s; where a node stands its tags say: "
            "berth node update NODE --tag leaf=NAME",
            shape->groups, in_one(shape), shape->tasks, plural(shape->tasks), anywhere, found,
            in_one(shape));
    return error_set(
        err, -EDOM,
        "nodes: the job needs %u nodes%s with room for %u task%s each, and %u of %zu have "
        "it when they are empty; the largest has room for %u",
        shape->groups, in_one(shape), shape->tasks, plural(shape->tasks), found, n, most);
}

static int not_allowed(const struct machine_rules *rules, const struct node *const *nodes, size_t n,
                       struct error *err)
{
    _cleanup_free_ char *text = rules_text(rules, nodes, n);

    return error_set(err, -EDOM, "%s", text);
}

int placement_can_ever_fit(const struct node *const *nodes, size_t n_nodes,
                           const struct workload_spec *spec, struct error *err)
{
    struct shape shape = shape_of(spec, &id_none);
    char first[232] = "";
    bool is_any = false;
    size_t i;

    for (i = 0; i < n_nodes; i++) {
        if (!rules_allow(shape.rules, nodes[i]))
            continue;
        struct node alone = without_others(nodes[i]);
        struct placement_node empty = { .node = &alone };
        struct node_state state;
        char reason[sizeof first];
        node_state_init(&state, &empty);
        bool no = cannot_hold(&state, &shape, reason, sizeof reason);
        node_state_done(&state);
        if (!no)
            break;
        if (!is_any)
            memcpy(first, reason, sizeof first);
        is_any = true;
    }
    if (n_nodes == 0)
        return error_set(err, -EDOM, "there is no node that could run the job");
    if (i == n_nodes && !is_any)
        return not_allowed(shape.rules, nodes, n_nodes, err);
    if (i < n_nodes)
        return shape_is_gang(&shape) ? gang_can_ever_fit(nodes, n_nodes, &shape, err) : 0;
    return error_set(err, -EDOM, "no node can ever hold the job: it %s%s", first,
                     n_nodes > 1 ? ", and no other node holds it either" : "");
}
