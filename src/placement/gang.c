/* gang.c - many tasks at once: all of them or none */
#include "placement/internal.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

bool shape_is_gang(const struct shape *shape) { return shape->groups > 1 || shape->tasks > 1; }

/* How many groups node STATE can hold; on a machine that is the only one, more than one. */
static unsigned groups_on(const struct node_state *state, const struct shape *shape, bool is_alone)
{
    if (!shape_is_gang(shape))
        return node_state_check(state, shape) == PLACEMENT_PLACED;
    unsigned max = is_alone ? shape->groups : 1;
    return node_state_room(state, shape, max * shape->tasks) / shape->tasks;
}

/* Where a machine stands, down to WITHIN, as one name; false: that is not known. */
static bool domain_name(const struct node *node, enum within within, struct text *ret)
{
    ret->len = 0;
    for (int i = FABRIC_SITE; i <= FABRIC_SITE + (int) within - (int) WITHIN_SITE; i++) {
        enum fabric part = (enum fabric) i;
        const char *name = node_stands_within(node, &part);
        if (!name)
            return false;
        text_addf(ret, "%d:%zu:%s", (int) part, strlen(name), name);
    }
    return true;
}

struct domain {
    unsigned groups; /* that it can hold */
};

/* AT: by node, the domain that it stands in, NULL where that is not known. Returns the first domain that holds all
 * groups, otherwise one that holds the most; NULL: of no node it is known. */
static const struct domain *find_domain(const struct node_state *states, size_t n,
                                        const struct shape *shape, const unsigned *groups,
                                        struct domain *domains, const struct domain **at)
{
    _cleanup_(map_freep) struct map *by_name = map_new();
    _cleanup_text_ struct text name = { 0 };
    const struct domain *best = NULL;
    size_t n_domains = 0;

    for (size_t i = 0; i < n; i++) {
        if (!domain_name(states[i].node, shape->rules->within, &name))
            continue;
        struct domain *domain = map_get_str(by_name, text_str(&name));
        if (!domain) {
            domain = &domains[n_domains++];
            (void) map_set_str(by_name, text_str(&name), domain);
        }
        domain->groups += groups[i];
        at[i] = domain;
    }
    for (size_t i = 0; i < n_domains && (!best || best->groups < shape->groups); i++)
        if (!best || domains[i].groups > best->groups)
            best = &domains[i];
    return best;
}

/* Leave groups only in one domain. */
static void keep_within(const struct node_state *states, size_t n, const struct shape *shape,
                        unsigned *groups)
{
    _cleanup_free_ struct domain *domains = xnew_n(struct domain, n + 1);
    _cleanup_free_ const struct domain **at = xnew_n(const struct domain *, n + 1);
    const struct domain *chosen = find_domain(states, n, shape, groups, domains, at);

    for (size_t i = 0; i < n; i++)
        if (!chosen || at[i] != chosen)
            groups[i] = 0;
}

unsigned gang_fit(const struct node_state *states, size_t n, const struct shape *shape,
                  bool is_empty, unsigned *ret)
{
    _cleanup_free_ unsigned *groups = xnew_n(unsigned, n + 1);
    bool is_within = shape->rules->within != WITHIN_ANY && shape->groups > 1 && n > 1;
    unsigned found = 0;

    for (size_t i = 0; i < n && (is_within || found < shape->groups); i++) {
        bool is_usable = is_empty || (!states[i].node->cordoned && !states[i].node->fault);
        groups[i] = is_usable ? groups_on(&states[i], shape, n == 1) : 0;
        found += groups[i];
    }
    if (is_within)
        keep_within(states, n, shape, groups);
    found = 0;
    for (size_t i = 0; i < n; i++) {
        if (groups[i] > shape->groups - found)
            groups[i] = shape->groups - found;
        found += groups[i];
    }
    if (ret)
        memcpy(ret, groups, n * sizeof *ret);
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
