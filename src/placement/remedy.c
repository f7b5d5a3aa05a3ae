/* remedy.c - one change at a time, tried on copies of the specification */
#include "placement/internal.h"

#include "base/alloc.h"
#include "base/names.h"
#include "base/text.h"

#include <stdio.h>

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

/* So many values are tried one by one; of more, the largest is searched for by halves. */
enum { TRIED_EACH = 16 };

/* Machines looked at, for half of the remedies each: 4,000 machines allow fifty tries, 12,500 sixteen. Which are tried depends on
 * nothing else; what is not tried is not offered. */
enum { STEPS_MAX = 200000, MODELS_MAX = 32 };

struct search {
    const struct remedy_question *q;
    const struct flavor *flavor; /* that the job asks for; NULL: none, or it is gone */
    struct node_state *states;   /* as they are now */
    struct remedies *ret;
    size_t *steps; /* that are left */
};

static const char *const kind_names[REMEDY_MAX] = {
    [REMEDY_GPUS] = "gpus",         [REMEDY_CORES] = "cpus",        [REMEDY_MEMORY] = "memory",
    [REMEDY_DISK] = "disk",         [REMEDY_SIZE] = "size",         [REMEDY_NODES] = "nodes",
    [REMEDY_TASKS] = "tasks",       [REMEDY_MODEL] = "gpu_model",   [REMEDY_FLAVOR] = "flavor",
    [REMEDY_ANYWHERE] = "anywhere", [REMEDY_TIME] = "max_time",     [REMEDY_YIELD] = "preemptible",
    [REMEDY_APART] = "within",      [REMEDY_PRIORITY] = "priority", [REMEDY_SHARE] = "share",
    [REMEDY_UNCORDON] = "uncordon", [REMEDY_REPAIR] = "repair",     [REMEDY_ADD] = "add",
};

const char *remedy_kind_name(enum remedy_kind kind)
{
    return kind >= 0 && kind < REMEDY_MAX ? kind_names[kind] : NULL;
}

static const struct workload_spec *spec_of(const struct search *s)
{
    return s->q->request->workload->spec;
}

/* Why SPEC may not be on machine I though there is room; that depends on how long it takes and whether it makes way. */
static const char *booked_at(const struct search *s, const struct workload_spec *spec, size_t i)
{
    struct workload_spec copy = *spec;
    struct workload workload = *s->q->request->workload;
    const struct placement_request request = { .workload = &workload,
                                               .owner = s->q->request->owner };

    workload.spec = &copy;
    return s->q->at->booked ? s->q->at->booked(s->q->at->booked_userdata, &request, i) : NULL;
}

/* So many groups fit. Bookings are asked about where there is room. */
static unsigned groups_now(const struct search *s, const struct workload_spec *spec)
{
    struct shape shape = shape_of(spec, &s->q->request->owner);

    for (size_t i = 0; s->q->at->booked && i < s->q->at->n_nodes; i++) {
        s->states[i].booked = NULL;
        if (gang_fit(&s->states[i], 1, &shape, false, NULL) > 0)
            s->states[i].booked = booked_at(s, spec, i);
    }
    return gang_fit(s->states, s->q->at->n_nodes, &shape, false, NULL);
}

/* Would it be let in, by what flavors say of cores and memory beside GPUs? */
static bool is_in_ratio(const struct search *s, const struct workload_spec *spec)
{
    const struct hardware_ask ask = { .flavor = spec->flavor,
                                      .gpu_model = spec->gpu_model,
                                      .gpu_milli = (unsigned) workload_spec_gpu_milli(spec),
                                      .cores = spec->cores,
                                      .memory_bytes = spec->memory_bytes };

    return flavor_check_ratio_of(s->q->flavors, s->q->n_flavors, &ask, NULL) == 0;
}

/* May all machines be looked at once more? */
static bool may_look(const struct search *s)
{
    if (*s->steps < s->q->at->n_nodes)
        return false;
    *s->steps -= s->q->at->n_nodes;
    return true;
}

static bool fits(const struct search *s, const struct workload_spec *spec)
{
    return is_in_ratio(s, spec) && may_look(s) &&
           groups_now(s, spec) == (spec->nodes ? spec->nodes : 1);
}

/* Takes TEXT, PATCH and NODES. */
static void offer(const struct search *s, struct remedy remedy) { vec_push(s->ret, remedy); }

/* ---- less of one thing ------------------------------------------------------------------------------ */

struct dimension {
    enum remedy_kind kind;
    const char *field, *what; /* of the request; for people, NULL: it is bytes of FIELD */
    int64_t (*get)(const struct workload_spec *spec);
    void (*set)(struct workload_spec *spec, int64_t value);
    bool (*applies)(const struct search *s);
};

static bool is_by_numbers(const struct search *s) { return !spec_of(s)->flavor; }

static bool may_gpus(const struct search *s) { return is_by_numbers(s) && !spec_of(s)->devices; }

static bool always(const struct search *s) { return spec_of(s); }

/* Roles say how many tasks there are. */
static bool may_tasks(const struct search *s) { return spec_of(s)->n_roles == 0; }

static int64_t get_gpus(const struct workload_spec *spec) { return spec->gpus; }
static void set_gpus(struct workload_spec *spec, int64_t v) { spec->gpus = (unsigned) v; }
static int64_t get_cores(const struct workload_spec *spec) { return spec->cores; }
static void set_cores(struct workload_spec *spec, int64_t v) { spec->cores = (unsigned) v; }
static int64_t get_memory(const struct workload_spec *spec) { return spec->memory_bytes; }
static void set_memory(struct workload_spec *spec, int64_t v) { spec->memory_bytes = v; }
static int64_t get_disk(const struct workload_spec *spec) { return spec->disk_bytes; }
static void set_disk(struct workload_spec *spec, int64_t v) { spec->disk_bytes = v; }
static int64_t get_nodes(const struct workload_spec *spec) { return spec->nodes; }
static void set_nodes(struct workload_spec *spec, int64_t v) { spec->nodes = (unsigned) v; }
static int64_t get_tasks(const struct workload_spec *spec) { return spec->tasks_per_node; }
static void set_tasks(struct workload_spec *spec, int64_t v)
{
    spec->tasks_per_node = (unsigned) v;
}

static const struct dimension dimensions[] = {
    { REMEDY_GPUS, "gpus", "GPU", get_gpus, set_gpus, may_gpus },
    { REMEDY_CORES, "cpus", "core", get_cores, set_cores, is_by_numbers },
    { REMEDY_MEMORY, "memory", NULL, get_memory, set_memory, always },
    { REMEDY_DISK, "disk", NULL, get_disk, set_disk, always },
    { REMEDY_NODES, "nodes", "node", get_nodes, set_nodes, may_tasks },
    { REMEDY_TASKS, "tasks_per_node", "task", get_tasks, set_tasks, may_tasks },
};

/* Bytes that people would ask for. */
static int64_t step_of(const struct dimension *d, int64_t asked)
{
    if (d->what)
        return 1;
    return asked > 4 * GIB ? GIB : 64 * MIB;
}

static bool fits_with(const struct search *s, const struct dimension *d, int64_t value)
{
    struct workload_spec spec = *spec_of(s);

    d->set(&spec, value);
    return fits(s, &spec);
}

/* The largest number of steps below N with which it fits; 0: none. What is legal may have holes where there are few. */
static int64_t most_steps(const struct search *s, const struct dimension *d, int64_t step,
                          int64_t n)
{
    int64_t low = 1, high = n;

    if (n <= TRIED_EACH) {
        while (--n > 0 && !fits_with(s, d, n * step)) {
        }
        return n > 0 ? n : 0;
    }
    if (!fits_with(s, d, step))
        return 0;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        *(fits_with(s, d, middle * step) ? &low : &high) = middle;
    }
    return low;
}

static char *less_text(const struct search *s, const struct dimension *d, int64_t asked,
                       int64_t value)
{
    bool is_task = workload_spec_n_tasks(spec_of(s)) > 1 && d->kind <= REMEDY_DISK;
    const char *each = is_task ? " a task" : d->kind == REMEDY_TASKS ? " a node" : "";
    char would[32], before[32];

    if (!d->what)
        return xasprintf("ask for %s of %s%s instead of %s", bytes_to_str(value, would), d->field,
                         each, bytes_to_str(asked, before));
    return xasprintf("ask for %lld %s%s%s instead of %lld", (long long) value, d->what,
                     value == 1 ? "" : "s", each, (long long) asked);
}

static void try_less(const struct search *s, const struct dimension *d)
{
    int64_t asked = d->get(spec_of(s)), step = step_of(d, asked);

    if (!d->applies(s) || asked <= step)
        return;
    int64_t value = step * most_steps(s, d, step, (asked + step - 1) / step);
    if (value == 0)
        return;
    json_t *patch = json_object();
    json_put_int(patch, d->field, value);
    offer(s, (struct remedy){
                 .kind = d->kind, .text = less_text(s, d, asked, value), .patch = patch });
}

/* The most that is left of any GPU and less than MILLI; 0: nothing is, or it may not be looked for. */
static unsigned part_below(const struct search *s, unsigned milli)
{
    unsigned most = 0;
    size_t n_nodes = may_look(s) ? s->q->at->n_nodes : 0;

    for (size_t n = 0; n < n_nodes; n++)
        for (size_t i = 0; i < s->states[n].node->gpus.len; i++) {
            unsigned left = s->states[n].gpu_left[i];
            most = left < milli && left > most ? left : most;
        }
    return most;
}

static void try_part(const struct search *s)
{
    struct workload_spec spec = *spec_of(s);
    char would[32], before[32];

    if (!spec.gpu_milli)
        return;
    do {
        spec.gpu_milli = part_below(s, spec.gpu_milli);
    } while (spec.gpu_milli && !fits(s, &spec));
    if (!spec.gpu_milli)
        return;
    json_t *patch = json_object();
    json_put_milli(patch, "gpus", spec.gpu_milli);
    offer(s, (struct remedy){ .kind = REMEDY_GPUS,
                              .text = xasprintf("ask for %s of a GPU instead of %s",
                                                milli_to_str(spec.gpu_milli, would),
                                                milli_to_str(spec_of(s)->gpu_milli, before)),
                              .patch = patch });
}

/* ---- less of everything ----------------------------------------------------------------------------- */

static void shrink(const struct workload_spec *from, unsigned part, unsigned of,
                   struct workload_spec *to)
{
    *to = *from;
    to->gpus = from->gpus * part / of;
    to->cores = (from->cores * part + of - 1) / of;
    to->memory_bytes = from->memory_bytes / of * part;
    to->disk_bytes = from->disk_bytes / of * part;
}

static char *size_text(const struct workload_spec *spec)
{
    struct text t = { 0 };
    char bytes[32];

    text_add(&t, "ask for less of all: ");
    if (spec->gpus)
        text_addf(&t, "%u GPU%s, ", spec->gpus, spec->gpus == 1 ? "" : "s");
    text_addf(&t, "%u core%s, %s of memory", spec->cores, spec->cores == 1 ? "" : "s",
              bytes_to_str(spec->memory_bytes, bytes));
    if (spec->disk_bytes)
        text_addf(&t, ", %s of disk", bytes_to_str(spec->disk_bytes, bytes));
    return text_take(&t);
}

static json_t *size_patch(const struct workload_spec *spec)
{
    json_t *patch = json_object();

    if (spec->gpus)
        json_put_int(patch, "gpus", spec->gpus);
    json_put_int(patch, "cpus", spec->cores);
    json_put_int(patch, "memory", spec->memory_bytes);
    if (spec->disk_bytes)
        json_put_int(patch, "disk", spec->disk_bytes);
    return patch;
}

static void try_size(const struct search *s)
{
    const struct workload_spec *spec = spec_of(s);
    struct workload_spec smaller;
    unsigned of = spec->gpus ? spec->gpus : spec->cores;

    if (spec->flavor || spec->devices)
        return;
    for (unsigned part = of; part-- > 1;) {
        shrink(spec, part, of, &smaller);
        if (!fits(s, &smaller))
            continue;
        offer(s, (struct remedy){ .kind = REMEDY_SIZE,
                                  .text = size_text(&smaller),
                                  .patch = size_patch(&smaller) });
        return;
    }
}

/* ---- something else --------------------------------------------------------------------------------- */

/* Has it machines to itself because its flavor says so? */
static bool is_by_flavor_alone(const struct search *s)
{
    return s->flavor && s->flavor->whole_node;
}

/* FLAVOR in place of that which is asked for. Memory and disk that were asked for beside it stay. */
static void with_flavor(const struct search *s, const struct flavor *flavor,
                        struct workload_spec *ret)
{
    const struct workload_spec *spec = spec_of(s);

    *ret = *spec;
    ret->flavor = flavor->name;
    ret->cores = flavor->cores;
    ret->gpus = flavor->gpus;
    ret->gpu_milli = flavor->gpu_milli;
    ret->gpu_model = flavor->gpu_model;
    ret->shared = flavor->shared;
    ret->huge_pages = flavor->huge_pages;
    ret->rdma = flavor->rdma;
    ret->numa_strict = flavor->numa_strict;
    ret->network_optimised = flavor->network_optimised;
    ret->splits_islands = flavor->splits_islands;
    ret->machines.exclusive =
        flavor->whole_node || (spec->machines.exclusive && !is_by_flavor_alone(s));
    if (!s->flavor || spec->memory_bytes == s->flavor->memory_bytes)
        ret->memory_bytes = flavor->memory_bytes;
    if (!s->flavor || spec->disk_bytes == s->flavor->disk_bytes)
        ret->disk_bytes = flavor->disk_bytes;
}

static unsigned distance(unsigned a, unsigned b) { return a > b ? a - b : b - a; }

/* Is A nearer to what was asked for than B? Smaller ones come before larger ones. */
static bool is_nearer(const struct workload_spec *spec, const struct flavor *a,
                      const struct flavor *b)
{
    unsigned asked = (unsigned) workload_spec_gpu_milli(spec), of_a = flavor_gpu_milli(a),
             of_b = flavor_gpu_milli(b);

    if ((of_a > asked) != (of_b > asked))
        return of_b > asked;
    if (distance(of_a, asked) != distance(of_b, asked))
        return distance(of_a, asked) < distance(of_b, asked);
    return distance(a->cores, spec->cores) < distance(b->cores, spec->cores);
}

static void try_flavors(const struct search *s)
{
    const struct workload_spec *spec = spec_of(s);
    const struct flavor *best = NULL;
    struct workload_spec other;

    for (size_t i = 0; spec->flavor && i < s->q->n_flavors; i++) {
        const struct flavor *flavor = s->q->flavors[i];
        if (str_equal(flavor->name, spec->flavor) || !flavor->gpus != !spec->gpus)
            continue;
        if (best && !is_nearer(spec, flavor, best))
            continue;
        with_flavor(s, flavor, &other);
        if (fits(s, &other))
            best = flavor;
    }
    if (!best)
        return;
    json_t *patch = json_object();
    json_put_str(patch, "flavor", best->name);
    offer(s, (struct remedy){
                 .kind = REMEDY_FLAVOR,
                 .text = xasprintf("ask for flavor %s instead of %s", best->name, spec->flavor),
                 .patch = patch });
}

struct models {
    const char *names[MODELS_MAX];
    size_t n;
};

/* Is MODEL new, and is there room to remember it? */
static bool is_new(struct models *tried, const char *model)
{
    for (size_t i = 0; i < tried->n; i++)
        if (str_equal(tried->names[i], model))
            return false;
    if (tried->n == MODELS_MAX)
        return false;
    tried->names[tried->n++] = model;
    return true;
}

/* One offer for each model of which there is enough. */
static void try_model(const struct search *s, struct models *tried, const char *model)
{
    struct workload_spec spec = *spec_of(s);
    struct gpu gpu = { .model = (char *) (uintptr_t) model };

    if (!model || gpu_is_model(&gpu, spec.gpu_model) || !is_new(tried, model))
        return;
    spec.gpu_model = gpu.model;
    if (!fits(s, &spec))
        return;
    json_t *patch = json_object();
    json_put_str(patch, "gpu_model", model);
    offer(s, (struct remedy){ .kind = REMEDY_MODEL,
                              .text = xasprintf("ask for GPUs of model %s instead of %s", model,
                                                spec_of(s)->gpu_model),
                              .patch = patch });
}

static void try_models(const struct search *s)
{
    const struct workload_spec *spec = spec_of(s);
    struct models tried = { .n = 0 };

    if (!spec->gpu_model || spec->devices || (s->flavor && s->flavor->gpu_model))
        return;
    for (size_t i = 0; i < s->q->at->n_nodes; i++) {
        const char *last = NULL;
        vec_foreach(&s->q->at->nodes[i].node->gpus, gpu)
            if (!str_equal(gpu->model, last))
                try_model(s, &tried, last = gpu->model);
    }
}

static void try_anywhere(const struct search *s)
{
    static const char *const fields[] = { "on_nodes", "not_nodes", "node_tags" };
    const struct machine_rules *rules = &spec_of(s)->machines;
    char *const *const lists[] = { rules->names, rules->without, rules->tags };
    struct workload_spec spec = *spec_of(s);
    struct text t = { 0 };

    spec.machines =
        (struct machine_rules){ .exclusive = rules->exclusive, .within = rules->within };
    if ((!lists[0] && !lists[1] && !lists[2]) || !fits(s, &spec))
        return;
    json_t *patch = json_object();
    text_add(&t, "let it run on any machine, without ");
    for (size_t i = 0; i < 3; i++) {
        if (!lists[i])
            continue;
        text_addf(&t, "%s%s", json_object_size(patch) ? " and " : "", fields[i]);
        json_put(patch, fields[i], json_null());
    }
    offer(s, (struct remedy){ .kind = REMEDY_ANYWHERE, .text = text_take(&t), .patch = patch });
}

static void try_apart(const struct search *s)
{
    struct workload_spec spec = *spec_of(s);
    const char *asked = within_name(spec.machines.within);

    spec.machines.within = WITHIN_ANY;
    if (!asked || !fits(s, &spec))
        return;
    json_t *patch = json_object();
    json_put(patch, "within", json_null());
    offer(s, (struct remedy){
                 .kind = REMEDY_APART,
                 .text = xasprintf("let its machines stand apart, not within one %s", asked),
                 .patch = patch });
}

static void try_share(const struct search *s)
{
    struct workload_spec spec = *spec_of(s);

    spec.machines.exclusive = false;
    if (!spec_of(s)->machines.exclusive || is_by_flavor_alone(s) || !fits(s, &spec))
        return;
    json_t *patch = json_object();
    json_put(patch, "exclusive", json_false());
    offer(s, (struct remedy){ .kind = REMEDY_SHARE,
                              .text = xstrdup("let it share its machines, without exclusive"),
                              .patch = patch });
}

/* ---- bookings --------------------------------------------------------------------------------------- */

static bool fits_for(const struct search *s, int64_t seconds)
{
    struct workload_spec spec = *spec_of(s);

    spec.max_time_s = seconds;
    return fits(s, &spec);
}

/* The longest time after which it is over before what is booked begins, in minutes. */
static void try_time(const struct search *s)
{
    enum { MINUTE = 60, LONGEST = 366 * 24 * 60 };
    int64_t low = 1, high = LONGEST;
    char text[32];

    if (spec_of(s)->max_time_s > 0)
        high = (spec_of(s)->max_time_s + MINUTE - 1) / MINUTE;
    if (!s->q->at->booked || high <= low || !fits_for(s, low * MINUTE))
        return;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        *(fits_for(s, middle * MINUTE) ? &low : &high) = middle;
    }
    json_t *patch = json_object();
    json_put_int(patch, "max_time", low * MINUTE);
    offer(s, (struct remedy){ .kind = REMEDY_TIME,
                              .text = xasprintf("declare a max_time of %s: then it is over before "
                                                "what is booked begins",
                                                seconds_to_str(low * MINUTE, text)),
                              .patch = patch });
}

static void try_yield(const struct search *s)
{
    struct workload_spec spec = *spec_of(s);

    spec.preemptible = true;
    if (!s->q->at->booked || spec_of(s)->preemptible || !fits(s, &spec))
        return;
    json_t *patch = json_object();
    json_put(patch, "preemptible", json_true());
    offer(s, (struct remedy){ .kind = REMEDY_YIELD,
                              .text = xstrdup("let it be preemptible: then it makes way when what "
                                              "is booked begins"),
                              .patch = patch });
}

/* ---- machines --------------------------------------------------------------------------------------- */

/* Groups that STATE alone could hold beside other machines. */
static unsigned groups_on(const struct search *s, const struct node_state *state,
                          const struct shape *shape)
{
    unsigned groups = gang_fit(state, 1, shape, false, NULL);

    return s->q->at->n_nodes > 1 && groups > 1 ? 1 : groups;
}

/* The same if it took work. */
static unsigned groups_if_open(const struct search *s, const struct node_state *state,
                               const struct shape *shape)
{
    struct node node = *state->node;
    struct node_state open = *state;

    node.cordoned = false;
    node.fault = NULL;
    open.node = &node;
    return groups_on(s, &open, shape);
}

static char *open_text(const json_t *nodes, const char *fault)
{
    size_t n = json_array_size(nodes);
    const char **names = xnew_n(const char *, n + 1);
    struct text t = { 0 };

    for (size_t i = 0; i < n; i++)
        names[i] = json_string_value(json_array_get(nodes, i));
    text_addf(&t, "%s node%s ", fault ? "bring back" : "uncordon", n == 1 ? "" : "s");
    names_add(&t, names, n);
    free(names);
    if (fault && n == 1)
        text_addf(&t, ": %s", fault);
    return text_take(&t);
}

/* Would all of SHAPE fit where it wishes to stand, with the machines of IS_OPEN (may be NULL) open, and N more like FRESH? */
static bool fits_together(const struct search *s, const struct shape *shape, const bool *is_open,
                          const struct node_state *fresh, unsigned n)
{
    size_t n_nodes = s->q->at->n_nodes;
    struct node_state *states = xnew_n(struct node_state, n_nodes + n + 1);
    struct node *nodes = xnew_n(struct node, n_nodes + 1);

    for (size_t i = 0; i < n_nodes; i++) {
        states[i] = s->states[i];
        if (!is_open || !is_open[i])
            continue;
        nodes[i] = *s->states[i].node;
        nodes[i].cordoned = false;
        nodes[i].fault = NULL;
        states[i].node = &nodes[i];
    }
    for (unsigned i = 0; i < n; i++)
        states[n_nodes + i] = *fresh;
    bool fits = gang_fit(states, n_nodes + n, shape, false, NULL) == shape->groups;
    free(states);
    free(nodes);
    return fits;
}

/* Machines that take no work, as many as it needs: those that are cordoned, or those that are out of order. */
static void try_closed(const struct search *s, bool with_fault)
{
    struct shape shape = shape_of(spec_of(s), &s->q->request->owner);
    unsigned found = groups_now(s, spec_of(s));
    _cleanup_free_ bool *is_open = xnew_n(bool, s->q->at->n_nodes + 1);
    json_t *nodes = json_array();
    const char *fault = NULL;

    for (size_t i = 0; i < s->q->at->n_nodes && found < shape.groups; i++) {
        const struct node *node = s->states[i].node;
        if (with_fault ? !node->fault : !node->cordoned || node->fault)
            continue;
        unsigned groups = groups_if_open(s, &s->states[i], &shape);
        if (groups == 0 || booked_at(s, spec_of(s), i))
            continue;
        found += groups;
        fault = node->fault;
        is_open[i] = true;
        (void) json_array_append_new(nodes, json_string(node->name));
    }
    if (found < shape.groups ||
        (shape.rules->within != WITHIN_ANY && !fits_together(s, &shape, is_open, NULL, 0))) {
        json_decref(nodes);
        return;
    }
    offer(s, (struct remedy){ .kind = with_fault ? REMEDY_REPAIR : REMEDY_UNCORDON,
                              .text = open_text(nodes, fault),
                              .nodes = nodes });
}

/* Would COUNT machines like that of STATE, new and empty, each hold a group? Where they wish to stand together all of it is tried. */
static bool holds_when_new(const struct search *s, const struct node_state *state,
                           const struct shape *shape, unsigned count)
{
    struct node node = *state->node;
    struct placement_node taken = { .node = &node };
    struct node_state empty;

    if (node_state_gpus(state, shape, true) < shape->gpus || state->cores_usable < shape->cores ||
        state->memory_usable_bytes < shape->memory_bytes)
        return false;
    if (shape->rules->within != WITHIN_ANY && !may_look(s))
        return false;
    node.cordoned = false;
    node.fault = NULL;
    node.others_cores = node.others_gpus = 0;
    node.others_memory_bytes = 0;
    node.disk_free_bytes = 0;
    node_state_init(&empty, &taken);
    bool holds = groups_on(s, &empty, shape) > 0;
    if (holds && shape->rules->within != WITHIN_ANY)
        holds = fits_together(s, shape, NULL, &empty, count);
    node_state_done(&empty);
    return holds;
}

static void try_add(const struct search *s)
{
    struct shape shape = shape_of(spec_of(s), &s->q->request->owner);
    unsigned found = groups_now(s, spec_of(s));

    /* Where there is one machine groups share it; beside another they do not. */
    if (s->q->at->n_nodes == 1 && found > 1)
        found = 1;
    for (size_t i = 0; i < s->q->at->n_nodes && !spec_of(s)->machines.names; i++) {
        unsigned count = shape.groups - found;
        if (!holds_when_new(s, &s->states[i], &shape, count))
            continue;
        const char *like = s->states[i].node->name;
        char *text = count == 1 ? xasprintf("add a machine like %s", like)
                                : xasprintf("add %u machines like %s", count, like);
        offer(s, (struct remedy){ .kind = REMEDY_ADD,
                                  .text = text,
                                  .nodes = json_pack("[s]", like),
                                  .count = count });
        return;
    }
}

/* ---- all of them ------------------------------------------------------------------------------------ */

static void try_dimensions(const struct search *s, bool of_hardware)
{
    for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++)
        if ((dimensions[i].kind <= REMEDY_DISK) == of_hardware)
            try_less(s, &dimensions[i]);
}

static void find_all(const struct search *s)
{
    try_part(s);
    try_dimensions(s, true);
    if (s->ret->len == 0)
        try_size(s);
    try_dimensions(s, false);
    *s->steps += STEPS_MAX;
    try_models(s);
    try_flavors(s);
    try_anywhere(s);
    try_apart(s);
    try_share(s);
    try_time(s);
    try_yield(s);
    try_closed(s, false);
    try_closed(s, true);
    try_add(s);
}

void remedies_find(const struct remedy_question *q, struct remedies *ret)
{
    size_t steps = STEPS_MAX;
    struct search s = { .q = q, .ret = ret, .steps = &steps };

    s.states = xnew_n(struct node_state, q->at->n_nodes + 1);
    for (size_t i = 0; i < q->at->n_nodes; i++)
        node_state_init(&s.states[i], &q->at->nodes[i]);
    for (size_t i = 0; i < q->n_flavors; i++)
        if (str_equal(q->flavors[i]->name, q->request->workload->spec->flavor))
            s.flavor = q->flavors[i];
    if (!fits(&s, q->request->workload->spec))
        find_all(&s);
    for (size_t i = 0; i < q->at->n_nodes; i++)
        node_state_done(&s.states[i]);
    free(s.states);
}

void remedies_done(struct remedies *remedies)
{
    vec_foreach(remedies, remedy) {
        free(remedy->text);
        json_decref(remedy->patch);
        json_decref(remedy->nodes);
    }
    vec_done(remedies);
}

json_t *remedy_to_json(const struct remedy *remedy)
{
    json_t *json = json_object();

    json_put_str(json, "change", remedy_kind_name(remedy->kind));
    json_put_str(json, "text", remedy->text);
    if (remedy->patch)
        json_put(json, "patch", json_incref(remedy->patch));
    if (remedy->nodes)
        json_put(json, "nodes", json_incref(remedy->nodes));
    if (remedy->count)
        json_put_int(json, "count", remedy->count);
    return json;
}
