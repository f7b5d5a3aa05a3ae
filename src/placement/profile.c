/* profile.c - the free part of every machine as steps over time, and the first moment at which tasks fit */
#include "placement/profile.h"

#include "base/alloc.h"
#include "base/vec.h"

#include <assert.h>
#include <stdlib.h>

/* From AT on, until the next step, so much is free; below 0 where more was promised than there is. */
struct step {
    int64_t at_us;
    int64_t cpu_milli, memory_mib;
    int gpus;
};

struct steps {
    struct step *items; /* a vec */
    size_t len, cap;
};

struct machine {
    struct room size;
    int n_gpus; /* whole ones */
    VEC(struct profile_span) spans;
    size_t n_passable, n_parts; /* spans of a booking; of who runs on parts of GPUs */
    struct steps steps;         /* with all spans in the way */
    bool is_stale;
    int64_t looked_us; /* by these steps, not before then: */
    int64_t
        first_us[CAPACITY_GPUS_MAX + 1]; /* when so many GPUs are free first; INT64_MAX: never */
};

struct profile {
    VEC(struct machine) machines;
    struct steps other; /* with some spans out of the way; kept for its memory */
    VEC(int64_t) times;
    uint64_t work; /* looks at machines, ever */
};

struct profile *profile_new(void) { return xnew(struct profile); }

void profile_free(struct profile *p)
{
    if (!p)
        return;
    vec_foreach(&p->machines, machine) {
        vec_done(&machine->spans);
        vec_done(&machine->steps);
    }
    vec_done(&p->machines);
    vec_done(&p->other);
    vec_done(&p->times);
    free(p);
}

void profile_set_node(struct profile *p, size_t node, const struct room *size)
{
    while (p->machines.len <= node) {
        const struct machine none = { .is_stale = true };
        vec_push(&p->machines, none);
    }
    struct machine *machine = &p->machines.items[node];
    machine->size = *size;
    machine->n_gpus = 0;
    for (unsigned i = 0; i < size->n_gpus; i++)
        machine->n_gpus += size->gpu[i] == CAPACITY_GPU;
    machine->is_stale = true;
}

struct profile_span profile_span_of(uint64_t id, const struct ask *ask, int64_t from_us,
                                    int64_t until_us)
{
    return (struct profile_span){ .id = id,
                                  .from_us = from_us,
                                  .until_us = until_us,
                                  .cpu_milli = ask->cpu_milli,
                                  .memory_mib = ask->memory_mib,
                                  .n_gpus = ask->gpus,
                                  .is_part = ask->gpus > 0 && ask->gpu_milli < CAPACITY_GPU };
}

unsigned profile_per_gpu(const struct ask *ask)
{
    return ask->gpus == 1 && ask->gpu_milli > 0 ? CAPACITY_GPU / ask->gpu_milli : 1;
}

void profile_put(struct profile *p, size_t node, const struct profile_span *span)
{
    struct machine *machine = &p->machines.items[node];

    assert(node < p->machines.len && span->from_us < span->until_us);
    vec_push(&machine->spans, *span);
    machine->n_passable += span->is_passable;
    machine->n_parts += span->gpus && span->is_part;
    machine->is_stale = true;
}

void profile_drop(struct profile *p, size_t node, uint64_t id)
{
    struct machine *machine = &p->machines.items[node];

    for (size_t i = machine->spans.len; i-- > 0;) {
        if (machine->spans.items[i].id != id)
            continue;
        machine->n_passable -= machine->spans.items[i].is_passable;
        machine->n_parts -= machine->spans.items[i].gpus && machine->spans.items[i].is_part;
        vec_remove(&machine->spans, i);
        machine->is_stale = true;
    }
}

void profile_drop_passable(struct profile *p, size_t node)
{
    struct machine *machine = &p->machines.items[node];

    for (size_t i = machine->spans.len; machine->n_passable > 0 && i-- > 0;) {
        if (!machine->spans.items[i].is_passable)
            continue;
        machine->n_passable--;
        vec_remove(&machine->spans, i);
        machine->is_stale = true;
    }
}

/* ---- steps ------------------------------------------------------------------------------------------ */

static int compare_times(const void *pa, const void *pb)
{
    const int64_t *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

static bool is_passed(const struct profile_wish *wish, const struct profile_span *span)
{
    for (size_t i = 0; wish && i < wish->n_without; i++)
        if (wish->without[i] == span->id)
            return true;
    return wish && span->is_passable && wish->passes && wish->passes(wish->userdata, span);
}

static struct step step_at(const struct machine *machine, const struct profile_wish *wish,
                           int64_t at_us)
{
    struct step step = { at_us, machine->size.cpu_milli, machine->size.memory_mib,
                         machine->n_gpus };
    uint32_t gpus = 0;

    vec_foreach(&machine->spans, span) {
        if (span->from_us > at_us || span->until_us <= at_us || is_passed(wish, span))
            continue;
        step.cpu_milli -= span->cpu_milli;
        step.memory_mib -= span->memory_mib;
        step.gpus -= span->gpus ? 0 : span->n_gpus;
        gpus |= span->gpus;
    }
    step.gpus -= __builtin_popcount(gpus);
    return step;
}

static void make_steps(struct profile *p, const struct machine *machine,
                       const struct profile_wish *wish, struct steps *ret)
{
    ret->len = p->times.len = 0;
    vec_push(&p->times, INT64_MIN);
    vec_foreach(&machine->spans, span) {
        vec_push(&p->times, span->from_us);
        if (span->until_us != INT64_MAX)
            vec_push(&p->times, span->until_us);
    }
    qsort(p->times.items, p->times.len, sizeof *p->times.items, compare_times);
    for (size_t i = 0; i < p->times.len; i++) {
        if (i > 0 && p->times.items[i] == p->times.items[i - 1])
            continue;
        const struct step step = step_at(machine, wish, p->times.items[i]);
        vec_push(ret, step);
    }
}

static const struct steps *steps_of(struct profile *p, size_t node, const struct profile_wish *wish)
{
    struct machine *machine = &p->machines.items[node];

    if ((machine->n_passable > 0 && wish->passes) || wish->n_without > 0) {
        make_steps(p, machine, wish, &p->other);
        return &p->other;
    }
    if (machine->is_stale) {
        make_steps(p, machine, NULL, &machine->steps);
        machine->looked_us = INT64_MAX;
    }
    machine->is_stale = false;
    return &machine->steps;
}

uint64_t profile_work(const struct profile *p) { return p->work; }

/* ---- fits ------------------------------------------------------------------------------------------- */

static int64_t at_most(int64_t n, int64_t free, int64_t each)
{
    if (each <= 0)
        return n;
    int64_t fits = free < 0 ? 0 : free / each;
    return fits < n ? fits : n;
}

static unsigned fits_in_step(const struct step *step, const struct profile_wish *wish)
{
    int64_t n = wish->is_apart ? 1 : wish->tasks;

    n = at_most(n, step->cpu_milli, wish->ask->cpu_milli);
    n = at_most(n, step->memory_mib, wish->ask->memory_mib);
    return (unsigned) at_most(n, (int64_t) step->gpus * profile_per_gpu(wish->ask),
                              wish->ask->gpus);
}

static int64_t end_of(const struct profile_wish *wish, int64_t start_us)
{
    return wish->length_us > INT64_MAX - start_us ? INT64_MAX : start_us + wish->length_us;
}

/* The step in which START lies. */
static size_t step_of(const struct steps *steps, int64_t start_us)
{
    size_t low = 0, high = steps->len;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (steps->items[middle].at_us <= start_us)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static unsigned fits_from(const struct steps *steps, const struct profile_wish *wish,
                          int64_t start_us)
{
    int64_t end_us = end_of(wish, start_us);
    unsigned least = UINT32_MAX;

    for (size_t i = step_of(steps, start_us); i < steps->len && least > 0; i++) {
        if (steps->items[i].at_us >= end_us)
            break;
        unsigned n = fits_in_step(&steps->items[i], wish);
        least = n < least ? n : least;
    }
    return least;
}

/* From when on NODE may be one of the machines; INT64_MAX: never. */
static int64_t opens_us(struct profile *p, size_t node, const struct profile_wish *wish)
{
    if (!room_holds(&p->machines.items[node].size, wish->ask))
        return INT64_MAX;
    enum profile_when when = wish->allows ? wish->allows(wish->userdata, node) : PROFILE_ANY;
    if (when != PROFILE_LATER)
        return when == PROFILE_ANY ? wish->from_us : INT64_MAX;
    const struct steps *steps = steps_of(p, node, wish);
    size_t next = step_of(steps, wish->from_us) + 1;
    return next < steps->len ? steps->items[next].at_us : INT64_MAX;
}

/* Is it a task alone that might have a part of a GPU of others on NODE? */
static bool may_share(const struct profile *p, size_t node, const struct profile_wish *wish)
{
    return wish->tasks == 1 && wish->shares && p->machines.items[node].n_parts > 0;
}

static bool is_used(const struct machine *machine, const struct profile_wish *wish, unsigned gpu,
                    int64_t at_us)
{
    vec_foreach(&machine->spans, span)
        if (span->gpus & 1u << gpu && span->from_us <= at_us && span->until_us > at_us &&
            !is_passed(wish, span))
            return true;
    return false;
}

/* Does a task have room from now on with its part of GPU, on which others are? Nobody who comes there later is reckoned with, so
 * that what is left of it is enough; when they are gone it has it alone. */
static bool fits_on(struct profile *p, size_t node, const struct profile_wish *wish, unsigned gpu)
{
    const struct machine *machine = &p->machines.items[node];
    const struct steps *steps = steps_of(p, node, wish);
    int64_t end_us = end_of(wish, wish->from_us);

    for (size_t i = step_of(steps, wish->from_us); i < steps->len; i++) {
        struct step step = steps->items[i];
        if (step.at_us >= end_us)
            break;
        int64_t at_us = step.at_us > wish->from_us ? step.at_us : wish->from_us;
        step.gpus += is_used(machine, wish, gpu, at_us);
        if (fits_in_step(&step, wish) == 0)
            return false;
    }
    return true;
}

uint32_t profile_shared(struct profile *p, const struct profile_wish *wish, size_t node,
                        bool *ret_free_does)
{
    uint32_t gpus = 0;

    *ret_free_does = fits_from(steps_of(p, node, wish), wish, wish->from_us) > 0;
    if (!may_share(p, node, wish))
        return 0;
    for (uint32_t rest = wish->shares(wish->userdata, node); rest; rest &= rest - 1)
        if (fits_on(p, node, wish, (unsigned) __builtin_ctz(rest)))
            gpus |= rest & -rest;
    return gpus;
}

/* From START_US on, when NODE may be one of the machines. */
static unsigned fits_at(struct profile *p, size_t node, const struct profile_wish *wish,
                        int64_t start_us)
{
    unsigned fits = fits_from(steps_of(p, node, wish), wish, start_us);
    bool free_does;

    if (fits == 0 && start_us == wish->from_us && may_share(p, node, wish))
        fits = profile_shared(p, wish, node, &free_does) != 0;
    return fits;
}

unsigned profile_fits(struct profile *p, const struct profile_wish *wish, size_t node,
                      int64_t start_us)
{
    return start_us < opens_us(p, node, wish) ? 0 : fits_at(p, node, wish, start_us);
}

static bool is_kept(const struct step *step)
{
    return step->cpu_milli >= 0 && step->memory_mib >= 0 && step->gpus >= 0;
}

bool profile_lets(struct profile *p, const struct profile_wish *wish, size_t node,
                  const struct profile_span *span)
{
    struct machine *machine = &p->machines.items[node];
    const struct steps *steps = steps_of(p, node, wish);
    bool lets = true;

    vec_push(&machine->spans, *span);
    for (size_t i = step_of(steps, span->from_us); lets && i < steps->len; i++) {
        int64_t at_us = steps->items[i].at_us;
        if (at_us >= span->until_us)
            break;
        const struct step step =
            step_at(machine, wish, at_us < span->from_us ? span->from_us : at_us);
        lets = is_kept(&step);
    }
    machine->spans.len--;
    return lets;
}

/* ---- bounds ------------------------------------------------------------------------------------------ */

static void look_for_gpus(struct machine *machine, int64_t from_us)
{
    const struct steps *steps = &machine->steps;
    int found = 0;

    machine->looked_us = from_us;
    for (size_t i = step_of(steps, from_us); i < steps->len; i++)
        for (; found <= steps->items[i].gpus; found++)
            machine->first_us[found] =
                steps->items[i].at_us > from_us ? steps->items[i].at_us : from_us;
    for (; found <= CAPACITY_GPUS_MAX; found++)
        machine->first_us[found] = INT64_MAX;
}

/* NODE holds no task of WISH before then, whatever its other numbers say. */
static int64_t bound_us(struct profile *p, size_t node, const struct profile_wish *wish)
{
    struct machine *machine = &p->machines.items[node];
    unsigned gpus = wish->ask->gpus;

    p->work++;
    if (gpus == 0 || gpus > CAPACITY_GPUS_MAX || (machine->n_passable > 0 && wish->passes) ||
        may_share(p, node, wish))
        return wish->from_us;
    (void) steps_of(p, node, wish);
    if (machine->looked_us > wish->from_us ||
        (machine->looked_us < wish->from_us && machine->first_us[gpus] < wish->from_us))
        look_for_gpus(machine, wish->from_us);
    return machine->first_us[gpus];
}

/* ---- the earliest time ------------------------------------------------------------------------------ */

/* From AT on, a machine holds so many tasks more. */
struct change {
    int64_t at_us;
    size_t node;
    uint32_t domain;
    int by;
};

struct changes {
    struct change *items; /* a vec */
    size_t len, cap;
};

static int compare_changes(const void *pa, const void *pb)
{
    const struct change *a = pa, *b = pb;

    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

/* Times at which the number of tasks that fit may change: where a step begins, and just after the last start from which one would
 * not be reached. */
static void find_times(struct profile *p, const struct steps *steps,
                       const struct profile_wish *wish)
{
    p->times.len = 0;
    vec_push(&p->times, wish->from_us);
    vec_foreach(steps, step) {
        if (step->at_us > wish->from_us)
            vec_push(&p->times, step->at_us);
        if (wish->length_us != INT64_MAX && step->at_us != INT64_MIN &&
            step->at_us - wish->length_us >= wish->from_us)
            vec_push(&p->times, step->at_us - wish->length_us + 1);
    }
    qsort(p->times.items, p->times.len, sizeof *p->times.items, compare_times);
}

static void find_changes(struct profile *p, size_t node, const struct profile_wish *wish,
                         struct changes *ret)
{
    int64_t from_us = opens_us(p, node, wish);
    int before = 0;

    if (from_us == INT64_MAX)
        return;
    const struct steps *steps = steps_of(p, node, wish);
    find_times(p, steps, wish);
    vec_foreach(&p->times, at) {
        int now = *at < from_us ? 0 : (int) fits_from(steps, wish, *at);
        const struct change change = { *at, node, wish->domains ? wish->domains[node] : 0,
                                       now - before };
        if (now != before)
            vec_push(ret, change);
        before = now;
    }
}

static size_t n_domains(const struct profile *p, const struct profile_wish *wish)
{
    uint32_t most = 0;

    for (size_t i = 0; wish->domains && i < p->machines.len; i++)
        most = wish->domains[i] > most ? wish->domains[i] : most;
    return (size_t) most + 1;
}

/* When first all tasks fit in one domain by CHANGES, which are in order, and in which. */
static int64_t add_up(const struct changes *changes, const struct profile_wish *wish, int64_t *sums,
                      uint32_t *ret_domain)
{
    const struct change *items = changes->items;

    for (size_t i = 0, from = 0; i < changes->len; i++) {
        sums[items[i].domain] += items[i].by;
        if (i + 1 < changes->len && items[i + 1].at_us == items[i].at_us)
            continue;
        for (; from <= i; from++)
            if (sums[items[from].domain] >= (int64_t) wish->tasks) {
                *ret_domain = items[from].domain;
                return items[i].at_us;
            }
    }
    return INT64_MAX;
}

/* A machine, and when it may hold a task at the earliest. */
struct opening {
    int64_t at_us;
    size_t node;
};

static int compare_openings(const void *pa, const void *pb)
{
    const struct opening *a = pa, *b = pb;

    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    return a->node < b->node ? -1 : 1;
}

/* By the first N of OPENINGS alone. */
static int64_t first_time_of(struct profile *p, const struct profile_wish *wish,
                             const struct opening *openings, size_t n, uint32_t *ret_domain)
{
    _cleanup_free_ int64_t *sums = xnew_n(int64_t, n_domains(p, wish));
    struct changes changes = { 0 };

    for (size_t i = 0; i < n; i++)
        find_changes(p, openings[i].node, wish, &changes);
    if (changes.len > 0)
        qsort(changes.items, changes.len, sizeof *changes.items, compare_changes);
    int64_t found_us = add_up(&changes, wish, sums, ret_domain);
    vec_done(&changes);
    p->work += n;
    return found_us;
}

/* When first all tasks fit in one domain, and in which. Machines are looked at in the order in which they open, until no further
 * one opens that soon. */
static int64_t first_time(struct profile *p, const struct profile_wish *wish, uint32_t *ret_domain)
{
    _cleanup_free_ struct opening *openings = xnew_n(struct opening, p->machines.len + 1);
    size_t n = 0, looked_at = 4 * (size_t) wish->tasks;
    int64_t found_us = INT64_MAX;

    for (size_t node = 0; node < p->machines.len; node++) {
        int64_t at_us = bound_us(p, node, wish);
        if (at_us != INT64_MAX && (!wish->only_now || at_us == wish->from_us))
            openings[n++] = (struct opening){ at_us, node };
    }
    qsort(openings, n, sizeof *openings, compare_openings);
    for (; n > 0; looked_at *= 4) {
        looked_at = looked_at < n ? looked_at : n;
        found_us = first_time_of(p, wish, openings, looked_at, ret_domain);
        if (looked_at == n || found_us < openings[looked_at].at_us)
            break;
    }
    return found_us;
}

/* One task alone: nothing needs to be added up over machines, and none is looked at beyond the best time so far. */
static int64_t first_time_of_one(struct profile *p, const struct profile_wish *wish)
{
    int64_t best_us = wish->only_now ? wish->from_us + 1 : INT64_MAX;
    const struct steps *steps;

    for (size_t node = 0; node < p->machines.len && best_us > wish->from_us; node++) {
        int64_t bound = bound_us(p, node, wish);
        int64_t from_us = bound < best_us ? opens_us(p, node, wish) : INT64_MAX;
        from_us = from_us < bound ? bound : from_us;
        if (from_us >= best_us)
            continue;
        p->work++;
        steps = steps_of(p, node, wish);
        for (size_t i = step_of(steps, from_us); i < steps->len; i++) {
            int64_t at_us = steps->items[i].at_us;
            at_us = at_us < from_us ? from_us : at_us;
            if (at_us >= best_us)
                break;
            if (fits_at(p, node, wish, at_us) > 0) {
                best_us = at_us;
                break;
            }
            steps = steps_of(p, node, wish);
        }
    }
    return wish->only_now && best_us > wish->from_us ? INT64_MAX : best_us;
}

/* A machine that holds some of the tasks then. */
struct candidate {
    size_t node;
    unsigned fits;
    int64_t
        left; /* GPUs, or cores where none are asked for, that a task leaves there at the start */
};

static int compare_candidates(const void *pa, const void *pb)
{
    const struct candidate *a = pa, *b = pb;

    if (a->fits != b->fits)
        return a->fits > b->fits ? -1 : 1;
    if (a->left != b->left)
        return a->left < b->left ? -1 : 1;
    return a->node < b->node ? -1 : 1;
}

static int compare_nodes(const void *pa, const void *pb)
{
    const size_t *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

static int64_t left_at(struct profile *p, const struct profile_wish *wish, size_t node,
                       int64_t at_us)
{
    const struct steps *steps = steps_of(p, node, wish);
    const struct step *step = &steps->items[step_of(steps, at_us)];

    return wish->ask->gpus ? step->gpus : step->cpu_milli;
}

/* What NODE holds of the tasks then; false: nothing. */
static bool look_at_then(struct profile *p, const struct profile_wish *wish, size_t node,
                         int64_t at_us, struct candidate *ret)
{
    if (bound_us(p, node, wish) > at_us)
        return false;
    unsigned fits = profile_fits(p, wish, node, at_us);
    if (fits == 0)
        return false;
    *ret = (struct candidate){ node, fits, left_at(p, wish, node, at_us) };
    return true;
}

/* The machine for a task alone: the fullest. */
static size_t choose_one(struct profile *p, const struct profile_wish *wish, int64_t at_us)
{
    size_t best = p->machines.len;
    int64_t least = INT64_MAX, fullest = wish->shares ? 0 : wish->ask->gpus;

    for (size_t node = 0; node < p->machines.len && least > fullest; node++) {
        if (bound_us(p, node, wish) > at_us)
            continue;
        int64_t left = left_at(p, wish, node, at_us);
        if (left >= least || profile_fits(p, wish, node, at_us) == 0)
            continue;
        least = left;
        best = node;
    }
    assert(best < p->machines.len);
    return best;
}

/* The machines for all tasks: as few as will do, of equal ones the fullest. */
static void choose(struct profile *p, const struct profile_wish *wish, int64_t at_us,
                   uint32_t domain, size_t *ret)
{
    _cleanup_free_ struct candidate *found = xnew_n(struct candidate, p->machines.len + 1);
    size_t n = 0;
    unsigned placed = 0;

    for (size_t node = 0; node < p->machines.len; node++)
        if ((!wish->domains || wish->domains[node] == domain) &&
            look_at_then(p, wish, node, at_us, &found[n]))
            n++;
    qsort(found, n, sizeof *found, compare_candidates);
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < found[i].fits && placed < wish->tasks; k++)
            ret[placed++] = found[i].node;
    assert(placed == wish->tasks);
    qsort(ret, placed, sizeof *ret, compare_nodes);
}

int64_t profile_earliest(struct profile *p, const struct profile_wish *wish, size_t *ret)
{
    uint32_t domain = 0;
    bool is_one = wish->tasks == 1 && !wish->domains;
    int64_t at_us = is_one ? first_time_of_one(p, wish) : first_time(p, wish, &domain);

    if (wish->only_now && at_us > wish->from_us)
        return INT64_MAX;
    if (at_us != INT64_MAX && is_one)
        *ret = choose_one(p, wish, at_us);
    else if (at_us != INT64_MAX)
        choose(p, wish, at_us, domain, ret);
    return at_us;
}
