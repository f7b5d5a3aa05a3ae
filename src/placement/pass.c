/* pass.c - one pass of first fit over the queue
 *
 * In the policy's order, each request goes to the first node that holds it; who does not fit is
 * passed over. What is free only shrinks during a pass, so a shape that was refused stays refused:
 * requests of equal shape share one answer, and a pass over a long queue costs little more than
 * looking at it.
 */
#include "placement/terms.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* What a reason costs, where to try a machine costs 1. */
enum { EXPLAIN = 8 };

struct refusal {
    enum placement_rule rule;
    char text[232];
};

struct pass {
    const struct placement_snapshot *snapshot;
    struct node_state *states;
    struct node_state *before;    /* as they were at the beginning; NULL: nobody asked yet */
    struct terms_table shapes;    /* that were refused */
    VEC(struct refusal) refusals; /* by the number of the shape, from 1; PLACED: it was not */
    size_t looks;
    unsigned n_placed;
    VEC(struct placement_decision) decisions;
};

int placement_compare(const struct workload *a, const struct workload *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->eligible_us != b->eligible_us)
        return a->eligible_us < b->eligible_us ? -1 : 1;
    return id_compare(&a->id, &b->id);
}

struct entry {
    const struct workload *workload;
    size_t index;
};

static int compare_entries(const void *a, const void *b)
{
    return placement_compare(((const struct entry *) a)->workload,
                             ((const struct entry *) b)->workload);
}

/* Indexes of the queue in the policy's order; NULL when it is in order already. */
static struct entry *order_queue(const struct placement_snapshot *snapshot)
{
    if (snapshot->ordered)
        return NULL;
    struct entry *entries = xnew_n(struct entry, snapshot->n_queue + 1);
    for (size_t i = 0; i < snapshot->n_queue; i++)
        entries[i] = (struct entry){ snapshot->queue[i].workload, i };
    qsort(entries, snapshot->n_queue, sizeof *entries, compare_entries);
    return entries;
}

static void decide(struct pass *pass, struct placement_decision *decision, enum placement_rule rule)
{
    decision->rule = rule;
    vec_push(&pass->decisions, *decision);
}

static struct node_state *make_states(const struct placement_snapshot *snapshot)
{
    struct node_state *states = xnew_n(struct node_state, snapshot->n_nodes + 1);

    for (size_t i = 0; i < snapshot->n_nodes; i++)
        node_state_init(&states[i], &snapshot->nodes[i]);
    return states;
}

static void free_states(struct node_state *states, size_t n)
{
    for (size_t i = 0; states && i < n; i++)
        node_state_done(&states[i]);
    free(states);
}

/* Did SHAPE fit before this pass gave anything away? */
static bool fitted_before(struct pass *pass, const struct shape *shape)
{
    size_t n = pass->snapshot->n_nodes;

    if (!pass->before)
        pass->before = make_states(pass->snapshot);
    for (size_t i = 0; i < n; i++)
        pass->before[i].booked = pass->states[i].booked;
    return gang_fit(pass->before, n, shape, false, NULL) == shape->groups;
}

static void explain(struct pass *pass, const struct workload *w, const struct shape *shape,
                    struct refusal *refusal)
{
    const struct node **nodes = xnew_n(const struct node *, pass->snapshot->n_nodes + 1);
    struct error err = { 0 };

    for (size_t i = 0; i < pass->snapshot->n_nodes; i++)
        nodes[i] = pass->snapshot->nodes[i].node;
    if (pass->n_placed > 0 && fitted_before(pass, shape)) {
        refusal->rule = PLACEMENT_BEHIND;
        (void) snprintf(refusal->text, sizeof refusal->text,
                        "%u job%s before it in the queue take%s what is free", pass->n_placed,
                        pass->n_placed == 1 ? "" : "s", pass->n_placed == 1 ? "s" : "");
    } else if (pass->snapshot->n_nodes > 0 &&
               placement_can_ever_fit(nodes, pass->snapshot->n_nodes, w->spec, &err) < 0) {
        refusal->rule = PLACEMENT_NEVER;
        (void) snprintf(refusal->text, sizeof refusal->text, "%s", err.text);
    } else {
        refusal->rule = explain_refusal(pass->states, pass->snapshot->n_nodes, shape, refusal->text,
                                        sizeof refusal->text);
    }
    free(nodes);
}

static void refuse(struct pass *pass, struct placement_decision *decision,
                   const struct refusal *refusal)
{
    (void) snprintf(decision->text, sizeof decision->text, "%s", refusal->text);
    decide(pass, decision, refusal->rule);
}

static struct allocation **take(struct pass *pass, const struct shape *shape)
{
    size_t n = pass->snapshot->n_nodes;

    if (shape_is_gang(shape))
        return gang_take(pass->states, n, shape);
    for (size_t i = 0; i < n; i++) {
        if (node_state_check(&pass->states[i], shape) != PLACEMENT_PLACED)
            continue;
        struct allocation **all = xnew_n(struct allocation *, 2);
        all[0] = node_state_take(&pass->states[i], shape);
        node_state_take_rest(&pass->states[i], shape, all, 1);
        return all;
    }
    return NULL;
}

static void say_where(struct placement_decision *decision)
{
    const struct allocation *first = decision->allocations[0];
    const struct allocation *last = decision->allocations[decision->n_allocations - 1];

    if (str_equal(first->node, last->node))
        (void) snprintf(decision->text, sizeof decision->text, "starts on node %s", first->node);
    else
        (void) snprintf(decision->text, sizeof decision->text, "starts on nodes %s to %s",
                        first->node, last->node);
}

static void try_nodes(struct pass *pass, const struct placement_request *request,
                      const struct shape *shape, uint32_t number,
                      struct placement_decision *decision)
{
    decision->allocations = take(pass, shape);
    pass->looks += pass->snapshot->n_nodes;
    if (decision->allocations) {
        decision->n_allocations = shape->groups * shape->tasks;
        pass->n_placed++;
        say_where(decision);
        decide(pass, decision, PLACEMENT_PLACED);
        return;
    }

    struct refusal refusal = { .rule = PLACEMENT_NEVER };
    explain(pass, request->workload, shape, &refusal);
    pass->looks += EXPLAIN * pass->snapshot->n_nodes;
    while (pass->refusals.len < number)
        vec_push(&pass->refusals, ((struct refusal){ .rule = PLACEMENT_PLACED }));
    if (number > 0)
        pass->refusals.items[number - 1] = refusal;
    refuse(pass, decision, &refusal);
}

/* Those before it have cost too much. */
static void pass_over(struct pass *pass, struct placement_decision *decision)
{
    (void) snprintf(decision->text, sizeof decision->text,
                    "%zu jobs are before it in the queue; what it lacks itself is looked at when "
                    "it is asked about alone",
                    decision->position);
    decide(pass, decision, PLACEMENT_BEHIND);
}

static bool is_too_much(const struct pass *pass)
{
    return pass->snapshot->looks_max && pass->looks > pass->snapshot->looks_max;
}

/* From 1; 0: what REQUEST is refused is not told to others, because something is booked against it. */
static uint32_t number_of(struct pass *pass, const struct placement_request *request,
                          const struct shape *shape)
{
    const struct placement_snapshot *s = pass->snapshot;
    const struct terms wanted = { .shape = *shape };
    bool is_booked = false;

    for (size_t i = 0; s->booked && i < s->n_nodes; i++) {
        pass->states[i].booked = s->booked(s->booked_userdata, request, i);
        is_booked |= pass->states[i].booked != NULL;
    }
    if (s->booked)
        pass->looks += s->n_nodes;
    return is_booked ? 0 : terms_take(&pass->shapes, &wanted)->number;
}

char *placement_time_text(const struct workload *w, int64_t now_us)
{
    char wait[32];

    if (w->eligible_us <= now_us)
        return NULL;
    (void) seconds_to_str((w->eligible_us - now_us + 999999) / 1000000, wait);
    if (w->attempts)
        return xasprintf("attempt %u failed; the next one begins in %s", w->attempts, wait);
    return xasprintf("it is to begin in %s at the earliest", wait);
}

static const struct refusal *find_refusal(const struct pass *pass, uint32_t number)
{
    bool is_known = number > 0 && number <= pass->refusals.len &&
                    pass->refusals.items[number - 1].rule != PLACEMENT_PLACED;

    return is_known ? &pass->refusals.items[number - 1] : NULL;
}

static void consider(struct pass *pass, size_t index, size_t position)
{
    const struct placement_request *request = &pass->snapshot->queue[index];
    const struct workload *w = request->workload;
    struct placement_decision decision = { .request = index, .position = position };

    _cleanup_free_ char *time = placement_time_text(w, pass->snapshot->now_us);
    if (time) {
        (void) snprintf(decision.text, sizeof decision.text, "%s", time);
        decide(pass, &decision, w->attempts ? PLACEMENT_BACKOFF : PLACEMENT_BEGIN);
        return;
    }
    if (request->held) {
        (void) snprintf(decision.text, sizeof decision.text, "%s", request->held);
        decide(pass, &decision, PLACEMENT_HELD);
        return;
    }
    bool is_over = is_too_much(pass) && !request->is_asked;
    if (is_over && pass->snapshot->booked) {
        pass_over(pass, &decision);
        return;
    }
    struct shape shape = shape_of(w->spec, &request->owner);
    uint32_t number = number_of(pass, request, &shape);
    const struct refusal *refusal = find_refusal(pass, number);
    if (refusal)
        refuse(pass, &decision, refusal);
    else if (is_over)
        pass_over(pass, &decision);
    else
        try_nodes(pass, request, &shape, number, &decision);
}

void placement_pass(const struct placement_snapshot *snapshot, struct placement_plan *ret)
{
    struct pass *pass = xnew(struct pass);
    struct entry *order = order_queue(snapshot);

    pass->snapshot = snapshot;
    pass->states = make_states(snapshot);
    terms_table_init(&pass->shapes);

    for (size_t i = 0; i < snapshot->n_queue; i++)
        consider(pass, order ? order[i].index : i, i);

    ret->decisions = pass->decisions.items;
    ret->n_decisions = pass->decisions.len;
    free_states(pass->states, snapshot->n_nodes);
    free_states(pass->before, snapshot->n_nodes);
    terms_table_done(&pass->shapes);
    vec_done(&pass->refusals);
    free(pass);
    free(order);
}

static void allocations_free(struct allocation **all, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        allocation_free(all[i]);
    free(all);
}

void placement_plan_done(struct placement_plan *plan)
{
    for (size_t i = 0; i < plan->n_decisions; i++)
        allocations_free(plan->decisions[i].allocations, plan->decisions[i].n_allocations);
    free(plan->decisions);
    *plan = (struct placement_plan){ 0 };
}
