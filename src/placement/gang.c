/* gang.c - many tasks at once: all of them or none */
#include "placement/internal.h"

#include "base/alloc.h"

bool shape_is_gang(const struct shape *shape) { return shape->groups > 1 || shape->tasks > 1; }

/* How many groups node STATE can hold; on a machine that is the only one, more than one. */
static unsigned groups_on(const struct node_state *state, const struct shape *shape, bool is_alone)
{
    if (!shape_is_gang(shape))
        return node_state_check(state, shape) == PLACEMENT_PLACED;
    unsigned max = is_alone ? shape->groups : 1;
    return node_state_room(state, shape, max * shape->tasks) / shape->tasks;
}

unsigned gang_fit(const struct node_state *states, size_t n, const struct shape *shape,
                  bool is_empty, unsigned *ret)
{
    unsigned found = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned groups = 0;
        bool is_usable = is_empty || (!states[i].node->cordoned && !states[i].node->fault);
        if (found < shape->groups && is_usable)
            groups = groups_on(&states[i], shape, n == 1);
        if (groups > shape->groups - found)
            groups = shape->groups - found;
        found += groups;
        if (ret)
            ret[i] = groups;
    }
    return found;
}

struct allocation **gang_take(struct node_state *states, size_t n, const struct shape *shape)
{
    unsigned *groups = xnew_n(unsigned, n + 1), rank = 0;
    struct allocation **all = NULL;

    if (gang_fit(states, n, shape, false, groups) == shape->groups) {
        all = xnew_n(struct allocation *, (size_t) shape->groups * shape->tasks + 1);
        for (size_t i = 0; i < n; i++) {
            unsigned tasks = groups[i] * shape->tasks;
            for (unsigned k = 0; k < tasks; k++)
                all[rank + k] = node_state_take(&states[i], shape);
            if (tasks > 0)
                node_state_take_rest(&states[i], shape, all + rank, tasks);
            rank += tasks;
        }
    }
    free(groups);
    return all;
}
